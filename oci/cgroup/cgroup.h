// The cgroup of one container or pod, whichever version the machine has.
#ifndef OCI_CGROUP_CGROUP_H_
#define OCI_CGROUP_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/cgroup/cgroup_path.h"
#include "oci/cgroup/stats.h"
#include "oci/spec/resources.h"
#include "oci/systemd/systemd_manager.h"
#include "oci/systemd/unit_property.h"

namespace berth::oci {

// Tells when the kernel has run out of a cgroup's memory. Made by
// Cgroup::WatchOom; outlives the cgroup. Single-threaded.
class OomWatch {
 public:
  virtual ~OomWatch() = default;
  // Wait for it with `events()` (EPOLLIN, or EPOLLPRI on v2); it also fires
  // when the cgroup is removed.
  virtual int fd() const = 0;
  virtual uint32_t events() const = 0;
  // Processes killed since the last call, or at first since the cgroup was
  // made: a container may run out of memory before anybody watches it. On v1
  // the fd fires just before the kill: so call it when the fd has fired, and
  // again when a process has exited. NOT_FOUND once the cgroup is gone: stop
  // watching.
  virtual StatusOr<uint64_t> Read() = 0;
};

// A directory per hierarchy, which need not exist yet: an object is a name
// until Create. Holds no fds but that of birth_fd.
//
// How a process gets in decides how long a start takes: a pid written to
// cgroup.procs waits up to 10 ms for an RCU grace period on a quiet machine.
// So: v2: clone3 with CLONE_INTO_CGROUP and birth_fd(); v1: the child, still
// single-threaded, calls EnterSelf().
//
// On v1 only the hierarchies that are needed are joined: devices, memory,
// cpu, cpuacct, pids, and systemd's where our own process is in one; others
// (cpuset, blkio, hugetlb, freezer) when a limit or Freeze first asks for them.
//
// Single-threaded. Source: cgroups(7), kernel Documentation/admin-guide
// cgroup-v1/ and cgroup-v2.rst.
class Cgroup {
 public:
  virtual ~Cgroup() = default;

  // Makes the directories (parents too) and sets the limits; undone if it
  // fails. FAILED_PRECONDITION if it exists with processes in it, or frozen.
  // Device rules are applied as given, starting from "nothing allowed" if
  // there are any: see ContainerDeviceRules (device_filter.h).
  virtual Status Create(const Resources& limits) = 0;
  // Limits only; unset ones stay. Device rules replace the earlier ones.
  virtual Status Update(const Resources& limits) = 0;

  // The calling process, which must have one thread. Makes no allocation that
  // a child of clone3 could not make.
  virtual Status EnterSelf() = 0;
  // For CLONE_INTO_CGROUP: a directory fd, opened at the first call and owned
  // by this object. -1 on v1, and where there is no such cgroup.
  virtual int birth_fd() = 0;
  // The first process is in. systemd makes no scope for nobody: until now one
  // of ours has held its place there, a child of the caller's.
  virtual void Settle() {}

  // Returns when all processes have stopped, or run again. NOT_FOUND if there
  // is no such cgroup; DEADLINE_EXCEEDED (and thawed) if it does not settle.
  virtual Status Freeze(bool frozen) = 0;
  virtual StatusOr<bool> Frozen() const = 0;
  // To every process of the subtree. SIGKILL reaches frozen ones and those
  // born meanwhile; others are sent once to each process. OK if empty or gone.
  virtual Status Signal(int signal) = 0;
  // Of the whole subtree, sorted. None if the cgroup is gone.
  virtual StatusOr<std::vector<pid_t>> Pids() const = 0;
  // NOT_FOUND if gone. Files that this kernel lacks read as zero.
  virtual StatusOr<CgroupStats> Stats() const = 0;
  virtual StatusOr<std::unique_ptr<OomWatch>> WatchOom() const = 0;
  // Children first; retries while the kernel is still letting go of dead
  // processes (EBUSY, up to a second). Never kills; parents stay. OK if gone.
  virtual Status Remove() = 0;
};

// `path` as CgroupPath makes it. Touches nothing.
StatusOr<std::unique_ptr<Cgroup>> OpenCgroup(const CgroupHost& host,
                                             const std::string& path);

// What is said of a scope when it is made.
struct ScopeOptions {
  std::string description;
  std::vector<UnitProperty> properties;  // win over ours
  SystemdAddress systemd;
};

// The same, where the directories are those of a scope that systemd makes, and
// whose limits it keeps; a path of CgroupPath from "slice:prefix:name". Create,
// Update and Remove ask systemd; who only reads needs no more than OpenCgroup.
// Create forks: the caller must have one thread.
StatusOr<std::unique_ptr<Cgroup>> OpenScope(const CgroupHost& host,
                                            const std::string& path,
                                            ScopeOptions options = {});

// In the place of one for a container that stays in its maker's cgroup: of who
// may make none. Create takes no notice of limits; what needs a cgroup is
// FAILED_PRECONDITION.
std::unique_ptr<Cgroup> WithoutCgroup();

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_H_
