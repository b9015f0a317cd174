#include "sandbox/process/exit_monitor.h"

#include <utility>

namespace berth::sandbox {

ExitMonitor::ExitMonitor(ExitHandler on_exit, LossHandler on_loss)
    : on_exit_(std::move(on_exit)),
      on_loss_(std::move(on_loss)),
      workers_(std::make_shared<Workers>()) {}

ExitMonitor::~ExitMonitor() { Stop(); }

void ExitMonitor::Watch(const ContainerRun& run, shim::Task& task) {
  task.WhenExited(
      [this, workers = workers_, run](const StatusOr<shim::ExitStatus>& exit) {
        workers->Run([this, run, exit] { on_exit_(run, exit); });
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
