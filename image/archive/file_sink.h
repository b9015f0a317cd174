// Files written one after another, into a directory or a tar archive: what
// image_files.h reads.
#ifndef IMAGE_ARCHIVE_FILE_SINK_H_
#define IMAGE_ARCHIVE_FILE_SINK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/layer/byte_source.h"

namespace berth::image {

// A seam: a directory, or an archive. Single-threaded.
class FileSink {
 public:
  virtual ~FileSink() = default;
  // A file of `size` bytes; DATA_LOSS if `bytes` has more or fewer. `name` is
  // ours: relative, without "..", at most 100 bytes, and new.
  virtual Status Put(const Context& ctx, const std::string& name, uint64_t size,
                     ByteSource& bytes) = 0;
  // A small file.
  Status Put(const Context& ctx, const std::string& name,
             std::string_view bytes);
  virtual Status Finish() = 0;
};

class DirectorySink : public FileSink {
 public:
  // Made (0755) if it is missing. FAILED_PRECONDITION if something is in it.
  static StatusOr<std::unique_ptr<DirectorySink>> Open(
      const std::string& directory);

  using FileSink::Put;
  Status Put(const Context& ctx, const std::string& name, uint64_t size,
             ByteSource& bytes) override;
  Status Finish() override { return OkStatus(); }

 private:
  DirectorySink(std::string directory, UniqueFd fd)
      : directory_(std::move(directory)), fd_(std::move(fd)) {}

  const std::string directory_;
  const UniqueFd fd_;
};

// A tar stream (POSIX.1-1988, "ustar"; sizes from 8 GiB on as GNU tar writes
// them), the same for the same files.
class TarSink : public FileSink {
 public:
  using Write = std::function<Status(std::string_view bytes)>;
  explicit TarSink(Write write) : write_(std::move(write)) {}

  using FileSink::Put;
  Status Put(const Context& ctx, const std::string& name, uint64_t size,
             ByteSource& bytes) override;
  Status Finish() override;

 private:
  const Write write_;
};

// The same into a file (0600), which has its name once it is whole, and is
// flushed then. What was there before is replaced.
class TarFileSink : public TarSink {
 public:
  static StatusOr<std::unique_ptr<TarFileSink>> Open(const std::string& path);
  ~TarFileSink() override;
  Status Finish() override;

 private:
  TarFileSink(std::string path, UniqueFd fd);

  const std::string path_;
  const UniqueFd fd_;
  bool finished_ = false;
};

// A directory if there is one of this name, or the path ends with a slash; else
// an archive.
StatusOr<std::unique_ptr<FileSink>> OpenFileSink(const std::string& path);

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_FILE_SINK_H_
