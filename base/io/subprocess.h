#ifndef BASE_IO_SUBPROCESS_H_
#define BASE_IO_SUBPROCESS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"

namespace berth {

// A descriptor of ours that the program finds under number `as` (>= 3).
struct InheritedFd {
  int fd = -1;
  int as = -1;
};

// One program to run, as a value.
struct Command {
  std::string program;               // path; PATH is not searched
  std::vector<std::string> args;     // after argv[0], which is `program`
  std::vector<std::string> env;      // NAME=value: exactly these
  std::string directory;             // where it runs; "" here
  std::string input;                 // all of its standard input
  std::vector<InheritedFd> inherit;  // besides 0, 1 and 2; all else is closed
  size_t max_output = 16 << 20;      // bytes of standard output
  size_t max_errors = 64 << 10;  // bytes of standard error; the rest is lost
  Duration time_limit = std::chrono::minutes(2);
};

// How it went, once it ran.
struct CommandResult {
  int exit_code = 0;  // 128 + signal when a signal ended it
  int signal = 0;     // 0 unless a signal ended it
  std::string output;
  std::string errors;

  bool ok() const { return exit_code == 0; }
  // "exited with 3" or "was killed by signal 9 (Killed)".
  std::string Describe() const;
};

// Runs the command to its end, in a process group of its own, default signal
// dispositions, empty signal mask. OK also when it fails: see exit_code.
//
// What it leaves in the background lives on, and may keep its standard output
// open: only the program itself is waited for. Its whole process group is
// killed on
//   DEADLINE_EXCEEDED   the time limit or the context's deadline
//   CANCELLED           the context was cancelled
//   RESOURCE_EXHAUSTED  more standard output than allowed
// Any other error: it could not be started (NOT_FOUND, PERMISSION_DENIED...).
//
// Cheap from a process with many threads and much memory: the child shares our
// memory until it execs (vfork; posix_spawn(3)). Thread-safe.
StatusOr<CommandResult> RunCommand(const Context& ctx, const Command& command);

}  // namespace berth

#endif  // BASE_IO_SUBPROCESS_H_
