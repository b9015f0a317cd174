#include "docker/event_log.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "base/contain.h"
#include "docker/notes.h"

namespace berth::docker {
namespace {

constexpr size_t kKept = 256;

using sandbox::Event;

const char* ActionOf(Event::Type type) {
  switch (type) {
    case Event::Type::kContainerCreated:
      return "create";
    case Event::Type::kContainerStarted:
      return "start";
    case Event::Type::kContainerKilled:
      return "kill";
    case Event::Type::kContainerExited:
      return "die";
    case Event::Type::kContainerRemoved:
      return "destroy";
    case Event::Type::kContainerPaused:
      return "pause";
    case Event::Type::kContainerResumed:
      return "unpause";
    case Event::Type::kContainerUpdated:
      return "update";
    case Event::Type::kContainerOom:
      return "oom";
    default:
      return nullptr;
  }
}

}  // namespace

Json DockerEvent::ToJson(bool legacy) const {
  Json json = {{"Type", type},
               {"Action", action},
               {"Actor", {{"ID", id}, {"Attributes", attributes}}},
               {"scope", "local"},
               {"time", time / 1000000000},
               {"timeNano", time}};
  if (legacy && (type == "container" || type == "image")) {
    json["status"] = action;
    json["id"] = id;
    const auto image = attributes.find("image");
    if (image != attributes.end()) json["from"] = image->second;
  }
  return json;
}

EventLog::EventLog(sandbox::EventBus& bus, const sandbox::Inventory& inventory)
    : inventory_(inventory),
      until_(Context::Background("docker events").WithCancel()),
      subscription_(bus.Subscribe({})) {}

EventLog::~EventLog() { Stop(); }

void EventLog::Stop() {
  until_.Cancel();
  translator_.Join();
  saver_.Join();
}

// They keep their order: what was published since the construction is newer.
void EventLog::Remember(std::vector<DockerEvent> before) {
  MutexLock lock(mutex_);
  before.insert(before.end(), kept_.begin(), kept_.end());
  const size_t first = before.size() > kKept ? before.size() - kKept : 0;
  saved_ = before.size() - kept_.size();
  kept_.assign(before.begin() + static_cast<std::ptrdiff_t>(first),
               before.end());
  next_ = 1;
  for (DockerEvent& event : kept_) event.number = next_++;
  saved_ -= std::min<uint64_t>(saved_, first);
}

// Not in the threads that things happen in.
void EventLog::Save(EventFile file) {
  bool told = false;
  while (true) {
    std::vector<DockerEvent> fresh;
    bool last = false;
    {
      MutexLock lock(mutex_);
      last = !until_
                  .Await(mutex_, added_,
                         [&]() NO_THREAD_SAFETY_ANALYSIS {
                           return next_ > saved_ + 1;
                         })
                  .ok();
      for (const DockerEvent& event : kept_) {
        if (event.number > saved_) fresh.push_back(event);
      }
      saved_ = next_ - 1;
    }
    const Status saved = fresh.empty() ? OkStatus() : file.Append(fresh);
    LOG_IF(WARNING, !saved.ok() && !told)
        << "save docker events: " << Message(saved);
    told = !saved.ok();
    if (last) return;
  }
}

Status EventLog::Start(const std::string& file, WillRestart will_restart) {
  will_restart_ = std::move(will_restart);
  if (!file.empty()) {
    EventFile events(file, kKept);
    Remember(events.Load());
    ASSIGN_OR_RETURN(saver_, StartThread("docker-saver", [this, events] {
                       (void)Contain([&] {
                         Save(events);
                         return OkStatus();
                       });
                     }));
  }
  ASSIGN_OR_RETURN(translator_,
                   StartThread("docker-events", [this] { Translate(); }));
  return OkStatus();
}

void EventLog::Translate() {
  while (!until_.cancelled()) {
    const StatusOr<Event> event = subscription_->Next(until_);
    if (event.ok()) {
      // One event that cannot be told is not the end of all.
      (void)Contain([&] {
        Take(*event);
        return OkStatus();
      });
    } else if (event.status().code() != StatusCode::kResourceExhausted) {
      return;  // the bus is gone, or we are
    }
  }
}

void EventLog::Take(const Event& event) {
  const char* action = ActionOf(event.type);
  if (action == nullptr || event.container_id.empty()) return;
  std::map<std::string, std::string> more;
  if (event.type == Event::Type::kContainerExited) {
    more["exitCode"] = std::to_string(event.exit_code);
    more["execDuration"] = std::to_string(SecondsRun(event.container_id));
    if (will_restart_ && will_restart_(event.container_id)) {
      more["restarting"] = "true";
    }
  }
  if (event.type == Event::Type::kContainerKilled) more["signal"] = "9";
  PublishContainer(action, event.container_id, std::move(more));
  if (event.type == Event::Type::kContainerRemoved) {
    MutexLock lock(mutex_);
    known_.erase(event.container_id);
  }
}

int64_t EventLog::SecondsRun(const std::string& id) const {
  const sandbox::ContainerStatus container =
      inventory_.FindContainer(sandbox::ContainerId(id));
  if (container == nullptr) return 0;
  return std::max<int64_t>(
      (container->finished_at() - container->started_at()) / 1000000000, 0);
}

std::map<std::string, std::string> EventLog::AttributesOf(
    const std::string& id) {
  const sandbox::ContainerStatus container =
      inventory_.FindContainer(sandbox::ContainerId(id));
  if (container == nullptr) {
    MutexLock lock(mutex_);
    const auto found = known_.find(id);
    return found == known_.end() ? std::map<std::string, std::string>()
                                 : found->second;
  }
  View view;
  view.container = container;
  view.sandbox =
      inventory_.FindSandbox(sandbox::SandboxId(container->sandbox_id()));
  const auto& config = container->config();
  std::map<std::string, std::string> attributes(config.labels().begin(),
                                                config.labels().end());
  attributes["image"] = config.user_specified_image().empty()
                            ? config.image()
                            : config.user_specified_image();
  attributes["name"] = view.name();
  MutexLock lock(mutex_);
  known_[id] = attributes;
  return attributes;
}

void EventLog::PublishContainer(const std::string& action,
                                const std::string& id,
                                std::map<std::string, std::string> more) {
  std::map<std::string, std::string> attributes = AttributesOf(id);
  attributes.merge(more);
  Publish("container", action, id, std::move(attributes));
}

void EventLog::Publish(const std::string& type, const std::string& action,
                       const std::string& id,
                       std::map<std::string, std::string> attributes) {
  MutexLock lock(mutex_);
  DockerEvent event;
  event.number = next_++;
  event.time = Now();
  event.type = type;
  event.action = action;
  event.id = id;
  event.attributes = std::move(attributes);
  kept_.push_back(std::move(event));
  if (kept_.size() > kKept) kept_.pop_front();
  added_.SignalAll();
}

uint64_t EventLog::Next() const {
  MutexLock lock(mutex_);
  return next_;
}

StatusOr<std::vector<DockerEvent>> EventLog::Read(const Context& ctx,
                                                  uint64_t number) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(ctx.Await(mutex_, added_, [&]() NO_THREAD_SAFETY_ANALYSIS {
    return next_ > number;
  }));
  std::vector<DockerEvent> events;
  for (const DockerEvent& event : kept_) {
    if (event.number >= number) events.push_back(event);
  }
  return events;
}

std::vector<DockerEvent> EventLog::Kept() const {
  MutexLock lock(mutex_);
  return {kept_.begin(), kept_.end()};
}

}  // namespace berth::docker
