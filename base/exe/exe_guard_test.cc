#include "base/exe/exe_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"

namespace berth {

const char* const kGuardedWords[] = {nullptr};  // this test itself is not

namespace {

constexpr char kExample[] = "base/exe/exe_guard_example";

// The example at work, with what it said.
class Example {
 public:
  // `open`: started by descriptor, where the mount is of no use.
  Example(const char* word, bool open) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      char* const argv[] = {strdup("x"), strdup(word), strdup("last"), nullptr};
      char* const envp[] = {nullptr};
      if (open) {
        syscall(SYS_execveat, ::open(kExample, O_PATH), "", argv, envp,
                AT_EMPTY_PATH);
      } else {
        execve(kExample, argv, envp);
      }
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    input_.reset(in[1]);
    const UniqueFd output(out[0]);
    char text[512];
    const ssize_t n = read(output.get(), text, sizeof(text));
    if (n > 0) said_.assign(text, static_cast<size_t>(n));
  }

  ~Example() {
    input_.reset();
    waitpid(pid_, nullptr, 0);
  }

  const std::string& said() const { return said_; }
  std::string Proc(const char* name) const {
    return "/proc/" + std::to_string(pid_) + "/" + name;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd input_;
  std::string said_;
};

TEST(ExeGuardTest, RunsFromAReadOnlyMountOfItsOwn) {
  const Example example("guard", false);
  ASSERT_EQ(example.said(), "guarded / last\n");
  struct statfs fs;
  ASSERT_EQ(statfs(example.Proc("exe").c_str(), &fs), 0);
  EXPECT_TRUE(fs.f_flags & ST_RDONLY);
  ASSERT_OK_AND_ASSIGN(const std::string name,
                       ReadFile(example.Proc("comm"), 64));
  EXPECT_EQ(name, "guarded\n");
}

TEST(ExeGuardTest, RunsFromSealedMemoryWhereThereIsNoMount) {
  const Example example("guard", true);
  ASSERT_EQ(example.said(), "guarded /memfd:berth (deleted) last\n");
  EXPECT_LT(open(example.Proc("exe").c_str(), O_RDWR | O_CLOEXEC), 0);
}

TEST(ExeGuardTest, WithoutTheWordItIsAsItWas) {
  const Example example("other", false);
  EXPECT_TRUE(StartsWith(example.said(), "open /")) << example.said();
  EXPECT_TRUE(EndsWith(example.said(), "exe_guard_example last\n"))
      << example.said();
}

}  // namespace
}  // namespace berth
