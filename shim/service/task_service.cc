#include "shim/service/task_service.h"

#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/strings.h"
#include "shim/wire/convert.h"
#include "shim/wire/metrics.h"
#include "shim/wire/options.h"

namespace berth::shim {
namespace {

namespace task = containerd::task::v3;

// Parses the request, finds its container, and goes on with both; or answers
// why not.
template <typename Request, typename Body>
void WithContainer(const TaskTable& tasks, const TtrpcCall& call,
                   const Responder& reply, const Body& body) {
  Request request;
  if (!request.ParseFromString(call.payload)) {
    return reply.Fail(InvalidArgument(call.method + ": cannot parse"));
  }
  const StatusOr<std::shared_ptr<Container>> container =
      tasks.Find(request.id());
  if (!container.ok()) return reply.Fail(container.status());
  body(request, **container);
}

// The same, and its process.
template <typename Request, typename Body>
void WithProcess(const TaskTable& tasks, const TtrpcCall& call,
                 const Responder& reply, const Body& body) {
  WithContainer<Request>(
      tasks, call, reply, [&](const Request& request, Container& container) {
        const StatusOr<Process*> process = container.Find(request.exec_id());
        if (!process.ok()) return reply.Fail(process.status());
        body(request, container, **process);
      });
}

Container::Done AnswerEmpty(const Responder& reply) {
  return [reply](const Status& status) { reply.Send(status); };
}

template <typename Response>
Container::Reply<pid_t> AnswerPid(const Responder& reply) {
  return [reply](const StatusOr<pid_t>& pid) {
    if (!pid.ok()) return reply.Fail(pid.status());
    Response response;
    response.set_pid(static_cast<uint32_t>(*pid));
    reply.Send(response);
  };
}

TaskTable::Options ToOptions(const containerd::runc::v1::Options& wire) {
  TaskTable::Options options;
  options.runtime.program = wire.binary_name();
  options.runtime.root = wire.root();
  options.runtime.systemd_cgroup = wire.systemd_cgroup();
  options.runtime.no_pivot_root = wire.no_pivot_root();
  options.runtime.no_new_keyring = wire.no_new_keyring();
  if (wire.io_uid() != 0) options.io_uid = wire.io_uid();
  if (wire.io_gid() != 0) options.io_gid = wire.io_gid();
  return options;
}

template <typename Request>
Stdio StdioOf(const Request& request) {
  return {request.stdin(), request.stdout(), request.stderr(),
          request.terminal()};
}

}  // namespace

TaskService::TaskService(TaskTable& tasks, std::string record_dir,
                         containerd::runc::v1::Options defaults,
                         std::function<void()> shutdown)
    : tasks_(tasks),
      record_dir_(std::move(record_dir)),
      defaults_(std::move(defaults)),
      shutdown_(std::move(shutdown)) {}

void TaskService::Register(TtrpcServer& server) {
  const auto handle = [this](const TtrpcCall& call, const Responder& reply) {
    Handle(call, reply);
  };
  server.Add("containerd.task.v2.Task", handle);
  server.Add("containerd.task.v3.Task", handle);
}

void TaskService::Handle(const TtrpcCall& call, const Responder& reply) {
  using Method = void (TaskService::*)(const TtrpcCall&, const Responder&);
  static constexpr struct {
    const char* name;
    Method method;
  } kMethods[] = {
      {"State", &TaskService::State},
      {"Create", &TaskService::Create},
      {"Start", &TaskService::Start},
      {"Delete", &TaskService::Delete},
      {"Pids", &TaskService::Pids},
      {"Pause", &TaskService::Pause},
      {"Resume", &TaskService::Resume},
      {"Checkpoint", &TaskService::Checkpoint},
      {"Kill", &TaskService::Kill},
      {"Exec", &TaskService::Exec},
      {"ResizePty", &TaskService::ResizePty},
      {"CloseIO", &TaskService::CloseIO},
      {"Update", &TaskService::Update},
      {"Wait", &TaskService::Wait},
      {"Stats", &TaskService::Stats},
      {"Connect", &TaskService::Connect},
      {"Shutdown", &TaskService::Shutdown},
  };
  for (const auto& each : kMethods) {
    if (call.method == each.name) return (this->*each.method)(call, reply);
  }
  reply.Fail(Unimplemented("unknown method " + call.method));
}

TaskRecords TaskService::RecordsFor(const std::string& bundle) const {
  return TaskRecords(record_dir_.empty() ? bundle : record_dir_);
}

void TaskService::Create(const TtrpcCall& call, const Responder& reply) {
  Make(call, reply, /*start=*/false);
}

void TaskService::Run(const TtrpcCall& call, const Responder& reply) {
  Make(call, reply, /*start=*/true);
}

void TaskService::Make(const TtrpcCall& call, const Responder& reply,
                       bool start) {
  if (refuses_) return reply.Fail(Unavailable("the shim ends"));
  task::CreateTaskRequest request;
  if (!request.ParseFromString(call.payload)) {
    return reply.Fail(InvalidArgument(call.method + ": cannot parse"));
  }
  if (!request.checkpoint().empty() || !request.parent_checkpoint().empty()) {
    return reply.Fail(Unimplemented("checkpoint"));
  }
  if (!StartsWith(request.bundle(), "/")) {
    return reply.Fail(InvalidArgument("bundle is not an absolute path"));
  }
  StatusOr<containerd::runc::v1::Options> options =
      request.has_options()
          ? ParseOptions(request.options())
          : StatusOr<containerd::runc::v1::Options>(defaults_);
  if (!options.ok()) return reply.Fail(options.status());
  CreateTask create;
  create.id = request.id();
  create.bundle = request.bundle();
  create.stdio = StdioOf(request);
  for (const auto& wire_mount : request.rootfs()) {
    StatusOr<Mount> mount = FromWire(wire_mount);
    if (!mount.ok()) return reply.Fail(mount.status());
    create.rootfs.push_back(*std::move(mount));
  }
  TaskTable::Options table_options = ToOptions(*options);
  table_options.create_limit = call.timeout;
  table_options.start = start;
  const Status valid = tasks_.CheckNew(create.id);
  if (!valid.ok()) return reply.Fail(valid);
  Status recorded =
      RecordsFor(create.bundle)
          .Save({create.id, create.bundle, table_options.runtime});
  if (recorded.ok()) recorded = Failpoint("shim.create.recorded");
  if (!recorded.ok()) {
    RecordsFor(create.bundle).Erase(create.id);
    return reply.Fail(recorded);
  }
  tasks_.Create(std::move(create), table_options,
                [this, request, reply](StatusOr<pid_t> pid) {
                  if (!pid.ok()) {
                    RecordsFor(request.bundle()).Erase(request.id());
                  }
                  AnswerPid<task::CreateTaskResponse>(reply)(std::move(pid));
                });
}

void TaskService::Start(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::StartRequest>(
      tasks_, call, reply,
      [&](const task::StartRequest& request, Container& container) {
        container.Start(request.exec_id(),
                        AnswerPid<task::StartResponse>(reply));
      });
}

void TaskService::Exec(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::ExecProcessRequest>(
      tasks_, call, reply,
      [&](const task::ExecProcessRequest& request, Container& container) {
        ExecTask exec;
        exec.container_id = request.id();
        exec.exec_id = request.exec_id();
        exec.process = request.spec().value();
        exec.stdio = StdioOf(request);
        reply.Send(container.AddExec(exec));
      });
}

void TaskService::Delete(const TtrpcCall& call, const Responder& reply) {
  task::DeleteRequest request;
  if (!request.ParseFromString(call.payload)) {
    return reply.Fail(InvalidArgument("Delete: cannot parse"));
  }
  const StatusOr<std::shared_ptr<Container>> container =
      tasks_.Find(request.id());
  if (!container.ok()) return reply.Fail(container.status());
  tasks_.Delete(request.id(), request.exec_id(),
                [this, request, bundle = (*container)->bundle(),
                 reply](const StatusOr<TaskState>& state) {
                  if (!state.ok()) return reply.Fail(state.status());
                  if (request.exec_id().empty()) {
                    RecordsFor(bundle).Erase(request.id());
                  }
                  const Status told = Failpoint("shim.delete.forgotten");
                  if (!told.ok()) return reply.Fail(told);
                  task::DeleteResponse response;
                  response.set_pid(static_cast<uint32_t>(state->pid));
                  response.set_exit_status(state->exit.code);
                  *response.mutable_exited_at() = ToWire(state->exit.at);
                  reply.Send(response);
                });
}

void TaskService::Kill(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::KillRequest>(
      tasks_, call, reply,
      [&](const task::KillRequest& request, Container& container) {
        container.Kill(request.exec_id(), static_cast<int>(request.signal()),
                       request.all(), AnswerEmpty(reply));
      });
}

void TaskService::Wait(const TtrpcCall& call, const Responder& reply) {
  WithProcess<task::WaitRequest>(
      tasks_, call, reply,
      [&](const task::WaitRequest&, Container&, Process& process) {
        process.Wait({[reply](const StatusOr<ExitStatus>& exit) {
                        if (!exit.ok()) return reply.Fail(exit.status());
                        const Status told = Failpoint("shim.exit.reaped");
                        if (!told.ok()) return reply.Fail(told);
                        task::WaitResponse response;
                        response.set_exit_status(exit->code);
                        *response.mutable_exited_at() = ToWire(exit->at);
                        reply.Send(response);
                      },
                      [reply] { return reply.alive(); }});
      });
}

void TaskService::State(const TtrpcCall& call, const Responder& reply) {
  WithProcess<task::StateRequest>(
      tasks_, call, reply,
      [&](const task::StateRequest& request, Container& container,
          Process& process) {
        const TaskState state = process.State();
        task::StateResponse response;
        response.set_id(request.id());
        response.set_bundle(container.bundle());
        response.set_pid(static_cast<uint32_t>(state.pid));
        response.set_status(ToWire(state.phase));
        response.set_stdin(process.uris().in);
        response.set_stdout(process.uris().out);
        response.set_stderr(process.uris().err);
        response.set_terminal(process.uris().terminal);
        response.set_exit_status(state.exit.code);
        if (state.exit.at != 0) {
          *response.mutable_exited_at() = ToWire(state.exit.at);
        }
        response.set_exec_id(request.exec_id());
        reply.Send(response);
      });
}

void TaskService::Pids(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::PidsRequest>(
      tasks_, call, reply, [&](const task::PidsRequest&, Container& container) {
        if (container.cgroup() == nullptr) {
          return reply.Fail(NotFound("the container's cgroup is not known"));
        }
        const StatusOr<std::vector<pid_t>> pids = container.cgroup()->Pids();
        if (!pids.ok()) return reply.Fail(pids.status());
        task::PidsResponse response;
        for (const pid_t pid : *pids) {
          auto* info = response.add_processes();
          info->set_pid(static_cast<uint32_t>(pid));
          for (const Process* process : container.Processes()) {
            if (process->State().pid != pid || process->exec_id().empty()) {
              continue;
            }
            containerd::runc::v1::ProcessDetails details;
            details.set_exec_id(process->exec_id());
            info->mutable_info()->set_type_url(
                "containerd.runc.v1.ProcessDetails");
            info->mutable_info()->set_value(details.SerializeAsString());
          }
        }
        reply.Send(response);
      });
}

void TaskService::Pause(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::PauseRequest>(
      tasks_, call, reply,
      [&](const task::PauseRequest&, Container& container) {
        container.Freeze(true, AnswerEmpty(reply));
      });
}

void TaskService::Resume(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::ResumeRequest>(
      tasks_, call, reply,
      [&](const task::ResumeRequest&, Container& container) {
        container.Freeze(false, AnswerEmpty(reply));
      });
}

void TaskService::CloseIO(const TtrpcCall& call, const Responder& reply) {
  WithProcess<task::CloseIORequest>(
      tasks_, call, reply,
      [&](const task::CloseIORequest& request, Container&, Process& process) {
        if (request.stdin()) process.stdio().CloseStdin();
        reply.Send(OkStatus());
      });
}

void TaskService::ResizePty(const TtrpcCall& call, const Responder& reply) {
  WithProcess<task::ResizePtyRequest>(
      tasks_, call, reply,
      [&](const task::ResizePtyRequest& request, Container&, Process& process) {
        reply.Send(process.stdio().Resize({request.width(), request.height()}));
      });
}

void TaskService::Update(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::UpdateTaskRequest>(
      tasks_, call, reply,
      [&](const task::UpdateTaskRequest& request, Container& container) {
        container.Update(request.resources().value(), AnswerEmpty(reply));
      });
}

void TaskService::Stats(const TtrpcCall& call, const Responder& reply) {
  WithContainer<task::StatsRequest>(
      tasks_, call, reply,
      [&](const task::StatsRequest&, Container& container) {
        if (container.cgroup() == nullptr) {
          return reply.Fail(NotFound("the container's cgroup is not known"));
        }
        const StatusOr<oci::CgroupStats> stats = container.cgroup()->Stats();
        if (!stats.ok()) return reply.Fail(stats.status());
        task::StatsResponse response;
        *response.mutable_stats() = ToMetrics(*stats);
        reply.Send(response);
      });
}

void TaskService::Connect(const TtrpcCall& call, const Responder& reply) {
  task::ConnectRequest request;
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(getpid()));
  response.set_version("v3");
  if (request.ParseFromString(call.payload)) {
    const StatusOr<std::shared_ptr<Container>> container =
        tasks_.Find(request.id());
    if (container.ok()) {
      response.set_task_pid(static_cast<uint32_t>((*container)->init().pid()));
    }
  }
  reply.Send(response);
}

void TaskService::Shutdown(const TtrpcCall&, const Responder& reply) {
  reply.Send(OkStatus());
  if (tasks_.empty()) shutdown_();
}

void TaskService::Checkpoint(const TtrpcCall&, const Responder& reply) {
  reply.Fail(Unimplemented("checkpoint"));
}

}  // namespace berth::shim
