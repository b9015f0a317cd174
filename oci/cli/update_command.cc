#include <unistd.h>

#include <optional>

#include "base/strings.h"
#include "base/sys/file.h"
#include "oci/cli/commands.h"
#include "oci/container/container.h"
#include "oci/spec/parse.h"

namespace berth::oci {
namespace {

const std::vector<FlagSpec> kUpdateFlags = {
    {"resources", "r", true},
    {"blkio-weight", "", true},
    {"cpu-period", "", true},
    {"cpu-quota", "", true},
    {"cpu-burst", "", true},
    {"cpu-share", "", true},
    {"cpu-rt-period", "", true},
    {"cpu-rt-runtime", "", true},
    {"cpuset-cpus", "", true},
    {"cpuset-mems", "", true},
    {"memory", "", true},
    {"memory-reservation", "", true},
    {"memory-swap", "", true},
    {"kernel-memory", "", true},
    {"kernel-memory-tcp", "", true},
    {"pids-limit", "", true},
    {"cpu-idle", "", true},
};

StatusOr<Resources> ReadResources(const std::string& path) {
  std::string text;
  if (path == "-") {
    ASSIGN_OR_RETURN(text, ReadAll(STDIN_FILENO, kMaxSpecBytes, "stdin"));
  } else {
    ASSIGN_OR_RETURN(text, ReadFile(path, kMaxSpecBytes));
  }
  return ParseResources(text);
}

template <typename T>
Status SetNumber(const Flags& flags, const char* name,
                 std::optional<T>& target) {
  if (!flags.Has(name)) return OkStatus();
  ASSIGN_OR_RETURN(const int64_t number, flags.Number(name));
  target = static_cast<T>(number);
  return OkStatus();
}

// "64m": k, m, g and t are powers of 1024, with or without a "b"; -1 is no
// limit.
StatusOr<int64_t> ParseSize(const std::string& text, const char* name) {
  std::string digits = Lower(text);
  if (EndsWith(digits, "b")) digits.pop_back();
  int64_t unit = 1;
  const std::string units = "kmgt";
  const size_t place =
      digits.empty() ? std::string::npos : units.find(digits.back());
  if (place != std::string::npos) {
    unit = int64_t{1} << (10 * (place + 1));
    digits.pop_back();
  }
  const auto number = ParseInt(digits);
  int64_t size = 0;
  if (!number || __builtin_mul_overflow(*number, unit, &size)) {
    return InvalidArgument("--" + std::string(name) +
                           ": not a size: " + Quoted(text));
  }
  return size;
}

Status SetSize(const Flags& flags, const char* name,
               std::optional<int64_t>& target) {
  if (!flags.Has(name)) return OkStatus();
  ASSIGN_OR_RETURN(target, ParseSize(flags.Get(name), name));
  return OkStatus();
}

StatusOr<Resources> FromFlags(const Flags& flags) {
  Resources r;
  RETURN_IF_ERROR(SetNumber(flags, "blkio-weight", r.block_io.weight));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-period", r.cpu.period));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-quota", r.cpu.quota));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-burst", r.cpu.burst));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-share", r.cpu.shares));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-rt-period", r.cpu.realtime_period));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-rt-runtime", r.cpu.realtime_runtime));
  RETURN_IF_ERROR(SetNumber(flags, "cpu-idle", r.cpu.idle));
  RETURN_IF_ERROR(SetNumber(flags, "pids-limit", r.pids_limit));
  RETURN_IF_ERROR(SetSize(flags, "memory", r.memory.limit));
  RETURN_IF_ERROR(SetSize(flags, "memory-reservation", r.memory.reservation));
  RETURN_IF_ERROR(SetSize(flags, "memory-swap", r.memory.swap));
  r.cpu.cpus = flags.Get("cpuset-cpus");
  r.cpu.mems = flags.Get("cpuset-mems");
  return r;
}

}  // namespace

StatusOr<int> RunUpdate(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseCommand(invocation, kUpdateFlags, 1, 1));
  ASSIGN_OR_RETURN(Container container,
                   Container::Load(invocation.root, flags.positional()[0]));
  ASSIGN_OR_RETURN(const Resources limits,
                   flags.Has("resources")
                       ? ReadResources(flags.Get("resources"))
                       : FromFlags(flags));
  RETURN_IF_ERROR(container.Update(limits));
  return 0;
}

}  // namespace berth::oci
