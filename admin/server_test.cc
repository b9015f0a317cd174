#include "admin/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "door/http/test_client.h"
#include "door/request_counts.h"
#include "door/worker_pool.h"
#include "sandbox/inventory.h"

namespace berth::admin {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(server_.Listen(socket())); }

  std::string socket() const { return dir_.Path("s"); }
  // The whole answer.
  std::string Ask(const std::string& method, const std::string& path) const {
    door::Client client(socket());
    client.Send(method + " " + path +
                " HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n");
    return client.ReceiveAll();
  }
  std::string Get(const std::string& path) const { return Ask("GET", path); }
  std::string Body(const std::string& path) const {
    const std::string answer = Get(path);
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }

  TempDir dir_;
  std::atomic<size_t> unsaved_ = 0;
  sandbox::Inventory inventory_;
  door::RequestCounts requests_;
  Server server_{
      {.version = "1.2.3",
       .config = "root: \"/r\"\n",
       .health = Health({}, dir_.path(), [this] { return unsaved_.load(); }),
       .sources = {.inventory = inventory_,
                   .requests = requests_,
                   .unsaved = [this] { return unsaved_.load(); },
                   .pools =
                       [] {
                         using Load = door::WorkerPool::Load;
                         return std::vector<Load>{{"cri", 2, 1}};
                       }}}};
};

TEST_F(ServerTest, SaysThatAllIsWell) {
  EXPECT_THAT(Get("/healthz"),
              AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nok\n")));
}

TEST_F(ServerTest, SaysWhatIsWrongAndThatItIsWellAgain) {
  unsaved_ = 2;
  EXPECT_THAT(
      Get("/healthz"),
      AllOf(StartsWith("HTTP/1.1 503 "),
            EndsWith("\r\n\r\nstore: 2 records could not be saved yet\n")));
  unsaved_ = 0;
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, TellsConfigurationAndVersion) {
  EXPECT_EQ(Body("/config"), "root: \"/r\"\n");
  EXPECT_EQ(Body("/version"), "{\"name\":\"berth\",\"version\":\"1.2.3\"}\n");
}

TEST_F(ServerTest, RefusesOtherPagesAndMethods) {
  for (const char* path : {"/", "/healthz/", "/metrics/x", "//metrics", "/x"}) {
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 404 ")) << path;
    EXPECT_THAT(Ask("POST", path), StartsWith("HTTP/1.1 404 ")) << path;
  }
  for (const char* path : {"/healthz", "/metrics", "/config", "/version"}) {
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 200 ")) << path;
    for (const char* method : {"POST", "PUT", "DELETE", "HEAD", "OPTIONS"}) {
      EXPECT_THAT(Ask(method, path), AllOf(StartsWith("HTTP/1.1 405 "),
                                           HasSubstr("\r\nAllow: GET\r\n")));
    }
  }
  EXPECT_THAT(Get("/healthz?verbose"), StartsWith("HTTP/1.1 200 "));
}

// The values by their series; each line has to be one of the format's.
std::map<std::string, double> Parse(const std::string& text) {
  std::set<std::string> seen;
  std::map<std::string, double> values;
  std::string family;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') {
      EXPECT_THAT(line, MatchesRegex("# (HELP|TYPE) [a-z_]+ .+"));
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(seen.insert(line.substr(2, 5) + family).second) << line;
      continue;
    }
    const size_t space = std::min(line.rfind(' '), line.size());
    const std::string series = line.substr(0, space);
    EXPECT_THAT(series, MatchesRegex("[a-z_]+(\\{[a-z]+=\"[^\"\\]*\""
                                     "(,[a-z]+=\"[^\"\\]*\")*\\})?"));
    EXPECT_EQ(seen.count("HELP " + family) + seen.count("TYPE " + family), 2u)
        << line;
    EXPECT_THAT(series.substr(0, series.find('{')),
                AnyOf(family, family + "_sum", family + "_count"));
    size_t end = 0;
    const std::string number = line.substr(std::min(space + 1, line.size()));
    const double value = number.empty() ? 0 : std::stod(number, &end);
    EXPECT_TRUE(end > 0 && end == number.size()) << line;
    EXPECT_TRUE(values.emplace(series, value).second) << line;
  }
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  return values;
}

TEST_F(ServerTest, TellsMetricsInPrometheusFormat) {
  EXPECT_THAT(Get("/metrics"),
              AllOf(StartsWith("HTTP/1.1 200 "),
                    HasSubstr("Content-Type: text/plain; version=0.0.4")));
  unsaved_ = 5;
  requests_.Add("cri", "RunPodSandbox", StatusCode::kNotFound,
                std::chrono::milliseconds(1500));
  std::map<std::string, double> values = Parse(Body("/metrics"));
  EXPECT_GT(values["process_cpu_seconds_total"], 0);
  EXPECT_GT(values["process_resident_memory_bytes"], 1 << 20);
  EXPECT_GT(values["process_virtual_memory_bytes"],
            values["process_resident_memory_bytes"]);
  EXPECT_GE(values["process_threads"], 3);  // this, and two of the server
  EXPECT_GE(values["process_open_fds"], 5);
  EXPECT_GT(values["process_max_fds"], values["process_open_fds"]);
  EXPECT_NEAR(values["process_start_time_seconds"],
              static_cast<double>(time(nullptr)), 3600);
  EXPECT_EQ(values["berth_build_info{version=\"1.2.3\"}"], 1);
  EXPECT_EQ(values.count("berth_sandboxes{phase=\"ready\"}"), 1u);
  EXPECT_EQ(values.count("berth_containers{phase=\"running\"}"), 1u);
  EXPECT_EQ(values["berth_unsaved_records"], 5);
  const std::string of_request =
      "{door=\"cri\",method=\"RunPodSandbox\",code=\"NOT_FOUND\"}";
  EXPECT_EQ(values["berth_request_duration_seconds_count" + of_request], 1);
  EXPECT_EQ(values["berth_request_duration_seconds_sum" + of_request], 1.5);
  EXPECT_EQ(values["berth_request_duration_seconds_count"
                   "{door=\"admin\",method=\"GET\",code=\"OK\"}"],
            1);
  EXPECT_EQ(values["berth_pool_working{pool=\"cri\"}"], 2);
  EXPECT_EQ(values["berth_pool_waiting{pool=\"cri\"}"], 1);
}

TEST_F(ServerTest, CountsDescriptorsAsTheyAre) {
  const double before = Parse(Body("/metrics"))["process_open_fds"];
  const std::vector<UniqueFd> more = [] {
    std::vector<UniqueFd> fds;
    for (int i = 0; i < 10; ++i) fds.emplace_back(dup(0));
    return fds;
  }();
  const double after = Parse(Body("/metrics"))["process_open_fds"];
  EXPECT_GE(after, before + 9);  // a connection may have lived until then
  EXPECT_LE(after, before + 11);
}

// Whether a process of that user can connect.
bool OthersGetIn(const std::string& socket) {
  const pid_t child = fork();
  if (child == 0) {
    if (setresuid(54322, 54322, 54322) != 0) _exit(2);
    const Status connected = ConnectUnix(socket).status();
    _exit(connected.ok() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return WEXITSTATUS(status) == 0;
}

TEST_F(ServerTest, IsForItsUserAlone) {
  struct stat info;
  ASSERT_EQ(stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  EXPECT_FALSE(OthersGetIn(socket()));
  // It is the mode that keeps them out.
  ASSERT_EQ(chmod(socket().c_str(), 0666), 0);
  EXPECT_TRUE(OthersGetIn(socket()));
}

TEST_F(ServerTest, ServesRequestsOfManyConnectionsAndThenEnds) {
  std::vector<std::unique_ptr<door::Client>> idle;
  for (int i = 0; i < 50; ++i) {
    idle.push_back(std::make_unique<door::Client>(socket()));
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  server_.Shutdown();
  EXPECT_THAT(ConnectUnix(socket()).status(), Not(StatusIs(StatusCode::kOk)));
}

}  // namespace
}  // namespace berth::admin
