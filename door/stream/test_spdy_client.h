#ifndef DOOR_STREAM_TEST_SPDY_CLIENT_H_
#define DOOR_STREAM_TEST_SPDY_CLIENT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "door/stream/spdy_headers.h"

namespace berth::door {

// The client's side of a session, for tests. Single-threaded.
class TestSpdyClient {
 public:
  static std::string Number(uint32_t number) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(number >> shift);
    }
    return bytes;
  }
  static std::string Control(uint16_t type, std::string_view payload,
                             uint8_t flags = 0) {
    return Number(0x80030000u | type) +
           Number(uint32_t{flags} << 24 |
                  static_cast<uint32_t>(payload.size())) +
           std::string(payload);
  }
  static std::string Data(uint32_t stream, std::string_view bytes,
                          bool end = false) {
    return Number(stream) +
           Number((end ? 1u << 24 : 0) | static_cast<uint32_t>(bytes.size())) +
           std::string(bytes);
  }
  static std::string Reset(uint32_t stream) {
    return Control(3, Number(stream) + Number(5));
  }
  static std::string Window(uint32_t stream, uint32_t more) {
    return Control(9, Number(stream) + Number(more));
  }
  static std::string InitialWindow(uint32_t bytes) {
    return Control(4, Number(1) + Number(7) + Number(bytes));
  }
  static std::string GoAway() { return Control(7, Number(0) + Number(0)); }

  std::string Open(uint32_t stream, const SpdyHeaderList& headers) {
    StatusOr<std::string> block = headers_.Pack(headers);
    EXPECT_TRUE(block.ok());
    return Control(1, Number(stream) + std::string(6, '\0') + *block);
  }

  // What the server sent, as text: "reply 1", "data 5 hello", "end 5",
  // "reset 7", "ping 1", "window 3 32768".
  static std::vector<std::string> Read(std::string_view bytes) {
    std::vector<std::string> frames;
    const auto number = [&](size_t at) {
      uint32_t value = 0;
      for (size_t i = at; i < at + 4 && i < bytes.size(); ++i) {
        value = value << 8 | static_cast<uint8_t>(bytes[i]);
      }
      return value;
    };
    while (bytes.size() >= 8) {
      const uint32_t first = number(0);
      const size_t size = number(4) & 0xffffff;
      const uint32_t stream = number(8);
      const std::string payload(bytes.substr(8, size));
      const std::string id = std::to_string(stream);
      if ((first & 0x80000000) == 0) {
        const std::string of = std::to_string(first);
        if (!payload.empty()) frames.push_back("data " + of + " " + payload);
        if ((number(4) >> 24 & 1) != 0) frames.push_back("end " + of);
      } else if (first == 0x80030002) {
        frames.push_back("reply " + id);
      } else if (first == 0x80030003) {
        frames.push_back("reset " + id);
      } else if (first == 0x80030006) {
        frames.push_back("ping " + id);
      } else if (first == 0x80030009) {
        frames.push_back("window " + id + " " + std::to_string(number(12)));
      } else {
        frames.push_back("unknown");
      }
      bytes.remove_prefix(std::min(bytes.size(), 8 + size));
    }
    if (!bytes.empty()) frames.push_back("rest");
    return frames;
  }

 private:
  SpdyHeaders headers_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_TEST_SPDY_CLIENT_H_
