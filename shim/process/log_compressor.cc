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
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"

namespace berth::shim {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr int kGzip = 16;  // deflateInit2: a gzip header around it
constexpr int kNice = 10;
constexpr char kPart[] = ".gz.";  // and the inode of the plain file

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

// Upwards, as a rotation meanwhile renames upwards too: none is missed but the
// one that it adds.
void CompressEach(const std::string& log, uint32_t files) {
  for (uint32_t i = 1; i < files; ++i) {
    const StatusOr<UniqueFd> plain =
        OpenFile(NameOf(log, i), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (plain.ok()) CompressHere(log, files, plain->get()).IgnoreError();
  }
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
  if (!S_ISREG(info.st_mode)) return FailedPrecondition("not a log");
  const std::string part =
      log + kPart + std::to_string(static_cast<uint64_t>(info.st_ino));
  ASSIGN_OR_RETURN(const UniqueFd to,
                   OpenFile(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                            info.st_mode & 0777));
  Status done = Deflate(plain, to.get());
  // Else a host that loses its power has neither of the two.
  if (done.ok()) done = SyncFile(to.get(), part);
  if (done.ok()) done = Place(log, files, info, part);
  // It has another name by now if all went well.
  unlink(part.c_str());
  return done;
}

StatusOr<UniqueFd> CompressRotated(const std::string& log, uint32_t files) {
  const pid_t child = fork();
  if (child < 0) return Errno(errno, "fork to compress a log");
  if (child == 0) {
    close_range(3, ~0U, 0);
    setpriority(PRIO_PROCESS, 0, kNice);
    CompressEach(log, files);
    _exit(0);
  }
  return OpenPidfd(child);
}

void RemoveParts(const std::string& log) {
  const size_t slash = log.rfind('/') + 1;
  const std::string prefix = log.substr(slash) + kPart;
  const StatusOr<UniqueFd> folder =
      OpenFile(log.substr(0, slash), O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return;
  const StatusOr<std::vector<std::string>> names = ListDirectory(folder->get());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (StartsWith(name, prefix)) unlinkat(folder->get(), name.c_str(), 0);
  }
}

}  // namespace berth::shim
