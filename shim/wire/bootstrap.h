// The start contract between a manager and a shim: what goes over standard
// input and output, and what a shim may say where it listens. Both sides.
//
// Managers differ: containerd until 2.2 sends the options alone, as an Any,
// and takes the address as plain text (1.6) or JSON (1.7 on); from 2.3 on it
// sends BootstrapParams and takes BootstrapResult. An Any parses as
// BootstrapParams too, so only an id that matches tells them apart.
#ifndef SHIM_WIRE_BOOTSTRAP_H_
#define SHIM_WIRE_BOOTSTRAP_H_

#include <string>

#include "api/shim/types/runc/options/oci.pb.h"
#include "base/status.h"

namespace berth::shim {

struct StartInput {
  bool bootstrap = false;  // the manager speaks BootstrapParams
  std::string socket_dir;  // empty: our choice
  std::string event_address;
  containerd::runc::v1::Options options;
};

// What stands on the shim's standard input. INVALID_ARGUMENT.
StatusOr<StartInput> ParseStartInput(const std::string& bytes,
                                     const std::string& id,
                                     const std::string& name_space);
// The same from the manager's side.
std::string FormatStartInput(const std::string& id,
                             const std::string& name_space,
                             const containerd::runc::v1::Options& options);
// The options alone, for shims that know no BootstrapParams.
std::string FormatOptions(const containerd::runc::v1::Options& options);

// Where a shim listens.
struct ShimAddress {
  std::string path;  // of a unix socket
  int version = 2;   // of the task API
};

enum class StartFormat { kPlain, kJson, kBootstrap };
std::string FormatStartOutput(const ShimAddress& address, StartFormat format);
// Any of the three. UNIMPLEMENTED for a protocol that is not ttrpc;
// DATA_LOSS for what is no address.
StatusOr<ShimAddress> ParseStartOutput(const std::string& bytes);

// A name for the socket of one group of containers of one manager: 32 hex
// digits, the same for the same three. Not secret.
std::string SocketName(const std::string& manager,
                       const std::string& name_space, const std::string& group);

}  // namespace berth::shim

#endif  // SHIM_WIRE_BOOTSTRAP_H_
