// What a container sends to its name server, and what other servers answer: the
// first byte says how much of the rest is the query.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shim/names/dns_message.h"
#include "shim/names/name_table.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth::shim;
  if (bytes.empty()) return false;
  const size_t size = static_cast<uint8_t>(bytes[0]);
  const std::string_view message = bytes.substr(1, size);
  const std::string_view answer =
      bytes.substr(std::min(bytes.size(), size + 1));
  (void)ParseNetworkHosts(answer);
  (void)ParseNameSettings(answer);
  (void)ReverseAddress(answer);
  (void)NameRecord(answer);
  const auto query = ParseDnsQuery(message);
  if (!query.has_value()) return false;
  FUZZ_CHECK(query->question_end <= message.size());
  FUZZ_CHECK(query->name.size() <= 255);
  (void)AnswersDnsQuery(answer, message, *query);
  const std::vector<std::string> records(
      40, AddressRecord(DnsType::kAaaa, "fd00::1"));
  for (const size_t limit : {size_t{512}, query->udp_size, size_t{65535}}) {
    const std::string ours =
        DnsAnswer(message, *query, DnsCode::kOk, records, limit);
    FUZZ_CHECK(ours.size() <= limit);
    FUZZ_CHECK(AnswersDnsQuery(ours, message, *query));
  }
  return true;
}
