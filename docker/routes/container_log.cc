#include "docker/routes/container_log.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/io/host_lookup.h"
#include "base/strings.h"

namespace berth::docker {
namespace {

// The host's own syslog daemon.
std::string LocalSyslog() {
  for (const char* path : {"/dev/log", "/var/run/syslog", "/var/run/log"}) {
    if (access(path, F_OK) == 0) return std::string("unixgram:") + path;
  }
  return "unixgram:/dev/log";
}

// "udp:HOST:PORT" with the address that the host has now.
StatusOr<std::string> ResolveSyslog(const Context& ctx,
                                    const std::string& address) {
  if (StartsWith(address, "unix")) return address;
  const size_t begin = address.find(':') + 1;
  const size_t end = address.rfind(':');
  const std::string host = address.substr(begin, end - begin);
  const StatusOr<std::vector<std::string>> all = LookUpHost(ctx, host);
  if (!all.ok()) {
    return InvalidArgument("syslog-address: " + Message(all.status()));
  }
  const std::string& ip = all->front();
  // The shim knows no scopes.
  if (ip.find('%') != std::string::npos) {
    return InvalidArgument("syslog-address: " + host + " is link-local");
  }
  return address.substr(0, begin) + ip + address.substr(end);
}

}  // namespace

Status ForwardLog(const Context& ctx, const LogTagFields& fields,
                  CreateRequest& request) {
  state::v1::LogConfig& log = *request.container.mutable_log();
  const std::string tag = RenderLogTag(request.log_tag, fields);
  if (!request.forward.keep_file) {
    log.set_path("/dev/null");
    log.set_max_size(0);
  }
  if (request.forward.driver == "journald") {
    log.set_forward(
        JournalOption(fields, tag, {log.tags().begin(), log.tags().end()}));
    return OkStatus();
  }
  LogForward forward = request.forward;
  if (forward.address.empty()) forward.address = LocalSyslog();
  ASSIGN_OR_RETURN(forward.address, ResolveSyslog(ctx, forward.address));
  utsname host = {};
  uname(&host);
  log.set_forward(SyslogOption(forward, tag, host.nodename));
  return OkStatus();
}

}  // namespace berth::docker
