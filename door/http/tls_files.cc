#include "door/http/tls_files.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

namespace berth::door {
namespace {

// Until files that could not be opened are tried again.
constexpr Duration kPause = std::chrono::seconds(1);

}  // namespace

StatusOr<std::unique_ptr<TlsReloader>> TlsReloader::Load(
    const TlsFiles& files) {
  // Looked at before: a change in between is seen later.
  const Stamps stamps = Look(files);
  ASSIGN_OR_RETURN(std::shared_ptr<const TlsServer> server,
                   TlsServer::Load(files));
  return std::unique_ptr<TlsReloader>(
      new TlsReloader(files, stamps, std::move(server)));
}

const std::shared_ptr<const TlsServer>& TlsReloader::Current() {
  const Stamps now = Look(files_);
  if (now == stamps_) return server_;
  const bool known = now == failed_;
  const SteadyTime time = std::chrono::steady_clock::now();
  if (known && time < again_at_) return server_;
  StatusOr<std::shared_ptr<const TlsServer>> server = TlsServer::Load(files_);
  if (!server.ok() && ErrnoOf(server.status()) != 0) {
    failed_ = now;
    again_at_ = time + kPause;
  } else {
    stamps_ = now;
  }
  if (server.ok()) {
    server_ = *std::move(server);
  } else if (!known) {
    // Certificate and key are often two writes: the next one mends it.
    dprintf(STDERR_FILENO, "tls: the old certificate stays: %s\n",
            Message(server.status()).c_str());
  }
  return server_;
}

TlsReloader::Stamps TlsReloader::Look(const TlsFiles& files) {
  Stamps stamps = {};
  size_t i = 0;
  for (const std::string* path : {&files.ca_cert, &files.cert, &files.key}) {
    struct stat now;
    if (!path->empty() && stat(path->c_str(), &now) == 0) {
      stamps[i] = {static_cast<int64_t>(now.st_ino), now.st_size,
                   now.st_mtim.tv_sec, now.st_mtim.tv_nsec};
    }
    ++i;
  }
  return stamps;
}

}  // namespace berth::door
