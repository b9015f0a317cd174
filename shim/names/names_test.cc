#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/io/event_loop.h"
#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "shim/names/dns_message.h"
#include "shim/names/name_server.h"
#include "shim/names/name_table.h"

namespace berth::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

std::string Query(const std::string& name, uint16_t type, bool edns = false,
                  uint16_t id = 0x1234) {
  std::string message;
  const auto add = [&](uint16_t number) {
    message += static_cast<char>(number >> 8);
    message += static_cast<char>(number & 0xff);
  };
  for (const int number : {int{id}, 0x0100, 1, 0, 0, edns ? 1 : 0}) {
    add(static_cast<uint16_t>(number));
  }
  message += NameRecord(name);
  add(type);
  add(1);
  if (!edns) return message;
  message += '\0';
  add(41);
  add(1232);
  return message + std::string(6, '\0');
}

int Count(const std::string& answer) {
  return answer.size() < 12 ? -1 : answer[6] << 8 | answer[7];
}
bool Truncated(const std::string& answer) { return (answer[2] & 2) != 0; }

TEST(DnsMessageTest, ReadsAQuestion) {
  const auto query = ParseDnsQuery(Query("Web.Example.COM", 28, true));
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->name, "web.example.com");
  EXPECT_EQ(query->type, 28);
  EXPECT_EQ(query->id, 0x1234);
  EXPECT_TRUE(query->edns);
  EXPECT_EQ(query->udp_size, 1232u);
  EXPECT_EQ(ParseDnsQuery(Query("a", 1))->udp_size, 512u);
}

TEST(DnsMessageTest, RefusesWhatIsNoQuestion) {
  const std::string good = Query("web", 1);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseDnsQuery(good.substr(0, size)).has_value()) << size;
  }
  std::string answer = good;
  answer[2] = static_cast<char>(0x80);
  EXPECT_FALSE(ParseDnsQuery(answer).has_value());
  std::string two = good;
  two[5] = 2;
  EXPECT_FALSE(ParseDnsQuery(two).has_value());
  std::string pointer = good;
  pointer[12] = static_cast<char>(0xc0);
  EXPECT_FALSE(ParseDnsQuery(pointer).has_value());
}

TEST(DnsMessageTest, AnswersWhatFits) {
  const std::string message = Query("web", 1);
  const auto query = *ParseDnsQuery(message);
  const std::vector<std::string> many(100,
                                      AddressRecord(DnsType::kA, "10.0.0.1"));
  const std::string cut =
      DnsAnswer(message, query, DnsCode::kOk, many, kDnsPlainSize);
  EXPECT_LE(cut.size(), kDnsPlainSize);
  EXPECT_TRUE(Truncated(cut));
  EXPECT_EQ(Count(cut), 30);
  const std::string whole =
      DnsAnswer(message, query, DnsCode::kOk, many, 65535);
  EXPECT_EQ(Count(whole), 100);
  EXPECT_FALSE(Truncated(whole));
  EXPECT_TRUE(AnswersDnsQuery(whole, message, query));
  EXPECT_FALSE(
      AnswersDnsQuery(whole, message, *ParseDnsQuery(Query("other-name", 1))));
}

TEST(DnsMessageTest, ReadsAddressesBackwards) {
  EXPECT_THAT(ReverseAddress("4.3.2.1.in-addr.arpa"),
              Optional(std::string("1.2.3.4")));
  EXPECT_THAT(ReverseAddress("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                             "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"),
              Optional(std::string("fd00::1")));
  for (const char* name : {"", "arpa", "1.in-addr.arpa", "a.3.2.1.in-addr.arpa",
                           "1.2.3.4.5.in-addr.arpa", "x.ip6.arpa"}) {
    EXPECT_EQ(ReverseAddress(name), std::nullopt) << name;
  }
}

TEST(NameTableTest, SeesEachChange) {
  TempDir dir;
  NameTable table(dir.Path("names"));
  table.Refresh();
  EXPECT_EQ(table.Find("web"), std::nullopt);
  dir.Write("names", "network " + dir.Path("n1") + "\nlink db store\n" +
                         "forward 10.0.0.1\n");
  dir.Write("n1", "172.18.0.2 web.n web WEB2\n172.18.0.3 web2.n web2 store\n");
  table.Refresh();
  EXPECT_THAT(*table.Find("web"), ElementsAre("172.18.0.2"));
  EXPECT_THAT(*table.Find("web2"), ElementsAre("172.18.0.2", "172.18.0.3"));
  EXPECT_THAT(*table.Find("db"), ElementsAre("172.18.0.3"));
  EXPECT_EQ(table.NameOf("172.18.0.2"), "web.n");
  EXPECT_EQ(table.NameOf("172.18.0.9"), "");
  EXPECT_THAT(table.servers(), ElementsAre("10.0.0.1"));
  dir.Write("n1", "172.18.0.4 web.n web\n");
  table.Refresh();
  EXPECT_THAT(*table.Find("web"), ElementsAre("172.18.0.4"));
  dir.Write("resolv", "search a\nnameserver 10.9.9.9\n# nameserver 1.1.1.1\n");
  dir.Write("names", "forward-by " + dir.Path("resolv") + "\n");
  table.Refresh();
  EXPECT_EQ(table.Find("web"), std::nullopt);
  EXPECT_THAT(table.servers(), ElementsAre("10.9.9.9"));
}

// Of 127.0.0.1:53 in the caller's namespace: one address for any name.
class OtherServer {
 public:
  OtherServer() {
    udp_.reset(Bound(SOCK_DGRAM));
    tcp_.reset(Bound(SOCK_STREAM));
    listen(tcp_.get(), 5);
    worker_ = std::thread([this] { Run(); });
  }
  ~OtherServer() {
    shutdown(tcp_.get(), SHUT_RDWR);
    worker_.join();
  }

 private:
  static int Bound(int type) {
    const int made = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(
        bind(made, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return made;
  }
  static std::string AnswerTo(const std::string& message) {
    const auto query = ParseDnsQuery(message);
    return DnsAnswer(message, *query, DnsCode::kOk,
                     {AddressRecord(DnsType::kA, "9.9.9.9")}, 65535);
  }
  void Run() {
    while (true) {
      pollfd wait[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
      poll(wait, 2, -1);
      char bytes[512];
      if (wait[0].revents != 0) {
        sockaddr_in from = {};
        socklen_t size = sizeof(from);
        const ssize_t n = recvfrom(udp_.get(), bytes, sizeof(bytes), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
        const std::string answer = AnswerTo(std::string(bytes, n));
        sendto(udp_.get(), answer.data(), answer.size(), 0,
               reinterpret_cast<sockaddr*>(&from), size);
      }
      if (wait[1].revents == 0) continue;
      const UniqueFd client(accept(tcp_.get(), nullptr, nullptr));
      if (!client.valid()) return;
      const ssize_t n = recv(client.get(), bytes, sizeof(bytes), 0);
      std::string answer = AnswerTo(std::string(bytes + 2, n - 2));
      answer.insert(0, {static_cast<char>(answer.size() >> 8),
                        static_cast<char>(answer.size() & 0xff)});
      send(client.get(), answer.data(), answer.size(), 0);
    }
  }

  UniqueFd udp_;
  UniqueFd tcp_;
  std::thread worker_;
};

// In two namespaces: this one stands for the host's, the other is a sandbox's.
class NameServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
    ASSERT_EQ(system("ip link set lo up"), 0);
    std::thread([&] {
      ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
      // Its loopback has never been up.
      inside_.reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }).join();
    dir_.Write("names", "network " + dir_.Path("n1") + "\nforward 127.0.0.1\n");
    dir_.Write("n1",
               "172.18.0.2 web.n web\n172.18.0.3 web.n web\n"
               "fd00::2 web.n web\n");
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    ASSERT_OK_AND_ASSIGN(
        server_, NameServer::Start(
                     *loop_, "/proc/self/fd/" + std::to_string(inside_.get()),
                     dir_.Path("names")));
  }

  // What a client inside does while the server runs. Once.
  void Inside(const std::function<void()>& client) {
    int done[2];
    ASSERT_EQ(pipe(done), 0);
    ASSERT_OK(loop_->Add(done[0], EPOLLIN, [&](uint32_t) { loop_->Stop(); }));
    std::thread other([&] {
      ASSERT_OK(EnterNamespace(inside_.get(), CLONE_NEWNET));
      client();
      ASSERT_EQ(write(done[1], "x", 1), 1);
    });
    ASSERT_OK(loop_->Run());
    other.join();
    loop_->Remove(done[0]);
    close(done[0]);
    close(done[1]);
  }

  static UniqueFd Connect(int type) {
    UniqueFd made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(41053);
    address.sin_addr.s_addr = htonl(0x7f00000b);
    EXPECT_EQ(connect(made.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    const timeval limit = {10, 0};
    setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return made;
  }
  static std::string Ask(const std::string& message) {
    const UniqueFd client = Connect(SOCK_DGRAM);
    send(client.get(), message.data(), message.size(), 0);
    char bytes[4096];
    const ssize_t n = recv(client.get(), bytes, sizeof(bytes), 0);
    return n < 0 ? "" : std::string(bytes, static_cast<size_t>(n));
  }
  static std::string AskByTcp(int client, std::string message) {
    message.insert(0, {static_cast<char>(message.size() >> 8),
                       static_cast<char>(message.size() & 0xff)});
    send(client, message.data(), message.size(), 0);
    std::string answer;
    char bytes[4096];
    ssize_t n;
    while ((n = recv(client, bytes, sizeof(bytes), 0)) > 0) {
      answer.append(bytes, static_cast<size_t>(n));
      const size_t size =
          static_cast<size_t>(static_cast<uint8_t>(answer[0]) << 8 |
                              static_cast<uint8_t>(answer[1]));
      if (answer.size() >= size + 2) break;
    }
    return answer.size() < 2 ? "" : answer.substr(2);
  }

  TempDir dir_;
  UniqueFd inside_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<NameServer> server_;
};

TEST_F(NameServerTest, AnswersOurOwnNames) {
  Inside([] {
    const std::string four = Ask(Query("web", 1));
    EXPECT_EQ(Count(four), 2);
    EXPECT_THAT(four, HasSubstr(AddressRecord(DnsType::kA, "172.18.0.3")));
    EXPECT_EQ(Count(Ask(Query("WEB.n", 1, true))), 2);
    EXPECT_EQ(Count(Ask(Query("web", 28))), 1);
    // A name of ours has no mail server; nobody else is asked for one.
    EXPECT_EQ(Count(Ask(Query("web", 15))), 0);
    EXPECT_THAT(Ask(Query("2.0.18.172.in-addr.arpa", 12)),
                HasSubstr(NameRecord("web.n")));
  });
}

TEST_F(NameServerTest, PassesOthersOn) {
  OtherServer other;
  Inside([] {
    const std::string udp = Ask(Query("example.com", 1, true, 0x4321));
    EXPECT_EQ(DnsId(udp), 0x4321);
    EXPECT_THAT(udp, HasSubstr(AddressRecord(DnsType::kA, "9.9.9.9")));
    const UniqueFd client = Connect(SOCK_STREAM);
    for (const char* name : {"example.com", "example.org"}) {
      EXPECT_THAT(AskByTcp(client.get(), Query(name, 1)),
                  HasSubstr(AddressRecord(DnsType::kA, "9.9.9.9")));
    }
    EXPECT_EQ(Count(AskByTcp(client.get(), Query("web", 1))), 2);
  });
}

TEST_F(NameServerTest, FailsWhenNobodyAnswers) {
  Inside([] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(DnsCodeOf(Ask(Query("example.com", 1))), 2);
    }
  });
}

TEST_F(NameServerTest, OutlivesNonsense) {
  Inside([] {
    const UniqueFd udp = Connect(SOCK_DGRAM);
    send(udp.get(), "", 0, 0);
    send(udp.get(), "nonsense", 8, 0);
    const UniqueFd tcp = Connect(SOCK_STREAM);
    send(tcp.get(), "\xff\xff", 2, 0);
    char byte;
    EXPECT_EQ(recv(tcp.get(), &byte, 1, 0), 0);
    // More connections than it takes: the others are closed at once.
    std::vector<UniqueFd> many;
    for (int i = 0; i < 40; ++i) many.push_back(Connect(SOCK_STREAM));
    EXPECT_EQ(Count(Ask(Query("web", 1))), 2);
  });
}

}  // namespace
}  // namespace berth::shim
