#ifndef IMAGE_REGISTRY_HOST_ROUNDS_H_
#define IMAGE_REGISTRY_HOST_ROUNDS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"

namespace berth::image {

// How patient to be with servers that do not answer.
struct RetryPolicy {
  int tries = 5;  // of each host
  Duration first_delay = std::chrono::milliseconds(500);
  Duration max_delay = std::chrono::seconds(30);
  Duration max_retry_after = std::chrono::seconds(60);
  int max_resumes = 10;  // of one blob
  // No round begins when nothing has come for so long.
  Duration patience = std::chrono::minutes(5);
};

// What came of asking one host once.
struct Attempt {
  enum class Hope {
    kNone,       // nobody is asked again: the failure is our own
    kThisRound,  // the registry's own word: only who has not been asked yet
    kOthers,     // this host has nothing else to say
    kAll,        // it may pass
  };
  Status status;
  Hope hope = Hope::kOthers;  // of an error
  Duration retry_after = Duration::zero();
  bool progress = false;  // something came that a next try builds on
};

// Asks the hosts one after the other, each once a round, until one of them
// answers: a dead mirror costs one try before the next is asked. Pauses only
// between rounds, longer each time, as long as a host may still change its
// mind; a round with progress counts as the first. The error is that of the
// registry itself if it has spoken, else of the last host; FAILED_PRECONDITION
// if there is no host. Thread-safe.
Status AskHosts(const Context& ctx, const RetryPolicy& policy,
                std::vector<size_t> hosts,
                const std::function<Attempt(size_t host)>& ask);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_HOST_ROUNDS_H_
