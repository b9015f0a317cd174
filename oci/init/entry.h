// The step into a pid namespace that others live in.
//
// Whoever is in a pid namespace sees each process there, and with
// CAP_SYS_PTRACE takes what it holds: its root, its working directory, its
// descriptors (CVE-2016-9962). So a process for such a namespace is prepared
// outside of it, until nothing is left but what the container is to have.
// Then it makes its copy inside with one clone3, and ends.
//
//   runtime           process outside            process inside
//      |-- clone3 ------->|
//      |                  |  namespaces, root, privileges, descriptors
//      |<-- kReady -------|
//      |-- kGo ---------->|  closes its end of the handshake
//      |                  |-- clone3 (CLONE_PARENT) ->|
//      |<==== its end ====|                           |  execve
//
// The copy has no connection to the runtime that could be taken from it. Its
// pid and its error are in shared memory, to be read when the process outside
// has ended.
#ifndef OCI_INIT_ENTRY_H_
#define OCI_INIT_ENTRY_H_

#include <sys/types.h>

#include <memory>

#include "base/status.h"

namespace berth::oci {

// Made by the runtime before the process outside, so that both have it.
// Single-threaded.
class Entry {
 public:
  static StatusOr<Entry> Make();

  // By the process outside, whose next child is born inside. Returns in the
  // copy only, or with the reason why there is none. `until_exec`: the process
  // outside ends when the copy has called execve or has ended; else at once.
  // What the runtime reads of the pid is out of the copy's reach.
  Status Cross(bool until_exec);
  // By either of the two: ends the process.
  [[noreturn]] void Fail(const Status& why);

  // By the runtime: the pid of the copy, 0 before the copy is made.
  pid_t born() const;

  struct Outcome {
    pid_t pid = 0;  // in the namespace of the runtime; 0: there is no copy
    Status status;  // what Fail was told
  };
  // By the runtime, with a pidfd of the process outside: waits for its end.
  StatusOr<Outcome> Await(int outside) const;

 private:
  struct Page;
  struct Unmap {
    void operator()(Page* page) const;
  };
  using Mapping = std::unique_ptr<Page, Unmap>;

  static StatusOr<Mapping> Map();

  Mapping born_;   // the pid; not in the copy
  Mapping error_;  // the error
};

// INTERNAL, and by EOWNERDEAD told from what a process says itself.
Status Died();

}  // namespace berth::oci

#endif  // OCI_INIT_ENTRY_H_
