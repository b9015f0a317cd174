#ifndef DOCKER_CONVERT_HEALTHCHECK_H_
#define DOCKER_CONVERT_HEALTHCHECK_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"

namespace berth::docker {

// How it is found out whether a container is well. A value.
struct Healthcheck {
  std::vector<std::string> argv;
  Duration interval = std::chrono::seconds(30);
  Duration timeout = std::chrono::seconds(30);
  Duration start_period{0};
  Duration start_interval = std::chrono::seconds(5);
  int64_t retries = 3;

  // Of a container's configuration (its member Healthcheck); nothing if that
  // has none.
  static std::optional<Healthcheck> Of(const Json& config);
};

// INVALID_ARGUMENT, in Docker's words, for the member Healthcheck of a request.
Status CheckHealthcheck(const Json& config);
// What a request leaves open is the image's.
void InheritHealthcheck(const state::v1::Healthcheck& image, Json& config);

// What the checks of one life of a container have found. A value;
// thread-compatible.
class Health {
 public:
  struct Result {
    UnixNanos start = 0;
    UnixNanos end = 0;
    int exit_code = 0;  // -1: it did not end by itself
    std::string output;
  };

  // True if the status is another now. `started`: the container.
  bool Take(const Healthcheck& check, UnixNanos started, Result result);

  const std::string& status() const { return status_; }
  // State.Health of an inspection.
  Json ToJson() const;

 private:
  std::string status_ = "starting";  // healthy, unhealthy
  int64_t failing_streak_ = 0;
  std::deque<Result> log_;  // the last five
};

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_HEALTHCHECK_H_
