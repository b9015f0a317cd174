// The bytes of D-Bus messages, as far as systemd's manager needs them. Pure.
//
// Source: D-Bus specification, "Type system", "Message protocol". Written by
// hand, since berth-oci and berth-shim are static programs, and libsystemd is a
// shared library only (docs/ARCHITECTURE.md, section 8).
#ifndef OCI_SYSTEMD_DBUS_WIRE_H_
#define OCI_SYSTEMD_DBUS_WIRE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "oci/systemd/unit_property.h"

namespace berth::oci {

// A longer message is refused: what systemd tells us has some hundred bytes.
inline constexpr uint32_t kMaxDbusMessage = 1 << 20;

// Appends values, each aligned as its type wants it (little endian).
// Thread-compatible.
class DbusWriter {
 public:
  void Byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void Uint32(uint32_t value);
  void Uint64(uint64_t value);
  // Of an object path too. Without NUL bytes.
  void String(std::string_view text);
  void Signature(std::string_view text);
  void Align(size_t size);
  // What `elements` appends, with its length; `alignment` of one element.
  void Array(size_t alignment, const std::function<void()>& elements);
  // (sv): the name, and the value as a variant.
  void Property(const UnitProperty& property);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// A method call. Empty members are left out.
struct DbusCall {
  std::string destination = {};
  std::string path = {};
  std::string interface = {};
  std::string member = {};
  std::string signature = {};
  std::string body = {};
  bool wants_reply = true;
};

// INVALID_ARGUMENT if it is too long.
StatusOr<std::string> SerializeCall(const DbusCall& call, uint32_t serial);

struct DbusMessage {
  enum Type : uint8_t { kCall = 1, kReply = 2, kError = 3, kSignal = 4 };

  uint8_t type = 0;
  std::optional<uint32_t> reply_to;
  std::string interface;
  std::string member;
  std::string error;  // its name
  std::string sender;
  // The strings and object paths that the body begins with, numbers between
  // them left out: of a signal (uoss) three, of an error (s) its text.
  std::vector<std::string> words;
};

// The length of the message that `bytes` begins with; 0 while its header is
// not complete. DATA_LOSS if there can be none.
StatusOr<size_t> DbusMessageSize(std::string_view bytes);
// Of one whole message. DATA_LOSS.
StatusOr<DbusMessage> ParseDbusMessage(std::string_view bytes);

}  // namespace berth::oci

#endif  // OCI_SYSTEMD_DBUS_WIRE_H_
