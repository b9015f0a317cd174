#include "docker/notes_cache.h"

#include <cstddef>
#include <utility>

namespace berth::docker {
namespace {

// About 15 KiB each.
constexpr size_t kMost = 32;

}  // namespace

StatusOr<std::shared_ptr<const Notes>> NotesCache::Of(
    const std::string& id, const std::string& bytes) {
  if (std::shared_ptr<const Notes> found = Find(id, bytes)) return found;
  ASSIGN_OR_RETURN(Notes parsed, ParseNotes(bytes));
  auto notes = std::make_shared<const Notes>(std::move(parsed));
  Keep({id, bytes, notes});
  return std::shared_ptr<const Notes>(std::move(notes));
}

std::shared_ptr<const Notes> NotesCache::Find(const std::string& id,
                                              const std::string& bytes) {
  MutexLock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.bytes == bytes ? entry.notes : nullptr;
  }
  return nullptr;
}

void NotesCache::Keep(Entry entry) {
  MutexLock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& old) { return old.id == entry.id; });
  entries_.push_front(std::move(entry));
  if (entries_.size() > kMost) entries_.pop_back();
}

}  // namespace berth::docker
