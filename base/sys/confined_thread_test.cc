#include "base/sys/confined_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// A filter of the caller's answers as a kernel does that has none.
[[noreturn]] void RunWithoutFilters() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {4, program};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
  const bool ran = RunConfined("test", {}, [] { return OkStatus(); }).ok();
  const bool says = ConfinementLacks().find("SECCOMP") != std::string::npos;
  _exit(ran && says ? 0 : 1);
}

class ConfinedThreadTest : public ::testing::Test {
 protected:
  ConfinedThreadTest() {
    dir_.MakeDirectory("in/side");
    dir_.MakeDirectory("out");
    dir_.Write("out/secret", "secret");
  }

  // The errno of `call` in a confined thread, 0 if it worked.
  template <typename Call>
  int ErrorOf(Call call) {
    int error = -1;
    EXPECT_OK(RunConfined("test", {dir_.Path("in")}, [&] {
      error = call() >= 0 ? 0 : errno;
      return OkStatus();
    }));
    return error;
  }
  int OpenError(const std::string& name, int flags) {
    return ErrorOf([&] {
      return UniqueFd(open(dir_.Path(name).c_str(), flags, 0600)).get();
    });
  }

  TempDir dir_;
};

TEST_F(ConfinedThreadTest, WorksInItsFolders) {
  EXPECT_EQ(OpenError("in/new", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(ErrorOf([&] {
              return link(dir_.Path("in/new").c_str(),
                          dir_.Path("in/side/again").c_str());
            }),
            0);
  EXPECT_EQ(ErrorOf([&] { return unlink(dir_.Path("in/new").c_str()); }), 0);
  if (geteuid() != 0) return;
  EXPECT_EQ(ErrorOf([&] {
              return mknod(dir_.Path("in/whiteout").c_str(), S_IFCHR, 0);
            }),
            0);
  EXPECT_EQ(ErrorOf([&] {
              return setxattr(dir_.Path("in").c_str(), "trusted.overlay.opaque",
                              "y", 1, 0);
            }),
            0);
}

TEST_F(ConfinedThreadTest, CannotReachWhatIsOutside) {
  if (!ConfinementLacks().empty()) GTEST_SKIP() << ConfinementLacks();
  EXPECT_EQ(OpenError("out/secret", O_RDONLY), EACCES);
  EXPECT_EQ(OpenError("out/secret", O_WRONLY | O_TRUNC), EACCES);
  EXPECT_EQ(OpenError("out/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(OpenError("in/../out/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(symlink("../out", dir_.Path("in/link").c_str()), 0);
  EXPECT_EQ(OpenError("in/link/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(ErrorOf([&] { return mkdir(dir_.Path("out/d").c_str(), 0700); }),
            EACCES);
  EXPECT_EQ(ErrorOf([&] { return unlink(dir_.Path("out/secret").c_str()); }),
            EACCES);
  EXPECT_NE(ErrorOf([&] {
              return rename(dir_.Path("in/side").c_str(),
                            dir_.Path("out/side").c_str());
            }),
            0);
  EXPECT_EQ(dir_.Read("out/secret"), "secret");
}

// landlock(7), "Current limitations".
TEST_F(ConfinedThreadTest, CanChangeTheModeOfWhatIsOutside) {
  EXPECT_EQ(ErrorOf([&] { return chmod(dir_.Path("out").c_str(), 0711); }), 0);
}

TEST_F(ConfinedThreadTest, DoesWithoutAKernelsFilters) {
  EXPECT_EXIT(RunWithoutFilters(), ::testing::ExitedWithCode(0), "");
}

TEST_F(ConfinedThreadTest, HasNoNetworkNoProgramsAndNoMounts) {
  EXPECT_EQ(ErrorOf([] { return socket(AF_INET, SOCK_STREAM, 0); }), EPERM);
  EXPECT_EQ(ErrorOf([] { return socket(AF_UNIX, SOCK_STREAM, 0); }), EPERM);
  int ends[2];
  EXPECT_EQ(ErrorOf([&] { return socketpair(AF_UNIX, SOCK_STREAM, 0, ends); }),
            EPERM);
  EXPECT_EQ(ErrorOf([] { return execl("/bin/true", "true", nullptr); }), EPERM);
  EXPECT_EQ(ErrorOf([] { return fork(); }), EPERM);
  EXPECT_EQ(ErrorOf([&] {
              return mount("tmpfs", dir_.Path("in").c_str(), "tmpfs", 0,
                           nullptr);
            }),
            EPERM);
}

TEST_F(ConfinedThreadTest, LeavesTheOtherThreadsAlone) {
  ASSERT_OK(RunConfined("test", {}, [] { return OkStatus(); }));
  EXPECT_TRUE(UniqueFd(socket(AF_UNIX, SOCK_STREAM, 0)).valid());
  EXPECT_EQ(dir_.Read("out/secret"), "secret");
}

TEST_F(ConfinedThreadTest, ReturnsTheErrorOfTheBody) {
  EXPECT_EQ(RunConfined("test", {}, [] { return DataLoss("bad"); }).code(),
            StatusCode::kDataLoss);
  EXPECT_FALSE(
      RunConfined("test", {dir_.Path("none")}, [] { return OkStatus(); }).ok());
}

}  // namespace
}  // namespace berth
