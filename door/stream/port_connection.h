#ifndef DOOR_STREAM_PORT_CONNECTION_H_
#define DOOR_STREAM_PORT_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::door {

// A connection to a port of "localhost", 127.0.0.1 or else ::1, in the network
// that its sockets are made in. Never waits. Single-threaded.
class PortConnection {
 public:
  // See forward.h.
  using MakeSocket = std::function<StatusOr<UniqueFd>(int family)>;

  PortConnection(uint16_t port, const MakeSocket& make_socket)
      : port_(port), make_socket_(make_socket) {}

  // An error if neither address answers: what each of them said.
  Status Connect();
  bool connecting() const { return connecting_; }
  int fd() const { return socket_.get(); }

  // poll(2) has an event for a socket that is connecting.
  Status FinishConnect();

  // For the server, as soon as it takes it.
  void Put(std::string_view bytes) { unsent_ += bytes; }
  void EndInput() { input_ended_ = true; }
  size_t unsent() const { return unsent_.size(); }
  // How much has been sent; the end follows the last of it.
  StatusOr<size_t> Flush();
  // From the server; empty at its end, nothing if nothing has come.
  StatusOr<std::optional<std::string>> TryRead(size_t limit);

  bool input_ended() const { return input_ended_ && unsent_.empty(); }
  bool output_ended() const { return output_ended_; }
  // The last that happened.
  SteadyTime since = SteadyTime();

 private:
  Status Try(int family);

  const uint16_t port_;
  const MakeSocket& make_socket_;
  UniqueFd socket_;
  bool connecting_ = false;
  int family_ = 0;
  std::string failures_;
  std::string unsent_;
  bool input_ended_ = false;
  bool shut_ = false;
  bool output_ended_ = false;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_PORT_CONNECTION_H_
