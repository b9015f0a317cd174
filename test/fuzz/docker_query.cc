// The parts of the Docker door's queries that have a grammar of their own:
// filters, detach keys, sizes, names, base64.
#include <string>

#include "base/base64.h"
#include "docker/convert/create_request.h"
#include "docker/convert/filters.h"
#include "docker/convert/names.h"
#include "door/stream/frames.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth::docker;
  const std::string text(bytes);
  (void)berth::Base64Decode(text).ok();
  (void)ParseBytes(text, "size");
  (void)CheckName(text, "container");
  auto keys = berth::door::DetachKeys::Parse(text);
  if (keys.ok()) {
    for (const char& c : text) (void)keys->Pass({&c, 1});
  }
  const auto filters = Filters::Parse(text, {"label", "label!", "name"});
  if (!filters.ok()) return keys.ok();
  (void)filters->MatchLabels({{"a", "b"}});
  return true;
}
