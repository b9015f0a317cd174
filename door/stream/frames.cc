#include "door/stream/frames.h"

#include <cstring>
#include <utility>

#include "base/strings.h"

namespace berth::door {

std::string FrameHead(Stream stream, size_t length) {
  std::string head(8, '\0');
  head[0] = static_cast<char>(stream);
  for (int i = 0; i < 4; ++i) {
    head[7 - i] = static_cast<char>(length >> (8 * i));
  }
  return head;
}

std::string Frame(Stream stream, std::string_view bytes) {
  std::string frame = FrameHead(stream, bytes.size());
  frame += bytes;
  return frame;
}

StatusOr<DetachKeys> DetachKeys::Parse(std::string_view keys) {
  if (keys.empty()) return DetachKeys();
  std::string codes;
  for (const std::string& key : Split(keys, ',')) {
    if (key.size() == 1) {
      codes += key;
    } else if (key.size() == 6 && StartsWith(key, "ctrl-") &&
               strchr("abcdefghijklmnopqrstuvwxyz@[\\]^_", key[5]) != nullptr) {
      codes += static_cast<char>(key[5] & 0x1f);
    } else {
      return InvalidArgument("Unknown character: '" + key + "'");
    }
  }
  return DetachKeys(std::move(codes));
}

std::string DetachKeys::Pass(std::string_view typed) {
  std::string passed;
  for (const char c : typed) {
    if (detached()) break;
    if (c == keys_[matched_]) {
      ++matched_;
      continue;
    }
    passed += keys_.substr(0, matched_);
    matched_ = c == keys_[0] ? 1 : 0;
    if (matched_ == 0) passed += c;
  }
  return passed;
}

}  // namespace berth::door
