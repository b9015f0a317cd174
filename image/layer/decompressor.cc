#include "image/layer/decompressor.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace berth::image {
namespace {

constexpr size_t kOutputSize = 256 * 1024;
constexpr int kMaxWindowLog = 27;
constexpr std::string_view kGzipMagic("\x1f\x8b", 2);

Status Broken(const std::string& format, const std::string& why) {
  return InvalidArgument(format + " stream: " + why);
}

// Input that can be looked at before it is used up.
class Input {
 public:
  Input(ByteSource& from, std::string first)
      : from_(from), first_(std::move(first)), bytes_(first_) {}

  std::string_view bytes() const { return bytes_; }
  void Consume(size_t n) { bytes_.remove_prefix(n); }
  bool ended() const { return ended_; }

  // Makes bytes() non-empty unless the input has ended.
  Status Fill() {
    if (!bytes_.empty() || ended_) return OkStatus();
    ASSIGN_OR_RETURN(bytes_, from_.Next());
    ended_ = bytes_.empty();
    return OkStatus();
  }

 private:
  ByteSource& from_;
  const std::string first_;
  std::string_view bytes_;
  bool ended_ = false;
};

class PlainDecompressor : public Decompressor {
 public:
  PlainDecompressor(ByteSource& from, std::string first)
      : input_(from, std::move(first)) {}
  Compression compression() const override { return Compression::kNone; }
  StatusOr<std::string_view> Next() override {
    RETURN_IF_ERROR(input_.Fill());
    const std::string_view bytes = input_.bytes();
    input_.Consume(bytes.size());
    return bytes;
  }

 private:
  Input input_;
};

class GzipDecompressor : public Decompressor {
 public:
  GzipDecompressor(ByteSource& from, std::string first)
      : input_(from, std::move(first)),
        state_(std::make_unique<inflate_state>()),
        output_(kOutputSize) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }
  Compression compression() const override { return Compression::kGzip; }
  StatusOr<std::string_view> Next() override;

 private:
  // Whether another member follows the one that has just ended.
  StatusOr<bool> BeginMember();

  Input input_;
  const std::unique_ptr<inflate_state> state_;
  std::vector<uint8_t> output_;
  bool done_ = false;
};

StatusOr<bool> GzipDecompressor::BeginMember() {
  std::string magic;
  while (true) {
    RETURN_IF_ERROR(input_.Fill());
    if (input_.ended()) {
      if (magic.empty()) return false;
      return Broken("gzip", "rubbish behind its end");
    }
    // Writers to tapes pad with zeros.
    if (magic.empty() && input_.bytes().front() == '\0') {
      input_.Consume(1);
      continue;
    }
    magic += input_.bytes().front();
    input_.Consume(1);
    if (!StartsWith(kGzipMagic, magic)) {
      return Broken("gzip", "rubbish behind its end");
    }
    if (magic.size() == kGzipMagic.size()) break;
  }
  isal_inflate_reset(state_.get());
  state_->crc_flag = ISAL_GZIP;
  // The two bytes are eaten already: the header parser gets them first.
  state_->next_in =
      reinterpret_cast<uint8_t*>(const_cast<char*>(kGzipMagic.data()));
  state_->avail_in = static_cast<uint32_t>(kGzipMagic.size());
  state_->next_out = output_.data();
  state_->avail_out = static_cast<uint32_t>(output_.size());
  if (isal_inflate(state_.get()) < 0) return Broken("gzip", "damaged header");
  return true;
}

StatusOr<std::string_view> GzipDecompressor::Next() {
  while (!done_) {
    if (state_->block_state == ISAL_BLOCK_FINISH) {
      ASSIGN_OR_RETURN(const bool more, BeginMember());
      done_ = !more;
      continue;
    }
    RETURN_IF_ERROR(input_.Fill());
    const std::string_view bytes = input_.bytes();
    state_->next_in =
        reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
    state_->avail_in = static_cast<uint32_t>(bytes.size());
    state_->next_out = output_.data();
    state_->avail_out = static_cast<uint32_t>(output_.size());
    const int result = isal_inflate(state_.get());
    if (result < 0) {
      return Broken("gzip", "damaged (code " + std::to_string(result) + ")");
    }
    input_.Consume(bytes.size() - state_->avail_in);
    const size_t made = output_.size() - state_->avail_out;
    if (made > 0) {
      return std::string_view(reinterpret_cast<char*>(output_.data()), made);
    }
    if (input_.ended() && state_->block_state != ISAL_BLOCK_FINISH) {
      return Broken("gzip", "ends early");
    }
  }
  return std::string_view();
}

class ZstdDecompressor : public Decompressor {
 public:
  ZstdDecompressor(ByteSource& from, std::string first)
      : input_(from, std::move(first)),
        context_(ZSTD_createDCtx(), ZSTD_freeDCtx),
        output_(kOutputSize) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }
  Compression compression() const override { return Compression::kZstd; }
  StatusOr<std::string_view> Next() override;

 private:
  Input input_;
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context_;
  std::vector<char> output_;
  bool in_frame_ = false;
  bool flushed_ = true;  // the last call did not fill the output
};

StatusOr<std::string_view> ZstdDecompressor::Next() {
  while (true) {
    RETURN_IF_ERROR(input_.Fill());
    if (input_.ended()) {
      if (!in_frame_) return std::string_view();
      if (flushed_) return Broken("zstd", "ends early");
    }
    ZSTD_inBuffer in = {input_.bytes().data(), input_.bytes().size(), 0};
    ZSTD_outBuffer out = {output_.data(), output_.size(), 0};
    const size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(left)) return Broken("zstd", ZSTD_getErrorName(left));
    input_.Consume(in.pos);
    in_frame_ = left != 0;
    flushed_ = out.pos < out.size;
    if (out.pos > 0) return std::string_view(output_.data(), out.pos);
  }
}

}  // namespace

Compression DetectCompression(std::string_view first) {
  if (StartsWith(first, kGzipMagic)) return Compression::kGzip;
  if (first.size() < 4) return Compression::kNone;
  if (StartsWith(first, "\x28\xb5\x2f\xfd")) return Compression::kZstd;
  const bool skippable =
      (first[0] & 0xf0) == 0x50 && first.substr(1, 3) == "\x2a\x4d\x18";
  return skippable ? Compression::kZstd : Compression::kNone;
}

StatusOr<std::unique_ptr<Decompressor>> Decompressor::Open(ByteSource& from) {
  std::string first;
  while (first.size() < 4) {
    ASSIGN_OR_RETURN(const std::string_view bytes, from.Next());
    if (bytes.empty()) break;
    first.append(bytes);
  }
  std::unique_ptr<Decompressor> opened;
  switch (DetectCompression(first)) {
    case Compression::kGzip:
      opened = std::make_unique<GzipDecompressor>(from, std::move(first));
      break;
    case Compression::kZstd:
      opened = std::make_unique<ZstdDecompressor>(from, std::move(first));
      break;
    case Compression::kNone:
      opened = std::make_unique<PlainDecompressor>(from, std::move(first));
      break;
  }
  return opened;
}

}  // namespace berth::image
