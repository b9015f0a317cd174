#ifndef DOCKER_NOTES_H_
#define DOCKER_NOTES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "sandbox/inventory.h"

namespace berth::docker {

// What this door keeps with a container of its own (door_notes): the request
// it was made by, from which inspect answers, and what was done by hand since.
// A value; no container of the other door has it.
struct Notes {
  Json config = Json::object();
  Json host_config = Json::object();
  // Stopped or killed by a person: no restart policy brings it back, but
  // "always" at the next start of the daemon.
  bool stopped_by_hand = false;
  // The record's count of restarts at the last start by hand: Docker counts
  // from there.
  int64_t restarts_before = 0;
  // Of HostConfig.Links on the default network: alias -> id of a container.
  std::map<std::string, std::string> links;
  // Directory of the log; removed with the container.
  std::string log_directory;

  bool auto_remove() const;
  std::string restart_policy() const;  // "no" if there is none
  int64_t max_retries() const;         // of on-failure; 0: no limit
};

std::string SerializeNotes(const Notes& notes);
// INVALID_ARGUMENT for what SerializeNotes cannot have written.
StatusOr<Notes> ParseNotes(const std::string& bytes);
// The same for all that ask: of a container without notes.
const std::shared_ptr<const Notes>& NoNotes();

// One container as this door sees it.
struct View {
  sandbox::ContainerStatus container;
  sandbox::SandboxStatus sandbox;  // null while the sandbox is being removed
  // Of a container of ours; never null.
  std::shared_ptr<const Notes> notes = NoNotes();
  // Why its notes could not be read: they are empty then, and are not changed.
  Status notes_status;

  const std::string& id() const { return container->id(); }
  // Made by this door, rather than a pod's.
  bool ours() const;
  // Without the slash: its own, or "k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT".
  std::string name() const;
  bool running() const;      // alive, paused included
  int64_t restarts() const;  // by its policy since it was started by hand
  bool tty() const { return container->config().tty(); }
  // Docker's word: created, running, paused, restarting, removing, exited.
  std::string state(bool restarting) const;
  // Between two of its runs: the end of the last one still counts.
  bool starts_again() const;
  // Of the last run that has ended; 0 if none has.
  UnixNanos finished_at() const;
  // Of the first process; for one that could not be started what a shell
  // would say (127, 126), else 128.
  int exit_code() const;
  // It has been tried and never ran.
  bool failed_start() const;
};

}  // namespace berth::docker

#endif  // DOCKER_NOTES_H_
