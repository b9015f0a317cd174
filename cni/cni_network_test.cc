// The network against plugins that obey, fail, hang and print garbage.
#include "cni/cni_network.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/json.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "cni/network.h"
#include "cni/test_network.h"

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(CniNetworkTest, RunsTheChainAndTakesItBack) {
  GoodPlugin("one");
  GoodPlugin("two");
  Network({"one", "two"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Ready());
  ASSERT_OK_AND_ASSIGN(const NetworkResult result, network.Attach(ctx_, pod_));
  EXPECT_EQ(result.network, "testnet");
  EXPECT_EQ(result.interface, "eth0");
  ASSERT_THAT(result.addresses, SizeIs(1));
  EXPECT_EQ(result.addresses[0].ip, "10.0.0.5");
  EXPECT_EQ(At(Input("one.ADD"), "/prevResult"), Json());
  EXPECT_EQ(Input("two.ADD")["prevResult"], Parsed(kAnswer));
  EXPECT_EQ(Input("two.ADD")["name"], "testnet");
  const std::string env = dir_.Read("env.one.ADD");
  EXPECT_THAT(env, HasSubstr("CNI_CONTAINERID=sandbox1\n"));
  EXPECT_THAT(env, HasSubstr("CNI_NETNS=" + pod_.netns + "\n"));
  EXPECT_THAT(env, HasSubstr("CNI_IFNAME=eth0\n"));
  EXPECT_THAT(env, HasSubstr("K8S_POD_NAME=web;"));
  EXPECT_THAT(env, HasSubstr("CNI_PATH=" + dir_.Path("none") + ":" +
                             dir_.Path("bin") + "\n"));

  ASSERT_OK(network.Check(ctx_, pod_));
  EXPECT_EQ(Input("one.CHECK")["prevResult"], Parsed(kAnswer));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));

  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(At(Input("one.DEL"), "/prevResult"), Parsed(kAnswer));
  EXPECT_EQ(Calls(),
            "ADD one\nADD two\nCHECK one\nCHECK two\nDEL two\nDEL one\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
  // Once more: nothing left to do.
  ASSERT_OK(network.Detach(ctx_, pod_));
}

// Which needs no program.
TEST_F(CniNetworkTest, AListOfTheUserMayNameLoopback) {
  GoodPlugin("one");
  Network({"loopback"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Ready());
  ASSERT_OK_AND_ASSIGN(const NetworkResult alone, network.Attach(ctx_, pod_));
  ASSERT_FALSE(alone.addresses.empty());
  EXPECT_EQ(alone.addresses[0].ip, "127.0.0.1");
  EXPECT_EQ(alone.addresses[0].prefix_length, 8);
  ASSERT_OK(network.Check(ctx_, pod_));
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
  // After another one the result is that one's.
  Network({"one", "loopback"});
  ASSERT_OK_AND_ASSIGN(const NetworkResult chained, network.Attach(ctx_, pod_));
  ASSERT_THAT(chained.addresses, SizeIs(1));
  EXPECT_EQ(chained.addresses[0].ip, "10.0.0.5");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
}

TEST_F(CniNetworkTest, TakesAFailedAddBackLastFirst) {
  GoodPlugin("one");
  Plugin("two",
         "[ $CNI_COMMAND != ADD ] || { echo '{\"code\": 11, \"msg\": \"no"
         " address\", \"details\": \"all taken\"}'; exit 1; }\n");
  GoodPlugin("three");
  Network({"one", "two", "three"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kUnavailable,
                       HasSubstr("network plugin \"two\": ADD: no address: all "
                                 "taken")));
  EXPECT_EQ(Calls(), "ADD one\nADD two\nDEL three\nDEL two\nDEL one\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, AnAddThatFailedHoldsNoSandbox) {
  Plugin("one", "echo broken >&2; exit 1\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kInternal, HasSubstr("\"broken\"")));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  // It is tried once more, whatever comes of it.
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\nDEL one\n");
  // What the plugin may have given is not forgotten: the next start finds it.
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  GoodPlugin("one");
  CniNetwork later(Options(), *store_);
  ASSERT_OK(later.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\nDEL one\nDEL one\n");
  EXPECT_THAT(later.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, AnAddThatFailedAndAProgramThatIsGoneHoldNoSandbox) {
  Plugin("one", "echo broken >&2; exit 1\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_FALSE(network.Attach(ctx_, pod_).ok());
  unlink(dir_.Path("bin/one").c_str());
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  GoodPlugin("one");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, ADelThatFailsIsTriedUntilItSucceeds) {
  Plugin("one", "if [ $CNI_COMMAND = ADD ]; then echo '" +
                    std::string(kAnswer) + "'; else [ -e " + dir_.Path("well") +
                    " ]; fi\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(network.Detach(ctx_, pod_), StatusIs(StatusCode::kInternal));
  }
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  dir_.Write("well", "");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

// Killed between the record and the result: nobody knows what the plugin did.
TEST_F(CniNetworkTest, AnAddThatWasCutOffIsTakenBackForCertain) {
  GoodPlugin("one");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  Json record = Parsed(Record());
  record["result"] = nullptr;
  SetRecord(DumpJson(record));
  Plugin("one", "exit 1\n");
  EXPECT_THAT(network.Detach(ctx_, pod_), StatusIs(StatusCode::kInternal));
  GoodPlugin("one");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Input("one.DEL").Find("prevResult"), nullptr);
}

TEST_F(CniNetworkTest, APluginThatIsGoneIsUnavailableAndInTheEndLetGo) {
  GoodPlugin("one");
  GoodPlugin("portmap");  // has no work here: may be gone
  Network({"one", "portmap"});
  CniOptions options = Options();
  CniNetwork patient(options, *store_);
  ASSERT_OK(patient.Attach(ctx_, pod_));
  unlink(dir_.Path("bin/portmap").c_str());
  ASSERT_EQ(rename(dir_.Path("bin/one").c_str(), dir_.Path("one").c_str()), 0);
  EXPECT_THAT(patient.Detach(ctx_, pod_), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(patient.Detach(ctx_, pod_), StatusIs(StatusCode::kUnavailable));
  options.missing_plugin_patience = Duration::zero();
  CniNetwork network(options, *store_);
  ASSERT_OK(network.Detach(ctx_, pod_));
  // Its addresses are not forgotten.
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  ASSERT_EQ(rename(dir_.Path("one").c_str(), dir_.Path("bin/one").c_str()), 0);
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
  EXPECT_EQ(At(Input("one.DEL"), "/prevResult"), Parsed(kAnswer));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, APluginThatCannotBeRunIsUnavailable) {
  Network({"one"});
  CniNetwork network(Options(), *store_);
  for (const char* text : {"#!/no/such/interpreter\n",
                           "\x7f"
                           "ELF"}) {
    dir_.Write("bin/one", text);
    chmod(dir_.Path("bin/one").c_str(), 0755);
    const Status attached = network.Attach(ctx_, pod_).status();
    EXPECT_FALSE(attached.ok());
    EXPECT_FALSE(IsNotFound(attached)) << attached;
  }
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
  EXPECT_OK(network.Detach(ctx_, pod_));
}

TEST_F(CniNetworkTest, ReportsGarbage) {
  Plugin("one", "[ $CNI_COMMAND != ADD ] || echo 'hello <world>'\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kInternal, HasSubstr("hello <world>")));
  Plugin("one", "true\n");
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kInternal, HasSubstr("no result")));
  Plugin("one", "[ $CNI_COMMAND != ADD ] || echo '{\"ips\": [{}]}'\n");
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kInternal, HasSubstr("address")));
  Plugin("one", "[ $CNI_COMMAND != ADD ] || exec cat /dev/zero\n");
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kResourceExhausted));
  Plugin("one", "[ $CNI_COMMAND != ADD ] || kill -SEGV $$\n");
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kInternal, HasSubstr("signal 11")));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, StopsAPluginThatHangs) {
  Plugin("one", "[ $CNI_COMMAND != ADD ] || sleep 600\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("\"one\"")));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

// Its children hold its output, and it does not care for SIGTERM.
TEST_F(CniNetworkTest, StopsAPluginThatHangsWithAllThatItStarted) {
  Plugin("one", "trap '' TERM\nsleep 600 & echo $! >> " + dir_.Path("pids") +
                    "\n(trap '' TERM; sleep 601) & echo $! >> " +
                    dir_.Path("pids") +
                    "\n[ $CNI_COMMAND != ADD ] || while :; do sleep 1; done\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, pod_),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("\"one\"")));
  // Those of ADD are dead, those of DEL, which ended well, may go on.
  std::istringstream pids(dir_.Read("pids"));
  std::vector<pid_t> all{std::istream_iterator<pid_t>(pids), {}};
  ASSERT_THAT(all, SizeIs(4));
  for (size_t i = 0; i < 2; ++i) {
    while (kill(all[i], 0) == 0) sched_yield();  // until init has reaped it
  }
  kill(all[2], SIGKILL);
  kill(all[3], SIGKILL);
}

TEST_F(CniNetworkTest, OneThatHangsDoesNotHoldOthersUp) {
  GoodPlugin("one");
  Network({"one"});
  CniOptions options = Options();
  options.plugin_time_limit = std::chrono::hours(1);
  CniNetwork network(options, *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  Plugin("one",
         "case $CNI_CONTAINERID in sandbox1) sleep 600;; esac\n"
         "[ $CNI_COMMAND != ADD ] || echo '" +
             std::string(kAnswer) + "'\n");
  const Context hanging = ctx_.WithCancel();
  std::thread stuck([&] {
    EXPECT_THAT(network.Detach(hanging, pod_),
                StatusIs(StatusCode::kCancelled));
  });
  while (Calls() != "ADD one\nDEL one\n") sched_yield();
  Attachment other = pod_;
  other.sandbox_id = "sandbox2";
  EXPECT_OK(network.Attach(ctx_, other));
  EXPECT_OK(network.Detach(ctx_, other));
  // Who asks for the same one waits no longer than its context.
  EXPECT_THAT(
      network.Detach(ctx_.WithTimeout(std::chrono::milliseconds(20)), pod_),
      StatusIs(StatusCode::kDeadlineExceeded));
  hanging.Cancel();
  stuck.join();
}

TEST_F(CniNetworkTest, PluginsSeeNoDescriptorsOfOurs) {
  Plugin("one", "ls -l /proc/self/fd > " + dir_.Path("fds") +
                    "\n[ $CNI_COMMAND != ADD ] || echo '" +
                    std::string(kAnswer) + "'\n");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  const int careless = open(dir_.Path("bin").c_str(), O_RDONLY);  // inheritable
  ASSERT_GE(careless, 0);
  ASSERT_OK(network.Attach(ctx_, pod_));
  close(careless);
  EXPECT_THAT(dir_.Read("fds"), Not(HasSubstr(dir_.Path("bin"))));
  EXPECT_OK(network.Detach(ctx_, pod_));
}

TEST_F(CniNetworkTest, TakesOverWhatAnOlderVersionKept) {
  GoodPlugin("one");
  Network({"one"});
  ASSERT_OK(CniNetwork(Options(), *store_).Attach(ctx_, pod_));
  const std::string record = Record();
  ASSERT_OK(store_->Update([](Transaction& tx) {
    return tx.Erase("attachments", "sandbox1/eth0");
  }));
  dir_.MakeDirectory("results");
  dir_.Write("results/sandbox1.json", record);
  dir_.Write("results/sandbox2.json", "damaged");
  dir_.Write("results/.sandbox3.json", "half written");
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attached(),
              IsOkAndHolds(ElementsAre("sandbox1", "sandbox2")));
  EXPECT_THAT(dir_.Names("results"), ElementsAre(".sandbox3.json"));
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(At(Input("one.DEL"), "/prevResult"), Parsed(kAnswer));
}

TEST_F(CniNetworkTest, DetachesByTheListThatAttachUsed) {
  GoodPlugin("one");
  GoodPlugin("other");
  Network({"one"});
  ASSERT_OK(CniNetwork(Options(), *store_).Attach(ctx_, pod_));
  Network({"other"});
  // A new object: as after a restart.
  ASSERT_OK(CniNetwork(Options(), *store_).Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
}

TEST_F(CniNetworkTest, DetachesWhenTheNamespaceIsGone) {
  GoodPlugin("one");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  umount2(pod_.netns.c_str(), MNT_DETACH);
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_THAT(dir_.Read("env.one.DEL"), HasSubstr("CNI_NETNS=\n"));
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, AttachesToSeveralNetworksAndDetachesTheLastFirst) {
  GoodPlugin("one");
  Network({"one"});
  SecondNetwork();
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  ASSERT_OK_AND_ASSIGN(const NetworkResult second,
                       network.Attach(ctx_, ToSecond()));
  EXPECT_EQ(second.network + " " + second.interface, "second eth1");
  EXPECT_THAT(dir_.Read("env.two.ADD"), HasSubstr("CNI_IFNAME=eth1\n"));
  Attachment tenth = pod_;
  tenth.interface = "eth10";
  ASSERT_OK(network.Attach(ctx_, tenth));
  ASSERT_OK(network.Check(ctx_, ToSecond()));
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(),
            "ADD one\nADD two\nADD one\nCHECK two\n"
            "DEL one\nDEL two\nDEL one\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, ANetworkThatDoesNotGoKeepsNoOther) {
  GoodPlugin("one");
  Network({"one"});
  SecondNetwork();
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  ASSERT_OK(network.Attach(ctx_, ToSecond()));
  Plugin("two", "exit 1\n");
  EXPECT_THAT(network.Detach(ctx_, pod_), StatusIs(StatusCode::kInternal));
  GoodPlugin("two");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nADD two\nDEL two\nDEL one\nDEL two\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, RefusesNetworksAndInterfacesThatCannotBe) {
  GoodPlugin("one");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Attach(ctx_, ToSecond()),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("no network \"second\"")));
  for (const char* name : {"", "..", "a/b", "a b", "longer-than-any-0"}) {
    Attachment bad = pod_;
    bad.interface = name;
    EXPECT_THAT(network.Attach(ctx_, bad),
                StatusIs(StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

constexpr char kChildDirectory[] = "BERTH_TEST_DIRECTORY";

// A daemon's whole life with a sandbox of two networks.
TEST(CniNetworkChild, AttachesTwiceAndDetaches) {
  const char* const directory = getenv(kChildDirectory);
  if (directory == nullptr) GTEST_SKIP() << "runs for OutlivesAKill only";
  const std::string base = directory;
  ASSERT_OK_AND_ASSIGN(const auto store,
                       MetadataStore::Open(base + "/meta.db"));
  CniNetwork network(OptionsIn(base), *store);
  Attachment pod;
  pod.sandbox_id = "sandbox1";
  pod.netns = base + "/netns";
  ASSERT_OK(network.Attach(Context::Background(), pod));
  pod.network = "second";
  pod.interface = "eth1";
  ASSERT_OK(network.Attach(Context::Background(), pod));
  ASSERT_OK(network.Detach(Context::Background(), pod));
}

// At each step of either attachment: all that was added is deleted, the second
// one first.
TEST_F(CniNetworkTest, OutlivesAKill) {
  GoodPlugin("one");
  Network({"one"});
  SecondNetwork();
  const std::string first = "ADD one\nDEL one\n";
  const std::string both = "ADD one\nADD two\nDEL two\nDEL one\n";
  const std::vector<std::pair<std::string, std::string>> kills = {
      {"cni.attach.recorded=kill", "DEL one\n"},
      {"cni.attach.plugin=kill", first},
      {"cni.attach.result=kill", first},
      {"cni.attach.recorded=kill@2", "ADD one\nDEL two\nDEL one\n"},
      {"cni.attach.plugin=kill@2", both},
      {"cni.attach.result=kill@2", both},
      {"cni.detach.deleted=kill",
       "ADD one\nADD two\nDEL two\nDEL two\nDEL one\n"},
      {"cni.detach.deleted=kill@2", both + "DEL one\n"}};
  for (const auto& [kill, calls] : kills) {
    SCOPED_TRACE(kill);
    store_.reset();
    Command daemon;
    daemon.program = "/proc/self/exe";
    daemon.args = {"--gtest_filter=CniNetworkChild.*"};
    daemon.env = {"BERTH_FAILPOINTS=" + kill, "PATH=/usr/bin:/bin",
                  kChildDirectory + ("=" + dir_.path())};
    ASSERT_OK_AND_ASSIGN(const CommandResult died, RunCommand(ctx_, daemon));
    EXPECT_EQ(died.signal, SIGKILL) << died.output;
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    CniNetwork network(Options(), *store_);
    EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("sandbox1")));
    ASSERT_OK(network.Detach(ctx_, pod_));
    EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
    EXPECT_EQ(Calls(), calls);
    unlink(dir_.Path("calls").c_str());
  }
}

TEST_F(CniNetworkTest, DetachesWithADamagedRecord) {
  GoodPlugin("one");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  SetRecord("");
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniNetworkTest, SpeaksTheOldVersionWithoutCheck) {
  GoodPlugin("one");
  Network({"one"}, "0.3.1");
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_));
  ASSERT_OK(network.Check(ctx_, pod_));
  ASSERT_OK(network.Detach(ctx_, pod_));
  EXPECT_EQ(Calls(), "ADD one\nDEL one\n");
  EXPECT_EQ(Input("one.ADD")["cniVersion"], "0.3.1");
  EXPECT_EQ(At(Input("one.DEL"), "/prevResult"), Json());
}

TEST_F(CniNetworkTest, IsNotReadyWithoutConfigurationOrPlugin) {
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(network.Ready(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(network.Attach(ctx_, pod_), StatusIs(StatusCode::kUnavailable));
  Network({"absent"});
  EXPECT_THAT(network.Ready(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("\"absent\"")));
}

TEST_F(CniNetworkTest, RefusesBadIdsAndNamespaces) {
  GoodPlugin("one");
  Network({"one"});
  CniNetwork network(Options(), *store_);
  for (const char* id : {"", "../x", ".x", "a/b", "a b"}) {
    Attachment bad = pod_;
    bad.sandbox_id = id;
    EXPECT_THAT(network.Attach(ctx_, bad),
                StatusIs(StatusCode::kInvalidArgument));
    EXPECT_THAT(network.Detach(ctx_, bad),
                StatusIs(StatusCode::kInvalidArgument));
  }
  Attachment lost = pod_;
  lost.netns = dir_.Path("nowhere");
  EXPECT_THAT(network.Attach(ctx_, lost), Not(IsOk()));
  EXPECT_EQ(Calls(), "");
  EXPECT_THAT(network.Attached(), IsOkAndHolds(IsEmpty()));
}

}  // namespace
}  // namespace berth::cni
