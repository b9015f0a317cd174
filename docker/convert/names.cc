#include "docker/convert/names.h"

#include <cctype>
#include <iterator>
#include <random>

namespace berth::docker {
namespace {

constexpr const char* kAdjectives[] = {
    "able",    "agile",  "amber",  "brave",  "bright",  "brisk",  "calm",
    "candid",  "clever", "cosmic", "crisp",  "curious", "daring", "deft",
    "eager",   "early",  "fair",   "fleet",  "fond",    "gentle", "glad",
    "golden",  "hardy",  "honest", "humble", "jolly",   "keen",   "kind",
    "lively",  "lucid",  "mellow", "merry",  "modest",  "nimble", "noble",
    "patient", "plucky", "polite", "proud",  "quick",   "quiet",  "ready",
    "serene",  "sharp",  "silent", "smart",  "solid",   "steady", "stoic",
    "sunny",   "swift",  "tender", "tidy",   "upbeat",  "vivid",  "warm",
    "wise",    "witty",  "worthy", "zesty"};

constexpr const char* kSurnames[] = {
    "abel",      "babbage",  "bohr",    "boole",    "cantor",   "carson",
    "church",    "curie",    "darwin",  "dijkstra", "euclid",   "euler",
    "faraday",   "fermat",   "fermi",   "floyd",    "galois",   "gauss",
    "germain",   "goodall",  "hamming", "hilbert",  "hoare",    "hopper",
    "hypatia",   "johnson",  "kepler",  "knuth",    "lamport",  "leibniz",
    "liskov",    "lovelace", "maxwell", "mendel",   "meitner",  "mirzakhani",
    "newton",    "noether",  "pascal",  "pasteur",  "perlman",  "planck",
    "ramanujan", "ritchie",  "shannon", "tesla",    "thompson", "torvalds",
    "turing",    "volta",    "wiles",   "wozniak",  "yonath",   "zuse"};

}  // namespace

std::string RandomName() {
  static thread_local std::mt19937 random(std::random_device{}());
  return std::string(kAdjectives[random() % std::size(kAdjectives)]) + "_" +
         kSurnames[random() % std::size(kSurnames)];
}

Status CheckName(std::string_view name, const std::string& what) {
  bool good = name.size() >= 2 && name.size() <= 255 &&
              isalnum(static_cast<unsigned char>(name[0])) != 0;
  for (const char c : name) {
    good = good && (isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
                    c == '.' || c == '-');
  }
  if (good) return OkStatus();
  if (what == "volume") {
    return InvalidArgument(
        "create " + std::string(name) + ": \"" + std::string(name) +
        "\" includes invalid characters for a local volume name, only "
        "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a "
        "host directory, use absolute path");
  }
  return InvalidArgument("Invalid " + what + " name (" + std::string(name) +
                         "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
}

}  // namespace berth::docker
