// Stand-ins for the processes and programs that sandbox/ acts through. Each
// fails on demand, counts what it holds, and outlives a World, as the real ones
// outlive a daemon.
#ifndef SANDBOX_TESTING_FAKES_H_
#define SANDBOX_TESTING_FAKES_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "cni/network.h"
#include "image/rootfs_provider.h"
#include "shim/shim.h"

namespace berth::sandbox {

// What to fail, by the name of the call ("Launch", "task Start"). Thread-safe.
class Failures {
 public:
  void Set(const std::string& call, Status status);
  void Clear(const std::string& call);
  Status Check(const std::string& call);
  int Calls(const std::string& call);

 private:
  Mutex mutex_;
  std::map<std::string, Status> failures_ GUARDED_BY(mutex_);
  std::map<std::string, int> calls_ GUARDED_BY(mutex_);
};

// One process of a fake shim.
struct FakeProcess {
  shim::TaskPhase phase = shim::TaskPhase::kCreated;
  shim::ExitStatus exit;
  std::vector<int> signals;
  shim::CreateTask request;
  // Signals that do not end it.
  bool ignores_term = false;
  bool starting = false;
  std::string resources;  // of the last Update
};

class FakeShim;

// All fake shims of a machine: they stay when a daemon goes. Thread-safe.
class FakeShims : public shim::ShimLauncher {
 public:
  StatusOr<std::unique_ptr<shim::Shim>> Launch(
      const Context& ctx, const shim::SandboxShim& sandbox) override;
  StatusOr<std::unique_ptr<shim::Shim>> Reconnect(
      const Context& ctx, const shim::SandboxShim& sandbox) override;
  Status Destroy(const Context& ctx, const shim::SandboxShim& sandbox) override;

  Failures failures;

  // The shim process dies, and its containers with it.
  void Crash(const std::string& sandbox_id);
  // From now on `call` ("task Delete"), or "*" for each, has no answer; with
  // "*" it tells nothing of exits either.
  void Hang(const std::string& sandbox_id, const std::string& call);
  // It never answers those who wait for an exit now.
  void ForgetWaiters(const std::string& sandbox_id);
  // Pid 1 of the sandbox ends.
  void ExitInit(const std::string& sandbox_id);
  // A container's process ends.
  // `at` 0: now.
  void Exit(const std::string& container_id, uint32_t code, UnixNanos at = 0);
  // SIGTERM does not end the next processes.
  void IgnoreTerm(bool ignore);
  // Its start is under way again: only a kill lets it be deleted.
  void Unstart(const std::string& container_id);
  bool Has(const std::string& sandbox_id);
  size_t size();
  FakeProcess Process(const std::string& container_id);
  bool HasProcess(const std::string& container_id);

 private:
  friend class FakeShim;
  friend class FakeTask;
  struct State {
    bool alive = true;
    bool init_exited = false;
    std::set<std::string> hung;
    std::map<std::string, FakeProcess> processes;
  };
  // A call's way in: fails, or hangs, on demand.
  Status Pass(const Context& ctx, const std::string& sandbox_id,
              const std::string& call) EXCLUDES(mutex_);
  State* FindLocked(const std::string& sandbox_id) REQUIRES(mutex_);
  // Those who wait, without waiting, for what is the case now.
  void TellLocked() REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool ignore_term_ GUARDED_BY(mutex_) = false;
  std::map<std::string, State> shims_ GUARDED_BY(mutex_);
  std::set<FakeShim*> connections_ GUARDED_BY(mutex_);
};

// Gives out addresses, and knows who has one. Thread-safe.
class FakeNetwork : public cni::Network {
 public:
  Status Ready() const override { return OkStatus(); }
  StatusOr<cni::NetworkResult> Attach(const Context& ctx,
                                      const cni::Attachment& to) override;
  Status Check(const Context& ctx, const cni::Attachment& to) override;
  Status Detach(const Context& ctx, const cni::Attachment& from) override;
  Status DetachInterface(const Context& ctx,
                         const cni::Attachment& from) override;
  Status CollectGarbage(const Context& ctx) override;
  StatusOr<std::set<std::string>> Attached() const override;

  // Detach is OK, and takes nothing back: as after an Attach that failed.
  void LetGo(bool let_go);
  // Plugins that hang, until their time is up.
  void HangAttach(bool hang);

  Failures failures;
  std::set<std::string> attached();
  std::set<std::string> interfaces(const std::string& sandbox_id);

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool hang_attach_ GUARDED_BY(mutex_) = false;
  bool let_go_ GUARDED_BY(mutex_) = false;
  // Interfaces by sandbox.
  std::map<std::string, std::set<std::string>> attached_ GUARDED_BY(mutex_);
};

// One image, "sha256:busybox": a directory that each key gets a copy of the
// name of (a bind mount). Thread-safe.
class FakeImages : public image::RootfsProvider {
 public:
  // `root`: a directory with the image's content; may be empty for tests that
  // run nothing.
  explicit FakeImages(std::string root) : root_(std::move(root)) {}

  StatusOr<image::Rootfs> Acquire(const Context& ctx, std::string_view image_id,
                                  const std::string& key,
                                  image::Persistence persistence) override;
  StatusOr<image::Rootfs> AcquireReadOnly(const Context& ctx,
                                          std::string_view image_id,
                                          const std::string& key) override;
  StatusOr<std::string> ReadFile(const std::string& key, std::string_view path,
                                 uint64_t limit) override;
  StatusOr<std::vector<Mount>> Look(const std::string& key) override;
  StatusOr<image::DiskUsage> Usage(const std::string& key) override;
  Status Release(const Context& ctx, const std::string& key) override;

  Failures failures;
  state::v1::ImageConfig config;
  std::map<std::string, std::string> files;  // path -> text
  std::set<std::string> keys();

 private:
  const std::string root_;
  Mutex mutex_;
  std::set<std::string> keys_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_TESTING_FAKES_H_
