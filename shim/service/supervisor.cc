#include "shim/service/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/io/event_loop.h"
#include "shim/process/event_publisher.h"
#include "shim/process/reaper.h"
#include "shim/process/task.h"
#include "shim/runtime/runtime_choice.h"
#include "shim/service/berth_service.h"
#include "shim/service/sandbox_service.h"
#include "shim/service/streams_service.h"
#include "shim/service/task_service.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {
namespace {

// Time for the last events and answers to get out.
constexpr Duration kFarewell = std::chrono::seconds(3);
constexpr Duration kFarewellStep = std::chrono::milliseconds(5);

class Supervisor {
 public:
  Supervisor(const SupervisorConfig& config, UniqueFd listener,
             std::unique_ptr<EventLoop> loop)
      : config_(config),
        loop_(std::move(loop)),
        reaper_(*loop_),
        events_(*loop_, config.event_address, config.name_space),
        parts_{*loop_, reaper_, events_},
        tasks_(parts_,
               [this](const RuntimeOptions& options) {
                 return MakeRuntime(*loop_, reaper_, options,
                                    config_.scratch_dir);
               }),
        sandbox_(parts_, tasks_, [this] { End(); }),
        task_service_(tasks_, config.records_in_bundles ? "" : config.state_dir,
                      config.options, [this] { EndUnlessSandbox(); }),
        berth_service_(tasks_, task_service_),
        streams_service_(*loop_),
        server_(*loop_, std::move(listener)) {}

  Status Run() {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
      return Errno(errno, "prctl PR_SET_CHILD_SUBREAPER");
    }
    signal(SIGPIPE, SIG_IGN);
    RETURN_IF_ERROR(reaper_.Start());
    ASSIGN_OR_RETURN(signals_, OpenSignalFd({SIGTERM, SIGINT}));
    RETURN_IF_ERROR(
        loop_->Add(signals_.get(), EPOLLIN, [this](uint32_t) { End(); }));
    task_service_.Register(server_);
    sandbox_.Register(server_);
    berth_service_.Register(server_);
    streams_service_.Register(server_);
    RETURN_IF_ERROR(server_.Listen());
    return loop_->Run();
  }

 private:
  void EndUnlessSandbox() {
    if (!sandbox_.in_use()) End();
  }

  void End() {
    if (ending_) return;
    ending_ = true;
    loop_->Remove(signals_.get());
    task_service_.Refuse();
    // First the name: once nobody listens, another shim may take it.
    if (!config_.socket_path.empty()) unlink(config_.socket_path.c_str());
    server_.StopListening();
    if (config_.scratch_dir != config_.state_dir) {
      rmdir(config_.scratch_dir.c_str());
    }
    sandbox_.Stop();
    until_ = std::chrono::steady_clock::now() + kFarewell;
    Farewell();
  }

  void Farewell() {
    const bool done = events_.idle() && sandbox_.pid() == 0;
    if (done || std::chrono::steady_clock::now() > until_) {
      server_.Flush();
      return loop_->Stop();
    }
    loop_->After(kFarewellStep, [this] { Farewell(); });
  }

  const SupervisorConfig config_;
  std::unique_ptr<EventLoop> loop_;
  Reaper reaper_;
  EventPublisher events_;
  const ShimParts parts_;
  TaskTable tasks_;
  SandboxService sandbox_;
  TaskService task_service_;
  BerthService berth_service_;
  StreamsService streams_service_;
  TtrpcServer server_;
  UniqueFd signals_;
  bool ending_ = false;
  SteadyTime until_;
};

}  // namespace

Status RunSupervisor(const SupervisorConfig& config, UniqueFd listener) {
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  // Never destroyed: the process ends here, and the order in which its parts
  // would go is nobody's concern.
  auto* supervisor =
      new Supervisor(config, std::move(listener), std::move(loop));
  return supervisor->Run();
}

}  // namespace berth::shim
