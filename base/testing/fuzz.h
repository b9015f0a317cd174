// Parsers of foreign bytes against bytes that are nearly right.
//
//   Fuzz({"seed one", "seed two"}, {"word"}, [](const std::string& bytes) {
//     const auto value = Parse(bytes);
//     if (value.ok()) EXPECT_EQ(Print(*value), bytes);
//     return value.ok();
//   });
//
// The same inputs in every run. BERTH_FUZZ_ITERATIONS makes a run longer and
// BERTH_FUZZ_SEED another; when one fails or dies its input is printed.
#ifndef BASE_TESTING_FUZZ_H_
#define BASE_TESTING_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace berth {

// Numbers without end, the same for the same seed (splitmix64).
// Single-threaded.
class Randomness {
 public:
  explicit Randomness(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // 0 to bound - 1; 0 if the bound is 0.
  size_t Below(size_t bound) { return bound == 0 ? 0 : Next() % bound; }

 private:
  uint64_t state_;
};

// A text of `pool`, changed in one to eight places: bits, bytes, numbers at
// the edge of their range, pieces cut, doubled, moved or taken from another,
// and words of the format. `pool` is not empty.
std::string Mutate(Randomness& random, const std::vector<std::string>& pool,
                   const std::vector<std::string>& words);

// Gives every seed, then mutants, to `feed`, which says whether the input was
// accepted: of those some join the seeds, so that changes add up. `iterations`
// is how many there are unless the environment says otherwise. Stops at the
// first failure of a check, and fails for an exception.
void Fuzz(const std::vector<std::string>& seeds,
          const std::vector<std::string>& words,
          const std::function<bool(const std::string&)>& feed,
          int64_t iterations = 20'000);

}  // namespace berth

#endif  // BASE_TESTING_FUZZ_H_
