#include "image/content/blob_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/failpoint.h"
#include "base/sys/file.h"
#include "image/content/free_space.h"

namespace berth::image {

BlobWriter::~BlobWriter() {
  // Nothing is no beginning.
  if (!file_.valid() || offset_ > 0) return;
  unlinkat(directory_, expected_.digest.hex().c_str(), 0);
}

Status BlobWriter::Resume() {
  std::vector<char> buffer(256 * 1024);
  while (true) {
    ASSIGN_OR_RETURN(const size_t n,
                     ReadUpTo(file_.get(), buffer.data(), buffer.size()));
    if (n == 0) break;
    hash_.Update({buffer.data(), n});
    offset_ += n;
  }
  // Longer than it may become, or whole and yet not committed: start anew.
  if (offset_ > expected_.size ||
      (offset_ == expected_.size && hash_.Value() != expected_.digest)) {
    return Restart();
  }
  return OkStatus();
}

Status BlobWriter::Store(std::string_view bytes) {
  unchecked_ += bytes.size();
  if (unchecked_ >= kSpaceCheckInterval) {
    unchecked_ = 0;
    RETURN_IF_ERROR(CheckFreeSpace(file_.get()));
  }
  return WriteAll(file_.get(), bytes);
}

Status BlobWriter::Append(std::string_view bytes) {
  if (bytes.size() > expected_.size - offset_) {
    return DataLoss("blob " + expected_.digest.str() + " is longer than the " +
                    std::to_string(expected_.size) + " bytes announced");
  }
  const Status written = Store(bytes);
  if (!written.ok()) {
    // Truncated, as a reader may hold the file open.
    if (written.code() == StatusCode::kResourceExhausted) {
      RETURN_IF_ERROR(Restart());
    }
    return Annotate(written, "store blob " + expected_.digest.str());
  }
  hash_.Update(bytes);
  offset_ += bytes.size();
  return OkStatus();
}

Status BlobWriter::Commit() {
  const std::string name = expected_.digest.hex();
  if (offset_ != expected_.size || hash_.Value() != expected_.digest) {
    const std::string found = offset_ != expected_.size
                                  ? std::to_string(offset_) + " bytes"
                                  : hash_.Value().str();
    unlinkat(directory_, name.c_str(), 0);
    return DataLoss("blob " + expected_.digest.str() + " of " +
                    std::to_string(expected_.size) + " bytes: got " + found);
  }
  RETURN_IF_ERROR(Failpoint("image.blob.whole"));
  if (fchmod(file_.get(), 0400) != 0) return Errno(errno, "fchmod blob");
  if (renameat(directory_, name.c_str(), target_, name.c_str()) != 0) {
    return Errno(errno, "rename blob " + expected_.digest.str());
  }
  file_.reset();
  return Failpoint("image.blob.committed");
}

Status BlobWriter::Restart() {
  if (ftruncate(file_.get(), 0) != 0) return Errno(errno, "ftruncate blob");
  if (lseek(file_.get(), 0, SEEK_SET) != 0) return Errno(errno, "lseek blob");
  hash_ = Sha256();
  offset_ = 0;
  return OkStatus();
}

}  // namespace berth::image
