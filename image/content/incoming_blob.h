#ifndef IMAGE_CONTENT_INCOMING_BLOB_H_
#define IMAGE_CONTENT_INCOMING_BLOB_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/layer/byte_source.h"

namespace berth::image {

// A blob that is read while it arrives: one thread fetches it into a file of
// the store, another reads behind it. The file is their buffer, so that neither
// waits for the other's disk, and a fetch that breaks off can be resumed.
//
// What is read before the end is not verified; the end is only told when the
// whole blob was. Thread-safe for one of each.
class IncomingBlob : public ByteSource {
 public:
  IncomingBlob();

  // ---- Of the fetching thread.

  // The file that grows; at most once.
  void Follow(UniqueFd file);
  bool following() const;
  // So many bytes of it are there. Fewer than before: they come anew.
  void Grow(uint64_t bytes);
  // The whole blob, verified; or why there is none.
  void Finish(StatusOr<UniqueFd> whole);
  // The thread ends. If it has not called Finish, that is an error.
  void End();

  // ---- Of the reader.

  // Waits for bytes; none: the end of a blob that is good. The error of
  // Finish, or UNAVAILABLE if bytes that were read came anew.
  StatusOr<std::string_view> Next() override;

  // ---- After both have ended.

  const Status& fetched() const { return whole_.status(); }
  // Whether it was fetched in one go. If not, what the reader saw is worth
  // nothing, and it has to read the whole.
  bool restarted() const;
  // Only if it was fetched; once.
  UniqueFd TakeWhole() { return *std::move(whole_); }

 private:
  mutable Mutex mutex_;
  CondVar grown_;
  UniqueFd file_ GUARDED_BY(mutex_);
  uint64_t available_ GUARDED_BY(mutex_) = 0;
  bool restarted_ GUARDED_BY(mutex_) = false;
  bool finished_ GUARDED_BY(mutex_) = false;
  // Written by Finish, read after it.
  StatusOr<UniqueFd> whole_;

  // The reader's own.
  uint64_t position_ = 0;
  std::vector<char> buffer_;
};

}  // namespace berth::image

#endif  // IMAGE_CONTENT_INCOMING_BLOB_H_
