#include "base/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
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

// What the log may hold in advance: SQLite empties it when it has 4 MB.
constexpr off_t kLogRoom = 6 << 20;
// Free pages within the database: made so many at a time, and more
// when there are less.
constexpr int64_t kPageBytes = 4096;
constexpr int64_t kFreePages = 256;
constexpr int64_t kLeastFreePages = 128;
constexpr size_t kLargeRecord = 256 << 10;

// One table holds all of ours: the set of kinds grows without a change here,
// and a key is found by one descent of one tree.
constexpr char kSchema[] =
    "CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL,"
    " value BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;";

StatusCode CodeOf(int sqlite_error, int system_error) {
  // SQLite knows ENOSPC alone as a full disk.
  if (system_error == EDQUOT && (sqlite_error & 0xff) == SQLITE_IOERR) {
    return StatusCode::kResourceExhausted;
  }
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

Database::~Database() {
  for (sqlite3_stmt* statement :
       {get_, all_, put_, erase_, move_, free_pages_}) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(connection_);
}

Status Database::Failure(int error, const std::string& doing) const {
  const char* why = connection_ != nullptr ? sqlite3_errmsg(connection_)
                                           : sqlite3_errstr(error);
  const int system_error =
      connection_ != nullptr ? sqlite3_system_errno(connection_) : 0;
  return Error(CodeOf(error, system_error),
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

Status Database::Open(Duration wait) {
  RETURN_IF_ERROR(Connect(wait));
  RETURN_IF_ERROR(CheckOrigin());
  RETURN_IF_ERROR(CheckIntegrity());
  RETURN_IF_ERROR(Prepare());
  RETURN_IF_ERROR(room_.Open(file_, file_ + "-wal"));
  KeepRoom();
  return OkStatus();
}

Status Database::Connect(Duration wait) {
  // SQLite would create it with the umask's mode, readable by all.
  UniqueFd created(open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!created.valid()) return Errno(errno, "open database " + Quoted(file_));
  created.reset();

  int result = sqlite3_open_v2(
      file_.c_str(), &connection_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (result != SQLITE_OK) return Failure(result, "open");
  const auto limit =
      std::chrono::duration_cast<std::chrono::milliseconds>(wait);
  sqlite3_busy_timeout(connection_, static_cast<int>(limit.count()));
  // The log stays when the database is closed, and keeps its disk space.
  int persist = 1;
  sqlite3_file_control(connection_, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
  // Exclusive: a second daemon is refused, and the WAL's index stays in our
  // memory instead of a shared file.
  RETURN_IF_ERROR(Run("PRAGMA locking_mode=EXCLUSIVE"));
  RETURN_IF_ERROR(Run("PRAGMA journal_mode=WAL"));
  RETURN_IF_ERROR(Run("PRAGMA synchronous=NORMAL"));
  RETURN_IF_ERROR(Run("PRAGMA temp_store=MEMORY"));
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
  RETURN_IF_ERROR(prepare("DELETE FROM record WHERE kind=? AND key=?", erase_));
  RETURN_IF_ERROR(
      prepare("UPDATE OR REPLACE record SET kind=?4, key=?5"
              " WHERE kind=?1 AND key=?2 AND value=?3",
              move_));
  return prepare("PRAGMA freelist_count", free_pages_);
}

// The log takes every change first; what it holds is copied to pages that the
// database has already, used or free.
Status Database::MakeRoom() {
  const int result = sqlite3_step(free_pages_);
  const int64_t free =
      result == SQLITE_ROW ? sqlite3_column_int64(free_pages_, 0) : 0;
  RETURN_IF_ERROR(Finish(free_pages_, result, "count free pages"));
  const bool few = free < kLeastFreePages;
  if (!few && has_room_.ok()) return OkStatus();
  // First the blocks: a log that cannot be copied would only grow.
  RETURN_IF_ERROR(Run("PRAGMA wal_checkpoint"));
  RETURN_IF_ERROR(room_.Hold(few ? kFreePages * kPageBytes : 0, kLogRoom));
  if (!few) return OkStatus();
  // Pages that were written and are free again keep their blocks.
  const std::string fill =
      "INSERT OR REPLACE INTO record VALUES('room', '', zeroblob(" +
      std::to_string(kFreePages * kPageBytes) + "))";
  RETURN_IF_ERROR(Run(fill.c_str()));
  RETURN_IF_ERROR(Run("PRAGMA wal_checkpoint"));
  return Run("DELETE FROM record WHERE kind='room'");
}

// New records, and those that grow by more than the free pages hold.
Status Database::CheckRoom(std::string_view kind, std::string_view key,
                           size_t size) {
  if (has_room_.ok() && size < kLargeRecord) return OkStatus();
  const StatusOr<std::string> old = Get(kind, key);
  if (!old.ok() && !IsNotFound(old.status())) return old.status();
  const auto bytes = static_cast<off_t>(size);
  Status room = old.ok() ? OkStatus() : has_room_;
  if (room.ok() && size > (old.ok() ? old->size() : 0) + kLargeRecord) {
    room = room_.Hold(bytes, kLogRoom + bytes);
  }
  if (room.ok()) return OkStatus();
  return ResourceExhausted("put record " + Quoted(key) + " of table " +
                           Quoted(kind) + " in database " + Quoted(file_) +
                           ": no room: " + Message(room));
}

void Database::KeepRoom() { has_room_ = MakeRoom(); }

Status Database::BeginView() { return Run("BEGIN"); }

Status Database::Begin(Durability durability) {
  if (!has_room_.ok()) KeepRoom();
  if (durability != durability_) {
    RETURN_IF_ERROR(Run(durability == Durability::kPowerCut
                            ? "PRAGMA synchronous=FULL"
                            : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
  }
  return Run("BEGIN");
}

Status Database::Commit() {
  RETURN_IF_ERROR(Run("COMMIT"));
  KeepRoom();
  return OkStatus();
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
  RETURN_IF_ERROR(CheckRoom(kind, key, value.size()));
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

Status Database::Move(std::string_view kind, std::string_view key,
                      std::string_view value, std::string_view to_kind,
                      std::string_view to_key) {
  Bind(move_, 1, kind);
  Bind(move_, 2, key);
  sqlite3_bind_blob64(move_, 3, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_STATIC);
  Bind(move_, 4, to_kind);
  Bind(move_, 5, to_key);
  return Finish(move_, sqlite3_step(move_), "move a record");
}

}  // namespace berth
