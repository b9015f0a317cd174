// What a plugin prints.
#include "base/json.h"
#include "cni/result.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const auto json = berth::ParseJson(bytes, "result");
  if (!json.ok()) return false;
  const auto result = berth::cni::ParseResult(*json, "eth0");
  if (!result.ok()) return false;
  for (const auto& address : result->addresses) {
    const bool is_v6 = address.ip.find(':') != std::string::npos;
    FUZZ_CHECK(address.prefix_length >= 0);
    FUZZ_CHECK(address.prefix_length <= (is_v6 ? 128 : 32));
  }
  return true;
}
