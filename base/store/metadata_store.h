#ifndef BASE_STORE_METADATA_STORE_H_
#define BASE_STORE_METADATA_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/store/database.h"

namespace berth {

// One view of all tables, valid during the body that got it. Records are
// bytes here: Table gives them a type. Single-threaded.
class Transaction {
 public:
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // NOT_FOUND names table and key.
  StatusOr<std::string> Get(std::string_view table, std::string_view key) const;
  StatusOr<std::map<std::string, std::string>> All(
      std::string_view table) const;
  Status Put(std::string_view table, std::string_view key,
             std::string_view record);
  // Of what is not there: OK.
  Status Erase(std::string_view table, std::string_view key);
  // For a record that nobody can use: when the body has ended, whatever it
  // returned, the record leaves its table (MetadataStore::SetAside).
  void SetAside(std::string_view table, std::string_view key,
                const std::string& why) const;

 private:
  friend class MetadataStore;
  struct Damaged {
    std::string table;
    std::string key;
    std::string bytes;
    std::string why;
  };
  explicit Transaction(Database& database) : database_(database) {}

  Database& database_;
  mutable std::vector<Damaged> set_aside_;
};

struct StoreOptions {
  // How long another process may take to give the file up.
  Duration wait = Duration::zero();
  // Hears once of each record that is set aside, as "table/key", and why. It
  // must not call the store.
  std::function<void(const std::string& record, const std::string& why)>
      on_set_aside;
};

// All records of this daemon, in one SQLite file: every table changes together
// or not at all.
//
// The file is in WAL mode with synchronous=NORMAL, and locked for as long as
// it is open, so that two daemons never share a root: the second one's Open is
// UNAVAILABLE. A file that is damaged, or not ours, is DATA_LOSS; one of a
// later format is FAILED_PRECONDITION. Neither is touched.
//
// A full disk: the files hold some MiB of disk space in advance. What changes
// or erases records that exist goes on in it; a new record is
// RESOURCE_EXHAUSTED until there is room again.
//
// A record that its reader cannot parse is set aside: it is kept, but in a
// table of its own, where no list and no start meets it again.
//
// Thread-safe: transactions are run one after another. A body must not call
// the store again, nor wait for anything that needs it.
class MetadataStore {
 public:
  // Creates the file (mode 0600) when it does not exist.
  static StatusOr<std::unique_ptr<MetadataStore>> Open(
      const std::string& file, StoreOptions options = {});
  ~MetadataStore();
  MetadataStore(const MetadataStore&) = delete;
  MetadataStore& operator=(const MetadataStore&) = delete;

  // Keeps all that `body` did if it returns OK, nothing otherwise.
  Status Update(const std::function<Status(Transaction&)>& body,
                Durability durability = Durability::kProcessCrash);
  Status View(const std::function<Status(const Transaction&)>& body) const;

  // The records that were set aside, each as "table/key".
  StatusOr<std::vector<std::string>> SetAside() const;

 private:
  MetadataStore(std::unique_ptr<Database> database, StoreOptions options);
  void MoveAside(const std::vector<Transaction::Damaged>& damaged) const
      REQUIRES(mutex_);

  const StoreOptions options_;
  mutable Mutex mutex_;
  const std::unique_ptr<Database> database_;
  mutable std::set<std::string> told_ GUARDED_BY(mutex_);
};

// The records of one kind, by key. Record is a protobuf message (or whatever
// has SerializeToString and ParseFromString): fields that this version does
// not know pass through Get and Put unharmed.
//
// Costs nothing to make: a name and a type. Thread-safe.
template <typename Record>
class Table {
 public:
  explicit constexpr Table(std::string_view name) : name_(name) {}

  StatusOr<Record> Get(const Transaction& tx, std::string_view key) const {
    ASSIGN_OR_RETURN(const std::string bytes, tx.Get(name_, key));
    Record record;
    if (!record.ParseFromString(bytes)) {
      tx.SetAside(name_, key, kUnreadable);
      return DataLoss("parse " + Describe(key));
    }
    return record;
  }

  Status Put(Transaction& tx, std::string_view key,
             const Record& record) const {
    std::string bytes;
    if (!record.SerializeToString(&bytes)) {
      return Internal("serialize " + Describe(key));
    }
    return tx.Put(name_, key, bytes);
  }

  Status Erase(Transaction& tx, std::string_view key) const {
    return tx.Erase(name_, key);
  }

  StatusOr<std::map<std::string, Record>> All(const Transaction& tx) const {
    using Bytes = std::map<std::string, std::string>;
    ASSIGN_OR_RETURN(const Bytes all, tx.All(name_));
    std::map<std::string, Record> records;
    for (const auto& [key, bytes] : all) {
      Record record;
      if (!record.ParseFromString(bytes)) {
        tx.SetAside(name_, key, kUnreadable);
        continue;
      }
      records.emplace_hint(records.end(), key, std::move(record));
    }
    return records;
  }

 private:
  static constexpr char kUnreadable[] = "it cannot be parsed";

  std::string Describe(std::string_view key) const {
    return "record \"" + std::string(key) + "\" of table \"" +
           std::string(name_) + "\"";
  }

  const std::string_view name_;
};

}  // namespace berth

#endif  // BASE_STORE_METADATA_STORE_H_
