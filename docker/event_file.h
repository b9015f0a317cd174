#ifndef DOCKER_EVENT_FILE_H_
#define DOCKER_EVENT_FILE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "docker/docker_event.h"

namespace berth::docker {

// The last events in a file, a line of JSON each, for those who ask for what
// was before a restart of the daemon. It is not synced: what a crash of the
// machine takes is lost. Single-threaded.
class EventFile {
 public:
  // Keeps `most` events at least, and twice as many at most.
  EventFile(std::string path, size_t most)
      : path_(std::move(path)), most_(most) {}

  // Those that are in it, oldest first, `most` at most. Lines that cannot be
  // read are left out; no file: none.
  std::vector<DockerEvent> Load();
  Status Append(const std::vector<DockerEvent>& events);

 private:
  const std::string path_;
  const size_t most_;
  size_t lines_ = 0;  // in the file, about
};

}  // namespace berth::docker

#endif  // DOCKER_EVENT_FILE_H_
