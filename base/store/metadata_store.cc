#include "base/store/metadata_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// "brth", in the header of the file (SQLite's application_id), so that a
// database of another program is not taken for ours.
constexpr int64_t kApplicationId = 0x62727468;
// Raised when older versions can no longer read what we write.
constexpr int64_t kFormat = 1;

// One table holds all of ours: the set of kinds grows without a change here,
// and a key is found by one descent of one tree.
constexpr char kSchema[] =
    "CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL,"
    " value BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;";

StatusCode CodeOf(int sqlite_error) {
  switch (sqlite_error & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return StatusCode::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return StatusCode::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return StatusCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return StatusCode::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return StatusCode::kNotFound;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

// One connection and the statements it keeps prepared. Single-threaded: the
// store's mutex guards it.
class Database {
 public:
  explicit Database(std::string file) : file_(std::move(file)) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() {
    for (sqlite3_stmt* statement : {get_, all_, put_, erase_}) {
      sqlite3_finalize(statement);
    }
    sqlite3_close(connection_);
  }

  Status Open();
  Status Run(const char* sql);
  Status Begin(Durability durability);
  void Rollback();

  StatusOr<std::string> Get(std::string_view kind, std::string_view key);
  StatusOr<std::map<std::string, std::string>> All(std::string_view kind);
  Status Put(std::string_view kind, std::string_view key,
             std::string_view value);
  Status Erase(std::string_view kind, std::string_view key);

 private:
  Status Connect();
  Status Prepare();
  Status CheckOrigin();
  Status CheckIntegrity();
  StatusOr<int64_t> Number(const char* sql);
  Status Failure(int error, const std::string& doing) const;
  // Resets the statement whatever happened, so that it holds no lock.
  Status Finish(sqlite3_stmt* statement, int result, const char* doing) const;

  const std::string file_;
  sqlite3* connection_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* all_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  Durability durability_ = Durability::kProcessCrash;
};

namespace {

void Bind(sqlite3_stmt* statement, int index, std::string_view text) {
  // The bytes outlive the step that follows. A null pointer would bind NULL.
  sqlite3_bind_text(statement, index, text.data() ? text.data() : "",
                    static_cast<int>(text.size()), SQLITE_STATIC);
}

std::string Column(sqlite3_stmt* statement, int index) {
  const void* bytes = sqlite3_column_blob(statement, index);
  const int size = sqlite3_column_bytes(statement, index);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes), size);
}

}  // namespace

Status Database::Failure(int error, const std::string& doing) const {
  const char* why = connection_ != nullptr ? sqlite3_errmsg(connection_)
                                           : sqlite3_errstr(error);
  return Error(CodeOf(error),
               doing + " in database " + Quoted(file_) + ": " + why);
}

Status Database::Finish(sqlite3_stmt* statement, int result,
                        const char* doing) const {
  Status status = OkStatus();
  if (result != SQLITE_DONE && result != SQLITE_ROW) {
    status = Failure(result, doing);
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

Status Database::Run(const char* sql) {
  const int result = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? OkStatus() : Failure(result, sql);
}

StatusOr<int64_t> Database::Number(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int result = sqlite3_prepare_v2(connection_, sql, -1, &statement, nullptr);
  if (result == SQLITE_OK) result = sqlite3_step(statement);
  const int64_t number =
      result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  const Status status =
      result == SQLITE_ROW ? OkStatus() : Failure(result, sql);
  sqlite3_finalize(statement);
  if (!status.ok()) return status;
  return number;
}

Status Database::Open() {
  RETURN_IF_ERROR(Connect());
  RETURN_IF_ERROR(CheckOrigin());
  RETURN_IF_ERROR(CheckIntegrity());
  return Prepare();
}

Status Database::Connect() {
  // SQLite would create it with the umask's mode, readable by all.
  UniqueFd created(open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!created.valid()) return Errno(errno, "open database " + Quoted(file_));
  created.reset();

  int result = sqlite3_open_v2(
      file_.c_str(), &connection_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (result != SQLITE_OK) return Failure(result, "open");
  // Exclusive: a second daemon is refused, and the WAL's index stays in our
  // memory instead of a shared file.
  RETURN_IF_ERROR(Run("PRAGMA locking_mode=EXCLUSIVE"));
  RETURN_IF_ERROR(Run("PRAGMA journal_mode=WAL"));
  RETURN_IF_ERROR(Run("PRAGMA synchronous=NORMAL"));
  // Takes the lock now rather than at the first update.
  return Run("BEGIN IMMEDIATE; COMMIT");
}

Status Database::CheckOrigin() {
  ASSIGN_OR_RETURN(const int64_t id, Number("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int64_t format, Number("PRAGMA user_version"));
  if (id == 0 && format == 0) {
    ASSIGN_OR_RETURN(const int64_t tables,
                     Number("SELECT count(*) FROM sqlite_schema"));
    if (tables == 0) {
      const std::string mark =
          "BEGIN; " + std::string(kSchema) +
          "PRAGMA application_id=" + std::to_string(kApplicationId) +
          "; PRAGMA user_version=" + std::to_string(kFormat) + "; COMMIT";
      return Run(mark.c_str());
    }
  }
  if (id != kApplicationId) {
    return DataLoss("database " + Quoted(file_) + " is not a berth database");
  }
  if (format != kFormat) {
    return FailedPrecondition("database " + Quoted(file_) + " has format " +
                              std::to_string(format) + ", this program knows " +
                              std::to_string(kFormat));
  }
  return OkStatus();
}

Status Database::CheckIntegrity() {
  sqlite3_stmt* statement = nullptr;
  int result = sqlite3_prepare_v2(connection_, "PRAGMA quick_check(1)", -1,
                                  &statement, nullptr);
  if (result == SQLITE_OK) result = sqlite3_step(statement);
  Status status = OkStatus();
  if (result != SQLITE_ROW) {
    status = Failure(result, "check");
  } else if (const std::string verdict = Column(statement, 0);
             verdict != "ok") {
    status = DataLoss("database " + Quoted(file_) + " is damaged: " + verdict);
  }
  sqlite3_finalize(statement);
  return status;
}

Status Database::Prepare() {
  const auto prepare = [this](const char* sql, sqlite3_stmt*& target) {
    const int result = sqlite3_prepare_v3(
        connection_, sql, -1, SQLITE_PREPARE_PERSISTENT, &target, nullptr);
    return result == SQLITE_OK ? OkStatus() : Failure(result, sql);
  };
  RETURN_IF_ERROR(
      prepare("SELECT value FROM record WHERE kind=? AND key=?", get_));
  RETURN_IF_ERROR(
      prepare("SELECT key, value FROM record WHERE kind=? ORDER BY key", all_));
  RETURN_IF_ERROR(prepare(
      "INSERT OR REPLACE INTO record (kind, key, value) VALUES (?, ?, ?)",
      put_));
  return prepare("DELETE FROM record WHERE kind=? AND key=?", erase_);
}

Status Database::Begin(Durability durability) {
  if (durability != durability_) {
    RETURN_IF_ERROR(Run(durability == Durability::kPowerCut
                            ? "PRAGMA synchronous=FULL"
                            : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
  }
  return Run("BEGIN");
}

void Database::Rollback() {
  // Some errors (a full disk) have rolled back already; a second rollback is
  // an error then, and of no interest.
  sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
}

StatusOr<std::string> Database::Get(std::string_view kind,
                                    std::string_view key) {
  Bind(get_, 1, kind);
  Bind(get_, 2, key);
  const int result = sqlite3_step(get_);
  std::string value;
  if (result == SQLITE_ROW) value = Column(get_, 0);
  RETURN_IF_ERROR(Finish(get_, result, "get a record"));
  if (result == SQLITE_DONE) {
    return NotFound("no record " + Quoted(key) + " in table " + Quoted(kind));
  }
  return value;
}

StatusOr<std::map<std::string, std::string>> Database::All(
    std::string_view kind) {
  std::map<std::string, std::string> all;
  Bind(all_, 1, kind);
  int result;
  while ((result = sqlite3_step(all_)) == SQLITE_ROW) {
    all.emplace_hint(all.end(), Column(all_, 0), Column(all_, 1));
  }
  RETURN_IF_ERROR(Finish(all_, result, "list records"));
  return all;
}

Status Database::Put(std::string_view kind, std::string_view key,
                     std::string_view value) {
  Bind(put_, 1, kind);
  Bind(put_, 2, key);
  sqlite3_bind_blob64(put_, 3, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_STATIC);
  return Finish(put_, sqlite3_step(put_), "put a record");
}

Status Database::Erase(std::string_view kind, std::string_view key) {
  Bind(erase_, 1, kind);
  Bind(erase_, 2, key);
  return Finish(erase_, sqlite3_step(erase_), "erase a record");
}

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

MetadataStore::MetadataStore(std::unique_ptr<Database> database)
    : database_(std::move(database)) {}

MetadataStore::~MetadataStore() = default;

StatusOr<std::unique_ptr<MetadataStore>> MetadataStore::Open(
    const std::string& file) {
  auto database = std::make_unique<Database>(file);
  RETURN_IF_ERROR(database->Open());
  return std::unique_ptr<MetadataStore>(new MetadataStore(std::move(database)));
}

Status MetadataStore::Update(const std::function<Status(Transaction&)>& body,
                             Durability durability) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(database_->Begin(durability));
  Transaction transaction(*database_);
  Status status = body(transaction);
  if (status.ok()) status = database_->Run("COMMIT");
  if (!status.ok()) database_->Rollback();
  return status;
}

Status MetadataStore::View(
    const std::function<Status(const Transaction&)>& body) const {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(database_->Run("BEGIN"));
  const Transaction transaction(*database_);
  const Status status = body(transaction);
  database_->Rollback();  // nothing to keep
  return status;
}

}  // namespace berth
