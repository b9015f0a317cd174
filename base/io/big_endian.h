// Numbers of four bytes as networks write them, the highest byte first. Pure.
#ifndef BASE_IO_BIG_ENDIAN_H_
#define BASE_IO_BIG_ENDIAN_H_

#include <cstdint>
#include <string>

namespace berth {

// Of the four bytes that begin at `bytes`.
inline uint32_t ReadBigEndian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

inline void AppendBigEndian(std::string& target, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    target.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

}  // namespace berth

#endif  // BASE_IO_BIG_ENDIAN_H_
