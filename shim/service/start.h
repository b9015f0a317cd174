#ifndef SHIM_SERVICE_START_H_
#define SHIM_SERVICE_START_H_

#include <string>

#include "base/status.h"

namespace berth::shim {

// The command line of containerd's shim v2 contract.
struct ShimFlags {
  std::string name_space;
  std::string address;         // of the manager's gRPC socket
  std::string publish_binary;  // not used: events go to TTRPC_ADDRESS
  std::string id;
  std::string bundle;  // `delete` only; else the working directory
  bool debug = false;
};

// berthd sets this variable to the whole path of the socket. It also tells who
// the manager is: containerd has one container per state directory and cleans
// up after each by itself; berthd has a sandbox's, and cleans up once.
inline constexpr char kSocketVariable[] = "BERTH_SHIM_SOCKET";

// Beside the socket of a shim of containerd's: what its runtime's runs need.
std::string ScratchOf(const std::string& socket);

// `start`: listens, leaves a daemon behind that serves, and answers what goes
// to standard output. If a shim of the same group (a pod's) listens already,
// its address is the answer and nothing is started.
//
// Does not return in the daemon. The daemon: a session of its own, standard
// streams on /dev/null, errors to the fifo "log" in the working directory
// (containerd's) or to the file "shim.log" there.
StatusOr<std::string> StartShim(const ShimFlags& flags,
                                const std::string& input);

}  // namespace berth::shim

#endif  // SHIM_SERVICE_START_H_
