#include "base/testing/fuzz.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

// Of the sanitizers, which end the program without a signal.
extern "C" void __sanitizer_set_death_callback(void (*)())
    __attribute__((weak));

namespace berth {
namespace {

constexpr size_t kMaxPool = 256;
constexpr size_t kMaxInput = 64 << 10;

const std::string* current_input = nullptr;

std::string Escaped(const std::string& bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    char piece[8];
    const bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
    snprintf(piece, sizeof(piece), plain ? "%c" : "\\%03o", c);
    text += piece;
  }
  return text;
}

void PrintInput() {
  if (current_input == nullptr) return;
  fprintf(stderr, "fuzz input: \"%s\"\n", Escaped(*current_input).c_str());
  current_input = nullptr;
}

void OnSignal(int signal) {
  PrintInput();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* text = getenv(name);
  return text == nullptr ? otherwise : strtoll(text, nullptr, 10);
}

std::string EdgeNumber(Randomness& random) {
  static const char* const kNumbers[] = {
      "0",          "-1",         "1",
      "255",        "256",        "65535",
      "65536",      "2147483647", "2147483648",
      "4294967295", "4294967296", "9223372036854775807",
      "1e999",      "0.5",        "9223372036854775808",
      "-0",         "00000001",   "18446744073709551616",
      "07777",      "-2147483649"};
  return kNumbers[random.Below(std::size(kNumbers))];
}

// One to eight bytes that mean a number at the edge in binary.
std::string EdgeBytes(Randomness& random) {
  static const unsigned char kBytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
  const char first = static_cast<char>(kBytes[random.Below(5)]);
  const char rest = static_cast<char>(kBytes[random.Below(5)]);
  return first + std::string(random.Below(8), rest);
}

void MutateOnce(Randomness& random, const std::vector<std::string>& pool,
                const std::vector<std::string>& words, std::string& text) {
  const size_t at = random.Below(text.size() + 1);
  const size_t length = std::min(text.size() - at, 1 + random.Below(32));
  switch (random.Below(words.empty() ? 9 : 11)) {
    case 0:
      if (at < text.size()) text[at] ^= static_cast<char>(1 << random.Below(8));
      return;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(random.Next());
      return;
    case 2:
      text.erase(at, length);
      return;
    case 3:  // again, elsewhere
      text.insert(random.Below(text.size() + 1), text.substr(at, length));
      return;
    case 4:
      text.replace(at, std::min<size_t>(length, 8), EdgeBytes(random));
      return;
    case 5: {  // a whole number for a whole number
      const size_t digit = text.find_first_of("0123456789", at);
      if (digit == std::string::npos) return;
      const size_t end = text.find_first_not_of("0123456789", digit);
      text.replace(digit, end - digit, EdgeNumber(random));
      return;
    }
    case 6: {  // the end of another
      const std::string& other = pool[random.Below(pool.size())];
      text = text.substr(0, at) + other.substr(random.Below(other.size() + 1));
      return;
    }
    case 7:
      text.resize(at);
      return;
    case 8: {  // many times, for what nests or counts
      const std::string piece = text.substr(at, std::min<size_t>(length, 4));
      for (size_t i = random.Below(200); i > 0; --i) text.insert(at, piece);
      return;
    }
    case 9:
      text.insert(at, words[random.Below(words.size())]);
      return;
    default:
      text.replace(at, length, words[random.Below(words.size())]);
  }
}

// False once a check has failed.
bool Run(const std::string& input, bool& accepted,
         const std::function<bool(const std::string&)>& feed) {
  current_input = &input;
  accepted = false;
  try {
    accepted = feed(input);
  } catch (const std::exception& e) {
    ADD_FAILURE() << "an exception came out: " << e.what();
  }
  const bool failed = testing::Test::HasFailure();
  if (failed) PrintInput();
  current_input = nullptr;
  return !failed;
}

}  // namespace

uint64_t Randomness::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string Mutate(Randomness& random, const std::vector<std::string>& pool,
                   const std::vector<std::string>& words) {
  std::string text = pool[random.Below(pool.size())];
  const size_t changes = size_t{1} << random.Below(4);
  for (size_t i = 0; i < changes; ++i) MutateOnce(random, pool, words, text);
  if (text.size() > kMaxInput) text.resize(kMaxInput);
  return text;
}

void Fuzz(const std::vector<std::string>& seeds,
          const std::vector<std::string>& words,
          const std::function<bool(const std::string&)>& feed,
          int64_t iterations) {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(PrintInput);
  } else {
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) {
      std::signal(signal, OnSignal);
    }
  }
  iterations = FromEnvironment("BERTH_FUZZ_ITERATIONS", iterations);
  Randomness random(
      static_cast<uint64_t>(FromEnvironment("BERTH_FUZZ_SEED", 1)));
  bool accepted = false;
  for (const std::string& seed : seeds) {
    if (!Run(seed, accepted, feed)) return;
    EXPECT_TRUE(accepted) << "a seed must be right: " << Escaped(seed);
  }
  std::vector<std::string> pool = seeds;
  for (int64_t i = 0; i < iterations; ++i) {
    const std::string input = Mutate(random, pool, words);
    if (!Run(input, accepted, feed)) return;
    if (!accepted || random.Below(8) != 0) continue;
    if (pool.size() < kMaxPool) {
      pool.push_back(input);
    } else {  // the seeds stay
      pool[seeds.size() + random.Below(kMaxPool - seeds.size())] = input;
    }
  }
}

}  // namespace berth
