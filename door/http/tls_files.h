#ifndef DOOR_HTTP_TLS_FILES_H_
#define DOOR_HTTP_TLS_FILES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "door/http/tls_relay.h"

namespace berth::door {

// The TLS of a server whose certificate is replaced while it serves: each new
// connection gets what the files hold now. Files that cannot be used leave the
// server with what it had, which standard error is told once a change. Files
// that could not be opened, as for want of descriptors, are tried again.
//
// Single-threaded.
class TlsReloader {
 public:
  static StatusOr<std::unique_ptr<TlsReloader>> Load(const TlsFiles& files);

  const std::shared_ptr<const TlsServer>& Current();

 private:
  // Of each file: what changes with it.
  using Stamp = std::array<int64_t, 4>;
  using Stamps = std::array<Stamp, 3>;

  TlsReloader(TlsFiles files, Stamps stamps,
              std::shared_ptr<const TlsServer> server)
      : files_(std::move(files)), stamps_(stamps), server_(std::move(server)) {}
  static Stamps Look(const TlsFiles& files);

  const TlsFiles files_;
  Stamps stamps_;
  // Of files that are to be tried again, and when.
  Stamps failed_ = {};
  SteadyTime again_at_;
  std::shared_ptr<const TlsServer> server_;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_TLS_FILES_H_
