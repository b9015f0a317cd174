#include "shim/client/shim_command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/fs/atomic_file.h"
#include "base/io/subprocess.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "shim/client/shim_client.h"
#include "shim/wire/bootstrap.h"

namespace berth::shim {
namespace {

constexpr uint64_t kMaxOutput = 64 << 10;
constexpr char kForeignFolder[] = "/foreign";

// A path as it is; "io.containerd.NAME.VERSION" is containerd-shim-NAME-VERSION
// on PATH.
StatusOr<std::string> FindBinary(const std::string& binary) {
  if (StartsWith(binary, "/")) return binary;
  const std::vector<std::string> parts = Split(binary, '.');
  if (parts.size() < 2 || binary.find('/') != std::string::npos) {
    return InvalidArgument("not a shim: " + Quoted(binary));
  }
  const std::string name = "containerd-shim-" + parts[parts.size() - 2] + "-" +
                           parts[parts.size() - 1];
  const char* path = getenv("PATH");
  for (const std::string& folder : Split(path == nullptr ? "" : path, ':')) {
    const std::string file = folder + "/" + name;
    if (StartsWith(file, "/") && access(file.c_str(), X_OK) == 0) return file;
  }
  return NotFound("shim " + Quoted(binary) + ": no " + name + " on PATH");
}

// Of berth-shim beside a foreign shim.
std::string HelperSocket(const SandboxShim& foreign) {
  return foreign.state_dir.substr(
             0, foreign.state_dir.size() + 1 - sizeof(kForeignFolder)) +
         "/shim.sock";
}

std::vector<std::string> Environment(const SandboxShim& shim) {
  const char* path = getenv("PATH");
  std::vector<std::string> environment = {
      "PATH=" +
          std::string(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path),
      "NAMESPACE=" + shim.name_space, "MAX_SHIM_VERSION=2"};
  // It tells its events to who is there as long as it is itself.
  environment.push_back(IsForeign(shim)
                            ? "TTRPC_ADDRESS=" + HelperSocket(shim)
                            : "BERTH_SHIM_SOCKET=" + SocketPath(shim));
  for (const char* name : {kFailpointsVariable, kFailpointsActedVariable}) {
    const char* value = getenv(name);
    if (value != nullptr)
      environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

}  // namespace

bool IsForeign(const SandboxShim& sandbox) { return !sandbox.helper.empty(); }

SandboxShim ForeignOf(const SandboxShim& sandbox) {
  SandboxShim foreign = sandbox;
  foreign.state_dir += kForeignFolder;
  // It goes with the sandbox: containerd's shim leaves a folder for its
  // namespace there.
  foreign.runtime_root = foreign.state_dir + "/runtime";
  // In the words of ours; a shim moves where its manager is, else.
  foreign.cgroup.clear();
  return foreign;
}

SandboxShim NativeOf(const SandboxShim& sandbox) {
  SandboxShim native = sandbox;
  if (!IsForeign(sandbox)) return native;
  native.binary = std::exchange(native.helper, "");
  native.runtime_program.clear();
  return native;
}

std::string SocketPath(const SandboxShim& native) {
  return native.state_dir + "/shim.sock";
}

// They expect to start in a container's bundle: they look for annotations in
// its config.json, and for something to log to.
Status PrepareForForeign(const SandboxShim& foreign) {
  Json config = {{"ociVersion", "1.0.2"}, {"annotations", Json::object()}};
  for (const auto& [name, value] : foreign.annotations) {
    config["annotations"][name] = value;
  }
  RETURN_IF_ERROR(MakeDirectories(foreign.state_dir, 0700));
  RETURN_IF_ERROR(ReplaceFile(foreign.state_dir + "/config.json",
                              DumpJson(config) + "\n", 0600));
  return OpenFile(foreign.state_dir + "/log", O_WRONLY | O_CREAT, 0600)
      .status();
}

StatusOr<std::string> RunShim(const Context& ctx, const SandboxShim& shim,
                              const ShimAction& action) {
  Command command;
  ASSIGN_OR_RETURN(command.program, FindBinary(shim.binary));
  // An address of a manager that takes no calls: containers of two berthds
  // must not meet in one shim, and this tells them apart.
  command.args = {"-namespace",   shim.name_space,   "-address",
                  shim.state_dir, "-publish-binary", "/bin/false",
                  "-id",          action.id};
  if (action.action == "delete") {
    command.args.insert(command.args.end(), {"-bundle", action.bundle});
  }
  command.args.push_back(action.action);
  command.env = Environment(shim);
  command.directory = action.bundle;
  command.input = IsForeign(shim) ? FormatOptions(OptionsOf(shim))
                                  : FormatStartInput(shim.id, shim.name_space,
                                                     OptionsOf(shim));
  command.max_output = kMaxOutput;
  command.time_limit = action.time_limit;
  const std::string what = "shim " + command.program + " " + action.action;
  ASSIGN_OR_RETURN_AS(CommandResult result, RunCommand(ctx, command), what);
  if (!result.ok()) {
    return Internal(what + " " + result.Describe() + ": " +
                    std::string(Trim(result.errors)));
  }
  return std::move(result.output);
}

}  // namespace berth::shim
