// berth-shim: holds the containers of one sandbox. Started and cleaned up
// after by a manager (berthd, containerd) by the shim v2 contract:
//
//   berth-shim -namespace NS -address SOCK -publish-binary FILE -id ID start
//   berth-shim ... -id ID [-bundle DIR] delete
//   berth-shim -info | -v
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <string>

#include "api/shim/types/introspection.pb.h"
#include "base/exe/exe_guard.h"
#include "base/status.h"
#include "shim/service/cleanup.h"
#include "shim/service/start.h"

namespace berth {

// The shim itself is a fork of who was told to start it.
const char* const kGuardedWords[] = {"start", nullptr};

}  // namespace berth

namespace berth::shim {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr size_t kMaxInput = 10u << 20;

struct CommandLine {
  ShimFlags flags;
  std::string action;
  bool info = false;
  bool version = false;
};

// Go's flags: "-x v", "-x=v", with one dash or two.
StatusOr<CommandLine> ParseCommandLine(int argc, char** argv) {
  CommandLine line;
  const struct {
    const char* name;
    std::string* target;
  } texts[] = {
      {"namespace", &line.flags.name_space},
      {"address", &line.flags.address},
      {"publish-binary", &line.flags.publish_binary},
      {"id", &line.flags.id},
      {"bundle", &line.flags.bundle},
  };
  const struct {
    const char* name;
    bool* target;
  } switches[] = {
      {"debug", &line.flags.debug},
      {"info", &line.info},
      {"v", &line.version},
      {"version", &line.version},
  };
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.empty() || word[0] != '-') {
      if (!line.action.empty()) return InvalidArgument("two actions");
      line.action = word;
      continue;
    }
    word.erase(0, word.size() > 1 && word[1] == '-' ? 2 : 1);
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    bool known = false;
    for (const auto& each : switches) {
      if (name != each.name) continue;
      *each.target =
          equals == std::string::npos || word.substr(equals + 1) != "false";
      known = true;
    }
    for (const auto& each : texts) {
      if (name != each.name) continue;
      if (equals != std::string::npos) {
        *each.target = word.substr(equals + 1);
      } else if (++i < argc) {
        *each.target = argv[i];
      } else {
        return InvalidArgument("flag -" + name + " needs a value");
      }
      known = true;
    }
    if (!known) return InvalidArgument("unknown flag -" + name);
  }
  return line;
}

StatusOr<std::string> ReadInput() {
  std::string input;
  char bytes[16 * 1024];
  while (true) {
    const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n < 0 && errno == EINTR) continue;
    // Started without standard input: there is nothing to read.
    if (n < 0 && errno != EBADF) return Errno(errno, "read standard input");
    if (n <= 0) return input;
    if (input.size() + static_cast<size_t>(n) > kMaxInput) {
      return ResourceExhausted("standard input is longer than 10 MiB");
    }
    input.append(bytes, static_cast<size_t>(n));
  }
}

std::string Info() {
  containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.berth.v2");
  info.mutable_version()->set_version(kVersion);
  return info.SerializeAsString();
}

StatusOr<std::string> Act(const CommandLine& line) {
  if (line.version) return "berth-shim " + std::string(kVersion) + "\n";
  if (line.info) return Info();
  if (line.flags.id.empty()) return InvalidArgument("flag -id is missing");
  if (line.flags.name_space.empty()) {
    return InvalidArgument("flag -namespace is missing");
  }
  if (line.action != "start" && line.action != "delete") {
    return InvalidArgument("the action is start or delete");
  }
  ASSIGN_OR_RETURN(const std::string input, ReadInput());
  if (line.action == "delete") return CleanUp(line.flags, input);
  RETURN_IF_ERROR(CheckExeGuard("berth-shim"));
  return StartShim(line.flags, input);
}

int Main(int argc, char** argv) {
  const StatusOr<CommandLine> line = ParseCommandLine(argc, argv);
  const StatusOr<std::string> output =
      line.ok() ? Act(*line) : StatusOr<std::string>(line.status());
  if (!output.ok()) {
    fprintf(stderr, "berth-shim: %s\n", Message(output.status()).c_str());
    return 1;
  }
  const ssize_t n = write(STDOUT_FILENO, output->data(), output->size());
  return n == static_cast<ssize_t>(output->size()) ? 0 : 1;
}

}  // namespace
}  // namespace berth::shim

int main(int argc, char** argv) { return berth::shim::Main(argc, argv); }
