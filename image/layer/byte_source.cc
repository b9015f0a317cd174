#include "image/layer/byte_source.h"

#include <string>

#include "base/sys/file.h"

namespace berth::image {
namespace {

constexpr size_t kBufferSize = 256 * 1024;

}  // namespace

FileSource::FileSource(UniqueFd file)
    : file_(std::move(file)), buffer_(kBufferSize) {}

StatusOr<std::string_view> FileSource::Next() {
  ASSIGN_OR_RETURN(const size_t n,
                   ReadUpTo(file_.get(), buffer_.data(), buffer_.size()));
  return std::string_view(buffer_.data(), n);
}

StatusOr<std::string_view> HashingSource::Next() {
  ASSIGN_OR_RETURN(const std::string_view bytes, from_.Next());
  size_ += bytes.size();
  if (size_ > limit_) {
    return FailedPrecondition("layer unpacks to more than the limit of " +
                              std::to_string(limit_) + " bytes");
  }
  hash_.Update(bytes);
  return bytes;
}

}  // namespace berth::image
