#ifndef SANDBOX_LEDGER_LEDGER_H_
#define SANDBOX_LEDGER_LEDGER_H_

#include <functional>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// Writes records: to the store, then to the inventory, so that what a query
// shows has been saved. Wakes those who wait for a container to change.
//
// The writer of a record holds its object's lock. Thread-safe.
class Ledger {
 public:
  Ledger(MetadataStore& store, Inventory& inventory);

  // Everything saved, into the inventory. What is damaged is set aside.
  Status Load();

  Status Save(const SandboxRecord& sandbox);
  Status Save(const ContainerRecord& container);
  Status Erase(const SandboxId& id);
  Status Erase(const ContainerId& id);

  // Waits until `done` holds for the container's saved record, and returns
  // it. NOT_FOUND once it is erased; otherwise what the context says.
  StatusOr<ContainerStatus> Await(
      const Context& ctx, const ContainerId& id,
      const std::function<bool(const ContainerRecord&)>& done);

 private:
  void Changed();

  MetadataStore& store_;
  Inventory& inventory_;
  const Table<SandboxRecord> sandboxes_{"sandboxes"};
  const Table<ContainerRecord> containers_{"containers"};
  Mutex mutex_;
  CondVar changed_;
  uint64_t version_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_LEDGER_LEDGER_H_
