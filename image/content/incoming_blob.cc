#include "image/content/incoming_blob.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/sys/file.h"

namespace berth::image {
namespace {

constexpr size_t kBufferSize = 256 * 1024;

}  // namespace

IncomingBlob::IncomingBlob()
    : whole_(Internal("the fetch broke off")), buffer_(kBufferSize) {}

void IncomingBlob::Follow(UniqueFd file) {
  MutexLock lock(mutex_);
  file_ = std::move(file);
}

bool IncomingBlob::following() const {
  MutexLock lock(mutex_);
  return file_.valid();
}

void IncomingBlob::Grow(uint64_t bytes) {
  MutexLock lock(mutex_);
  restarted_ = restarted_ || bytes < available_;
  available_ = bytes;
  grown_.SignalAll();
}

void IncomingBlob::Finish(StatusOr<UniqueFd> whole) {
  whole_ = std::move(whole);
  End();
}

void IncomingBlob::End() {
  MutexLock lock(mutex_);
  finished_ = true;
  grown_.SignalAll();
}

bool IncomingBlob::restarted() const {
  MutexLock lock(mutex_);
  return restarted_;
}

StatusOr<std::string_view> IncomingBlob::Next() {
  int file = -1;
  size_t most = buffer_.size();
  bool may_end = false;
  {
    MutexLock lock(mutex_);
    while (!finished_ && !restarted_ &&
           (!file_.valid() || position_ >= available_)) {
      grown_.Wait(mutex_);
    }
    if (restarted_) return Unavailable("the blob comes anew");
    if (finished_) {
      RETURN_IF_ERROR(whole_.status());
      file = whole_->get();
      may_end = true;
    } else {
      file = file_.get();
      most = std::min<uint64_t>(most, available_ - position_);
    }
  }
  const ssize_t n = TEMP_FAILURE_RETRY(
      pread(file, buffer_.data(), most, static_cast<off_t>(position_)));
  if (n < 0) return Errno(errno, "read a blob");
  if (n == 0 && !may_end) {  // cut off, and Grow has not yet said so
    MutexLock lock(mutex_);
    restarted_ = true;
    return Unavailable("the blob comes anew");
  }
  position_ += static_cast<uint64_t>(n);
  return std::string_view(buffer_.data(), static_cast<size_t>(n));
}

}  // namespace berth::image
