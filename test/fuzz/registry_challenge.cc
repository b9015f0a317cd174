// What a registry answers that wants to know who asks.
#include "image/registry/authorizer.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const auto challenges = berth::image::ParseChallenges(bytes);
  for (const auto& challenge : challenges) {
    FUZZ_CHECK(!challenge.scheme.empty());
  }
  return !challenges.empty();
}
