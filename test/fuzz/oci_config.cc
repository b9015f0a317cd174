// config.json, and the files of `exec --process` and `update --resources`.
#include <string>

#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth::oci;
  if (const auto process = ParseProcess(bytes); process.ok()) {
    (void)ValidateProcess(*process);
  }
  if (const auto resources = ParseResources(bytes); resources.ok()) {
    (void)ValidateResources(*resources);
  }
  const auto spec = ParseSpec(bytes);
  if (!spec.ok()) return false;
  // What was read is written so that it reads the same.
  const std::string written = SerializeSpec(*spec);
  const auto again = ParseSpec(written);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(SerializeSpec(*again) == written);
  return Validate(*spec).ok();
}
