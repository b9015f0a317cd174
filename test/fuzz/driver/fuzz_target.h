// A parser of foreign bytes as a program that libFuzzer can drive, and as a
// test that replays a corpus (replay.cc). A file holds one target:
//
//   FUZZ_TARGET(bytes) {
//     const auto value = Parse(bytes);
//     if (!value.ok()) return false;
//     FUZZ_CHECK(Print(*value) == bytes);
//     return true;
//   }
//
// It returns whether the input was accepted; the corpus names inputs that have
// to be. It must not depend on what it was given before.
#ifndef TEST_FUZZ_DRIVER_FUZZ_TARGET_H_
#define TEST_FUZZ_DRIVER_FUZZ_TARGET_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace berth::fuzz {

// The target of this program. `bytes` is not ended by a NUL and lies in memory
// of exactly its size.
bool RunTarget(std::string_view bytes);

}  // namespace berth::fuzz

#define FUZZ_TARGET(bytes) \
  bool berth::fuzz::RunTarget(const std::string_view bytes)

// Ends the program if the condition does not hold.
#define FUZZ_CHECK(condition)                                          \
  do {                                                                 \
    if (!(condition)) {                                                \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, \
              #condition);                                             \
      abort();                                                         \
    }                                                                  \
  } while (false)

#endif  // TEST_FUZZ_DRIVER_FUZZ_TARGET_H_
