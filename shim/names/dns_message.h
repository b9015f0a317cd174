// Messages of the domain name system, as far as a server of few names needs
// them. Source: RFC 1035 section 4, RFC 6891 (EDNS). Pure.
#ifndef SHIM_NAMES_DNS_MESSAGE_H_
#define SHIM_NAMES_DNS_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::shim {

enum class DnsType : uint16_t { kA = 1, kPtr = 12, kAaaa = 28, kOpt = 41 };
enum class DnsCode : uint8_t { kOk = 0, kFormat = 1, kFailure = 2 };

constexpr size_t kDnsHeader = 12;
// What every client takes by UDP.
constexpr size_t kDnsPlainSize = 512;

// A query with one question.
struct DnsQuery {
  uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;         // lower case, without the last dot; "" is the root
  uint16_t type = 0;        // DnsType, or any other
  uint16_t klass = 0;       // 1: the internet
  size_t question_end = 0;  // in the message
  bool edns = false;
  size_t udp_size = kDnsPlainSize;  // that the client takes
};

// Nothing for what is no query, or has another number of questions.
std::optional<DnsQuery> ParseDnsQuery(std::string_view message);

// The id of any message; nothing if it is too short to be one.
std::optional<uint16_t> DnsId(std::string_view message);
void SetDnsId(uint16_t id, std::string& message);
// Whether `answer` answers this question; its code.
bool AnswersDnsQuery(std::string_view answer, std::string_view message,
                     const DnsQuery& query);
uint8_t DnsCodeOf(std::string_view answer);

// The answer to `query`, which was read from `message`. `records`: contents of
// the records of the query's type. What does not fit into `limit` bytes is left
// out, and the answer says so.
std::string DnsAnswer(std::string_view message, const DnsQuery& query,
                      DnsCode code, const std::vector<std::string>& records,
                      size_t limit);

// Contents of a record: 4 or 16 bytes; "" for what is no address of the type.
std::string AddressRecord(DnsType type, const std::string& address);
// "" for a name that is none.
std::string NameRecord(std::string_view name);

// The address that "4.3.2.1.in-addr.arpa" or "...ip6.arpa" asks for.
std::optional<std::string> ReverseAddress(std::string_view name);

}  // namespace berth::shim

#endif  // SHIM_NAMES_DNS_MESSAGE_H_
