#ifndef DOCKER_NOTES_CACHE_H_
#define DOCKER_NOTES_CACHE_H_

#include <deque>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/status.h"
#include "docker/notes.h"

namespace berth::docker {

// The parsed notes of the containers that were asked for last: a client asks
// for one container several times in a row, and parsing is a fifth of the
// daemon's part of `docker exec`. Bounded. Thread-safe.
class NotesCache {
 public:
  // ParseNotes of `bytes`, which are the notes of container `id` now.
  StatusOr<std::shared_ptr<const Notes>> Of(const std::string& id,
                                            const std::string& bytes);

 private:
  struct Entry {
    std::string id;
    std::string bytes;
    std::shared_ptr<const Notes> notes;
  };

  // Null if there are none, or if they were parsed from other bytes.
  std::shared_ptr<const Notes> Find(const std::string& id,
                                    const std::string& bytes);
  void Keep(Entry entry);

  Mutex mutex_;
  std::deque<Entry> entries_ GUARDED_BY(mutex_);  // the newest first
};

}  // namespace berth::docker

#endif  // DOCKER_NOTES_CACHE_H_
