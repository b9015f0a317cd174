#ifndef SHIM_RUNTIME_FORKED_RUNTIME_H_
#define SHIM_RUNTIME_FORKED_RUNTIME_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/io/event_loop.h"
#include "base/status.h"
#include "oci/container/container.h"
#include "oci/init/handshake.h"
#include "shim/process/reaper.h"
#include "shim/process/runtime.h"

namespace berth::shim {

// Our own runtime: the oci library in a forked child, one child a verb. No
// program is executed, so that a start costs a fork of a small process and no
// loading; what the library needs of memory goes with the child.
//
//   shim                       child                    container's process
//    |-- fork ------------------>|                              |
//    |                           |-- clone3 (CLONE_PARENT) ---->|
//    |<-- kReady "PID" + pty ----|                              |
//    |   or kError               exit                           |
//    |<============== its parent, which reaps it ===============|
//
// Run answers twice: kBorn "PID" + pty, and how the start went.
//
// Single-threaded.
class ForkedRuntime : public Runtime {
 public:
  ForkedRuntime(EventLoop& loop, Reaper& reaper, RuntimeOptions options);

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
  // What the child does; its answer goes to the shim.
  using Work = std::function<StatusOr<StartedProcess>(const oci::Handshake&)>;

  // `died`: the child ended without an answer.
  using Answered = std::function<void(StatusOr<StartedProcess>, bool died)>;
  using Born = std::function<void(StartedProcess)>;

  // `born` hears of a process that the child has made, and goes on.
  // `streams`: the descriptors that the child keeps, beside 0, 1, 2. Returns
  // the child's pid. If there is no child: 0, and `done` gets the error.
  pid_t Fork(const Work& work, std::vector<int> streams, Answered done,
             Born born = nullptr);
  void OnMessage(const oci::Handshake& channel, const Answered& done,
                 const Born& born);
  oci::CreateOptions OptionsOf(const std::string& id, const std::string& bundle,
                               const ProcessFds& fds) const;
  // A verb on a container that exists.
  void OnContainer(const std::string& id,
                   const std::function<Status(oci::Container&)>& verb,
                   Done done);

  EventLoop& loop_;
  Reaper& reaper_;
  const RuntimeOptions options_;
  // Not reaped yet.
  const std::shared_ptr<std::set<pid_t>> children_ =
      std::make_shared<std::set<pid_t>>();
  std::map<std::string, pid_t> creating_;  // container id -> its maker
};

}  // namespace berth::shim

#endif  // SHIM_RUNTIME_FORKED_RUNTIME_H_
