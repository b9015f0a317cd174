#include "door/stream/terminal_sizes.h"

#include "base/json.h"
#include "base/status.h"

namespace berth::door {
namespace {

constexpr size_t kMaxObject = 1024;

StatusOr<sandbox::TerminalSize> Parse(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "terminal size"));
  JsonReader reader(json, "terminal size", JsonNames::kAnyCase);
  uint32_t width = 0;
  uint32_t height = 0;
  reader.Get("Width", width);
  reader.Get("Height", height);
  RETURN_IF_ERROR(reader.status());
  if (width > UINT16_MAX || height > UINT16_MAX) {
    return InvalidArgument("terminal size: out of range");
  }
  sandbox::TerminalSize size;
  size.width = static_cast<uint16_t>(width);
  size.height = static_cast<uint16_t>(height);
  return size;
}

}  // namespace

std::optional<sandbox::TerminalSize> TerminalSizes::Take(
    std::string_view bytes) {
  std::optional<sandbox::TerminalSize> last;
  for (const char c : bytes) {
    if (broken_) break;
    text_ += c;
    broken_ = text_.size() > kMaxObject;
    if (c != '}') continue;
    const StatusOr<sandbox::TerminalSize> size = Parse(text_);
    text_.clear();
    if (size.ok()) last = *size;
    broken_ = !size.ok();
  }
  return last;
}

}  // namespace berth::door
