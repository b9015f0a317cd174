#ifndef CNI_MASQUERADE_H_
#define CNI_MASQUERADE_H_

#include <string>

#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"

namespace berth::cni {

// A network whose addresses nobody outside of this host knows.
struct Masquerade {
  std::string subnet;     // "10.88.0.0/16"
  std::string interface;  // its bridge
};

// One firewall rule for a whole network: what its addresses send out of another
// interface than their bridge goes under the host's address. In place of the
// bridge plugin's ipMasq, which runs iptables nine times when a pod starts and
// six times when it ends, and each run reads the rules of all pods.
//
// The rule stays when the last pod has gone, as the bridge does. Thread-safe.
class MasqueradeRule {
 public:
  // Makes the rule unless it is there (somebody may have flushed the table).
  // INVALID_ARGUMENT for what is no subnet or interface; NOT_FOUND without
  // iptables.
  Status Ensure(const Context& ctx, const Masquerade& network);

 private:
  KeyedMutex one_at_a_time_;
};

}  // namespace berth::cni

#endif  // CNI_MASQUERADE_H_
