#ifndef SANDBOX_RESOURCE_SANDBOX_RESOURCE_H_
#define SANDBOX_RESOURCE_SANDBOX_RESOURCE_H_

#include <string>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/status.h"

namespace berth::sandbox {

// Something that a sandbox owns outside of our memory and that outlives this
// process: a directory, a pinned namespace, an address, a shim. Failure, stop
// and crash recovery are one path, because all of them end in Release.
//
//   record saved with name() in `begun`
//   Acquire        fills in its own part of the record, and no other
//   record saved
//   ...            possibly another process from here on:
//   Recover        once, when the daemon is back and the sandbox is READY
//   ...
//   Release        last acquired first (network and shim at once, as they are
//                  acquired); then the record is saved again
//
// Release gets a record as it was saved, which may be from before Acquire
// wrote anything: it succeeds on what was half acquired, or not at all, or
// already released. Where a name can be worked out from the sandbox's id, it
// does that rather than trust a field.
//
// One object serves all sandboxes. Thread-safe for different sandboxes; calls
// for one sandbox are made under its lock.
class SandboxResource {
 public:
  virtual ~SandboxResource() = default;

  // A word for `begun`, errors and failpoints: "network".
  virtual std::string name() const = 0;
  virtual Status Acquire(const Context& ctx,
                         state::v1::SandboxRecord& sandbox) = 0;
  // OK if it is still there and works.
  virtual Status Recover(const Context& ctx,
                         state::v1::SandboxRecord& sandbox) = 0;
  virtual Status Release(const Context& ctx,
                         const state::v1::SandboxRecord& sandbox) = 0;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_SANDBOX_RESOURCE_H_
