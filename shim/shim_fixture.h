// A sandbox's shim, of each kind, and real containers for it. Needs root.
#ifndef SHIM_SHIM_FIXTURE_H_
#define SHIM_SHIM_FIXTURE_H_

#include <fcntl.h>
#include <glob.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/context.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "shim/client/shim_launcher.h"
#include "shim/shim.h"

namespace berth::shim {

inline constexpr char kConfig[] = R"json({
  "ociVersion": "1.0.2",
  "process": {
    "terminal": %s, "user": {"uid": 0, "gid": 0}, "cwd": "/",
    "args": ["/bin/sh", "-c", "%s"],
    "env": ["PATH=/bin", "TERM=xterm"],
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                     "permitted": ["CAP_KILL"]}
  },
  "root": {"path": "rootfs", "readonly": false},
  "hostname": "shim-test",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666",
                 "mode=0620"]}
  ],
  "linux": {
    "cgroupsPath": "/berth-shim-test-%d/%s",
    "resources": {"memory": {"limit": %lld}, "pids": {"limit": 64}},
    "namespaces": [%s{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]
  }
})json";

inline constexpr char kProcess[] = R"json({
  "terminal": %s, "user": {"uid": 0, "gid": 0}, "cwd": "/",
  "args": ["/bin/sh", "-c", "%s"], "env": ["PATH=/bin"]
})json";

template <typename... Args>
std::string Format(const char* format, Args... args) {
  std::string text(8192, '\0');
  const int size = snprintf(text.data(), text.size(), format, args...);
  text.resize(static_cast<size_t>(size));
  return text;
}

inline StatusOr<std::string> ProcFile(pid_t pid, const std::string& name) {
  return ReadFile("/proc/" + std::to_string(pid) + "/" + name, 1 << 20);
}

inline std::string ProcessJson(const std::string& script,
                               bool terminal = false) {
  return Format(kProcess, terminal ? "true" : "false", script.c_str());
}

inline std::string FindProgram(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/bin/"}) {
    const std::string path = folder + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

inline bool WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

inline std::string ReadFifo(const std::string& path, UniqueFd& fd) {
  std::string text;
  char bytes[4096];
  while (true) {
    pollfd ready{fd.get(), POLLIN, 0};
    if (poll(&ready, 1, 10'000) <= 0) {
      ADD_FAILURE() << path << " does not end";
      return text;
    }
    const ssize_t n = read(fd.get(), bytes, sizeof(bytes));
    if (n <= 0) return text;
    text.append(bytes, static_cast<size_t>(n));
  }
}

inline constexpr char kForeign[] = "containerd-shim-runc-v2";

// The parameter is the runtime: a program's name, or "" for the shim's own; or
// a shim of others, with runc.
class ShimTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (const std::string& name : {GetParam(), Program()}) {
      if (!name.empty() && FindProgram(name).empty()) {
        GTEST_SKIP() << "no " << name << " here";
      }
    }
    dir_.MakeDirectory("state");
    dir_.MakeDirectory("rootfs/bin");
    ASSERT_EQ(system(("cp /bin/busybox " + dir_.Path("rootfs/bin/busybox") +
                      " && for a in sh cat sleep echo kill yes head dd tr "
                      "stty ps; do ln -s busybox " +
                      dir_.Path("rootfs/bin/") + "$a; done")
                         .c_str()),
              0);
    for (const char* name : {"rootfs/proc", "rootfs/dev"}) {
      dir_.MakeDirectory(name);
    }
    sandbox_.id = "pod1";
    sandbox_.state_dir = dir_.Path("state");
    sandbox_.binary = std::filesystem::current_path() / "shim/berth-shim";
    if (IsForeign()) {
      sandbox_.helper = std::exchange(sandbox_.binary, "io.containerd.runc.v2");
    }
    sandbox_.runtime_program = Program().empty() ? "" : FindProgram(Program());
    sandbox_.runtime_root = dir_.Path("runtime");
    launcher_ = NewShimLauncher();
  }

  void TearDown() override {
    shim_.reset();
    if (launcher_ != nullptr) {
      EXPECT_OK(launcher_->Destroy(ctx_, sandbox_));
    }
    // The parents of the containers' cgroups, in whatever hierarchies the
    // runtime made them.
    const std::string pattern =
        Format("/sys/fs/cgroup/{,*/}berth-shim-test-%d", getpid());
    glob_t found{};
    glob(pattern.c_str(), GLOB_BRACE, nullptr, &found);
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      EXPECT_EQ(rmdir(found.gl_pathv[i]), 0) << found.gl_pathv[i];
    }
    globfree(&found);
  }

  static bool IsForeign() { return GetParam() == kForeign; }
  // The code of a verb in the wrong phase: others say it by text alone.
  static StatusCode InWrongPhase(
      StatusCode ours = StatusCode::kFailedPrecondition) {
    return IsForeign() ? StatusCode::kUnknown : ours;
  }
  static std::string Program() { return IsForeign() ? "runc" : GetParam(); }

  // Of the shim that holds the containers, or of the one of their logs.
  pid_t ShimPid(bool of_logs = false) {
    const std::string path = IsForeign() && !of_logs
                                 ? "state/foreign/bootstrap.json"
                                 : "state/bootstrap.json";
    const std::string bootstrap = dir_.Read(path);
    return atoi(&bootstrap[bootstrap.find("\"pid\":") + 6]);
  }

  void Launch() {
    ASSERT_OK_AND_ASSIGN(shim_, launcher_->Launch(ctx_, sandbox_));
  }

  CreateTask Bundle(const std::string& id, const std::string& script,
                    bool terminal = false, bool own_pids = true,
                    long long memory = 64 << 20) {
    CreateTask task;
    task.id = id;
    task.bundle = dir_.Path(id);
    dir_.MakeDirectory(id + "/rootfs");
    dir_.Write(
        id + "/config.json",
        Format(kConfig, terminal ? "true" : "false", script.c_str(), getpid(),
               id.c_str(), memory, own_pids ? "{\"type\": \"pid\"}, " : ""));
    task.rootfs = {{"bind", dir_.Path("rootfs"), "", {"rbind"}}};
    task.stdio.terminal = terminal;
    return task;
  }

  std::string LogUri(const std::string& name) {
    return "berth-log://" + dir_.Path(name) + "?format=cri";
  }

  std::unique_ptr<Task> StartLogged(const std::string& id,
                                    const std::string& script) {
    CreateTask create = Bundle(id, script);
    create.stdio.out = create.stdio.err = LogUri(id + ".log");
    return StartTask(create);
  }

  std::unique_ptr<Task> StartTask(const CreateTask& create) {
    StatusOr<RunningTask> run = shim_->Run(ctx_, create);
    EXPECT_OK(run);
    return run.ok() ? std::move(run->task) : nullptr;
  }

  UniqueFd NewFifo(const std::string& name) {
    EXPECT_EQ(mkfifo(dir_.Path(name).c_str(), 0600), 0);
    return UniqueFd(
        open(dir_.Path(name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  UniqueFd OpenWriter(const std::string& name) {
    return UniqueFd(open(dir_.Path(name).c_str(), O_WRONLY | O_CLOEXEC));
  }

  // Lines with "TIME stream tag " cut off after the time.
  std::string LogWithoutTimes(const std::string& name) {
    std::string text;
    for (const std::string& line : Split(dir_.Read(name), '\n')) {
      if (!line.empty()) text += line.substr(line.find(' ') + 1) + "\n";
    }
    return text;
  }

  // What a log comes to. With a foreign shim it is whole when the task has been
  // deleted, not at the exit, and either of the two streams may come first.
  void ExpectLog(const std::string& name, const std::string& text) {
    if (!IsForeign()) {
      EXPECT_EQ(LogWithoutTimes(name), text);
      return;
    }
    const auto lines = [](const std::string& all) {
      std::vector<std::string> sorted = Split(all, '\n');
      std::sort(sorted.begin(), sorted.end());
      return sorted;
    };
    EXPECT_TRUE(WaitUntil([&] {
      return lines(LogWithoutTimes(name)) == lines(text);
    })) << LogWithoutTimes(name);
  }

  TempDir dir_;
  const Context ctx_ =
      Context::Background("test").WithTimeout(std::chrono::minutes(2));
  SandboxShim sandbox_;
  std::unique_ptr<ShimLauncher> launcher_;
  std::unique_ptr<Shim> shim_;
};

// The name of a case for its runtime.
inline std::string NameOf(const ::testing::TestParamInfo<std::string>& info) {
  if (info.param == kForeign) return "foreign";
  return info.param.empty() ? "own" : info.param;
}

}  // namespace berth::shim

#endif  // SHIM_SHIM_FIXTURE_H_
