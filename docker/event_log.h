#ifndef DOCKER_EVENT_LOG_H_
#define DOCKER_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "docker/docker_event.h"
#include "docker/event_file.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"

namespace berth::docker {

// What happened lately, in Docker's words: the bus's events, translated, and
// those of this door alone (pull, attach, kill). Keeps the last few for those
// who ask for the past, as Docker does; and in a file, as Docker does not,
// those from before the daemon's start. Thread-safe.
class EventLog {
 public:
  EventLog(sandbox::EventBus& bus, const sandbox::Inventory& inventory);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Whether a container that has exited is about to start again.
  using WillRestart = std::function<bool(const std::string& id)>;

  // Begins to translate; what the bus has published since the construction is
  // not lost. The events of the file come first; "" for no file. Once, before
  // any other call but Publish. RESOURCE_EXHAUSTED if there is no thread to be
  // had.
  Status Start(const std::string& file, WillRestart will_restart = {});
  // Translates and saves no more; `will_restart` is not called again.
  void Stop();

  void Publish(const std::string& type, const std::string& action,
               const std::string& id,
               std::map<std::string, std::string> attributes);
  // With the container's own attributes: its labels, image and name.
  void PublishContainer(const std::string& action, const std::string& id,
                        std::map<std::string, std::string> more = {});

  // The number that the next event will have.
  uint64_t Next() const;
  // Events from `number` on, waiting for the first of them until the context
  // ends; older ones may be lost already.
  StatusOr<std::vector<DockerEvent>> Read(const Context& ctx, uint64_t number);
  // Those that are kept.
  std::vector<DockerEvent> Kept() const;

 private:
  void Translate();
  void Remember(std::vector<DockerEvent> before) EXCLUDES(mutex_);
  void Save(EventFile file);
  void Take(const sandbox::Event& event);
  int64_t SecondsRun(const std::string& id) const;
  std::map<std::string, std::string> AttributesOf(const std::string& id);

  const sandbox::Inventory& inventory_;
  const Context until_;
  const std::shared_ptr<sandbox::Subscription> subscription_;

  mutable Mutex mutex_;
  CondVar added_;
  uint64_t next_ GUARDED_BY(mutex_) = 1;
  std::deque<DockerEvent> kept_ GUARDED_BY(mutex_);
  // Of containers that exist, for when they do no longer.
  std::map<std::string, std::map<std::string, std::string>> known_
      GUARDED_BY(mutex_);
  uint64_t saved_ GUARDED_BY(mutex_) = 0;  // the last that is in the file
  WillRestart will_restart_;
  // Last: they use the others.
  Thread translator_;
  Thread saver_;
};

}  // namespace berth::docker

#endif  // DOCKER_EVENT_LOG_H_
