#include "shim/names/dns_message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "base/strings.h"

namespace berth::shim {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 255;
constexpr uint32_t kTimeToLive = 600;  // seconds
constexpr uint16_t kResponse = 0x8000;
constexpr uint16_t kOpcode = 0x7800;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kRecursionAvailable = 0x0080;
constexpr size_t kOptRecord = 11;

uint16_t Number(std::string_view message, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(message[at]) << 8 |
                               static_cast<uint8_t>(message[at + 1]));
}

void Append(uint16_t number, std::string& to) {
  to += static_cast<char>(number >> 8);
  to += static_cast<char>(number & 0xff);
}

// A name without pointers, which a question has no use for; moves `at` behind.
std::optional<std::string> ReadName(std::string_view message, size_t& at) {
  std::string name;
  while (at < message.size()) {
    const size_t length = static_cast<uint8_t>(message[at++]);
    if (length == 0) return name;
    if (length > kMaxLabel || at + length > message.size() ||
        name.size() + length + 1 > kMaxName) {
      return std::nullopt;
    }
    if (!name.empty()) name += '.';
    for (const char c : message.substr(at, length)) {
      // A dot inside of a label would read as two labels.
      if (c == '.' || c == '\0') return std::nullopt;
      name += static_cast<char>(tolower(static_cast<unsigned char>(c)));
    }
    at += length;
  }
  return std::nullopt;
}

// The first additional record of a query is its OPT record, if it has one.
void ReadEdns(std::string_view message, size_t at, DnsQuery& query) {
  if (Number(message, 6) != 0 || Number(message, 8) != 0 ||
      Number(message, 10) == 0 || at + kOptRecord > message.size() ||
      message[at] != '\0' ||
      Number(message, at + 1) != static_cast<uint16_t>(DnsType::kOpt)) {
    return;
  }
  query.edns = true;
  query.udp_size = std::max<size_t>(Number(message, at + 3), kDnsPlainSize);
}

std::string OptRecord() {
  std::string record(1, '\0');
  Append(static_cast<uint16_t>(DnsType::kOpt), record);
  Append(4096, record);
  return record + std::string(6, '\0');
}

}  // namespace

std::optional<uint16_t> DnsId(std::string_view message) {
  if (message.size() < kDnsHeader) return std::nullopt;
  return Number(message, 0);
}

void SetDnsId(uint16_t id, std::string& message) {
  if (message.size() < kDnsHeader) return;
  message[0] = static_cast<char>(id >> 8);
  message[1] = static_cast<char>(id & 0xff);
}

std::optional<DnsQuery> ParseDnsQuery(std::string_view message) {
  if (message.size() < kDnsHeader) return std::nullopt;
  const uint16_t flags = Number(message, 2);
  if ((flags & (kResponse | kOpcode)) != 0 || Number(message, 4) != 1) {
    return std::nullopt;
  }
  DnsQuery query;
  query.id = Number(message, 0);
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  size_t at = kDnsHeader;
  std::optional<std::string> name = ReadName(message, at);
  if (!name.has_value() || at + 4 > message.size()) return std::nullopt;
  query.name = *std::move(name);
  query.type = Number(message, at);
  query.klass = Number(message, at + 2);
  query.question_end = at + 4;
  ReadEdns(message, query.question_end, query);
  return query;
}

bool AnswersDnsQuery(std::string_view answer, std::string_view message,
                     const DnsQuery& query) {
  if (answer.size() < kDnsHeader || (Number(answer, 2) & kResponse) == 0) {
    return false;
  }
  // Some answer a failure without the question.
  if (Number(answer, 4) == 0) return DnsCodeOf(answer) != 0;
  if (Number(answer, 4) != 1 || answer.size() < query.question_end) {
    return false;
  }
  return std::equal(answer.begin() + kDnsHeader,
                    answer.begin() + static_cast<long>(query.question_end),
                    message.begin() + kDnsHeader, [](char a, char b) {
                      return tolower(static_cast<unsigned char>(a)) ==
                             tolower(static_cast<unsigned char>(b));
                    });
}

uint8_t DnsCodeOf(std::string_view answer) {
  return answer.size() < kDnsHeader ? 0 : static_cast<uint8_t>(answer[3]) & 0xf;
}

std::string DnsAnswer(std::string_view message, const DnsQuery& query,
                      DnsCode code, const std::vector<std::string>& records,
                      size_t limit) {
  const size_t reserved = query.edns ? kOptRecord : 0;
  std::string body(message.substr(
      kDnsHeader, std::max(query.question_end, kDnsHeader) - kDnsHeader));
  uint16_t count = 0;
  bool truncated = false;
  for (const std::string& record : records) {
    // A pointer to the question's name, type, class, time, length.
    std::string whole("\xc0\x0c", 2);
    Append(query.type, whole);
    Append(query.klass, whole);
    Append(0, whole);
    Append(kTimeToLive, whole);
    Append(static_cast<uint16_t>(record.size()), whole);
    whole += record;
    truncated = kDnsHeader + body.size() + whole.size() + reserved > limit;
    if (truncated) break;
    body += whole;
    ++count;
  }
  std::string answer;
  Append(query.id, answer);
  Append(static_cast<uint16_t>(
             kResponse | kRecursionAvailable | static_cast<uint16_t>(code) |
             (query.recursion_desired ? kRecursionDesired : 0) |
             (truncated ? kTruncated : 0)),
         answer);
  Append(1, answer);
  Append(count, answer);
  Append(0, answer);
  Append(query.edns ? 1 : 0, answer);
  answer += body;
  if (query.edns) answer += OptRecord();
  return answer;
}

std::string AddressRecord(DnsType type, const std::string& address) {
  char bytes[16];
  const int family = type == DnsType::kA ? AF_INET : AF_INET6;
  if (inet_pton(family, address.c_str(), bytes) != 1) return "";
  return std::string(bytes, family == AF_INET ? 4 : 16);
}

std::string NameRecord(std::string_view name) {
  if (name.empty() || name.size() >= kMaxName) return "";
  std::string record;
  for (const std::string& label : Split(name, '.')) {
    if (label.empty() || label.size() > kMaxLabel) return "";
    record += static_cast<char>(label.size());
    record += label;
  }
  return record + std::string(1, '\0');
}

std::optional<std::string> ReverseAddress(std::string_view name) {
  std::vector<std::string> labels = Split(name, '.');
  if (labels.size() < 3 || labels.back() != "arpa") return std::nullopt;
  labels.pop_back();
  const bool v6 = labels.back() == "ip6";
  if (!v6 && labels.back() != "in-addr") return std::nullopt;
  labels.pop_back();
  if (labels.size() != (v6 ? 32 : 4)) return std::nullopt;
  std::reverse(labels.begin(), labels.end());
  std::string text;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i].empty() || (v6 && labels[i].size() != 1)) return std::nullopt;
    if (i > 0 && (!v6 || i % 4 == 0)) text += v6 ? ':' : '.';
    text += labels[i];
  }
  char bytes[16];
  char canonical[INET6_ADDRSTRLEN] = {};
  const int family = v6 ? AF_INET6 : AF_INET;
  if (inet_pton(family, text.c_str(), bytes) != 1 ||
      inet_ntop(family, bytes, canonical, sizeof(canonical)) == nullptr) {
    return std::nullopt;
  }
  return std::string(canonical);
}

}  // namespace berth::shim
