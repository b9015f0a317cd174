#include "sandbox/process/exit_monitor.h"

#include <utility>

namespace berth::sandbox {

ExitMonitor::ExitMonitor(ExitHandler on_exit, LossHandler on_loss)
    : on_exit_(std::move(on_exit)),
      on_loss_(std::move(on_loss)),
      workers_(std::make_shared<Workers>()) {}

ExitMonitor::~ExitMonitor() { Stop(); }

void ExitMonitor::Watch(const ContainerId& id, shim::Task& task) {
  task.WhenExited(
      [this, workers = workers_, id](const StatusOr<shim::ExitStatus>& exit) {
        workers->Run([this, id, exit] { on_exit_(id, exit); });
      });
}

void ExitMonitor::Watch(const SandboxId& id,
                        const std::shared_ptr<shim::Shim>& shim) {
  const auto tell = [this, workers = workers_, id,
                     which = std::weak_ptr<shim::Shim>(shim)](
                        const char* reason, const Status& why) {
    workers->Run([this, id, which, loss = Loss{reason, why}] {
      on_loss_(id, which, loss);
    });
  };
  shim->WhenLost([tell](const Status& why) { tell("ShimLost", why); });
  shim->WhenInitExited(
      [tell](const Status& why) { tell("PodInitExited", why); });
}

}  // namespace berth::sandbox
