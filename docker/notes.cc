#include "docker/notes.h"

#include <algorithm>

#include "base/strings.h"
#include "docker/convert/start_error.h"

namespace berth::docker {
namespace {

// Null if there is none.
Json Member(const Json& object, const char* name) {
  const Json* const found = object.Find(name);
  return found == nullptr ? Json() : *found;
}

}  // namespace

bool Notes::auto_remove() const {
  return Member(host_config, "AutoRemove") == true;
}

std::string Notes::restart_policy() const {
  const std::string name = Member(host_config, "RestartPolicy").Text("Name");
  return name.empty() ? "no" : name;
}

int64_t Notes::max_retries() const {
  return Member(Member(host_config, "RestartPolicy"), "MaximumRetryCount")
      .AsInt()
      .value_or(0);
}

std::string SerializeNotes(const Notes& notes) {
  return DumpJson({{"Config", notes.config},
                   {"HostConfig", notes.host_config},
                   {"StoppedByHand", notes.stopped_by_hand},
                   {"RestartsBefore", notes.restarts_before},
                   {"Links", notes.links},
                   {"LogDirectory", notes.log_directory}});
}

StatusOr<Notes> ParseNotes(const std::string& bytes) {
  const std::string what = "record of the create request";
  ASSIGN_OR_RETURN(const Json json, ParseJson(bytes, what, kDeepJson));
  Notes notes;
  JsonReader reader(json, what);
  notes.config = reader.Object("Config");
  notes.host_config = reader.Object("HostConfig");
  reader.Get("StoppedByHand", notes.stopped_by_hand);
  reader.Get("RestartsBefore", notes.restarts_before);
  notes.restarts_before = std::max<int64_t>(notes.restarts_before, 0);
  reader.Get("Links", notes.links);
  reader.Get("LogDirectory", notes.log_directory);
  RETURN_IF_ERROR(reader.status());
  return notes;
}

const std::shared_ptr<const Notes>& NoNotes() {
  static const auto* const kNone =
      new std::shared_ptr<const Notes>(std::make_shared<const Notes>());
  return *kNone;
}

bool View::ours() const {
  if (sandbox == nullptr) return !container->config().door_notes().empty();
  return sandbox->config().kind() == state::v1::SANDBOX_KIND_STANDALONE;
}

std::string View::name() const {
  if (ours() || sandbox == nullptr) return container->config().name();
  const auto& pod = sandbox->config().metadata();
  return "k8s_" + container->config().name() + "_" + pod.name() + "_" +
         pod.namespace_() + "_" + pod.uid() + "_" +
         std::to_string(container->config().attempt());
}

bool View::running() const {
  return container->phase() == state::v1::CONTAINER_PHASE_RUNNING ||
         container->phase() == state::v1::CONTAINER_PHASE_STOPPING;
}

int64_t View::restarts() const {
  if (notes->restart_policy() == "no") return 0;
  return std::max<int64_t>(container->restart_count() - notes->restarts_before,
                           0);
}

bool View::failed_start() const {
  return container->phase() == state::v1::CONTAINER_PHASE_EXITED &&
         container->reason() == "StartError";
}

std::string View::state(bool restarting) const {
  if (restarting) return "restarting";
  switch (container->phase()) {
    case state::v1::CONTAINER_PHASE_RUNNING:
    case state::v1::CONTAINER_PHASE_STOPPING:
      return container->paused() ? "paused" : "running";
    case state::v1::CONTAINER_PHASE_EXITED:
      return failed_start() ? "created" : "exited";
    case state::v1::CONTAINER_PHASE_STARTING:
      return starts_again() ? "exited" : "created";
    case state::v1::CONTAINER_PHASE_REMOVING:
      return "removing";
    default:
      return "created";
  }
}

bool View::starts_again() const {
  return container->phase() == state::v1::CONTAINER_PHASE_STARTING &&
         container->started_at() > 0;
}

UnixNanos View::finished_at() const {
  return container->finished_at() > 0 ? container->finished_at()
                                      : container->last_finished_at();
}

int View::exit_code() const {
  if (starts_again()) return container->last_exit_code();
  return failed_start() ? StartErrorCode(container->message())
                        : container->exit_code();
}

}  // namespace berth::docker
