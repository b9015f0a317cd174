#ifndef DOOR_LISTENER_H_
#define DOOR_LISTENER_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::door {

// A socket that a door listens on. It is closed, and its file removed, when
// this is destroyed. Movable; thread-compatible.
class Listener {
 public:
  // How long to leave the listener alone when Accept has failed.
  static constexpr Duration kPause = std::chrono::milliseconds(50);

  // A Unix socket with this mode. A socket file that nobody listens on is
  // replaced; ALREADY_EXISTS if a process does.
  static StatusOr<Listener> OnUnix(const std::string& path, mode_t mode);

  // A Unix socket, non-blocking, on which somebody listens for us already; its
  // file stays that one's.
  static Listener OnInherited(UniqueFd socket);

  // A TCP socket on "IP:port" or "[IP]:port". INVALID_ARGUMENT if the address
  // is something else, ALREADY_EXISTS if it is taken.
  static StatusOr<Listener> OnTcp(const std::string& address);

  Listener() = default;
  Listener(Listener&& other) noexcept = default;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() { Close(); }

  // "IP:port" or "[IP]:port" of a TCP socket, with the port that the kernel
  // chose for port 0.
  StatusOr<std::string> Address() const;

  // To wait for connections: readable when there are some.
  int fd() const { return socket_.get(); }

  // Accepts what waits, some dozens at most so that others get their turn, and
  // gives it to `take`: non-blocking and close-on-exec. If no descriptor is
  // free, `make_room` may close one and answers whether it did.
  // An error if it did not: connections wait, the listener stays readable, and
  // the caller has to leave it alone for kPause.
  Status Accept(const std::function<void(UniqueFd)>& take,
                const std::function<bool()>& make_room) const;

  void Close();

 private:
  Listener(UniqueFd socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}

  UniqueFd socket_;
  std::string path_;
};

// Whether "IP:port" or "[IP]:port" can be reached from this machine alone.
// INVALID_ARGUMENT if it is something else.
StatusOr<bool> IsLoopback(const std::string& address);

}  // namespace berth::door

#endif  // DOOR_LISTENER_H_
