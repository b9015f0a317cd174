#ifndef BASE_STORE_DATABASE_H_
#define BASE_STORE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "base/store/disk_room.h"

namespace berth {

// What must an update survive? A killed process takes nothing with it either
// way; the disk is waited for only by kPowerCut.
enum class Durability { kProcessCrash, kPowerCut };

// One SQLite connection, the statements it keeps prepared, and the disk space
// that its files hold in advance (DiskRoom, and free pages in the database).
// MetadataStore says what callers may rely on. Single-threaded: the store's
// mutex guards it.
class Database {
 public:
  explicit Database(std::string file) : file_(std::move(file)) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // Waits up to `wait` for another process to give the file up.
  Status Open(Duration wait);

  Status BeginView();
  Status Begin(Durability durability);
  Status Commit();
  // OK to call when nothing has begun.
  void Rollback();

  StatusOr<std::string> Get(std::string_view kind, std::string_view key);
  StatusOr<std::map<std::string, std::string>> All(std::string_view kind);
  // RESOURCE_EXHAUSTED for a new key, or one that grows by much, while there
  // is no room beyond what changes and removals of the others may need.
  Status Put(std::string_view kind, std::string_view key,
             std::string_view value);
  Status Erase(std::string_view kind, std::string_view key);
  // Renames the record to (`to_kind`, `to_key`) if it still has this value.
  Status Move(std::string_view kind, std::string_view key,
              std::string_view value, std::string_view to_kind,
              std::string_view to_key);

 private:
  Status Connect(Duration wait);
  Status Prepare();
  Status CheckOrigin();
  Status CheckIntegrity();
  // Sees to it that there is room; notes whether there is.
  void KeepRoom();
  Status MakeRoom();
  Status CheckRoom(std::string_view kind, std::string_view key, size_t size);
  Status Run(const char* sql);
  StatusOr<int64_t> Number(const char* sql);
  Status Failure(int error, const std::string& doing) const;
  // Resets the statement whatever happened, so that it holds no lock.
  Status Finish(sqlite3_stmt* statement, int result, const char* doing) const;

  const std::string file_;
  // Before the connection: its descriptors must be closed after SQLite's.
  DiskRoom room_;
  Status has_room_ = Unavailable("not looked for yet");
  sqlite3* connection_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* all_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* erase_ = nullptr;
  sqlite3_stmt* move_ = nullptr;
  sqlite3_stmt* free_pages_ = nullptr;
  Durability durability_ = Durability::kProcessCrash;
};

}  // namespace berth

#endif  // BASE_STORE_DATABASE_H_
