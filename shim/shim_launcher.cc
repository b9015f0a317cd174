#include "shim/shim_launcher.h"

namespace berth::shim {
namespace {

class Launcher : public ShimLauncher {
 public:
  StatusOr<std::unique_ptr<Shim>> Launch(const Context&,
                                         const SandboxShim& sandbox) override {
    return Unimplemented("launch shim of " + sandbox.id);
  }
  StatusOr<std::unique_ptr<Shim>> Reconnect(
      const Context&, const SandboxShim& sandbox) override {
    return Unimplemented("reconnect to shim of " + sandbox.id);
  }
  Status Destroy(const Context&, const SandboxShim& sandbox) override {
    return Unimplemented("destroy shim of " + sandbox.id);
  }
};

}  // namespace

std::unique_ptr<ShimLauncher> NewShimLauncher() {
  return std::make_unique<Launcher>();
}

}  // namespace berth::shim
