#include "oci/init/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "oci/spec/features.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

SeccompRule Rule(const std::vector<std::string>& names,
                 const std::string& action, uint32_t errno_ret = EPERM) {
  SeccompRule rule;
  rule.names = names;
  rule.action = action;
  rule.errno_ret = errno_ret;
  return rule;
}

Seccomp Profile(const std::string& action,
                const std::vector<SeccompRule>& rules) {
  Seccomp profile;
  profile.default_action = action;
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};
  profile.syscalls = rules;
  return profile;
}

// The errno that a call ends with in a process behind the filter.
int ErrnoBehind(const SeccompFilter& filter,
                const std::function<long()>& call) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!LoadSeccomp(filter).ok()) _exit(200);
    _exit(call() == 0 ? 0 : errno);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long Getpgid() { return getpgid(0) >= 0 ? 0 : -1; }

TEST(CompileSeccompTest, FilterDoesWhatTheProfileSays) {
  ASSERT_OK_AND_ASSIGN(
      const SeccompFilter filter,
      CompileSeccomp(Profile(
          "SCMP_ACT_ALLOW",
          {Rule({"getpgid", "no_such_call"}, "SCMP_ACT_ERRNO", ENOSPC)})));
  EXPECT_EQ(ErrnoBehind(filter, Getpgid), ENOSPC);
  EXPECT_EQ(ErrnoBehind(filter, [] { return getppid() > 0 ? 0L : -1L; }), 0);
}

TEST(CompileSeccompTest, NewerCallsThanTheProfileKnowsDoNotExist) {
  // AddressSanitizer asks for the signal stack on the way out.
  ASSERT_OK_AND_ASSIGN(
      const SeccompFilter filter,
      CompileSeccomp(Profile("SCMP_ACT_ERRNO", {Rule({"exit_group", "openat2",
                                                      "write", "sigaltstack"},
                                                     "SCMP_ACT_ALLOW")})));
  EXPECT_EQ(ErrnoBehind(filter, Getpgid), EPERM);
  EXPECT_EQ(ErrnoBehind(filter, [] { return syscall(460, 0); }), ENOSYS);
}

TEST(CompileSeccompTest, SeveralConditionsOnOneArgumentAreAlternatives) {
  SeccompRule rule = Rule({"getpgid"}, "SCMP_ACT_ERRNO", ENOSPC);
  rule.args = {{0, 5, 0, "SCMP_CMP_EQ"}, {0, 6, 0, "SCMP_CMP_EQ"}};
  ASSERT_OK_AND_ASSIGN(const SeccompFilter filter,
                       CompileSeccomp(Profile("SCMP_ACT_ALLOW", {rule})));
  EXPECT_EQ(ErrnoBehind(filter, [] { return long{getpgid(6)}; }), ENOSPC);
  EXPECT_EQ(ErrnoBehind(filter, Getpgid), 0);
}

TEST(CompileSeccompTest, SeveralProfilesPermitWhatAllOfThemDo) {
  Seccomp profile =
      Profile("SCMP_ACT_ALLOW", {Rule({"getpgid"}, "SCMP_ACT_ERRNO", ENOSPC),
                                 Rule({"getsid"}, "SCMP_ACT_ERRNO", ENOSPC)});
  SeccompRule of_users = Rule({"getpriority"}, "SCMP_ACT_ALLOW");
  of_users.errno_ret.reset();
  of_users.args = {{0, PRIO_USER, 0, "SCMP_CMP_EQ"}};
  SeccompRule most = Rule(
      {"exit_group", "write", "sigaltstack", "getsid", "getppid", "openat2"},
      "SCMP_ACT_ALLOW");
  most.errno_ret.reset();
  profile.also = {Profile("SCMP_ACT_ERRNO", {most, of_users})};
  profile.also[0].default_errno_ret = EXDEV;
  ASSERT_OK_AND_ASSIGN(const SeccompFilter filter, CompileSeccomp(profile));
  EXPECT_EQ(ErrnoBehind(filter, [] { return getppid() > 0 ? 0L : -1L; }), 0);
  // One of them does not, and both do not: the other's answer comes first.
  EXPECT_EQ(ErrnoBehind(filter, [] { return long{getsid(0)}; }), ENOSPC);
  EXPECT_EQ(ErrnoBehind(filter, Getpgid), EXDEV);
  // Conditions hold as they do alone.
  const auto priority_of = [](auto who) {
    return [who]() -> long {
      errno = 0;
      getpriority(who, 0);
      return errno == 0 ? 0 : -1;
    };
  };
  EXPECT_EQ(ErrnoBehind(filter, priority_of(PRIO_USER)), 0);
  EXPECT_EQ(ErrnoBehind(filter, priority_of(PRIO_PROCESS)), EXDEV);
}

TEST(CompileSeccompTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(CompileSeccomp(Profile("SCMP_ACT_NONSENSE", {})),
              StatusIs(StatusCode::kInvalidArgument));
  Seccomp profile = Profile("SCMP_ACT_ALLOW", {});
  profile.architectures = {"SCMP_ARCH_NONSENSE"};
  EXPECT_THAT(CompileSeccomp(profile), StatusIs(StatusCode::kInvalidArgument));
}

TEST(CompileSeccompTest, EveryArchitectureIsTaken) {
  Seccomp all = Profile("SCMP_ACT_ALLOW", {});
  all.architectures.clear();
  for (const std::string& name : SeccompArchitectures()) {
    Seccomp one =
        Profile("SCMP_ACT_ALLOW", {Rule({"getpgid"}, "SCMP_ACT_ERRNO")});
    one.architectures = {name};
    ASSERT_OK_AND_ASSIGN(const SeccompFilter filter, CompileSeccomp(one));
    // Calls of this machine are filtered whatever else is named.
    EXPECT_EQ(ErrnoBehind(filter, Getpgid), EPERM) << name;
    all.architectures.push_back(name);
  }
  EXPECT_OK(CompileSeccomp(all));
}

TEST(CachedSeccompTest, ComesBackEqualAndIsNamedByTheProfile) {
  TempDir dir;
  const std::string cache = dir.Path("cache");
  const Seccomp one =
      Profile("SCMP_ACT_ALLOW", {Rule({"getpgid"}, "SCMP_ACT_ERRNO", 1)});
  const Seccomp two =
      Profile("SCMP_ACT_ALLOW", {Rule({"getpgid"}, "SCMP_ACT_ERRNO", 2)});
  ASSERT_OK_AND_ASSIGN(const SeccompFilter made, CachedSeccomp(one, cache));
  EXPECT_THAT(CachedSeccomp(one, cache), IsOkAndHolds(made));
  ASSERT_THAT(dir.Names("cache"), SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const SeccompFilter other, CachedSeccomp(two, cache));
  EXPECT_NE(other.program, made.program);
  EXPECT_THAT(dir.Names("cache"), SizeIs(2));
}

TEST(CachedSeccompTest, ABrokenCacheOnlyCostsTime) {
  TempDir dir;
  const Seccomp profile =
      Profile("SCMP_ACT_ALLOW", {Rule({"getpgid"}, "SCMP_ACT_ERRNO", 1)});
  ASSERT_OK_AND_ASSIGN(const SeccompFilter made,
                       CachedSeccomp(profile, dir.Path("cache")));
  const std::string name = "cache/" + dir.Names("cache")[0];
  const std::string text = dir.Read(name);
  for (const std::string& broken :
       {std::string(), std::string("x"), text.substr(0, text.size() - 3),
        std::string(text.size(), '\xff')}) {
    dir.Write(name, broken);
    EXPECT_THAT(CachedSeccomp(profile, dir.Path("cache")), IsOkAndHolds(made));
  }
  EXPECT_THAT(CachedSeccomp(profile, "/proc/no/such"), IsOkAndHolds(made));
}

}  // namespace
}  // namespace berth::oci
