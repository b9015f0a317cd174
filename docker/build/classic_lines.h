#ifndef DOCKER_BUILD_CLASSIC_LINES_H_
#define DOCKER_BUILD_CLASSIC_LINES_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/buildkit/v1/control.pb.h"
#include "base/json.h"
#include "base/status.h"

namespace berth::docker {

namespace bk = moby::buildkit::v1;

// How a build goes, in the words of the builder that Docker had before
// BuildKit: a line for each step, whether it was in the cache, and what its
// program printed. Single-threaded.
class ClassicLines {
 public:
  // What is new, as objects of the stream.
  std::vector<Json> Follow(const bk::StatusResponse& news);

  // The last lines of a build that has made an image.
  static std::vector<Json> End(const std::string& image_id,
                               const std::vector<std::string>& tags);
  // The last line of a build that has failed, with the reason; "errorDetail"
  // has the exit code of the command that failed.
  static Json Failure(const Status& status);

 private:
  std::set<std::string> said_;    // vertices with a line
  std::set<std::string> cached_;  // and with one that says so
};

}  // namespace berth::docker

#endif  // DOCKER_BUILD_CLASSIC_LINES_H_
