// Log drivers that send a container's output elsewhere: syslog and journald.
// The shim sends it (shim/process/log_forwarder.h); a file of the daemon's is
// what docker logs reads. Pure.
#ifndef DOCKER_CONVERT_LOG_FORWARD_H_
#define DOCKER_CONVERT_LOG_FORWARD_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "docker/convert/log_tag.h"

namespace berth::docker {

// What a request's options say of them.
struct LogForward {
  std::string driver;  // "syslog", "journald"; "" for none
  // As the shim has it: "unixgram:/dev/log", "tcp:HOST:PORT". "": the host's.
  std::string address;
  std::string format = "unix";
  uint32_t facility = 3;
  bool keep_file = true;
};

// Options of syslog, into `forward`. INVALID_ARGUMENT in Docker's words;
// UNIMPLEMENTED for TLS.
Status ReadSyslogAddress(const std::string& value, LogForward& forward);
Status ReadSyslogFormat(const std::string& value, LogForward& forward);
Status ReadSyslogFacility(const std::string& value, LogForward& forward);

// The option of the shim's log URI. `forward` has an address, and an IP address
// in it.
std::string SyslogOption(const LogForward& forward, const std::string& tag,
                         const std::string& host);
// With the fields that dockerd sends; `attributes` are labels and variables.
std::string JournalOption(const LogTagFields& container, const std::string& tag,
                          const std::map<std::string, std::string>& attributes);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_LOG_FORWARD_H_
