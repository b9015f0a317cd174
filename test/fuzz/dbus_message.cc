// What systemd, or whoever else is on the bus, sends.
#include "oci/systemd/dbus_wire.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const auto size = berth::oci::DbusMessageSize(bytes);
  const auto message = berth::oci::ParseDbusMessage(bytes);
  if (!message.ok()) return false;
  FUZZ_CHECK(size.ok());
  FUZZ_CHECK(*size > 0 && *size <= bytes.size());
  // A text is never longer than what it came in.
  size_t texts = message->error.size() + message->member.size();
  for (const std::string& word : message->words) texts += word.size();
  FUZZ_CHECK(texts <= bytes.size());
  return true;
}
