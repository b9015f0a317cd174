#ifndef BASE_STORE_METADATA_STORE_H_
#define BASE_STORE_METADATA_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"
#include "base/status.h"

namespace berth {

// What must an update survive? A killed process takes nothing with it either
// way; the disk is waited for only by kPowerCut.
enum class Durability { kProcessCrash, kPowerCut };

class Database;

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

 private:
  friend class MetadataStore;
  explicit Transaction(Database& database) : database_(database) {}

  Database& database_;
};

// All records of this daemon, in one SQLite file: every table changes together
// or not at all.
//
// The file is in WAL mode with synchronous=NORMAL, and locked for as long as
// it is open, so that two daemons never share a root: the second one's Open is
// UNAVAILABLE. A file that is damaged, or not ours, is DATA_LOSS; one of a
// later format is FAILED_PRECONDITION. Neither is touched.
//
// Thread-safe: transactions are run one after another. A body must not call
// the store again, nor wait for anything that needs it.
class MetadataStore {
 public:
  // Creates the file (mode 0600) when it does not exist.
  static StatusOr<std::unique_ptr<MetadataStore>> Open(const std::string& file);
  ~MetadataStore();
  MetadataStore(const MetadataStore&) = delete;
  MetadataStore& operator=(const MetadataStore&) = delete;

  // Keeps all that `body` did if it returns OK, nothing otherwise.
  Status Update(const std::function<Status(Transaction&)>& body,
                Durability durability = Durability::kProcessCrash);
  Status View(const std::function<Status(const Transaction&)>& body) const;

 private:
  explicit MetadataStore(std::unique_ptr<Database> database);

  mutable Mutex mutex_;
  const std::unique_ptr<Database> database_;
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
    return Parse(key, bytes);
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
      ASSIGN_OR_RETURN(Record record, Parse(key, bytes));
      records.emplace_hint(records.end(), key, std::move(record));
    }
    return records;
  }

 private:
  StatusOr<Record> Parse(std::string_view key, const std::string& bytes) const {
    Record record;
    if (!record.ParseFromString(bytes)) {
      return DataLoss("parse " + Describe(key));
    }
    return record;
  }

  std::string Describe(std::string_view key) const {
    return "record \"" + std::string(key) + "\" of table \"" +
           std::string(name_) + "\"";
  }

  const std::string_view name_;
};

}  // namespace berth

#endif  // BASE_STORE_METADATA_STORE_H_
