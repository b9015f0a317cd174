#include "oci/systemd/dbus_wire.h"

#include <utility>

namespace berth::oci {
namespace {

constexpr size_t kFixedHeader = 16;  // with the length of the fields
constexpr uint8_t kProtocol = 1;
constexpr uint8_t kNoReplyExpected = 1;

// Header fields.
enum Field : uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSender = 7,
  kSignature = 8,
};

size_t Aligned(size_t position, size_t size) {
  return (position + size - 1) / size * size;
}

// Takes values off the front; every one of them checks what is left.
class Reader {
 public:
  // `bytes` from an address that is aligned to eight in the message.
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool done() const { return position_ >= bytes_.size(); }

  StatusOr<std::string_view> Take(size_t size) {
    if (size > bytes_.size() - position_) {
      return DataLoss("D-Bus message: shorter than it says");
    }
    const std::string_view taken = bytes_.substr(position_, size);
    position_ += size;
    return taken;
  }

  Status Align(size_t size) {
    return Take(Aligned(position_, size) - position_).status();
  }

  StatusOr<uint8_t> Byte() {
    ASSIGN_OR_RETURN(const std::string_view byte, Take(1));
    return static_cast<uint8_t>(byte[0]);
  }

  StatusOr<uint32_t> Uint32() {
    RETURN_IF_ERROR(Align(4));
    ASSIGN_OR_RETURN(const std::string_view bytes, Take(4));
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) {
      value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return value;
  }

  // A signature of one type.
  StatusOr<char> Type() {
    ASSIGN_OR_RETURN(const std::string_view bytes, Take(3));
    if (bytes[0] != 1 || bytes[2] != 0) {
      return DataLoss("D-Bus message: a header field of several types");
    }
    return bytes[1];
  }

  StatusOr<std::string> String() {
    ASSIGN_OR_RETURN(const uint32_t size, Uint32());
    return Text(size);
  }

  StatusOr<std::string> Signature() {
    ASSIGN_OR_RETURN(const uint8_t size, Byte());
    return Text(size);
  }

 private:
  StatusOr<std::string> Text(size_t size) {
    ASSIGN_OR_RETURN(const std::string_view text, Take(size));
    ASSIGN_OR_RETURN(const uint8_t end, Byte());
    if (end != 0) return DataLoss("D-Bus message: a text without its end");
    return std::string(text);
  }

  const std::string_view bytes_;
  size_t position_ = 0;
};

void AddField(DbusWriter& writer, Field field, std::string_view type,
              const std::string& text) {
  if (text.empty()) return;
  writer.Align(8);
  writer.Byte(field);
  writer.Signature(type);
  if (field == kSignature) {
    writer.Signature(text);
  } else {
    writer.String(text);
  }
}

// How each type of a property is written.
class ValueWriter {
 public:
  explicit ValueWriter(DbusWriter& out) : out_(out) {}

  void operator()(bool value) {
    out_.Signature("b");
    out_.Uint32(value ? 1 : 0);
  }
  void operator()(const std::string& value) {
    out_.Signature("s");
    out_.String(value);
  }
  void operator()(int32_t value) {
    out_.Signature("i");
    out_.Uint32(static_cast<uint32_t>(value));
  }
  void operator()(uint32_t value) {
    out_.Signature("u");
    out_.Uint32(value);
  }
  void operator()(int64_t value) {
    out_.Signature("x");
    out_.Uint64(static_cast<uint64_t>(value));
  }
  void operator()(uint64_t value) {
    out_.Signature("t");
    out_.Uint64(value);
  }
  void operator()(const std::vector<uint8_t>& value) {
    out_.Signature("ay");
    out_.Array(1, [&] {
      for (const uint8_t byte : value) out_.Byte(byte);
    });
  }
  void operator()(const std::vector<uint32_t>& value) {
    out_.Signature("au");
    out_.Array(4, [&] {
      for (const uint32_t number : value) out_.Uint32(number);
    });
  }
  void operator()(const std::vector<std::string>& value) {
    out_.Signature("as");
    out_.Array(4, [&] {
      for (const std::string& text : value) out_.String(text);
    });
  }
  void operator()(const DevicePermissions& value) {
    out_.Signature("a(ss)");
    out_.Array(8, [&] {
      for (const auto& [device, permissions] : value) {
        out_.Align(8);
        out_.String(device);
        out_.String(permissions);
      }
    });
  }

 private:
  DbusWriter& out_;
};

Status TakeField(Reader& reader, std::string& signature, DbusMessage& message) {
  RETURN_IF_ERROR(reader.Align(8));
  ASSIGN_OR_RETURN(const uint8_t field, reader.Byte());
  ASSIGN_OR_RETURN(const char type, reader.Type());
  if (type == 'u') {
    ASSIGN_OR_RETURN(const uint32_t number, reader.Uint32());
    if (field == kReplySerial) message.reply_to = number;
    return OkStatus();
  }
  if (type == 'g') {
    ASSIGN_OR_RETURN(std::string text, reader.Signature());
    if (field == kSignature) signature = std::move(text);
    return OkStatus();
  }
  // The specification knows no field of another type.
  if (type != 's' && type != 'o') {
    return DataLoss("D-Bus message: a header field of type " +
                    std::string(1, type));
  }
  ASSIGN_OR_RETURN(std::string text, reader.String());
  switch (field) {
    case kInterface:
      message.interface = std::move(text);
      break;
    case kMember:
      message.member = std::move(text);
      break;
    case kErrorName:
      message.error = std::move(text);
      break;
    case kSender:
      message.sender = std::move(text);
      break;
    default:
      break;
  }
  return OkStatus();
}

// Up to the first value of a type that we do not read.
Status TakeWords(const std::string& signature, Reader body,
                 std::vector<std::string>& words) {
  for (const char type : signature) {
    if (type == 's' || type == 'o') {
      ASSIGN_OR_RETURN(std::string word, body.String());
      words.push_back(std::move(word));
    } else if (type == 'u' || type == 'i' || type == 'b') {
      RETURN_IF_ERROR(body.Uint32().status());
    } else {
      return OkStatus();
    }
  }
  return OkStatus();
}

}  // namespace

void DbusWriter::Align(size_t size) {
  bytes_.resize(Aligned(bytes_.size(), size), '\0');
}

void DbusWriter::Uint32(uint32_t value) {
  Align(4);
  for (int i = 0; i < 4; ++i) Byte(static_cast<uint8_t>(value >> (8 * i)));
}

void DbusWriter::Uint64(uint64_t value) {
  Align(8);
  for (int i = 0; i < 8; ++i) Byte(static_cast<uint8_t>(value >> (8 * i)));
}

void DbusWriter::String(std::string_view text) {
  Uint32(static_cast<uint32_t>(text.size()));
  bytes_.append(text);
  Byte(0);
}

void DbusWriter::Signature(std::string_view text) {
  Byte(static_cast<uint8_t>(text.size()));
  bytes_.append(text);
  Byte(0);
}

void DbusWriter::Array(size_t alignment,
                       const std::function<void()>& elements) {
  Uint32(0);
  const size_t length_at = bytes_.size() - 4;
  // Not part of the length, and there even if nothing follows.
  Align(alignment);
  const size_t begin = bytes_.size();
  elements();
  const auto length = static_cast<uint32_t>(bytes_.size() - begin);
  for (size_t i = 0; i < 4; ++i) {
    bytes_[length_at + i] = static_cast<char>(length >> (8 * i));
  }
}

void DbusWriter::Property(const UnitProperty& property) {
  Align(8);
  String(property.name);
  std::visit(ValueWriter(*this), property.value);
}

StatusOr<std::string> SerializeCall(const DbusCall& call, uint32_t serial) {
  DbusWriter writer;
  writer.Byte('l');
  writer.Byte(DbusMessage::kCall);
  writer.Byte(call.wants_reply ? 0 : kNoReplyExpected);
  writer.Byte(kProtocol);
  writer.Uint32(static_cast<uint32_t>(call.body.size()));
  writer.Uint32(serial);
  writer.Array(8, [&] {
    AddField(writer, kPath, "o", call.path);
    AddField(writer, kInterface, "s", call.interface);
    AddField(writer, kMember, "s", call.member);
    AddField(writer, kDestination, "s", call.destination);
    AddField(writer, kSignature, "g", call.signature);
  });
  writer.Align(8);
  std::string bytes = writer.bytes() + call.body;
  if (bytes.size() > kMaxDbusMessage) {
    return InvalidArgument("D-Bus call " + call.member + " of " +
                           std::to_string(bytes.size()) + " bytes");
  }
  return bytes;
}

StatusOr<size_t> DbusMessageSize(std::string_view bytes) {
  if (bytes.size() < kFixedHeader) return size_t{0};
  Reader reader(bytes);
  if (bytes[0] != 'l' || bytes[3] != kProtocol) {
    return DataLoss("D-Bus message: not of little endian and version 1");
  }
  RETURN_IF_ERROR(reader.Take(4).status());
  ASSIGN_OR_RETURN(const uint32_t body, reader.Uint32());
  RETURN_IF_ERROR(reader.Uint32().status());  // serial
  ASSIGN_OR_RETURN(const uint32_t fields, reader.Uint32());
  const uint64_t size = Aligned(kFixedHeader + uint64_t{fields}, 8) + body;
  if (size > kMaxDbusMessage) {
    return DataLoss("D-Bus message of " + std::to_string(size) + " bytes");
  }
  return static_cast<size_t>(size);
}

StatusOr<DbusMessage> ParseDbusMessage(std::string_view bytes) {
  ASSIGN_OR_RETURN(const size_t size, DbusMessageSize(bytes));
  if (size == 0 || size > bytes.size()) {
    return DataLoss("D-Bus message: not complete");
  }
  DbusMessage message;
  message.type = static_cast<uint8_t>(bytes[1]);
  Reader length(bytes.substr(12));
  ASSIGN_OR_RETURN(const uint32_t fields, length.Uint32());
  // The first field begins at 16, which is aligned.
  Reader reader(bytes.substr(kFixedHeader, fields));
  std::string signature;
  while (!reader.done()) {
    RETURN_IF_ERROR(TakeField(reader, signature, message));
  }
  const size_t body = Aligned(kFixedHeader + fields, 8);
  if (body > size) return DataLoss("D-Bus message: shorter than its header");
  RETURN_IF_ERROR(TakeWords(signature, Reader(bytes.substr(body, size - body)),
                            message.words));
  return message;
}

}  // namespace berth::oci
