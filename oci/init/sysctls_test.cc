// What is written to /proc while a process is made.
#include "oci/init/sysctls.h"

#include <fcntl.h>
#include <gmock/gmock.h>
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
#include "oci/init/procfs.h"

namespace berth::oci {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

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

// CVE-2022-0811: a value that a helper would take for several settings.
TEST_F(SysctlsTest, AValueIsOneValue) {
  const std::string before = Text("/proc/sys/kernel/core_pattern");
  for (const std::string separator : {"+", "\n", " ", ","}) {
    const std::string value = "1" + separator + "kernel.core_pattern=x";
    // All of it, or as much as there may be in a name.
    EXPECT_EQ(InNamespaces([&] {
                return Message(SetSysctls({{"kernel.hostname", value}}));
              }),
              "")
        << value;
    EXPECT_THAT(InNamespaces([&] {
                  return Message(SetSysctls({{kShared + 10, value}}));
                }),
                AnyOf(HasSubstr("Invalid argument"),
                      HasSubstr("the kernel takes no more than \"1")))
        << value;
    EXPECT_EQ(Text("/proc/sys/kernel/core_pattern"), before);
  }
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

using ProcfsTest = SysctlsTest;

// OpenProcfs, and what becomes of it: "" or the error.
std::string WriteComm(const std::string& path) {
  const auto file = OpenProcfs("/proc", path);
  if (!file.ok()) return Message(file.status());
  return write(file->get(), "written", 7) == 7 ? "" : "not written";
}

TEST_F(ProcfsTest, WritesToFilesOfThisProcess) {
  EXPECT_EQ(InNamespaces([] {
              const std::string pid = std::to_string(getpid());
              std::string said;
              for (const std::string& path :
                   {std::string("thread-self/comm"),
                    "self/task/" + pid + "/comm", pid + "/comm"}) {
                said += WriteComm(path);
              }
              return said + Text("/proc/self/comm");
            }),
            "written\n");
}

// CVE-2025-52881: a label or a score that is written to /proc/sysrq-trigger.
TEST_F(ProcfsTest, RefusesAMountOnTheWay) {
  TempDir dir;
  dir.MakeDirectory("task");
  dir.Write("comm", "as it was");
  for (const auto& [source, target] : {std::pair<std::string, std::string>{
                                           dir.Path("comm"), "/proc/self/comm"},
                                       {kHostname, "/proc/self/comm"},
                                       {dir.path(), "/proc/self"},
                                       {"/proc/1", "/proc/self"}}) {
    for (const char* path : {"self/comm", "thread-self/../../comm"}) {
      EXPECT_THAT(InNamespaces([&]() -> std::string {
                    if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND,
                              nullptr) != 0) {
                      return "mount failed";
                    }
                    return WriteComm(path);
                  }),
                  HasSubstr("Invalid cross-device link"))
          << source << " on " << target << ", " << path;
    }
  }
  EXPECT_EQ(Text(dir.Path("comm").c_str()), "as it was");
}

TEST_F(ProcfsTest, RefusesLinksThatLeadOut) {
  for (const char* path : {"self/root/proc/self/comm", "self/cwd", "self/exe",
                           "self/fd/0", "../etc/passwd", "/proc/self/comm"}) {
    EXPECT_NE(WriteComm(path), "") << path;
  }
}

TEST_F(ProcfsTest, RefusesAnotherFileSystemAsProc) {
  EXPECT_THAT(InNamespaces([]() -> std::string {
                if (mount("t", "/proc", "tmpfs", 0, nullptr)) return "mount";
                return WriteComm("self/comm");
              }),
              HasSubstr("\"/proc\" is not of a procfs"));
}

}  // namespace
}  // namespace berth::oci
