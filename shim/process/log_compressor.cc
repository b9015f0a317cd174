#include "shim/process/log_compressor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cstring>
#include <memory>

#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::shim {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr int kGzip = 16;  // deflateInit2: a gzip header around it
constexpr int kNice = 10;

std::string NameOf(const std::string& log, uint32_t index) {
  return log + "." + std::to_string(index);
}

bool SameFile(const std::string& path, const struct stat& wanted) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && info.st_dev == wanted.st_dev &&
         info.st_ino == wanted.st_ino;
}

Status Deflate(int from, int to) {
  z_stream state = {};
  if (deflateInit2(&state, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + kGzip, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return ResourceExhausted("begin to compress a log");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&state, deflateEnd);
  z_stream& stream = *owner;
  std::array<char, kPiece> in;
  std::array<char, kPiece> out;
  bool last = false;
  while (!last) {
    ASSIGN_OR_RETURN(const size_t size, ReadUpTo(from, in.data(), in.size()));
    last = size < in.size();
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(size);
    do {
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
      RETURN_IF_ERROR(
          WriteAll(to, {out.data(), out.size() - stream.avail_out}));
    } while (stream.avail_out == 0);
  }
  return OkStatus();
}

// The compressed file takes the place of the plain one, if that is still kept.
Status Place(const std::string& log, uint32_t files, const struct stat& plain,
             const std::string& part) {
  const UniqueFd lock = LockLogNames(log);
  for (uint32_t i = 1; i < files; ++i) {
    const std::string name = NameOf(log, i);
    if (!SameFile(name, plain)) continue;
    if (rename(part.c_str(), (name + ".gz").c_str()) != 0) {
      return Errno(errno, "rename " + Quoted(part));
    }
    unlink(name.c_str());
    return OkStatus();
  }
  return OkStatus();
}

// The child's own descriptors are the file and the three standard ones.
void CloseOthers(int keep) {
  if (keep > 3) close_range(3, static_cast<unsigned>(keep) - 1, 0);
  close_range(static_cast<unsigned>(keep) + 1, ~0U, 0);
}

}  // namespace

UniqueFd LockLogNames(const std::string& log) {
  const std::string folder = log.substr(0, log.rfind('/') + 1);
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid()) {
    (void)TEMP_FAILURE_RETRY(flock(fd.get(), LOCK_EX));
  }
  return fd;
}

Status CompressHere(const std::string& log, uint32_t files, int plain) {
  ASSIGN_OR_RETURN(const struct stat info, StatFd(plain));
  // As long as this is held no follower begins with it.
  if (flock(plain, LOCK_EX | LOCK_NB) != 0) return Errno(errno, "flock a log");
  const std::string part =
      log + ".gz." + std::to_string(static_cast<uint64_t>(info.st_ino));
  ASSIGN_OR_RETURN(const UniqueFd to,
                   OpenFile(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                            info.st_mode & 0777));
  Status done = Deflate(plain, to.get());
  if (done.ok()) done = Place(log, files, info, part);
  // It has another name by now if all went well.
  unlink(part.c_str());
  return done;
}

Status CompressRotated(const std::string& log, uint32_t files) {
  ASSIGN_OR_RETURN(
      const UniqueFd plain,
      OpenFile(NameOf(log, 1), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  const pid_t child = fork();
  if (child < 0) return Errno(errno, "fork to compress a log");
  if (child == 0) {
    CloseOthers(plain.get());
    setpriority(PRIO_PROCESS, 0, kNice);
    _exit(CompressHere(log, files, plain.get()).ok() ? 0 : 1);
  }
  return OkStatus();
}

}  // namespace berth::shim
