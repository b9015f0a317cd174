#include "cni/user/subnet.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/strings.h"

namespace berth::cni {
namespace {

constexpr uint64_t kNoPrefix = 1000;

std::optional<std::array<uint8_t, 16>> ParseAddress(const std::string& text,
                                                    bool v6) {
  std::array<uint8_t, 16> bytes = {};
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1) {
    return std::nullopt;
  }
  return bytes;
}

std::string AddressText(const std::array<uint8_t, 16>& bytes, bool v6) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof(text));
  return text;
}

bool IsV6(const std::string& text) {
  return text.find(':') != std::string::npos;
}

std::optional<uint32_t> Hex(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(line) + " ") {
    if (c != ' ' && c != '\t') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

// The address `step` (1 or -1) beside this one; nothing beyond the ends.
std::optional<std::array<uint8_t, 16>> Beside(std::array<uint8_t, 16> bytes,
                                              bool v6, int step) {
  for (size_t i = v6 ? 16 : 4; i > 0; --i) {
    const int sum = bytes[i - 1] + step;
    bytes[i - 1] = static_cast<uint8_t>(sum & 0xff);
    if (sum >= 0 && sum <= 0xff) return bytes;
  }
  return std::nullopt;
}

bool Free(const Subnet& candidate, const std::vector<Subnet>& taken) {
  return std::none_of(taken.begin(), taken.end(), [&](const Subnet& other) {
    return other.Overlaps(candidate);
  });
}

}  // namespace

StatusOr<Subnet> Subnet::Parse(const std::string& text) {
  const size_t slash = text.find('/');
  Subnet subnet;
  subnet.v6_ = IsV6(text);
  const uint64_t prefix =
      slash == std::string::npos
          ? kNoPrefix
          : ParseUint(text.substr(slash + 1)).value_or(kNoPrefix);
  const auto first = ParseAddress(text.substr(0, slash), subnet.v6_);
  if (!first.has_value() || prefix > (subnet.v6_ ? 128u : 32u)) {
    return InvalidArgument("invalid subnet " + text + ": invalid CIDR address");
  }
  subnet.prefix_ = static_cast<int>(prefix);
  for (size_t i = 0; i < first->size(); ++i) {
    const int bits = std::clamp(subnet.prefix_ - static_cast<int>(i) * 8, 0, 8);
    subnet.first_[i] =
        static_cast<uint8_t>((*first)[i] & (0xff00 >> bits) & 0xff);
  }
  if (subnet.first_ != *first) {
    return InvalidArgument("invalid subnet " + text + ": it should be " +
                           subnet.Text());
  }
  return subnet;
}

std::string Subnet::Text() const {
  return AddressText(first_, v6_) + "/" + std::to_string(prefix_);
}

std::string Subnet::Address(uint64_t offset) const {
  Bytes bytes = first_;
  uint64_t carry = offset;
  for (size_t i = v6_ ? 16 : 4; i > 0 && carry > 0; --i) {
    carry += bytes[i - 1];
    bytes[i - 1] = static_cast<uint8_t>(carry & 0xff);
    carry >>= 8;
  }
  return carry == 0 && Covers(bytes) ? AddressText(bytes, v6_) : "";
}

std::string Subnet::Last() const {
  Bytes bytes = first_;
  const size_t size = v6_ ? 16 : 4;
  for (size_t i = 0; i < size; ++i) {
    const int bits = std::clamp(prefix_ - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<uint8_t>(bytes[i] | (0xff >> bits));
  }
  return AddressText(bytes, v6_);
}

bool Subnet::Covers(const Bytes& address) const {
  for (size_t i = 0; i < address.size(); ++i) {
    const int bits = std::clamp(prefix_ - static_cast<int>(i) * 8, 0, 8);
    if (((address[i] ^ first_[i]) & (0xff00 >> bits) & 0xff) != 0) return false;
  }
  return true;
}

bool Subnet::Contains(const std::string& address) const {
  const auto bytes = ParseAddress(address, v6_);
  return bytes.has_value() && Covers(*bytes);
}

bool Subnet::Contains(const Subnet& other) const {
  return v6_ == other.v6_ && other.prefix_ >= prefix_ && Covers(other.first_);
}

std::vector<std::pair<std::string, std::string>> Subnet::Without(
    const std::vector<std::string>& addresses) const {
  std::set<Bytes> left_out;
  for (const std::string& address : addresses) {
    const auto bytes = ParseAddress(address, v6_);
    if (bytes.has_value() && Covers(*bytes)) left_out.insert(*bytes);
  }
  std::vector<std::pair<std::string, std::string>> parts;
  const Bytes last = *ParseAddress(Last(), v6_);
  std::optional<Bytes> first = first_;
  for (const Bytes& gap : left_out) {
    if (first.has_value() && *first < gap) {
      parts.emplace_back(AddressText(*first, v6_),
                         AddressText(*Beside(gap, v6_, -1), v6_));
    }
    first = Beside(gap, v6_, 1);
  }
  if (first.has_value() && *first <= last) {
    parts.emplace_back(AddressText(*first, v6_), AddressText(last, v6_));
  }
  return parts;
}

std::string CanonicalAddress(const std::string& text) {
  const auto bytes = ParseAddress(text, IsV6(text));
  return bytes.has_value() ? AddressText(*bytes, IsV6(text)) : "";
}

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...: numbers as they
// are in memory.
std::vector<Subnet> ParseRoutes(std::string_view text) {
  std::vector<Subnet> subnets;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 8) continue;
    const auto address = Hex(words[1]);
    const auto mask = Hex(words[7]);
    if (!address.has_value() || !mask.has_value() || *mask == 0) continue;
    char name[INET_ADDRSTRLEN] = {};
    const uint32_t first = *address & *mask;
    inet_ntop(AF_INET, &first, name, sizeof(name));
    const auto subnet = Subnet::Parse(
        std::string(name) + "/" + std::to_string(__builtin_popcount(*mask)));
    if (subnet.ok()) subnets.push_back(*subnet);
  }
  return subnets;
}

// Destination (32 digits), its prefix length, ...
std::vector<Subnet> ParseRoutesV6(std::string_view text) {
  std::vector<Subnet> subnets;
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 10 || words[0].size() != 32) continue;
    const auto prefix = Hex(words[1]);
    // The default one, link-local and multicast addresses, host routes.
    if (!prefix.has_value() || *prefix == 0 || *prefix > 127 ||
        StartsWith(words[0], "fe80") || StartsWith(words[0], "ff")) {
      continue;
    }
    std::string address;
    for (size_t i = 0; i < 32; i += 4) {
      address += (i == 0 ? "" : ":") + words[0].substr(i, 4);
    }
    const auto subnet = Subnet::Parse(address + "/" + std::to_string(*prefix));
    if (subnet.ok()) subnets.push_back(*subnet);
  }
  return subnets;
}

StatusOr<Subnet> ChooseSubnet(bool v6, const std::string& id,
                              const std::vector<Subnet>& taken) {
  std::vector<std::string> candidates;
  if (v6) {
    // RFC 4193: fd, then bits that nobody else has.
    for (size_t at = 0; at + 14 <= id.size(); at += 14) {
      candidates.push_back("fd" + id.substr(at, 2) + ":" +
                           id.substr(at + 2, 4) + ":" + id.substr(at + 6, 4) +
                           ":" + id.substr(at + 10, 4) + "::/64");
    }
  }
  for (int i = 18; !v6 && i < 32; ++i) {
    candidates.push_back("172." + std::to_string(i) + ".0.0/16");
  }
  for (int i = 0; !v6 && i < 256; i += 16) {
    candidates.push_back("192.168." + std::to_string(i) + ".0/20");
  }
  for (const std::string& candidate : candidates) {
    const StatusOr<Subnet> subnet = Subnet::Parse(candidate);
    if (subnet.ok() && Free(*subnet, taken)) return subnet;
  }
  return ResourceExhausted(
      "all predefined address pools have been fully subnetted");
}

}  // namespace berth::cni
