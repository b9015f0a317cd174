#include "oci/init/sysctls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::oci {
namespace {

constexpr char kShared[] = "/proc/sys/kernel/shm_rmid_forced";
constexpr char kHostname[] = "/proc/sys/kernel/hostname";

// In a child with mount, UTS and IPC namespaces of its own. What `body` says
// comes back; "" if all is well.
std::string InNamespaces(const std::function<std::string()>& body) {
  int channel[2];
  if (pipe(channel) != 0) return "pipe";
  const pid_t child = fork();
  if (child == 0) {
    std::string said = "no namespaces";
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) == 0 &&
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) {
      said = body();
    }
    const ssize_t n = write(channel[1], said.data(), said.size());
    _exit(n == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  close(channel[1]);
  const auto said = ReadAll(channel[0], 1 << 20, "what the child said");
  close(channel[0]);
  int status = 1;
  waitpid(child, &status, 0);
  if (status != 0) return "the child failed";
  return said.ok() ? *said : Message(said.status());
}

std::string Text(const char* path) {
  const auto text = ReadFile(path, 4096);
  return text.ok() ? *text : Message(text.status());
}

class SysctlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
};

TEST_F(SysctlsTest, WritesByBothKindsOfNames) {
  EXPECT_EQ(InNamespaces([]() -> std::string {
              const Status status = SetSysctls({{"kernel.hostname", "dotted"},
                                                {"kernel/domainname", "slash"},
                                                {kShared + 10, "1"}});
              if (!status.ok()) return Message(status);
              return Text(kHostname) + Text("/proc/sys/kernel/domainname") +
                     Text(kShared);
            }),
            "dotted\nslash\n1\n");
}

TEST_F(SysctlsTest, RefusesAMountBelowProcSys) {
  TempDir dir;
  dir.Write("file", "as it was");
  const std::string file = dir.Path("file");
  // An ordinary file; another file of procfs; a folder of it.
  for (const auto& [source, target] :
       {std::pair<std::string, std::string>{file, kHostname},
        {"/proc/sys/kernel/domainname", kHostname},
        {"/proc/sys/vm", "/proc/sys/kernel"}}) {
    const std::string said = InNamespaces([&]() -> std::string {
      if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr)) {
        return "mount failed";
      }
      const std::string name =
          target == kHostname ? "kernel.hostname" : "kernel.swappiness";
      return Message(SetSysctls({{name, "60"}})) + Text(source.c_str());
    });
    EXPECT_NE(said.find("Invalid cross-device link"), std::string::npos)
        << target << ": " << said;
    EXPECT_EQ(Text(file.c_str()), "as it was");
  }
}

TEST_F(SysctlsTest, RefusesAnotherFileSystemAsProcSys) {
  EXPECT_NE(InNamespaces([]() -> std::string {
              if (mount("t", "/proc/sys", "tmpfs", 0, nullptr)) return "mount";
              return Message(SetSysctls({{"kernel.hostname", "x"}}));
            }).find("\"/proc/sys\" is not of a procfs"),
            std::string::npos);
}

TEST_F(SysctlsTest, RefusesNamesThatLeadOut) {
  for (const char* name :
       {"/proc/self/comm", "kernel/../../self/comm", "../self/comm", "", "."}) {
    EXPECT_NE(InNamespaces([&] {
                return Message(SetSysctls({{name, "x"}}));
              }),
              "")
        << name;
  }
}

}  // namespace
}  // namespace berth::oci
