#include "base/store/metadata_store.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/store/database.h"

namespace berth {
namespace {

constexpr char kSetAside[] = "quarantine";

}  // namespace

StatusOr<std::string> Transaction::Get(std::string_view table,
                                       std::string_view key) const {
  return database_.Get(table, key);
}

StatusOr<std::map<std::string, std::string>> Transaction::All(
    std::string_view table) const {
  return database_.All(table);
}

Status Transaction::Put(std::string_view table, std::string_view key,
                        std::string_view record) {
  return database_.Put(table, key, record);
}

Status Transaction::Erase(std::string_view table, std::string_view key) {
  return database_.Erase(table, key);
}

void Transaction::SetAside(std::string_view table, std::string_view key,
                           const std::string& why) const {
  StatusOr<std::string> bytes = database_.Get(table, key);
  if (!bytes.ok()) return;
  set_aside_.push_back(
      {std::string(table), std::string(key), *std::move(bytes), why});
}

MetadataStore::MetadataStore(std::unique_ptr<Database> database,
                             StoreOptions options)
    : options_(std::move(options)), database_(std::move(database)) {}

MetadataStore::~MetadataStore() = default;

StatusOr<std::unique_ptr<MetadataStore>> MetadataStore::Open(
    const std::string& file, StoreOptions options) {
  auto database = std::make_unique<Database>(file);
  RETURN_IF_ERROR(database->Open(options.wait));
  return std::unique_ptr<MetadataStore>(
      new MetadataStore(std::move(database), std::move(options)));
}

Status MetadataStore::Update(const std::function<Status(Transaction&)>& body,
                             Durability durability) {
  MutexLock lock(mutex_);
  Transaction transaction(*database_);
  Status status;
  {
    RETURN_IF_ERROR(database_->Begin(durability));
    // Also if the body throws.
    absl::Cleanup rollback = [this]() NO_THREAD_SAFETY_ANALYSIS {
      database_->Rollback();
    };
    status = body(transaction);
    if (status.ok()) status = database_->Commit();
    if (status.ok()) std::move(rollback).Cancel();
  }
  MoveAside(transaction.set_aside_);
  return status;
}

Status MetadataStore::View(
    const std::function<Status(const Transaction&)>& body) const {
  MutexLock lock(mutex_);
  const Transaction transaction(*database_);
  Status status;
  {
    RETURN_IF_ERROR(database_->BeginView());
    const absl::Cleanup rollback = [this]() NO_THREAD_SAFETY_ANALYSIS {
      database_->Rollback();  // nothing to keep
    };
    status = body(transaction);
  }
  MoveAside(transaction.set_aside_);
  return status;
}

// Where the disk does not allow it they stay where they are: every reader
// leaves them out anyhow.
void MetadataStore::MoveAside(
    const std::vector<Transaction::Damaged>& damaged) const {
  for (const Transaction::Damaged& one : damaged) {
    const std::string name = one.table + "/" + one.key;
    Status moved = database_->Begin(Durability::kProcessCrash);
    if (moved.ok()) {
      moved = database_->Move(one.table, one.key, one.bytes, kSetAside, name);
    }
    if (moved.ok()) moved = database_->Commit();
    if (!moved.ok()) database_->Rollback();
    if (told_.insert(name).second && options_.on_set_aside) {
      options_.on_set_aside(name, one.why);
    }
  }
}

StatusOr<std::vector<std::string>> MetadataStore::SetAside() const {
  MutexLock lock(mutex_);
  using Records = std::map<std::string, std::string>;
  ASSIGN_OR_RETURN(const Records records, database_->All(kSetAside));
  std::set<std::string> names = told_;
  for (const auto& [name, bytes] : records) names.insert(name);
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace berth
