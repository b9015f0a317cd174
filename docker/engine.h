#ifndef DOCKER_ENGINE_H_
#define DOCKER_ENGINE_H_

#include <map>
#include <string>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "cni/user/user_networks.h"
#include "docker/background.h"
#include "docker/container_json.h"
#include "docker/event_log.h"
#include "docker/exec_table.h"
#include "docker/notes.h"
#include "docker/notes_cache.h"
#include "docker/volume_store.h"
#include "image/image_service.h"
#include "sandbox/container_files.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_streams.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/usage/stats.h"
#include "sandbox/world.h"

namespace berth::docker {

class Builds;
class HealthMonitor;
class RestartMonitor;

struct EngineSettings {
  std::string root;     // of the daemon; volumes/ and docker/ are made below it
  std::string version;  // of the daemon
  std::string id;       // of this installation, stable
  // Of the default network, for inspection.
  std::string bridge;
  std::string subnet;
  // What becomes of the compressed layers of a pull.
  image::BlobPolicy blobs = image::BlobPolicy::kKeep;
  // The kernel has mount_setattr(2).
  bool recursive_readonly = true;
  // Of version 2; and who makes them.
  bool unified_cgroups = false;
  bool systemd_cgroups = false;
  // Further ones that a container may name, and what runs it: a shim's or a
  // program's name.
  std::map<std::string, std::string> runtimes = {};
  // Security modules that the kernel has.
  bool apparmor = false;
  bool selinux = false;
};

// All that the routes act through. It owns no state beside the volumes and
// what may be lost with this process. Thread-safe: so is each of its members.
struct Engine {
  Engine(EngineSettings s, sandbox::World& w, sandbox::SandboxManager& sm,
         sandbox::ContainerManager& cm, image::ImageService& is,
         sandbox::StatsReader& st, cni::UserNetworks& un)
      : settings(std::move(s)),
        world(w),
        sandboxes(sm),
        containers(cm),
        streams(w),
        files(w),
        stats(st),
        images(is.images()),
        rootfs(is.rootfs()),
        changes(is.changes()),
        transfer(is.transfer()),
        user_networks(un),
        volumes(settings.root + "/volumes"),
        events(w.events(), w.inventory()) {}

  const sandbox::Inventory& inventory() const { return world.inventory(); }

  const EngineSettings settings;
  sandbox::World& world;
  sandbox::SandboxManager& sandboxes;
  sandbox::ContainerManager& containers;
  sandbox::ContainerStreams streams;
  sandbox::ContainerFiles files;
  sandbox::StatsReader& stats;
  image::Images& images;
  image::RootfsProvider& rootfs;
  const image::RootfsChanges& changes;
  image::Transfer& transfer;
  cni::UserNetworks& user_networks;
  VolumeStore volumes;
  EventLog events;
  ExecTable execs;
  // What FindView and its like share.
  mutable NotesCache parsed_notes;
  RestartMonitor* monitor = nullptr;
  HealthMonitor* health = nullptr;
  Builds* builds = nullptr;
  // By container id: start, restart and what follows an exit. Never held
  // while a process is waited for.
  KeyedMutex lifecycle;
  // By container id: to change its notes.
  KeyedMutex notes;
  // One key while ports are chosen, for one container at a time; and one for
  // each port that a start is about to take (HoldPorts in lifecycle.cc).
  KeyedMutex ports;
  // Ends of exec processes; the first to be destroyed.
  Background background;
};

// All containers of the node: ours and the pods'. Oldest first.
std::vector<View> AllViews(const Engine& engine);
// By full id, name, or unique beginning of an id; NOT_FOUND in Docker's words.
StatusOr<View> FindView(const Engine& engine, const std::string& text);
// The same, for a change: FAILED_PRECONDITION for a pod's container.
StatusOr<View> FindOurs(const Engine& engine, const std::string& text);
// The answer to a name that is taken; `holder` "" while that is being made.
Status NameConflict(const std::string& name, const std::string& holder);
// By full id; null container if it is gone.
View ViewOf(const Engine& engine, const std::string& id);

// Where each container's log has a directory of its own.
std::string LogDirectory(const Engine& engine);

Surroundings SurroundingsOf(const Engine& engine, const View& view);

}  // namespace berth::docker

#endif  // DOCKER_ENGINE_H_
