#ifndef SANDBOX_LEDGER_LEDGER_H_
#define SANDBOX_LEDGER_LEDGER_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/thread.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

class Ledger;

// A container under its lock: its record, to be changed and saved. Others wait
// until this is destroyed. Must not outlive the Ledger. Thread-compatible.
class HeldContainer {
 public:
  ContainerRecord& record() { return record_; }
  KeyedMutex::Lock& lock() { return lock_; }
  // To a phase that may follow (record/phase.h), saved. FAILED_PRECONDITION if
  // it may not; on any failure the phase is the old one.
  Status Advance(ContainerPhase to);

 private:
  friend class Ledger;
  HeldContainer(Ledger& ledger, KeyedMutex::Lock lock, std::string doing)
      : ledger_(ledger), lock_(std::move(lock)), doing_(std::move(doing)) {}

  Ledger& ledger_;
  KeyedMutex::Lock lock_;
  const std::string doing_;
  ContainerRecord record_;
};

// The same for a sandbox. Thread-compatible.
class HeldSandbox {
 public:
  SandboxRecord& record() { return record_; }
  Status Advance(SandboxPhase to);

 private:
  friend class Ledger;
  HeldSandbox(Ledger& ledger, KeyedMutex::Lock lock, std::string doing)
      : ledger_(ledger), lock_(std::move(lock)), doing_(std::move(doing)) {}

  Ledger& ledger_;
  KeyedMutex::Lock lock_;
  const std::string doing_;
  SandboxRecord record_;
};

// The only writer of records: to the store, then to the inventory, so that
// what a query shows has been saved. Wakes those who wait for a container to
// change. The times that it shows never run backwards within a life, even if
// the clock does.
//
// There are two ways to write. Save may fail, and then nothing has changed:
// for what has not been done yet. Keep cannot fail: for what has happened, and
// for what ends and frees. It is shown and told at once; if the disk has no
// room for it, it is saved as soon as there is.
//
// A container's plan is a record of its own: it is long, and most writes of a
// container do not change it.
//
// The writer of a record holds its object's lock. Thread-safe. A thread of its
// own, while something is unsaved.
class Ledger {
 public:
  Ledger(MetadataStore& store, Inventory& inventory);
  // Tries once more to save what is unsaved.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Everything saved, into the inventory. What is damaged is set aside.
  Status Load();

  // The one guard of a verb that needs its object: the lock, until the context
  // ends; NOT_FOUND if there is no such object, or it is not made yet.
  // `verb`: "start", for errors.
  StatusOr<HeldContainer> Hold(const Context& ctx, const ContainerId& id,
                               const std::string& verb);
  StatusOr<HeldSandbox> Hold(const Context& ctx, const SandboxId& id,
                             const std::string& verb);
  // The same without the lock, to look.
  StatusOr<ContainerStatus> Find(const ContainerId& id,
                                 const std::string& verb) const;

  Status Save(const SandboxRecord& sandbox);
  Status Save(const ContainerRecord& container);
  Status Erase(const SandboxId& id);
  Status Erase(const ContainerId& id);

  void Keep(const SandboxRecord& sandbox);
  void Keep(const ContainerRecord& container);
  void Forget(const SandboxId& id);
  void Forget(const ContainerId& id);

  // Waits until `done` holds for the container's record, if only for a moment,
  // and returns that record: a container may start again at once. `done` is
  // asked by whoever writes, under a lock: it must not wait, nor call the
  // ledger. NOT_FOUND once it is gone; otherwise what the context says.
  StatusOr<ContainerStatus> Await(
      const Context& ctx, const ContainerId& id,
      const std::function<bool(const ContainerRecord&)>& done);

  // Records that are shown and not saved yet.
  size_t unsaved() const;
  bool IsSaved(const ContainerId& id) const;
  // Hears of each container that could not be saved at first, once it is. Must
  // not wait, nor call the ledger.
  void WhenSavedLate(std::function<void(const ContainerId& id)> told) {
    MutexLock lock(mutex_);
    saved_late_ = std::move(told);
  }

  // A disk that fails on demand, for tests: asked before each write.
  void set_fault(std::function<Status()> fault) { fault_ = std::move(fault); }

  // One key per object; the first of two is the sandbox's.
  KeyedMutex sandbox_locks;
  KeyedMutex container_locks;

 private:
  friend class HeldContainer;
  using Write = std::function<Status(Transaction&)>;
  // One Await.
  struct Waiter {
    const ContainerId& id;
    const std::function<bool(const ContainerRecord&)>& done;
    ContainerStatus found;
    bool gone = false;
  };

  Write Putting(const SandboxRecord& sandbox) const;
  Write Putting(const ContainerRecord& container) const;
  Write Erasing(const ContainerId& id) const;
  // The record without its plan, and with `plan` that too.
  Status PutApart(Transaction& tx, const ContainerRecord& container,
                  bool plan) const;
  // Of records by an older daemon, which have the plan within them; and takes
  // away what a container has left that an older daemon removed. If the disk
  // refuses, such a container is planned again when it starts.
  void SortPlans(const std::map<std::string, ContainerRecord>& containers,
                 const std::map<std::string, state::v1::ContainerPlan>& plans);
  // `key` names the object among both kinds.
  Status WriteNow(const std::string& key, const Write& write)
      EXCLUDES(writing_, mutex_);
  void WriteSurely(const std::string& key, Write write, const std::string& what)
      EXCLUDES(writing_, mutex_);
  Status Store(const Write& write) REQUIRES(writing_);
  // It was written: an earlier write of it that could not be is of no use.
  void Settle(const std::string& key) REQUIRES(mutex_);
  void Show(SandboxRecord sandbox);
  void Show(ContainerRecord container);
  // Those who wait for it; null if it is gone.
  void Tell(const ContainerId& id, const ContainerStatus& now) EXCLUDES(mutex_);

  void StartRetrying() REQUIRES(mutex_);
  void Retry();
  // Whether all is saved.
  bool RetryAll() EXCLUDES(writing_, mutex_);

  MetadataStore& store_;
  Inventory& inventory_;
  const Table<SandboxRecord> sandboxes_{"sandboxes"};
  const Table<ContainerRecord> containers_{"containers"};
  const Table<state::v1::ContainerPlan> plans_{"plans"};
  std::function<Status()> fault_;
  const Context until_;

  // One write at a time, so that a late one never replaces a newer; no reader
  // takes it. Before mutex_.
  Mutex writing_;
  mutable Mutex mutex_;
  CondVar told_;
  std::set<Waiter*> waiters_ GUARDED_BY(mutex_);
  CondVar retry_;
  std::map<std::string, Write> unsaved_ GUARDED_BY(mutex_);
  bool room_ GUARDED_BY(mutex_) = false;  // a write has succeeded meanwhile
  std::function<void(const ContainerId&)> saved_late_ GUARDED_BY(mutex_);
  Thread retrier_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_LEDGER_LEDGER_H_
