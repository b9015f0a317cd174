#include "image/archive/file_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::image {
namespace {

constexpr size_t kBlock = 512;
constexpr char kPartial[] = ".partial";
constexpr uint64_t kMaxOctal = uint64_t{1} << 33;  // 11 digits

// Bytes that somebody else holds.
class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string_view bytes) : bytes_(bytes) {}
  StatusOr<std::string_view> Next() override {
    return std::exchange(bytes_, std::string_view());
  }

 private:
  std::string_view bytes_;
};

// Hands on exactly `size` bytes.
Status Copy(const Context& ctx, const std::string& name, uint64_t size,
            ByteSource& bytes, const TarSink::Write& write) {
  uint64_t left = size;
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view piece, bytes.Next());
    if (piece.empty()) break;
    if (piece.size() > left) return DataLoss(name + " is longer than it said");
    left -= piece.size();
    RETURN_IF_ERROR(write(piece));
  }
  return left == 0 ? OkStatus() : DataLoss(name + " is shorter than it said");
}

std::string Octal(uint64_t value, int digits) {
  char text[32];
  snprintf(text, sizeof(text), "%0*llo", digits,
           static_cast<unsigned long long>(value));
  return text;
}

std::string SizeField(uint64_t size) {
  if (size < kMaxOctal) return Octal(size, 11);
  std::string field(12, '\0');
  field[0] = '\x80';
  for (size_t i = field.size(); i-- > 4; size >>= 8) {
    field[i] = static_cast<char>(size & 0xff);
  }
  return field;
}

// POSIX.1-1988; tar(5).
std::string Header(const std::string& name, uint64_t size) {
  std::string block(kBlock, '\0');
  const auto put = [&block](size_t at, const std::string& field) {
    block.replace(at, field.size(), field);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");  // uid
  put(116, "0000000");  // gid
  put(124, SizeField(size));
  put(136, Octal(0, 11));  // no time, so that equal images are equal files
  put(148, "        ");
  put(156, "0");
  put(257, std::string("ustar\00000", 8));
  unsigned int sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, Octal(sum, 6) + std::string("\0 ", 2));
  return block;
}

}  // namespace

Status FileSink::Put(const Context& ctx, const std::string& name,
                     std::string_view bytes) {
  TextSource source(bytes);
  return Put(ctx, name, bytes.size(), source);
}

StatusOr<std::unique_ptr<DirectorySink>> DirectorySink::Open(
    const std::string& directory) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + Quoted(directory));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(fd.get()));
  if (!names.empty()) {
    return FailedPrecondition("directory " + Quoted(directory) +
                              " is not empty");
  }
  return std::unique_ptr<DirectorySink>(
      new DirectorySink(directory, std::move(fd)));
}

Status DirectorySink::Put(const Context& ctx, const std::string& name,
                          uint64_t size, ByteSource& bytes) {
  for (size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const std::string parent = name.substr(0, slash);
    if (mkdirat(fd_.get(), parent.c_str(), 0755) != 0 && errno != EEXIST) {
      return Errno(errno, "mkdir " + Quoted(directory_ + "/" + parent));
    }
  }
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenFileAt(fd_.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0644));
  return Copy(ctx, name, size, bytes, [&](std::string_view piece) {
    return WriteAll(file.get(), piece);
  });
}

Status TarSink::Put(const Context& ctx, const std::string& name, uint64_t size,
                    ByteSource& bytes) {
  if (name.size() > 100) {
    return Internal("archive member " + Quoted(name) + " has a long name");
  }
  RETURN_IF_ERROR(write_(Header(name, size)));
  RETURN_IF_ERROR(Copy(ctx, name, size, bytes, write_));
  const size_t rest = size % kBlock;
  return rest == 0 ? OkStatus() : write_(std::string(kBlock - rest, '\0'));
}

Status TarSink::Finish() { return write_(std::string(2 * kBlock, '\0')); }

TarFileSink::TarFileSink(std::string path, UniqueFd fd)
    : TarSink([this](std::string_view bytes) {
        return WriteAll(fd_.get(), bytes);
      }),
      path_(std::move(path)),
      fd_(std::move(fd)) {}

TarFileSink::~TarFileSink() {
  if (!finished_) unlink((path_ + kPartial).c_str());
}

StatusOr<std::unique_ptr<TarFileSink>> TarFileSink::Open(
    const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFile(path + kPartial,
                            O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  return std::unique_ptr<TarFileSink>(new TarFileSink(path, std::move(fd)));
}

Status TarFileSink::Finish() {
  RETURN_IF_ERROR(TarSink::Finish());
  RETURN_IF_ERROR(SyncFile(fd_.get(), path_));
  if (rename((path_ + kPartial).c_str(), path_.c_str()) != 0) {
    return Errno(errno, "rename to " + Quoted(path_));
  }
  finished_ = true;
  return OkStatus();
}

StatusOr<std::unique_ptr<FileSink>> OpenFileSink(const std::string& path) {
  struct stat info;
  const bool is_directory =
      EndsWith(path, "/") ||
      (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode));
  if (is_directory) {
    ASSIGN_OR_RETURN(std::unique_ptr<FileSink> sink, DirectorySink::Open(path));
    return sink;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<FileSink> sink, TarFileSink::Open(path));
  return sink;
}

}  // namespace berth::image
