// What both managers share behind World: of no use outside of sandbox/.
//
// Failpoints (base/failpoint.h), in the order of a container's life. Each
// stands right after the step that it is named for, so that `kill` there is a
// daemon that died between two steps:
//
//   sandbox.run.recorded        record CREATED saved
//   sandbox.start.recorded      record STARTING saved
//   sandbox.start.directory     directories, files, /dev/shm
//   sandbox.start.cgroup        parent cgroup
//   sandbox.start.holder        process that holds a user namespace, no pins
//   sandbox.start.namespaces    namespaces made and pinned
//   sandbox.start.network       plugins ran, addresses not yet recorded
//   sandbox.start.shim          shim started, not yet recorded
//   sandbox.start.acquired      all recorded, not yet READY
//   sandbox.start.ready         READY saved, nobody told
//   container.create.recorded   record CREATING saved
//   container.create.rootfs     writable root file system made
//   container.create.volumes    volumes and image mounts made
//   container.create.adjusted   plugins have had their word, not yet recorded
//   container.create.saved      record CREATED saved, nobody told
//   container.start.recorded    record STARTING saved
//   container.start.bundle      bundle written
//   container.start.task        process made, halted before the program: only
//                               for somebody who attached before the start
//   container.start.executed    program runs, not yet recorded
//   container.start.saved       RUNNING saved, nobody told
//   container.stop.recorded     STOPPING saved, no signal sent
//   container.stop.signalled    signal sent
//   container.exit.recorded     exit code saved, task still at the shim
//   container.exit.deleted      task deleted, not yet EXITED
//   container.exit.saved        EXITED saved, nobody told
//   container.remove.recorded   record REMOVING saved
//   container.remove.rootfs     root file system gone
//   sandbox.connect.recorded    network to be attached saved
//   sandbox.connect.attached    plugins ran, addresses not yet recorded
//   sandbox.disconnect.recorded network to be detached saved
//   sandbox.disconnect.detached plugins ran, still recorded
//   sandbox.stop.recorded       STOPPING saved
//   sandbox.stop.containers     all containers dead
//   sandbox.stop.shim           shim gone
//   sandbox.stop.network        addresses given back
//   sandbox.stop.namespaces     pins gone
//   sandbox.stop.cgroup         parent cgroup
//   sandbox.stop.directory      files gone
//   sandbox.stop.released       all of it, not yet STOPPED
//   sandbox.remove.recorded     REMOVING saved
//   sandbox.remove.containers   containers removed, record still there
#ifndef SANDBOX_CORE_H_
#define SANDBOX_CORE_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/fs/host_paths.h"
#include "base/keyed_mutex.h"
#include "image/rootfs_provider.h"
#include "oci/cgroup/cgroup_host.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"
#include "sandbox/ledger/ledger.h"
#include "sandbox/process/attachment.h"
#include "sandbox/process/exit_monitor.h"
#include "sandbox/process/kill_timer.h"
#include "sandbox/process/running_starts.h"
#include "sandbox/process/task_table.h"
#include "sandbox/record/name_index.h"
#include "sandbox/recovery/recovery_queue.h"
#include "sandbox/resource/name_files.h"
#include "sandbox/resource/sandbox_resource.h"
#include "sandbox/resource/shim_process.h"
#include "sandbox/settings.h"
#include "sandbox/spec/spec_builder.h"
#include "sandbox/world.h"

namespace berth::sandbox {

// Lock order: sandbox id, container id, its run, then the short locks inside
// of each member.
struct World::Core {
  Core(Settings settings, Parts parts);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // The threads that no request waits for.
  Status StartThreads();
  SandboxResource* FindResource(const std::string& name) const;
  void Show(const std::string& id, const SandboxRecord* last,
            Event& event) const;
  void Publish(Event::Type type, const SandboxRecord& sandbox);
  void Publish(Event::Type type, const ContainerRecord& container,
               const std::string& detail = "");

  const Settings settings;
  const Parts parts;
  const HostPaths paths;
  const std::string boot_id;
  // Of this daemon, and of no other: the ids of its execs begin with it.
  const std::string run_id;
  const oci::CgroupHost cgroups;
  const HostFacts host;

  Inventory inventory;
  EventBus events;
  Ledger records;
  KeyedMutex& sandbox_locks = records.sandbox_locks;
  KeyedMutex& container_locks = records.container_locks;
  NameIndex names;
  NameIndex levels;  // SELinux's, of sandboxes
  ShimTable shims;
  // By container id: while a run is begun, and while one is killed, so that
  // the kill cannot hit the next. Nothing is waited for under it.
  KeyedMutex runs;
  TaskTable tasks;
  RunningStarts starts;
  WaitingAttachments waiting;
  NetworkNames network_names;
  // In order of acquisition.
  std::vector<std::unique_ptr<SandboxResource>> resources;

  // Last, so that their threads end before what they use.
  KillTimer kills;
  ExitMonitor exits;
  // Of what went without a resource of its own: tried until it is given back.
  RecoveryQueue releases{
      "release",
      RecoveryQueue::Options{.threads = 1,
                             .first_pause = std::chrono::seconds(1),
                             .longest_pause = std::chrono::minutes(10)}};
};

using Core = World::Core;

}  // namespace berth::sandbox

#endif  // SANDBOX_CORE_H_
