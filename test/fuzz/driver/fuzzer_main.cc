// What libFuzzer calls for each input.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "test/fuzz/driver/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // 0 keeps an input that reaches new code, whether it was accepted or not.
  (void)berth::fuzz::RunTarget(
      std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
