#include "oci/systemd/systemd_manager.h"

#include <chrono>
#include <string>
#include <vector>

#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "oci/systemd/testing/fake_systemd.h"

namespace berth::oci {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Answer = FakeSystemd::Answer;

class SystemdManagerTest : public ::testing::Test {
 protected:
  SystemdAddress Address(Duration limit = std::chrono::seconds(20)) const {
    return {.bus = dir_.path() + "/bus",
            .direct = dir_.path() + "/direct",
            .limit = limit};
  }

  // On the bus; `odd` is the answer to calls of `member`.
  FakeSystemd Bus(const std::string& member = "", const Answer& odd = {}) {
    return FakeSystemd(dir_.path() + "/bus", [=](const std::string& called) {
      return called == member ? odd : Answer();
    });
  }

  TempDir dir_;
};

TEST_F(SystemdManagerTest, StartsAndStopsUnits) {
  const FakeSystemd fake = Bus();
  SystemdManager manager(Address());
  EXPECT_OK(manager.Start("a.scope", {{"Delegate", true}}));
  EXPECT_OK(manager.SetProperties("a.scope", {{"MemoryMax", uint64_t{7}}}));
  EXPECT_OK(manager.Stop("a.scope"));
  EXPECT_THAT(
      fake.calls(),
      ElementsAre("Hello", HasSubstr("AddMatch type='signal'"),
                  "StartTransientUnit a.scope fail",
                  "SetUnitProperties a.scope", "Ping",
                  "StopUnit a.scope replace", "ResetFailedUnit a.scope"));
  EXPECT_THAT(fake.body("StartTransientUnit"),
              AllOf(HasSubstr("Delegate"), HasSubstr("ssa(sv)a(sa(sv))")));
  EXPECT_THAT(fake.body("SetUnitProperties"), HasSubstr("MemoryMax"));
}

TEST_F(SystemdManagerTest, UsesSystemdsOwnSocketWhereThereIsNoBus) {
  const FakeSystemd fake(dir_.path() + "/direct",
                         [](const std::string&) { return Answer(); });
  SystemdManager manager(Address());
  EXPECT_OK(manager.Start("a.scope", {}));
  EXPECT_THAT(fake.calls(), ElementsAre("StartTransientUnit a.scope fail"));
}

TEST_F(SystemdManagerTest, SaysThatNobodyListens) {
  SystemdManager manager(Address());
  EXPECT_THAT(manager.Start("a.scope", {}),
              StatusIs(StatusCode::kUnavailable,
                       AllOf(HasSubstr("connect to systemd"),
                             HasSubstr(dir_.path() + "/bus"))));
}

TEST_F(SystemdManagerTest, HearsOfAJobThatIsFasterThanItsCall) {
  const FakeSystemd fake = Bus("StartTransientUnit", {.early = true});
  EXPECT_OK(SystemdManager(Address()).Start("a.scope", {}));
}

TEST_F(SystemdManagerTest, DoesNotBelieveOthersThatAJobIsDone) {
  const FakeSystemd fake =
      Bus("StartTransientUnit", {.result = "failed", .signal_first = ":1.66"});
  EXPECT_THAT(SystemdManager(Address()).Start("a.scope", {}),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("a.scope"), HasSubstr("\"failed\""))));
}

TEST_F(SystemdManagerTest, ForgetsAFailedUnitOfTheSameName) {
  int starts = 0;
  const FakeSystemd fake(
      dir_.path() + "/bus", [&starts](const std::string& member) {
        const bool first = member == "StartTransientUnit" && starts++ == 0;
        return first ? Answer{.error = "org.freedesktop.systemd1.UnitExists"}
                     : Answer();
      });
  EXPECT_OK(SystemdManager(Address()).Start("a.scope", {}));
  EXPECT_THAT(fake.calls(), ElementsAre("Hello", HasSubstr("AddMatch"),
                                        "StartTransientUnit a.scope fail",
                                        "ResetFailedUnit a.scope",
                                        "StartTransientUnit a.scope fail"));
}

TEST_F(SystemdManagerTest, PassesOnWhatSystemdSays) {
  const std::string name = "org.freedesktop.systemd1.";
  const auto stop = [&](const std::string& error) {
    const FakeSystemd fake = Bus("StopUnit", {.error = error});
    const Status status = SystemdManager(Address()).Stop("a.scope");
    unlink((dir_.path() + "/bus").c_str());
    return status;
  };
  EXPECT_THAT(stop(name + "NoSuchUnit"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(stop("org.freedesktop.DBus.Error.ServiceUnknown"),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(stop("org.freedesktop.DBus.Error.AccessDenied"),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("stop \"a.scope\""),
                             HasSubstr("refused"), HasSubstr("AccessDenied"))));
}

TEST_F(SystemdManagerTest, ASystemdThatHangsCostsTheLimitAndNoMore) {
  for (const char* member : {"Hello", "StartTransientUnit"}) {
    const FakeSystemd fake = Bus(member, {.hangs = true});
    SystemdManager manager(Address(std::chrono::milliseconds(50)));
    EXPECT_THAT(manager.Start("a.scope", {}),
                StatusIs(StatusCode::kDeadlineExceeded, HasSubstr(member)));
    unlink((dir_.path() + "/bus").c_str());
  }
}

// The job's end is never told.
TEST_F(SystemdManagerTest, AJobThatHangsCostsTheLimitAndNoMore) {
  const FakeSystemd fake = Bus("StopUnit", {.hangs = true});
  SystemdManager manager(Address(std::chrono::milliseconds(50)));
  EXPECT_THAT(manager.Stop("a.scope"), StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(SystemdManagerTest, ABusThatAcceptsNobodyCostsTheLimitAndNoMore) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener,
                       ListenUnix(dir_.path() + "/bus", 0600));
  std::vector<UniqueFd> queue;
  for (auto fd = ConnectUnix(dir_.path() + "/bus"); fd.ok();
       fd = ConnectUnix(dir_.path() + "/bus")) {
    queue.push_back(*std::move(fd));
    ASSERT_LT(queue.size(), 100000u);
  }
  SystemdManager manager(Address(std::chrono::milliseconds(50)));
  EXPECT_THAT(manager.Start("a.scope", {}),
              StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(SystemdManagerTest, SurvivesAnEndInTheMiddle) {
  bool closed = false;
  const FakeSystemd fake(dir_.path() + "/bus",
                         [&closed](const std::string& member) {
                           Answer answer;
                           answer.closes = member == "StopUnit" && !closed;
                           closed |= answer.closes;
                           return answer;
                         });
  SystemdManager manager(Address());
  EXPECT_THAT(manager.Stop("a.scope"), StatusIs(StatusCode::kUnavailable));
  EXPECT_OK(manager.Stop("a.scope"));  // connects again
}

TEST_F(SystemdManagerTest, RefusesWhatIsNotDbus) {
  const FakeSystemd fake =
      Bus("StopUnit", {.garbage = "HTTP/1.1 400 Bad Request\r\n\r\n"});
  EXPECT_THAT(SystemdManager(Address()).Stop("a.scope"),
              StatusIs(StatusCode::kDataLoss));
}

TEST_F(SystemdManagerTest, SaysThatItIsNotLetIn) {
  const FakeSystemd fake(
      dir_.path() + "/bus", [](const std::string&) { return Answer(); },
      "REJECTED EXTERNAL\r\n");
  EXPECT_THAT(
      SystemdManager(Address()).Stop("a.scope"),
      StatusIs(StatusCode::kUnavailable, HasSubstr("REJECTED EXTERNAL")));
  EXPECT_THAT(fake.calls(), IsEmpty());
}

}  // namespace
}  // namespace berth::oci
