#ifndef SANDBOX_RESOURCE_SHIM_PROCESS_H_
#define SANDBOX_RESOURCE_SHIM_PROCESS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/fs/host_paths.h"
#include "base/mutex.h"
#include "sandbox/resource/sandbox_resource.h"
#include "sandbox/settings.h"
#include "shim/shim.h"

namespace berth::sandbox {

// The connections to the shims of all sandboxes that have one. Thread-safe.
class ShimTable {
 public:
  // Hears of every shim that is put in.
  using Listener = std::function<void(const std::string& sandbox_id,
                                      const std::shared_ptr<shim::Shim>& shim)>;

  explicit ShimTable(Listener listener = nullptr)
      : listener_(std::move(listener)) {}

  // Null if there is none: its sandbox is not READY, or its shim is lost.
  std::shared_ptr<shim::Shim> Find(const std::string& sandbox_id) const;
  void Put(const std::string& sandbox_id, std::shared_ptr<shim::Shim> shim);
  void Erase(const std::string& sandbox_id);

 private:
  const Listener listener_;
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<shim::Shim>> shims_ GUARDED_BY(mutex_);
};

// The process that holds the sandbox's containers, and pid 1 of a shared pid
// namespace. Thread-safe.
class ShimProcess : public SandboxResource {
 public:
  ShimProcess(const HostPaths& paths, const Settings& settings,
              shim::ShimLauncher& launcher, ShimTable& table)
      : paths_(paths),
        settings_(settings),
        launcher_(launcher),
        table_(table) {}

  std::string name() const override { return "shim"; }
  Status Acquire(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Recover(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  // Kills what is left of its containers.
  Status Release(const Context& ctx,
                 const state::v1::SandboxRecord& sandbox) override;

 private:
  StatusOr<shim::SandboxShim> Describe(
      const state::v1::SandboxRecord& sandbox) const;
  StatusOr<shim::SandboxShim> DescribeRunning(
      const state::v1::SandboxRecord& sandbox) const;
  shim::SandboxShim DescribeAs(const Runtime& runtime,
                               const state::v1::SandboxRecord& sandbox) const;

  const HostPaths paths_;
  const Settings& settings_;
  shim::ShimLauncher& launcher_;
  ShimTable& table_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_SHIM_PROCESS_H_
