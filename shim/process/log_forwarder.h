#ifndef SHIM_PROCESS_LOG_FORWARDER_H_
#define SHIM_PROCESS_LOG_FORWARDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::shim {

// Where the records of a log go besides its file: to a syslog daemon, or to
// the journal of systemd.
struct ForwardTarget {
  enum class Kind { kNone, kSyslog, kJournal };
  enum class Format { kUnix, kRfc3164, kRfc5424, kRfc5424Micro };

  Kind kind = Kind::kNone;
  // kSyslog: "unixgram:PATH", "unix:PATH", "udp:IP:PORT", "tcp:IP:PORT", an
  // IPv6 address without brackets.
  std::string address = {};
  Format format = Format::kUnix;
  uint32_t facility = 3;  // syslog(3): daemon
  std::string tag = {};
  std::string host = {};
  // kJournal: fields of every record, as the journal's protocol has them.
  std::string fields = {};

  bool operator==(const ForwardTarget&) const = default;
};

// "ADDRESS:FORMAT:FACILITY:TAG:HOST" with address, tag and host in hexadecimal
// and FORMAT one of unix, rfc3164, rfc5424, rfc5424micro. INVALID_ARGUMENT for
// anything else.
StatusOr<ForwardTarget> ParseSyslog(std::string_view text);
// The fields in hexadecimal.
StatusOr<ForwardTarget> ParseJournal(std::string_view text);

// Bytes of lower-case hexadecimal digits. INVALID_ARGUMENT.
StatusOr<std::string> FromHex(std::string_view text);

// One message of the syslog for a record, without its newline: as docker's
// daemon has it. Pure but for the time and the process's id.
std::string SyslogMessage(const ForwardTarget& target, bool error,
                          std::string_view line);

// Sends records, each at once. A daemon that is slow holds the container up for
// at most a tenth of each second, beyond which records are lost; one that took
// none in that time loses what is sent until it takes some again. A connection
// that was lost is made anew at the next record; if that fails or is slow, the
// next time is after a tenth of a second, or ten times as long as it took.
// Single-threaded.
class LogForwarder {
 public:
  // The errors of connect(2) if nobody listens there; UNAVAILABLE if nobody
  // answers within a second.
  static StatusOr<std::unique_ptr<LogForwarder>> Open(ForwardTarget target);

  // `time` is RFC 3339's. `whole`: the line's end is in it.
  void Send(bool error, std::string_view line, bool whole,
            const std::string& time);
  uint64_t dropped() const { return dropped_; }

 private:
  explicit LogForwarder(ForwardTarget target) : target_(std::move(target)) {}
  Status Connect();
  bool Reconnect();
  bool SendOnce(std::string_view message);
  bool AwaitRoom();

  const ForwardTarget target_;
  UniqueFd socket_;
  bool stuck_ = false;        // the last one was not taken in time
  SteadyTime next_try_ = {};  // to connect again
  SteadyTime window_ = {};    // the second that `waited_` is of
  Duration waited_{0};
  uint64_t dropped_ = 0;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_LOG_FORWARDER_H_
