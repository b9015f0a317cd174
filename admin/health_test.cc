#include "admin/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/status.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth::admin {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

size_t None() { return 0; }

class HealthTest : public ::testing::Test {
 protected:
  UniqueFd Listen(const std::string& name) {
    StatusOr<UniqueFd> socket = ListenUnix(dir_.Path(name), 0600);
    EXPECT_OK(socket);
    return socket.ok() ? *std::move(socket) : UniqueFd();
  }

  TempDir dir_;
};

TEST_F(HealthTest, IsWellWhenAllDoorsServeAndThereIsRoom) {
  const UniqueFd cri = Listen("c");
  const UniqueFd docker = Listen("d");
  const Health health({{"cri", dir_.Path("c")}, {"docker", dir_.Path("d")}},
                      dir_.path(), None);
  EXPECT_THAT(health.Reasons(), IsEmpty());
}

TEST_F(HealthTest, NamesADoorThatNobodyServes) {
  const UniqueFd cri = Listen("c");
  UniqueFd docker = Listen("d");
  const Health health({{"cri", dir_.Path("c")}, {"docker", dir_.Path("d")}},
                      dir_.path(), None);
  docker.reset();
  EXPECT_THAT(health.Reasons(),
              ElementsAre(AllOf(StartsWith("door docker: "),
                                HasSubstr("nobody listens"))));
  // As a cleaner of /run does it: the listener is there, and nobody finds it.
  ASSERT_EQ(unlink(dir_.Path("c").c_str()), 0);
  EXPECT_THAT(health.Reasons(), ElementsAre(StartsWith("door cri: "),
                                            StartsWith("door docker: ")));
}

TEST_F(HealthTest, NamesTheProcessThatHasTakenADoor) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd ready(ends[0]);
  UniqueFd tell(ends[1]);
  const pid_t other = fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    const StatusOr<UniqueFd> socket = ListenUnix(dir_.Path("c"), 0600);
    if (!socket.ok() || write(tell.get(), "x", 1) != 1) _exit(1);
    pause();
  }
  tell.reset();
  char byte;
  EXPECT_EQ(read(ready.get(), &byte, 1), 1);
  const Health health({{"cri", dir_.Path("c")}}, dir_.path(), None);
  EXPECT_THAT(health.Reasons(),
              ElementsAre(HasSubstr("process " + std::to_string(other))));
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_F(HealthTest, CountsRecordsThatCouldNotBeSaved) {
  const Health health({}, dir_.path(), [] { return size_t{3}; });
  EXPECT_THAT(health.Reasons(), ElementsAre(AllOf(StartsWith("store: "),
                                                  HasSubstr("3 records"))));
}

// A tmpfs while it lives.
class SmallDisk {
 public:
  SmallDisk(std::string folder, unsigned long flags, const char* options)
      : folder_(std::move(folder)),
        mounted_(mount("tmpfs", folder_.c_str(), "tmpfs", flags, options) ==
                 0) {}
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  const std::string folder_;
  const bool mounted_;
};

TEST_F(HealthTest, NamesWhatTheDiskLacks) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
  dir_.MakeDirectory("disk");
  const Health health({}, dir_.Path("disk"), None);
  const struct {
    unsigned long flags;
    const char* options;
    const char* reason;
  } disks[] = {
      {0, "size=512k", "is full"},
      {0, "size=4m,nr_inodes=1", "has no free inode"},
      {MS_RDONLY, "size=4m", "is read-only"},
  };
  for (const auto& one : disks) {
    const SmallDisk disk(dir_.Path("disk"), one.flags, one.options);
    ASSERT_TRUE(disk.mounted()) << one.options;
    EXPECT_THAT(health.Reasons(),
                ElementsAre(AllOf(StartsWith("store: "), HasSubstr(one.reason),
                                  HasSubstr(dir_.Path("disk")))));
  }
  {
    const SmallDisk disk(dir_.Path("disk"), 0, "size=4m");
    ASSERT_TRUE(disk.mounted());
    EXPECT_THAT(health.Reasons(), IsEmpty());
  }
  ASSERT_EQ(rmdir(dir_.Path("disk").c_str()), 0);
  EXPECT_THAT(health.Reasons(), ElementsAre(StartsWith("store: ")));
}

}  // namespace
}  // namespace berth::admin
