#include "shim/runtime/runtime_choice.h"

#include "shim/runtime/forked_runtime.h"
#include "shim/runtime/runtime_cli.h"

namespace berth::shim {
namespace {

constexpr char kDefaultRoot[] = "/run/berth/oci";

}  // namespace

std::shared_ptr<Runtime> MakeRuntime(EventLoop& loop, Reaper& reaper,
                                     const RuntimeOptions& options,
                                     const std::string& scratch) {
  if (!options.program.empty()) {
    return std::make_shared<RuntimeCli>(loop, reaper, options, scratch);
  }
  RuntimeOptions chosen = options;
  if (chosen.root.empty()) chosen.root = kDefaultRoot;
  return std::make_shared<ForkedRuntime>(loop, reaper, chosen);
}

}  // namespace berth::shim
