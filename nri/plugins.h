#ifndef NRI_PLUGINS_H_
#define NRI_PLUGINS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/gate.h"
#include "base/mutex.h"
#include "base/status.h"
#include "nri/merge.h"
#include "nri/messages.h"
#include "nri/plugin.h"
#include "nri/reception.h"
#include "nri/validator.h"

namespace berth::nri {

struct Options {
  ReceptionOptions reception;
  ValidatorSettings validator;
};

// What plugins want to know and to have done, of whoever runs the containers.
// Called on threads of ours; may block.
struct Runtime {
  // All pods and containers that plugins may know of.
  std::function<api::SynchronizeRequest()> everything;
  // Does it, and answers the updates that failed and must not.
  std::function<std::vector<api::ContainerUpdate>(const Context& ctx,
                                                  const Changes& changes)>
      change;
};

// The plugins of this node: who is there, and what they say to what happens.
// Each event goes to those who want it, one after another, by index; one that
// fails to answer costs its own time only, and is gone then. An error that a
// plugin answers is the event's, and those behind it are not asked.
//
// At rest nothing wakes up. Thread-safe.
class Plugins {
 public:
  explicit Plugins(Options options);
  ~Plugins() { Stop(); }
  Plugins(const Plugins&) = delete;
  Plugins& operator=(const Plugins&) = delete;

  // Waits for the installed plugins, and listens for others. An error: it
  // cannot listen.
  Status Start(Runtime runtime);
  // Tells all of them, and ends those that we started. Nothing of the runtime
  // is called any more.
  void Stop();

  // Whether anybody wants to hear of it, or has to allow it. Cheap.
  bool Wants(api::Event event) const {
    return (wanted_.load(std::memory_order_acquire) & MaskOf(event)) != 0;
  }
  // For who makes or removes something that plugins know of: held from their
  // word on it until all can see it. A plugin that joins is shown what is there
  // beside no such pass: so it misses nothing.
  StatusOr<Gate::Pass> KeepJoinersOut(const Context& ctx);

  // Of events without an answer.
  Status Tell(const Context& ctx, const api::StateChangeEvent& event);
  Status UpdatePod(const Context& ctx,
                   const api::UpdatePodSandboxRequest& request);
  // What all of them make of it, once they agree and it is allowed:
  // FAILED_PRECONDITION if not. `request` is as the last was shown it.
  StatusOr<Merge> Create(const Context& ctx,
                         api::CreateContainerRequest& request);
  // The same for new limits, and for a container that has ended.
  StatusOr<ChangeMerge> Update(const Context& ctx,
                               api::UpdateContainerRequest request);
  StatusOr<ChangeMerge> Ended(const Context& ctx,
                              const api::StopContainerRequest& request);

 private:
  using List = std::vector<std::shared_ptr<Plugin>>;

  List Present() EXCLUDES(mutex_);
  Status Join(const Context& ctx, const std::shared_ptr<Plugin>& plugin);
  void Leave(const std::shared_ptr<Plugin>& plugin);
  StatusOr<api::UpdateContainersResponse> ChangeByItself(
      const Context& ctx, const Plugin& plugin,
      const api::UpdateContainersRequest& request);
  void CountWanted() REQUIRES(mutex_);
  Status Validate(const Context& ctx, const List& plugins,
                  const api::ValidateContainerAdjustmentRequest& request);

  const ValidatorSettings validator_;
  const EventMask always_wanted_;
  Runtime runtime_;
  // Makers enter; who joins is alone. Before turn_.
  Gate made_;
  // Plugins are asked about one thing at a time.
  Gate turn_;
  std::atomic<EventMask> wanted_;
  Mutex mutex_;
  List plugins_ GUARDED_BY(mutex_);  // by full name
  Reception reception_;              // last: its threads use the rest
};

}  // namespace berth::nri

#endif  // NRI_PLUGINS_H_
