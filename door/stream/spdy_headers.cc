#include "door/stream/spdy_headers.h"

#include <zlib.h>

#include <cstdint>
#include <optional>

namespace berth::door {
namespace {

// The dictionary of section 2.6.10.1: these words, each with its length, and
// then kTail.
constexpr const char* kWords[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};
constexpr char kTail[] =
    "10010120120220520630030230330430530630740240540640740840941041141241341441"
    "5416417502504505203 Non-Authoritative Information204 No Content301 Moved P"
    "ermanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Int"
    "ernal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Ap"
    "r May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,ap"
    "plication/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,d"
    "eflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void AppendNumber(std::string& text, size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += static_cast<char>(number >> shift);
  }
}

void AppendText(std::string& text, std::string_view value) {
  AppendNumber(text, value.size());
  text += value;
}

const std::string& Dictionary() {
  static const std::string* const made = [] {
    auto* text = new std::string;
    for (const char* word : kWords) AppendText(*text, word);
    *text += kTail;
    return text;
  }();
  return *made;
}

Bytef* BytesOf(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

uInt SizeOf(std::string_view text) { return static_cast<uInt>(text.size()); }

// A block when it is unpacked: numbers of four bytes, and texts after theirs.
class BlockReader {
 public:
  explicit BlockReader(std::string_view left) : left_(left) {}

  std::optional<uint32_t> Number() {
    if (left_.size() < 4) return std::nullopt;
    uint32_t number = 0;
    for (int i = 0; i < 4; ++i) {
      number = number << 8 | static_cast<uint8_t>(left_[i]);
    }
    left_.remove_prefix(4);
    return number;
  }
  std::optional<std::string> Text() {
    const std::optional<uint32_t> size = Number();
    if (!size.has_value() || *size > left_.size()) return std::nullopt;
    std::string text(left_.substr(0, *size));
    left_.remove_prefix(*size);
    return text;
  }
  bool done() const { return left_.empty(); }

 private:
  std::string_view left_;
};

StatusOr<SpdyHeaderList> ParseBlock(std::string_view bytes) {
  const Status wrong = InvalidArgument("spdy: a header block is malformed");
  BlockReader reader(bytes);
  const std::optional<uint32_t> count = reader.Number();
  if (!count.has_value()) return wrong;
  if (*count > SpdyHeaders::kMaxHeaders) {
    return ResourceExhausted("spdy: a header block of " +
                             std::to_string(*count) + " headers");
  }
  SpdyHeaderList headers;
  for (uint32_t i = 0; i < *count; ++i) {
    std::optional<std::string> name = reader.Text();
    std::optional<std::string> value = reader.Text();
    // Behind a name that is too long a value may be read all the same.
    if (!name.has_value() || !value.has_value()) return wrong;
    headers.emplace_back(*std::move(name), *std::move(value));
  }
  if (!reader.done()) return wrong;
  return headers;
}

}  // namespace

class SpdyHeaders::Inflater {
 public:
  Inflater() : ready_(inflateInit(&stream_) == Z_OK) {}
  ~Inflater() { inflateEnd(&stream_); }

  StatusOr<std::string> Run(std::string_view block) {
    if (!ready_) return ResourceExhausted("spdy: no memory to unpack headers");
    std::string bytes(kMaxBytes, '\0');
    stream_.next_in = BytesOf(block);
    stream_.avail_in = SizeOf(block);
    stream_.next_out = BytesOf(bytes);
    stream_.avail_out = SizeOf(bytes);
    int result = inflate(&stream_, Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT) {
      result = inflateSetDictionary(&stream_, BytesOf(Dictionary()),
                                    SizeOf(Dictionary()));
      if (result == Z_OK) result = inflate(&stream_, Z_SYNC_FLUSH);
    }
    if (stream_.avail_out == 0) {
      return ResourceExhausted("spdy: a header block of more than " +
                               std::to_string(kMaxBytes) + " bytes");
    }
    if (result != Z_OK || stream_.avail_in > 0) {
      return InvalidArgument("spdy: a header block cannot be unpacked");
    }
    bytes.resize(bytes.size() - stream_.avail_out);
    return bytes;
  }

 private:
  z_stream stream_ = {};
  const bool ready_;
};

class SpdyHeaders::Deflater {
 public:
  // The smallest window that the dictionary fits into: little is ever sent.
  Deflater()
      : ready_(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                            /*windowBits=*/11, /*memLevel=*/1,
                            Z_DEFAULT_STRATEGY) == Z_OK &&
               deflateSetDictionary(&stream_, BytesOf(Dictionary()),
                                    SizeOf(Dictionary())) == Z_OK) {}
  ~Deflater() { deflateEnd(&stream_); }

  StatusOr<std::string> Run(std::string_view block) {
    if (!ready_) return ResourceExhausted("spdy: no memory to pack headers");
    std::string bytes(deflateBound(&stream_, block.size()) + 64, '\0');
    stream_.next_in = BytesOf(block);
    stream_.avail_in = SizeOf(block);
    stream_.next_out = BytesOf(bytes);
    stream_.avail_out = SizeOf(bytes);
    if (deflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_in > 0) {
      return Internal("spdy: pack headers");
    }
    bytes.resize(bytes.size() - stream_.avail_out);
    return bytes;
  }

 private:
  z_stream stream_ = {};
  const bool ready_;
};

SpdyHeaders::SpdyHeaders()
    : inflater_(std::make_unique<Inflater>()),
      deflater_(std::make_unique<Deflater>()) {}
SpdyHeaders::~SpdyHeaders() = default;

StatusOr<SpdyHeaderList> SpdyHeaders::Unpack(std::string_view block) {
  ASSIGN_OR_RETURN(const std::string bytes, inflater_->Run(block));
  return ParseBlock(bytes);
}

StatusOr<std::string> SpdyHeaders::Pack(const SpdyHeaderList& headers) {
  std::string block;
  AppendNumber(block, headers.size());
  for (const auto& [name, value] : headers) {
    AppendText(block, name);
    AppendText(block, value);
  }
  return deflater_->Run(block);
}

}  // namespace berth::door
