#ifndef CNI_PLUGIN_EXEC_PLUGIN_H_
#define CNI_PLUGIN_EXEC_PLUGIN_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "cni/plugin/plugin.h"

namespace berth::cni {

// A program. Its errors are its JSON error, or the beginning of its standard
// error; UNAVAILABLE also when the program or its interpreter is gone;
// DEADLINE_EXCEEDED when it was killed at the time limit; INTERNAL for an
// answer that is not JSON, among others. Thread-safe.
class ExecPlugin : public Plugin {
 public:
  // `folders`: CNI_PATH, where it finds the plugins that it runs itself.
  ExecPlugin(std::string program, std::vector<std::string> folders,
             Duration time_limit);

  StatusOr<Json> Run(const Context& ctx,
                     const Invocation& invocation) const override;

 private:
  const std::string program_;
  const std::vector<std::string> folders_;
  const Duration time_limit_;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_EXEC_PLUGIN_H_
