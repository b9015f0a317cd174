// The name of an image, as people and files write it.
#include "image/reference.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using berth::image::Reference;
  (void)berth::image::ParseImageId(bytes);
  const auto parsed = Reference::Parse(bytes);
  if (!parsed.ok()) return false;
  // Both forms mean the same image.
  for (const std::string& form : {parsed->str(), parsed->Familiar()}) {
    const auto again = Reference::Parse(form);
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(again->str() == parsed->str());
  }
  return true;
}
