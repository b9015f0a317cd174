#ifndef OCI_SYSTEMD_DBUS_CONNECTION_H_
#define OCI_SYSTEMD_DBUS_CONNECTION_H_

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/systemd/dbus_wire.h"

namespace berth::oci {

// One end of a D-Bus socket, as whom the kernel says that we are. Everything
// is given until `deadline`, and then ends with DEADLINE_EXCEEDED: a peer that
// hangs costs the time, and nothing else.
//
// Single-threaded.
class DbusConnection {
 public:
  // NOT_FOUND and UNAVAILABLE if nobody listens there.
  static StatusOr<DbusConnection> Open(const std::string& socket,
                                       SteadyTime deadline);

  // The serial number of the call.
  StatusOr<uint32_t> Send(const DbusCall& call, SteadyTime deadline);
  // The next message. UNAVAILABLE if the peer has closed the connection.
  StatusOr<DbusMessage> Receive(SteadyTime deadline);

 private:
  explicit DbusConnection(UniqueFd fd) : fd_(std::move(fd)) {}

  Status Authenticate(SteadyTime deadline);
  Status Write(std::string_view bytes, SteadyTime deadline);
  // Appends what has come to received_; waits for it.
  Status ReadMore(SteadyTime deadline);
  Status Await(short events, SteadyTime deadline) const;

  UniqueFd fd_;
  uint32_t last_serial_ = 0;
  std::string received_;
};

}  // namespace berth::oci

#endif  // OCI_SYSTEMD_DBUS_CONNECTION_H_
