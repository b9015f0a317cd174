// hosts.toml.
#include <string>

#include "image/registry/mirrors.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const auto hosts =
      berth::image::Mirrors::Parse(std::string(bytes), "/d", "r.test");
  if (!hosts.ok()) return false;
  FUZZ_CHECK(!hosts->empty());
  FUZZ_CHECK(hosts->back().is_upstream);
  for (const auto& host : *hosts) {
    FUZZ_CHECK(host.dial_timeout.count() > 0);
  }
  return true;
}
