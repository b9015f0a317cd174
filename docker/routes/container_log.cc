#include "docker/routes/container_log.h"

#include <netdb.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

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
StatusOr<std::string> ResolveSyslog(const std::string& address) {
  if (StartsWith(address, "unix")) return address;
  const size_t begin = address.find(':') + 1;
  const size_t end = address.rfind(':');
  const std::string host = address.substr(begin, end - begin);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(
      found, [](addrinfo* list) {
        if (list != nullptr) freeaddrinfo(list);
      });
  char ip[NI_MAXHOST];
  if (failed == 0) {
    failed = getnameinfo(all->ai_addr, all->ai_addrlen, ip, sizeof(ip), nullptr,
                         0, NI_NUMERICHOST);
  }
  if (failed != 0) {
    return InvalidArgument("syslog-address: lookup " + host + ": " +
                           gai_strerror(failed));
  }
  // The shim knows no scopes.
  if (std::string_view(ip).find('%') != std::string_view::npos) {
    return InvalidArgument("syslog-address: " + host + " is link-local");
  }
  return address.substr(0, begin) + ip + address.substr(end);
}

}  // namespace

Status ForwardLog(const LogTagFields& fields, CreateRequest& request) {
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
  ASSIGN_OR_RETURN(forward.address, ResolveSyslog(forward.address));
  utsname host = {};
  uname(&host);
  log.set_forward(SyslogOption(forward, tag, host.nodename));
  return OkStatus();
}

}  // namespace berth::docker
