#include "shim/client/shim_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "api/shim/berth/v1/shim.pb.h"
#include "api/shim/runtime/sandbox/v1/sandbox.pb.h"
#include "api/shim/runtime/task/v3/shim.pb.h"
#include "base/strings.h"
#include "base/sys/process.h"
#include "base/unique_fd.h"
#include "shim/client/foreign_bundles.h"
#include "shim/wire/convert.h"
#include "shim/wire/metrics.h"
#include "shim/wire/ttrpc_client.h"

namespace berth::shim {

namespace {

namespace task = containerd::task::v3;
namespace sandbox_v1 = containerd::runtime::sandbox::v1;

constexpr char kSandboxService[] = "containerd.runtime.sandbox.v1.Sandbox";
constexpr char kBerthService[] = "berth.shim.v1.Shim";
constexpr char kOciUrl[] = "types.containerd.io/opencontainers/runtime-spec/1/";
constexpr Duration kExitTime = std::chrono::seconds(3);
constexpr Duration kUndoTime = std::chrono::seconds(30);
// What ExecSync may take beyond its timeout: to kill, and to drain the output.
constexpr Duration kAfterTimeout = std::chrono::seconds(2);

wire::Any OciJson(const char* type, const std::string& json) {
  wire::Any any;
  any.set_type_url(std::string(kOciUrl) + type);
  any.set_value(json);
  return any;
}

template <typename Request>
void SetStdio(const Stdio& stdio, Request& request) {
  request.set_stdin(stdio.in);
  request.set_stdout(stdio.out);
  request.set_stderr(stdio.err);
  request.set_terminal(stdio.terminal);
}

template <typename Response>
ExitStatus ExitOf(const Response& response) {
  return {response.exit_status(), FromWire(response.exited_at())};
}

// A file in memory that the shim can open by a path of ours.
struct MemoryFile {
  UniqueFd fd;
  std::string path;
};

StatusOr<MemoryFile> NewMemoryFile() {
  MemoryFile file;
  file.fd.reset(memfd_create("berth-exec", MFD_CLOEXEC));
  if (!file.fd.valid()) return Errno(errno, "memfd_create");
  file.path = "/proc/" + std::to_string(getpid()) + "/fd/" +
              std::to_string(file.fd.get());
  return file;
}

StatusOr<std::string> Contents(const MemoryFile& file, uint64_t size) {
  std::string text(size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(pread(file.fd.get(), text.data() + done,
                                 text.size() - done, static_cast<off_t>(done)));
    if (n < 0) return Errno(errno, "read output");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

// Rather than refused.
bool Unanswered(const Status& status) {
  return status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kCancelled ||
         status.code() == StatusCode::kUnavailable;
}

// The protocol has no word for a caller that has gone. Nobody waits for the
// answer: an older shim has none but an error, and a stuck one has none.
void EndExecSync(TtrpcClient& client, const v1::ExecSyncRequest& begun) {
  v1::EndExecSyncRequest request;
  request.set_id(begun.id());
  request.set_key(begun.key());
  client.CallLater(kBerthService, "EndExecSync", request.SerializeAsString(),
                   [](const StatusOr<std::string>&) {});
}

}  // namespace

containerd::runc::v1::Options OptionsOf(const SandboxShim& sandbox) {
  containerd::runc::v1::Options options;
  options.set_binary_name(sandbox.runtime_program);
  options.set_root(sandbox.runtime_root);
  options.set_systemd_cgroup(sandbox.systemd_cgroup);
  options.set_shim_cgroup(sandbox.cgroup);
  return options;
}

// A process behind a connection, by its ids.
class ClientTask : public Task {
 public:
  ClientTask(std::shared_ptr<ShimConnection> connection, std::string id,
             std::string exec_id)
      : connection_(std::move(connection)),
        id_(std::move(id)),
        exec_id_(std::move(exec_id)) {}

  StatusOr<pid_t> Start(const Context& ctx) override {
    ASSIGN_OR_RETURN(const auto response,
                     connection_->Task<task::StartResponse>(
                         ctx, "Start", Named<task::StartRequest>()));
    return static_cast<pid_t>(response.pid());
  }

  void WhenExited(
      std::function<void(const StatusOr<ExitStatus>&)> told) override {
    connection_->client->CallLater(
        connection_->task_service, "Wait",
        Named<task::WaitRequest>().SerializeAsString(),
        [told = std::move(told)](const StatusOr<std::string>& answer) {
          task::WaitResponse response;
          if (!answer.ok()) return told(answer.status());
          if (response.ParseFromString(*answer)) return told(ExitOf(response));
          told(DataLoss("Wait: the shim's answer cannot be parsed"));
        });
  }
  StatusOr<TaskState> State(const Context& ctx) override {
    ASSIGN_OR_RETURN(const auto response,
                     connection_->Task<task::StateResponse>(
                         ctx, "State", Named<task::StateRequest>()));
    TaskState state;
    state.phase = FromWire(response.status());
    state.pid = static_cast<pid_t>(response.pid());
    state.exit = ExitOf(response);
    return state;
  }

  Status Kill(const Context& ctx, int signal, bool all) override {
    auto request = Named<task::KillRequest>();
    request.set_signal(static_cast<uint32_t>(signal));
    request.set_all(all);
    return Do(ctx, "Kill", request);
  }

  Status Attach(const Context& ctx, const Stdio& fifos) override {
    auto request = Named<v1::AttachRequest>();
    request.set_stdin(fifos.in);
    request.set_stdout(fifos.out);
    request.set_stderr(fifos.err);
    return connection_->Do(ctx, kBerthService, "Attach", request);
  }

  Status Resize(const Context& ctx, TerminalSize size) override {
    auto request = Named<task::ResizePtyRequest>();
    request.set_width(size.width);
    request.set_height(size.height);
    return Do(ctx, "ResizePty", request);
  }

  Status CloseStdin(const Context& ctx) override {
    auto request = Named<task::CloseIORequest>();
    request.set_stdin(true);
    return Do(ctx, "CloseIO", request);
  }

  Status Freeze(const Context& ctx, bool frozen) override {
    task::PauseRequest request;  // ResumeRequest is the same
    request.set_id(id_);
    return Do(ctx, frozen ? "Pause" : "Resume", request);
  }

  Status Update(const Context& ctx, const std::string& resources) override {
    task::UpdateTaskRequest request;
    request.set_id(id_);
    *request.mutable_resources() = OciJson("LinuxResources", resources);
    return Do(ctx, "Update", request);
  }

  StatusOr<TaskStats> Stats(const Context& ctx) override {
    task::StatsRequest request;
    request.set_id(id_);
    ASSIGN_OR_RETURN(
        const auto response,
        connection_->Task<task::StatsResponse>(ctx, "Stats", request));
    return FromMetrics(response.stats(), Now());
  }

  Status ReopenLog(const Context& ctx) override {
    v1::ReopenLogRequest request;
    request.set_id(id_);
    return connection_->Do(ctx, kBerthService, "ReopenLog", request);
  }

  StatusOr<ExitStatus> Delete(const Context& ctx) override {
    ASSIGN_OR_RETURN(const auto response,
                     connection_->Task<task::DeleteResponse>(
                         ctx, "Delete", Named<task::DeleteRequest>()));
    return ExitOf(response);
  }

 private:
  template <typename Request>
  Request Named() const {
    Request request;
    request.set_id(id_);
    request.set_exec_id(exec_id_);
    return request;
  }

  Status Do(const Context& ctx, const char* method,
            const google::protobuf::MessageLite& request) {
    return connection_->Do(ctx, connection_->task_service, method, request);
  }

  const std::shared_ptr<ShimConnection> connection_;
  const std::string id_;
  const std::string exec_id_;
};

ShimClient::ShimClient(const SandboxShim& sandbox,
                       std::shared_ptr<ShimConnection> connection)
    : sandbox_(sandbox), connection_(std::move(connection)) {}

ShimClient::~ShimClient() = default;

StatusOr<std::unique_ptr<ShimClient>> ShimClient::Connect(
    const Context& ctx, const SandboxShim& sandbox, const ShimAddress& address,
    Known known) {
  StatusOr<std::unique_ptr<TtrpcClient>> client =
      TtrpcClient::Connect(ctx, address.path, sandbox.name_space);
  if (IsNotFound(client.status())) {
    return Unavailable(Message(client.status()));
  }
  RETURN_IF_ERROR(client.status());
  auto connection = std::make_shared<ShimConnection>();
  connection->client = *std::move(client);
  connection->task_service = address.version >= 3 ? "containerd.task.v3.Task"
                                                  : "containerd.task.v2.Task";
  auto shim = std::unique_ptr<ShimClient>(
      new ShimClient(sandbox, std::move(connection)));
  RETURN_IF_ERROR(shim->Identify(ctx));
  shim->ours_ = known == Known::kFreshBerthShim;
  if (!shim->ours_) RETURN_IF_ERROR(shim->AskWhatItHolds(ctx));
  return shim;
}

Status ShimClient::Identify(const Context& ctx) {
  task::ConnectRequest request;
  request.set_id(sandbox_.id);
  ASSIGN_OR_RETURN(
      const auto connected,
      connection_->Task<task::ConnectResponse>(ctx, "Connect", request));
  shim_pid_ = static_cast<pid_t>(connected.shim_pid());
  StatusOr<UniqueFd> process = OpenPidfd(shim_pid_);
  // It has just answered: one that cannot be seen is somewhere else.
  if (!process.ok()) return OkStatus();
  *connection_->process = *std::move(process);
  return connection_->client->LoseWith(connection_->process->get());
}

Status ShimClient::AskWhatItHolds(const Context& ctx) {
  const Status listed =
      connection_->Do(ctx, kBerthService, "List", v1::ListRequest());
  if (Unanswered(listed)) return listed;
  ours_ = listed.code() != StatusCode::kUnimplemented;

  sandbox_v1::SandboxStatusRequest status;
  status.set_sandbox_id(sandbox_.id);
  const auto state =
      connection_->client->Call<sandbox_v1::SandboxStatusResponse>(
          ctx, kSandboxService, "SandboxStatus", status);
  if (Unanswered(state.status())) return state.status();
  if (!state.ok()) return OkStatus();  // none yet, or never
  has_sandbox_ = true;
  sandbox_pid_ = static_cast<pid_t>(state->pid());
  return OkStatus();
}

Status ShimClient::StartSandbox(const Context& ctx) {
  sandbox_v1::CreateSandboxRequest create;
  create.set_sandbox_id(sandbox_.id);
  create.set_bundle_path(sandbox_.state_dir);
  create.set_netns_path(sandbox_.netns_path);
  create.mutable_annotations()->insert(sandbox_.annotations.begin(),
                                       sandbox_.annotations.end());
  const Status created =
      connection_->Do(ctx, kSandboxService, "CreateSandbox", create);
  if (created.code() == StatusCode::kUnimplemented) return OkStatus();
  RETURN_IF_ERROR(created);
  has_sandbox_ = true;
  sandbox_v1::StartSandboxRequest start;
  start.set_sandbox_id(sandbox_.id);
  ASSIGN_OR_RETURN(const auto started,
                   connection_->client->Call<sandbox_v1::StartSandboxResponse>(
                       ctx, kSandboxService, "StartSandbox", start));
  sandbox_pid_ = static_cast<pid_t>(started.pid());
  return OkStatus();
}

task::CreateTaskRequest ShimClient::RequestOf(const CreateTask& create) const {
  task::CreateTaskRequest request;
  request.set_id(create.id);
  request.set_bundle(create.bundle);
  for (const Mount& mount : create.rootfs) {
    *request.add_rootfs() = ToWire(mount);
  }
  SetStdio(create.stdio, request);
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(OptionsOf(sandbox_).SerializeAsString());
  return request;
}

StatusOr<std::unique_ptr<Task>> ShimClient::Create(const Context& ctx,
                                                   const CreateTask& create) {
  if (!ours_) {
    RETURN_IF_ERROR(NoteForeignBundle(sandbox_, create.id, create.bundle));
  }
  RETURN_IF_ERROR(
      connection_
          ->Task<task::CreateTaskResponse>(ctx, "Create", RequestOf(create))
          .status());
  return std::unique_ptr<Task>(
      std::make_unique<ClientTask>(connection_, create.id, ""));
}

StatusOr<RunningTask> ShimClient::Run(const Context& ctx,
                                      const CreateTask& create) {
  if (ours_ && runs_) {
    const auto ran = connection_->client->Call<task::CreateTaskResponse>(
        ctx, kBerthService, "Run", RequestOf(create));
    if (ran.ok()) {
      return RunningTask{
          std::make_unique<ClientTask>(connection_, create.id, ""),
          static_cast<pid_t>(ran->pid())};
    }
    if (ran.status().code() != StatusCode::kUnimplemented) return ran.status();
    // It may be that of an earlier daemon, and not know the call.
    runs_ = false;
  }
  RunningTask running;
  ASSIGN_OR_RETURN(running.task, Create(ctx, create));
  const StatusOr<pid_t> pid = running.task->Start(ctx);
  if (pid.ok()) {
    running.pid = *pid;
    return running;
  }
  const Context undo = Context::Background(create.id).WithTimeout(kUndoTime);
  running.task->Delete(undo).status().IgnoreError();
  return pid.status();
}

StatusOr<std::unique_ptr<Task>> ShimClient::Exec(const Context& ctx,
                                                 const ExecTask& exec) {
  task::ExecProcessRequest request;
  request.set_id(exec.container_id);
  request.set_exec_id(exec.exec_id);
  *request.mutable_spec() = OciJson("Process", exec.process);
  SetStdio(exec.stdio, request);
  RETURN_IF_ERROR(
      connection_->Do(ctx, connection_->task_service, "Exec", request));
  return std::unique_ptr<Task>(std::make_unique<ClientTask>(
      connection_, exec.container_id, exec.exec_id));
}

StatusOr<ExecSyncResult> ShimClient::ExecSync(const Context& ctx,
                                              const ExecSyncTask& exec) {
  ASSIGN_OR_RETURN(const MemoryFile out, NewMemoryFile());
  ASSIGN_OR_RETURN(const MemoryFile err, NewMemoryFile());
  v1::ExecSyncRequest request;
  request.set_id(exec.container_id);
  request.set_process(exec.process);
  request.set_timeout_nanos(exec.timeout.count());
  request.set_stdout_path(out.path);
  request.set_stderr_path(err.path);
  request.set_output_limit(exec.output_limit);
  request.set_key(RandomId().substr(0, 32));
  // The shim keeps the time; one that is stuck cannot.
  const Context limit = exec.timeout > Duration(0)
                            ? ctx.WithTimeout(exec.timeout + kAfterTimeout)
                            : ctx;
  const auto response = connection_->client->Call<v1::ExecSyncResponse>(
      limit, kBerthService, "ExecSync", request);
  if (!response.ok() && !ctx.Check().ok()) {
    EndExecSync(*connection_->client, request);
  }
  RETURN_IF_ERROR(response.status());
  ExecSyncResult result;
  result.exit_status = response->exit_status();
  result.timed_out = response->timed_out();
  ASSIGN_OR_RETURN(result.out, Contents(out, std::min(response->stdout_bytes(),
                                                      exec.output_limit)));
  ASSIGN_OR_RETURN(result.err, Contents(err, std::min(response->stderr_bytes(),
                                                      exec.output_limit)));
  return result;
}

Status ShimClient::ForgetExecs(const Context& ctx, const std::string& id,
                               const std::string& keep) {
  if (!ours_) return Unimplemented("forget execs: not of berth-shim's calls");
  v1::ForgetExecsRequest request;
  request.set_id(id);
  request.set_keep(keep);
  return connection_->Do(ctx, kBerthService, "ForgetExecs", request);
}

StatusOr<std::unique_ptr<Task>> ShimClient::Find(const Context& ctx,
                                                 const std::string& id,
                                                 const std::string& exec_id) {
  auto found = std::make_unique<ClientTask>(connection_, id, exec_id);
  RETURN_IF_ERROR(found->State(ctx).status());
  return std::unique_ptr<Task>(std::move(found));
}

void ShimClient::WhenLost(std::function<void(const Status& why)> told) {
  connection_->client->WhenLost(std::move(told));
}

void ShimClient::WhenInitExited(std::function<void(const Status& why)> told) {
  if (!has_sandbox_ || sandbox_pid_ <= 0) return;
  sandbox_v1::WaitSandboxRequest request;
  request.set_sandbox_id(sandbox_.id);
  connection_->client->CallLater(
      kSandboxService, "WaitSandbox", request.SerializeAsString(),
      [told = std::move(told)](const StatusOr<std::string>& answer) {
        // An error is the shim's own end, or says nothing.
        if (answer.ok()) told(Unavailable("pid 1 of the sandbox has exited"));
      });
}

Status ShimClient::Kill() {
  if (!connection_->process->valid()) {
    return Unavailable("kill the shim of " + sandbox_.id + ": pid unknown");
  }
  return IgnoreNotFound(SignalProcess(connection_->process->get(), SIGKILL));
}

Status ShimClient::Shutdown(const Context& ctx) {
  if (has_sandbox_) {
    sandbox_v1::ShutdownSandboxRequest request;
    request.set_sandbox_id(sandbox_.id);
    RETURN_IF_ERROR(
        connection_->Do(ctx, kSandboxService, "ShutdownSandbox", request));
  } else {
    task::ShutdownRequest request;
    request.set_id(sandbox_.id);
    RETURN_IF_ERROR(
        connection_->Do(ctx, connection_->task_service, "Shutdown", request));
  }
  // Its cgroup can be removed only when it has gone.
  if (!connection_->process->valid()) return OkStatus();
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(ctx.Remaining(kExitTime));
  pollfd exited{connection_->process->get(), POLLIN, 0};
  if (poll(&exited, 1, static_cast<int>(left.count())) > 0) return OkStatus();
  return FailedPrecondition("the shim of " + sandbox_.id +
                            " does not end: it may hold a task");
}

}  // namespace berth::shim
