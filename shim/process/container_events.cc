#include "shim/process/container_events.h"

#include "api/shim/events/task.pb.h"
#include "shim/wire/convert.h"

namespace berth::shim {
namespace {

uint32_t Number(pid_t pid) { return static_cast<uint32_t>(pid); }

}  // namespace

void PublishCreated(EventPublisher& events, const CreateTask& task, pid_t pid) {
  containerd::events::TaskCreate event;
  event.set_container_id(task.id);
  event.set_bundle(task.bundle);
  for (const Mount& mount : task.rootfs) {
    *event.add_rootfs() = ToWire(mount);
  }
  event.mutable_io()->set_stdin(task.stdio.in);
  event.mutable_io()->set_stdout(task.stdio.out);
  event.mutable_io()->set_stderr(task.stdio.err);
  event.mutable_io()->set_terminal(task.stdio.terminal);
  event.set_pid(Number(pid));
  events.Publish("/tasks/create", "containerd.events.TaskCreate", event);
}

void PublishExecAdded(EventPublisher& events, const std::string& id,
                      const std::string& exec_id) {
  containerd::events::TaskExecAdded event;
  event.set_container_id(id);
  event.set_exec_id(exec_id);
  events.Publish("/tasks/exec-added", "containerd.events.TaskExecAdded", event);
}

void PublishStarted(EventPublisher& events, const std::string& id,
                    const std::string& exec_id, pid_t pid) {
  if (exec_id.empty()) {
    containerd::events::TaskStart event;
    event.set_container_id(id);
    event.set_pid(Number(pid));
    return events.Publish("/tasks/start", "containerd.events.TaskStart", event);
  }
  containerd::events::TaskExecStarted event;
  event.set_container_id(id);
  event.set_exec_id(exec_id);
  event.set_pid(Number(pid));
  events.Publish("/tasks/exec-started", "containerd.events.TaskExecStarted",
                 event);
}

void PublishOom(EventPublisher& events, const std::string& id) {
  containerd::events::TaskOOM event;
  event.set_container_id(id);
  events.Publish("/tasks/oom", "containerd.events.TaskOOM", event);
}

void PublishFrozen(EventPublisher& events, const std::string& id, bool frozen) {
  if (frozen) {
    containerd::events::TaskPaused event;
    event.set_container_id(id);
    return events.Publish("/tasks/paused", "containerd.events.TaskPaused",
                          event);
  }
  containerd::events::TaskResumed event;
  event.set_container_id(id);
  events.Publish("/tasks/resumed", "containerd.events.TaskResumed", event);
}

void PublishExited(EventPublisher& events, const std::string& id,
                   const Process& process) {
  containerd::events::TaskExit event;
  event.set_container_id(id);
  event.set_id(process.exec_id().empty() ? id : process.exec_id());
  event.set_pid(Number(process.State().pid));
  event.set_exit_status(process.exit().code);
  *event.mutable_exited_at() = ToWire(process.exit().at);
  events.Publish("/tasks/exit", "containerd.events.TaskExit", event);
}

void PublishDeleted(EventPublisher& events, const std::string& id,
                    const Process& init) {
  containerd::events::TaskDelete event;
  event.set_container_id(id);
  event.set_pid(Number(init.State().pid));
  event.set_exit_status(init.exit().code);
  *event.mutable_exited_at() = ToWire(init.exit().at);
  events.Publish("/tasks/delete", "containerd.events.TaskDelete", event);
}

}  // namespace berth::shim
