#include "image/content/content_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/failpoint.h"
#include "base/sys/file.h"

namespace berth::image {
namespace {

BlobInfo InfoOf(const Digest& digest, const struct stat& info) {
  BlobInfo blob;
  blob.digest = digest;
  blob.size = static_cast<uint64_t>(info.st_size);
  blob.modified =
      info.st_mtim.tv_sec * UnixNanos{1'000'000'000} + info.st_mtim.tv_nsec;
  return blob;
}

Status Missing(const Digest& digest) {
  return NotFound("no blob " + digest.str());
}

StatusOr<std::vector<BlobInfo>> ListIn(int directory) {
  std::vector<BlobInfo> all;
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(directory));
  for (const std::string& name : names) {
    const StatusOr<Digest> digest = Digest::Parse("sha256:" + name);
    if (!digest.ok()) continue;
    const StatusOr<struct stat> info = StatAt(directory, name);
    // Else removed meanwhile.
    if (info.ok()) all.push_back(InfoOf(*digest, *info));
  }
  return all;
}

}  // namespace

StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(
    const std::string& directory) {
  const std::string blobs = directory + "/blobs/sha256";
  const std::string ingest = directory + "/ingest";
  RETURN_IF_ERROR(MakeDirectories(blobs, 0700));
  RETURN_IF_ERROR(MakeDirectories(ingest, 0700));
  ASSIGN_OR_RETURN(UniqueFd blobs_fd, OpenFile(blobs, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(UniqueFd ingest_fd,
                   OpenFile(ingest, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<ContentStore>(
      new ContentStore(std::move(blobs_fd), std::move(ingest_fd)));
}

StatusOr<BlobInfo> ContentStore::Stat(const Digest& digest) const {
  if (digest.empty()) return Missing(digest);
  StatusOr<struct stat> info = StatAt(blobs_.get(), digest.hex());
  if (ErrnoOf(info.status()) == ENOENT) return Missing(digest);
  if (!info.ok()) return info.status();
  return InfoOf(digest, *info);
}

StatusOr<UniqueFd> ContentStore::Open(const Digest& digest) const {
  if (digest.empty()) return Missing(digest);
  StatusOr<UniqueFd> fd =
      OpenFileAt(blobs_.get(), digest.hex(), O_RDONLY | O_NOFOLLOW);
  if (ErrnoOf(fd.status()) == ENOENT) return Missing(digest);
  return fd;
}

StatusOr<std::string> ContentStore::Read(const Digest& digest,
                                         uint64_t limit) const {
  ASSIGN_OR_RETURN(const UniqueFd fd, Open(digest));
  ASSIGN_OR_RETURN(std::string bytes,
                   ReadAll(fd.get(), limit, "blob " + digest.str()));
  if (Digest::Of(bytes) != digest) {
    return DataLoss("blob " + digest.str() + " is damaged");
  }
  return bytes;
}

StatusOr<std::unique_ptr<BlobWriter>> ContentStore::Ingest(
    const Descriptor& expected) {
  if (expected.digest.empty()) {
    return InvalidArgument("ingest a blob without a digest");
  }
  ASSIGN_OR_RETURN(UniqueFd file,
                   OpenFileAt(ingest_.get(), expected.digest.hex(),
                              O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  // Not abandoned any more.
  if (futimens(file.get(), nullptr) != 0) return Errno(errno, "touch blob");
  std::unique_ptr<BlobWriter> writer(
      new BlobWriter(expected, ingest_.get(), blobs_.get(), std::move(file)));
  RETURN_IF_ERROR_AS(writer->Resume(), "resume blob " + expected.digest.str());
  RETURN_IF_ERROR(Failpoint("image.blob.begun"));
  return writer;
}

StatusOr<UniqueFd> ContentStore::OpenPartial(const Digest& digest) const {
  return OpenFileAt(ingest_.get(), digest.hex(), O_RDONLY | O_NOFOLLOW);
}

bool ContentStore::Holds(const Digest& digest, std::string_view bytes) const {
  const StatusOr<std::string> there = Read(digest, bytes.size());
  return there.ok() && *there == bytes;
}

StatusOr<bool> ContentStore::Write(const Digest& digest,
                                   std::string_view bytes) {
  if (Holds(digest, bytes)) return false;
  Descriptor descriptor;
  descriptor.digest = digest;
  descriptor.size = bytes.size();
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                   Ingest(descriptor));
  RETURN_IF_ERROR(writer->Restart());
  RETURN_IF_ERROR(writer->Append(bytes));
  RETURN_IF_ERROR(writer->Commit());
  return true;
}

Status ContentStore::Remove(const Digest& digest) {
  if (unlinkat(blobs_.get(), digest.hex().c_str(), 0) != 0 && errno != ENOENT) {
    return Errno(errno, "unlink blob " + digest.str());
  }
  return OkStatus();
}

Status ContentStore::RemoveIfDamaged(const Digest& digest) {
  const StatusOr<UniqueFd> file = Open(digest);
  if (!file.ok()) return IgnoreNotFound(file.status());
  Sha256 hash;
  std::vector<char> buffer(256 * 1024);
  while (true) {
    ASSIGN_OR_RETURN(const size_t n,
                     ReadUpTo(file->get(), buffer.data(), buffer.size()));
    if (n == 0) break;
    hash.Update({buffer.data(), n});
  }
  return hash.Value() == digest ? OkStatus() : Remove(digest);
}

StatusOr<std::vector<BlobInfo>> ContentStore::List() const {
  return ListIn(blobs_.get());
}

StatusOr<std::vector<BlobInfo>> ContentStore::ListPartial() const {
  ASSIGN_OR_RETURN(std::vector<BlobInfo> all, ListIn(ingest_.get()));
  std::sort(all.begin(), all.end(), [](const BlobInfo& a, const BlobInfo& b) {
    return a.modified > b.modified;
  });
  return all;
}

Status ContentStore::TrimPartial(uint64_t most, UnixNanos before,
                                 const std::set<Digest>& spared) {
  ASSIGN_OR_RETURN(const std::vector<BlobInfo> all, ListPartial());
  uint64_t kept = 0;
  for (const BlobInfo& blob : all) {
    if (spared.count(blob.digest) > 0) continue;
    if (blob.modified >= before && blob.size <= most - kept) {
      kept += blob.size;
      continue;
    }
    if (unlinkat(ingest_.get(), blob.digest.hex().c_str(), 0) != 0 &&
        errno != ENOENT) {
      return Errno(errno, "unlink half-written blob " + blob.digest.str());
    }
  }
  return OkStatus();
}

Status ContentStore::Sync() const {
  return SyncFileSystem(blobs_.get(), "content store");
}

}  // namespace berth::image
