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
    {"resources", "r", true, "JSON file of limits, - for standard input"},
    {"blkio-weight", "", true, "weight of block I/O, 10 to 1000"},
    {"cpu-period", "", true, "microseconds of a period"},
    {"cpu-quota", "", true, "microseconds of each period"},
    {"cpu-burst", "", true, "microseconds that may be saved up"},
    {"cpu-share", "", true, "relative weight"},
    {"cpu-rt-period", "", true, "of real-time processes"},
    {"cpu-rt-runtime", "", true, "of real-time processes"},
    {"cpuset-cpus", "", true, "list of processors"},
    {"cpuset-mems", "", true, "list of memory nodes"},
    {"memory", "", true, "bytes, or with k, m, g"},
    {"memory-reservation", "", true, "bytes that are kept for it"},
    {"memory-swap", "", true, "bytes of memory and swap together"},
    {"kernel-memory", "", true, "ignored"},
    {"kernel-memory-tcp", "", true, "ignored"},
    {"pids-limit", "", true, "processes, -1 for any number"},
    {"l3-cache-schema", "", true, "schema of Intel RDT/CAT"},
    {"mem-bw-schema", "", true, "schema of Intel RDT/MBA"},
    {"cpu-idle", "", true, "1: only when others are idle"},
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
  IntelRdt schemata;
  schemata.l3_cache_schema = flags.Get("l3-cache-schema");
  schemata.mem_bw_schema = flags.Get("mem-bw-schema");
  ASSIGN_OR_RETURN(const Resources limits,
                   flags.Has("resources")
                       ? ReadResources(flags.Get("resources"))
                       : FromFlags(flags));
  RETURN_IF_ERROR(container.Update(limits, schemata));
  return 0;
}

}  // namespace berth::oci
