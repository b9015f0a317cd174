#ifndef SANDBOX_SPEC_ID_MAPS_H_
#define SANDBOX_SPEC_ID_MAPS_H_

#include "api/state/v1/state.pb.h"
#include "base/sys/id_mapped.h"

namespace berth::sandbox {

// The sandbox's user namespace; empty if it has none of its own. Pure.
inline IdMaps IdMapsOf(const state::v1::SandboxConfig& sandbox) {
  const auto ranges = [](const auto& mappings) {
    std::vector<IdRange> all;
    for (const auto& m : mappings) {
      all.push_back({m.container_id(), m.host_id(), m.size()});
    }
    return all;
  };
  const auto& options = sandbox.namespaces();
  return {ranges(options.uid_mappings()), ranges(options.gid_mappings())};
}

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_ID_MAPS_H_
