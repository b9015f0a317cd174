#ifndef SHIM_RUNTIME_RUNTIME_CLI_H_
#define SHIM_RUNTIME_RUNTIME_CLI_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/process/reaper.h"
#include "shim/process/runtime.h"

namespace berth::shim {

// A program with runc's command line: runc, crun, runsc, berth-oci. One run
// per verb, while the loop goes on.
//
// The process that `create` and `exec --detach` leave behind becomes our child
// when the program exits, since the shim is a subreaper. Why a verb failed is
// read from the program's log, for its standard error is the container's.
// Source: runc(8) and its subcommands. Single-threaded.
class RuntimeCli : public Runtime {
 public:
  // `scratch`: a folder for the files that a run needs. It may be that of
  // others as well, and is made if it is missing.
  RuntimeCli(EventLoop& loop, Reaper& reaper, RuntimeOptions options,
             std::string scratch);

  void Create(const std::string& id, const std::string& bundle, ProcessFds fds,
              Started done) override;
  void Run(const std::string& id, const std::string& bundle, ProcessFds fds,
           Started created, Done started) override;
  void Abort(const std::string& id) override;
  void Start(const std::string& id, Done done) override;
  void Exec(const std::string& id, const std::string& process, ProcessFds fds,
            Started done) override;
  void Kill(const std::string& id, int signal, bool all, Done done) override;
  void Freeze(const std::string& id, bool frozen, Done done) override;
  void Update(const std::string& id, const std::string& resources,
              Done done) override;
  void Delete(const std::string& id, Done done) override;

 private:
  // The files of one run, all named after its number.
  struct Files {
    std::string log;
    std::string pid_file;
    std::string console;  // unix socket
    std::string input;    // JSON for the program
    UniqueFd listener;    // of `console`
  };

  Files NewRun();
  Status Prepare(Files& run, bool terminal, const std::string& input);
  static void Clean(const Files& run);
  // Both return the program's pid. If it did not start: 0, and `done` gets the
  // error.
  pid_t Launch(const Files& run, std::vector<std::string> args,
               const ProcessFds* fds, const std::string& directory, Done done);
  pid_t LaunchProcess(Files run, std::vector<std::string> args, ProcessFds fds,
                      const std::string& directory, Started done);
  void Simple(std::vector<std::string> args, Done done);

  EventLoop& loop_;
  Reaper& reaper_;
  const RuntimeOptions options_;
  const std::string scratch_;
  std::map<std::string, pid_t> creating_;  // container id -> its program
};

}  // namespace berth::shim

#endif  // SHIM_RUNTIME_RUNTIME_CLI_H_
