#ifndef CNI_INVOKER_H_
#define CNI_INVOKER_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/json.h"
#include "base/status.h"

namespace berth::cni {

// One run of one plugin: the parameters of CNI specification 1.1.0, section 2.
struct Invocation {
  std::string command;  // ADD, DEL, CHECK, STATUS, VERSION
  std::string plugin;   // its "type"
  std::string container_id;
  std::string netns;  // "" when there is none
  std::string interface;
  std::string args;  // "KEY=value;KEY=value"
  Json config;       // written to its standard input
};

// Runs plugins: programs found in a list of folders, the first that has it.
//
// An error names plugin and command, and carries what the plugin said: its
// JSON error, or the beginning of its standard error. UNAVAILABLE when the
// plugin asked to try again later, when no folder has it, or when its program
// cannot be run; FAILED_PRECONDITION when it refused the configuration;
// DEADLINE_EXCEEDED when it was killed for taking too long; INTERNAL for the
// rest, among which is an answer that is not JSON. Never NOT_FOUND, which a
// client would take for its own object.
//
// Thread-safe.
class Invoker {
 public:
  Invoker(std::vector<std::string> folders, Duration time_limit);

  // The answer of ADD or VERSION; null if the plugin printed nothing.
  StatusOr<Json> Run(const Context& ctx, const Invocation& invocation) const;

  // OK if a folder has this plugin, else UNAVAILABLE.
  Status Find(const std::string& plugin) const;

 private:
  StatusOr<std::string> PathOf(const std::string& plugin) const;

  const std::vector<std::string> folders_;
  const Duration time_limit_;
};

}  // namespace berth::cni

#endif  // CNI_INVOKER_H_
