#include "base/sys/namespace.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace berth {
namespace {

// What InUserNamespace says in a new one with these maps, by a child that asks
// once they are written.
bool SaysSoWith(const std::string& map) {
  int made[2];
  int mapped[2];
  EXPECT_EQ(pipe(made), 0);
  EXPECT_EQ(pipe(mapped), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    if (write(made[1], &byte, 1) != 1 || read(mapped[0], &byte, 1) != 1) {
      _exit(2);
    }
    _exit(InUserNamespace() ? 1 : 0);
  }
  char byte = 0;
  EXPECT_EQ(read(made[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const std::string proc = "/proc/" + std::to_string(child);
  std::ofstream(proc + "/gid_map") << map;
  std::ofstream(proc + "/uid_map") << map;
  std::string there;
  std::getline(std::ifstream(proc + "/uid_map"), there);
  EXPECT_NE(there, "") << "not mapped";
  EXPECT_EQ(write(mapped[1], "g", 1), 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  for (const int fd : {made[0], made[1], mapped[0], mapped[1]}) close(fd);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) < 2);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST(NamespaceTest, AnotherUserNamespaceIsKnownWhateverItMaps) {
  if (geteuid() != 0 || InUserNamespace()) {
    GTEST_SKIP() << "needs the machine's root";
  }
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer's own thread in the child: unshare(2) "
                  "makes no user namespace for one of several";
#endif
  EXPECT_TRUE(SaysSoWith("0 1000 1"));
  EXPECT_TRUE(SaysSoWith("0 0 4294967295"));
}

}  // namespace
}  // namespace berth
