#include "shim/names/name_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace berth::shim {
namespace {

constexpr uint32_t kAddress = 0x7f00000b;  // 127.0.0.11
constexpr uint16_t kPort = 41053;
constexpr size_t kMaxQuery = 4096;
constexpr size_t kMaxAnswer = 65535;
// Queries of one turn, so that others of the loop get theirs.
constexpr int kTurn = 32;

StatusOr<UniqueFd> Listen(int type) {
  UniqueFd made(socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return Errno(errno, "make a socket");
  const int on = 1;
  setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  address.sin_addr.s_addr = htonl(kAddress);
  if (bind(made.get(), reinterpret_cast<sockaddr*>(&address),
           sizeof(address)) != 0) {
    return Errno(errno, "bind 127.0.0.11:" + std::to_string(kPort));
  }
  if (type == SOCK_STREAM && listen(made.get(), 64) != 0) {
    return Errno(errno, "listen");
  }
  return made;
}

// A namespace whose loopback was never up has no addresses of its own: what is
// bound then answers from another address than it was asked by. Set even if it
// seems to be up: whoever sets it up meanwhile shows the flag before there is
// an address, and the kernel lets us set it when all of that is done.
Status RaiseLoopback() {
  const UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  if (!control.valid() || ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) {
    return Errno(errno, "find loopback");
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) {
    return Errno(errno, "set loopback up");
  }
  return OkStatus();
}

// What is made in `netns` stays there; this thread, which is all of this
// process, comes back.
Status ListenIn(const std::string& netns, UniqueFd& udp, UniqueFd& tcp) {
  const UniqueFd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const UniqueFd there(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!home.valid() || !there.valid()) {
    return Errno(errno, "open network namespace " + Quoted(netns));
  }
  if (setns(there.get(), CLONE_NEWNET) != 0) return Errno(errno, "setns");
  const Status up = RaiseLoopback();
  StatusOr<UniqueFd> first = Listen(SOCK_DGRAM);
  StatusOr<UniqueFd> second = Listen(SOCK_STREAM);
  // Nothing of ours may be left in a container's namespace.
  if (setns(home.get(), CLONE_NEWNET) != 0) abort();
  RETURN_IF_ERROR(up);
  RETURN_IF_ERROR(first.status());
  RETURN_IF_ERROR(second.status());
  udp = *std::move(first);
  tcp = *std::move(second);
  return OkStatus();
}

}  // namespace

// One client by TCP: its queries are answered one after another.
struct NameServer::Connection {
  UniqueFd socket;
  std::string in;
  std::string out;
  bool waiting = false;  // for an answer
  bool ended = false;    // the client sends no more
  EventLoop::TimerId timer = 0;
};

NameServer::NameServer(EventLoop& loop, std::string names, UniqueFd udp,
                       UniqueFd tcp)
    : loop_(loop),
      names_(std::move(names)),
      udp_(std::move(udp)),
      tcp_(std::move(tcp)) {}

StatusOr<std::unique_ptr<NameServer>> NameServer::Start(
    EventLoop& loop, const std::string& netns, std::string names) {
  UniqueFd udp;
  UniqueFd tcp;
  RETURN_IF_ERROR(Annotate(ListenIn(netns, udp, tcp), "serve names"));
  std::unique_ptr<NameServer> server(
      new NameServer(loop, std::move(names), std::move(udp), std::move(tcp)));
  RETURN_IF_ERROR(server->Watch());
  return server;
}

Status NameServer::Watch() {
  RETURN_IF_ERROR(
      loop_.Add(udp_.get(), EPOLLIN, [this](uint32_t) { ReadUdp(); }));
  return loop_.Add(tcp_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

NameServer::~NameServer() {
  forwards_.clear();
  while (!connections_.empty()) CloseConnection(connections_.begin()->first);
  loop_.Remove(udp_.get());
  loop_.Remove(tcp_.get());
}

void NameServer::ReadUdp() {
  for (int i = 0; i < kTurn; ++i) {
    char bytes[kMaxQuery];
    sockaddr_in client = {};
    socklen_t size = sizeof(client);
    const ssize_t n = recvfrom(udp_.get(), bytes, sizeof(bytes), MSG_TRUNC,
                               reinterpret_cast<sockaddr*>(&client), &size);
    if (n < 0) return;
    if (static_cast<size_t>(n) > sizeof(bytes)) continue;
    Serve(std::string(bytes, static_cast<size_t>(n)), false,
          [this, client](const std::string& answer) {
            if (answer.empty()) return;
            // A client that is gone is no loss.
            (void)!sendto(udp_.get(), answer.data(), answer.size(),
                          MSG_NOSIGNAL | MSG_DONTWAIT,
                          reinterpret_cast<const sockaddr*>(&client),
                          sizeof(client));
          });
  }
}

void NameServer::Serve(std::string message, bool tcp, const Reply& reply) {
  const std::optional<DnsQuery> query = ParseDnsQuery(message);
  if (!query.has_value()) return reply("");
  const size_t limit = tcp ? kMaxAnswer : query->udp_size;
  names_.Refresh();
  if (std::optional<std::string> answer = Answer(message, *query, limit)) {
    return reply(*std::move(answer));
  }
  if (names_.servers().empty() || forwards_.size() >= limits_.forwards) {
    return reply(DnsAnswer(message, *query, DnsCode::kFailure, {}, limit));
  }
  const uint64_t number = ++last_number_;
  auto forward = std::make_unique<Forward>(
      loop_, std::move(message), *query, names_.servers(), tcp,
      [this, number, reply](std::string answer) {
        // It ends after this call.
        loop_.Defer([this, number] { forwards_.erase(number); });
        reply(std::move(answer));
      });
  forward->Start();
  forwards_[number] = std::move(forward);
}

std::optional<std::string> NameServer::Answer(std::string_view message,
                                              const DnsQuery& query,
                                              size_t limit) {
  const auto type = static_cast<DnsType>(query.type);
  std::vector<std::string> records;
  if (type == DnsType::kPtr) {
    const std::optional<std::string> address = ReverseAddress(query.name);
    const std::string name = address ? names_.NameOf(*address) : "";
    if (name.empty()) return std::nullopt;
    if (std::string record = NameRecord(name); !record.empty()) {
      records.push_back(std::move(record));
    }
    return DnsAnswer(message, query, DnsCode::kOk, records, limit);
  }
  const auto found = names_.Find(query.name);
  if (!found.has_value()) return std::nullopt;
  if (type == DnsType::kA || type == DnsType::kAaaa) {
    for (const std::string& address : *found) {
      std::string record = AddressRecord(type, address);
      if (!record.empty()) records.push_back(std::move(record));
    }
  }
  // Several holders of a name share the load.
  if (records.size() > 1) {
    std::rotate(
        records.begin(),
        records.begin() + static_cast<long>(++last_number_ % records.size()),
        records.end());
  }
  return DnsAnswer(message, query, DnsCode::kOk, records, limit);
}

void NameServer::Accept() {
  UniqueFd socket(
      accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid() || connections_.size() >= limits_.connections) return;
  const uint64_t number = ++last_number_;
  auto connection = std::make_unique<Connection>();
  if (!loop_
           .Add(socket.get(), EPOLLIN,
                [this, number](uint32_t events) {
                  HandleConnection(number, events);
                })
           .ok()) {
    return;
  }
  connection->socket = std::move(socket);
  connection->timer = loop_.After(limits_.connection_time, [this, number] {
    connections_[number]->timer = 0;
    CloseConnection(number);
  });
  connections_[number] = std::move(connection);
}

void NameServer::CloseConnection(uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  loop_.CancelTimer(found->second->timer);
  loop_.Remove(found->second->socket.get());
  connections_.erase(found);
}

void NameServer::HandleConnection(uint64_t number, uint32_t events) {
  Connection& connection = *connections_[number];
  if ((events & EPOLLERR) != 0) return CloseConnection(number);
  if ((events & EPOLLOUT) != 0 && !connection.out.empty()) {
    return Send(number, "");
  }
  if (!ReadConnection(connection)) return CloseConnection(number);
  if (!connection.waiting) NextQuery(number);
}

bool NameServer::ReadConnection(Connection& connection) {
  char bytes[kMaxQuery];
  const ssize_t n = recv(connection.socket.get(), bytes, sizeof(bytes), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    connection.ended = true;
    // Else it would be told again and again.
    loop_.Modify(connection.socket.get(), 0).IgnoreError();
    return connection.waiting || !connection.out.empty();
  }
  connection.in.append(bytes, static_cast<size_t>(n));
  // More than a client has to say before an answer.
  return connection.in.size() <= 4 * kMaxQuery;
}

void NameServer::NextQuery(uint64_t number) {
  Connection& connection = *connections_[number];
  std::string& in = connection.in;
  if (in.size() < 2) {
    if (connection.ended) CloseConnection(number);
    return;
  }
  const size_t length = static_cast<size_t>(static_cast<uint8_t>(in[0]) << 8 |
                                            static_cast<uint8_t>(in[1]));
  if (length > kMaxQuery) return CloseConnection(number);
  if (in.size() < 2 + length) {
    if (connection.ended) CloseConnection(number);
    return;
  }
  std::string message = in.substr(2, length);
  in.erase(0, 2 + length);
  connection.waiting = true;
  Serve(std::move(message), true, [this, number](const std::string& answer) {
    // The client may have left meanwhile. The next query is for the next turn.
    if (connections_.count(number) == 0) return;
    loop_.Defer([this, number, answer] {
      const auto found = connections_.find(number);
      if (found == connections_.end()) return;
      found->second->waiting = false;
      if (answer.empty()) return CloseConnection(number);
      Send(number, answer);
    });
  });
}

void NameServer::Send(uint64_t number, const std::string& answer) {
  Connection& connection = *connections_[number];
  if (!answer.empty()) {
    connection.out += static_cast<char>(answer.size() >> 8);
    connection.out += static_cast<char>(answer.size() & 0xff);
    connection.out += answer;
  }
  const ssize_t n = send(connection.socket.get(), connection.out.data(),
                         connection.out.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    return CloseConnection(number);
  }
  if (n > 0) connection.out.erase(0, static_cast<size_t>(n));
  const uint32_t in = connection.ended ? 0u : static_cast<uint32_t>(EPOLLIN);
  const uint32_t out =
      connection.out.empty() ? 0u : static_cast<uint32_t>(EPOLLOUT);
  loop_.Modify(connection.socket.get(), in | out).IgnoreError();
  if (connection.out.empty()) NextQuery(number);
}

}  // namespace berth::shim
