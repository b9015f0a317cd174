#ifndef CNI_PLUGIN_PLUGIN_H_
#define CNI_PLUGIN_PLUGIN_H_

#include <string>

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"

namespace berth::cni {

// One run of one plugin: the parameters of CNI specification 1.1.0, section 2.
struct Invocation {
  std::string command;  // ADD, DEL, CHECK, STATUS, GC, VERSION
  std::string plugin;   // its "type"
  std::string container_id;
  std::string netns;  // path; "" if the namespace does not exist any more
  std::string interface;
  std::string args;  // "KEY=value;KEY=value"
  Json config;       // what a program reads from its standard input
};

// A type of plugin. Implementations: ExecPlugin, a program; BuiltinPlugin, in
// this process. Thread-safe.
class Plugin {
 public:
  virtual ~Plugin() = default;

  // What the plugin answers to ADD or VERSION; null if it answers nothing.
  //
  // An error names plugin and command, and carries what the plugin said.
  // UNAVAILABLE when it asked to try again later, or cannot be run;
  // FAILED_PRECONDITION when it refused the configuration or its version;
  // DEADLINE_EXCEEDED when it took too long; INTERNAL for the rest. Never
  // NOT_FOUND, which a client would take for its own object.
  virtual StatusOr<Json> Run(const Context& ctx,
                             const Invocation& invocation) const = 0;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_PLUGIN_H_
