#include "shim/process/process_facts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

StatusOr<std::string> ReadProcFile(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Errno(errno, "open " + path);
  std::string text(16 * 1024, '\0');
  const ssize_t n =
      TEMP_FAILURE_RETRY(read(file.get(), text.data(), text.size()));
  if (n < 0) return Errno(errno, "read " + path);
  text.resize(static_cast<size_t>(n));
  return text;
}

bool IsNamespaceInit(pid_t pid) {
  const StatusOr<std::string> status = ReadProcFile(pid, "status");
  if (!status.ok()) return true;
  const std::string key = "\nNSpid:";
  const size_t at = status->find(key);
  if (at == std::string::npos) return true;
  const size_t begin = at + key.size();
  const std::string line =
      status->substr(begin, status->find('\n', begin) - begin);
  return EndsWith(line, "\t1");
}

StatusOr<std::string> CgroupOf(pid_t pid) {
  ASSIGN_OR_RETURN(const std::string text, ReadProcFile(pid, "cgroup"));
  return ParseCgroupFile(text);
}

}  // namespace

Status ValidateId(const std::string& id) {
  const auto plain = [](char c) {
    return isalnum(static_cast<unsigned char>(c)) != 0;
  };
  const auto allowed = [&](char c) {
    return plain(c) || c == '_' || c == '.' || c == '-' || c == '+';
  };
  if (id.empty() || id.size() > 256 || !plain(id[0]) ||
      !std::all_of(id.begin(), id.end(), allowed)) {
    return InvalidArgument("not an id: " + Quoted(id.substr(0, 256)));
  }
  return OkStatus();
}

StatusOr<std::string> ParseCgroupFile(std::string_view text) {
  std::string unified;
  for (const std::string& line : Split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    const std::string names = line.substr(first + 1, second - first - 1);
    if (names.empty()) unified = path;
    for (const std::string& name : Split(names, ',')) {
      if (name == "memory" || name == "pids" || name == "devices") return path;
    }
  }
  if (unified.empty()) return NotFound("no cgroup in the process's list");
  return unified;
}

ProcessFacts ReadProcessFacts(pid_t pid) {
  ProcessFacts facts;
  facts.namespace_init = IsNamespaceInit(pid);
  const StatusOr<std::string> path = CgroupOf(pid);
  if (path.ok()) facts.cgroup = *path;
  return facts;
}

std::string SerializeFacts(const ProcessFacts& facts) {
  return std::string(facts.namespace_init ? "1 " : "0 ") + facts.cgroup;
}

StatusOr<ProcessFacts> ParseFacts(std::string_view text) {
  const bool init = StartsWith(text, "1 ");
  if (!init && !StartsWith(text, "0 ")) {
    return InvalidArgument("not facts of a process: " + Quoted(text));
  }
  return ProcessFacts{init, std::string(text.substr(2))};
}

StatusOr<std::unique_ptr<oci::Cgroup>> OpenContainerCgroup(
    const std::string& path) {
  if (path.empty()) return NotFound("its cgroup is unknown");
  if (path == "/") return NotFound("it is in the root cgroup");
  const StatusOr<std::string> own = CgroupOf(getpid());
  if (own.ok() && *own == path) return NotFound("it is in the shim's cgroup");
  ASSIGN_OR_RETURN(const oci::CgroupHost* const host, oci::CgroupHost::Own());
  return oci::OpenCgroup(*host, path);
}

}  // namespace berth::shim
