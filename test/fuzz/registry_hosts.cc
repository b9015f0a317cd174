// hosts.toml.
#include <algorithm>
#include <string>

#include "image/registry/mirrors.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const auto hosts =
      berth::image::Mirrors::Parse(std::string(bytes), "/d", "r.test");
  if (!hosts.ok()) return false;
  // The last one, or where a section describes it.
  FUZZ_CHECK(std::any_of(hosts->begin(), hosts->end(),
                         [](const auto& host) { return host.is_upstream; }));
  for (const auto& host : *hosts) {
    FUZZ_CHECK(host.dial_timeout.count() > 0);
  }
  return true;
}
