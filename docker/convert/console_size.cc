#include "docker/convert/console_size.h"

namespace berth::docker {

StatusOr<std::optional<ConsoleSize>> ParseConsoleSize(JsonReader& reader) {
  uint64_t numbers[2] = {0, 0};
  size_t i = 0;
  for (const Json& element : reader.Array("ConsoleSize")) {
    const std::optional<uint64_t> number = element.AsUint();
    if (!number.has_value()) {
      reader.Fail("ConsoleSize", "is not a height and a width");
      break;
    }
    if (i < 2) numbers[i++] = *number;
  }
  RETURN_IF_ERROR(reader.status());
  if (numbers[0] == 0 || numbers[1] == 0 || numbers[0] > UINT16_MAX ||
      numbers[1] > UINT16_MAX) {
    return std::nullopt;
  }
  return ConsoleSize{static_cast<uint16_t>(numbers[0]),
                     static_cast<uint16_t>(numbers[1])};
}

}  // namespace berth::docker
