#include "shim/service/sandbox_service.h"

#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <utility>

#include "api/shim/runtime/sandbox/v1/sandbox.pb.h"
#include "base/strings.h"
#include "base/sys/process.h"
#include "shim/runtime/pod_init.h"
#include "shim/wire/convert.h"

namespace berth::shim {
namespace {

namespace sandbox = containerd::runtime::sandbox::v1;

constexpr char kName[] = "containerd.runtime.sandbox.v1.Sandbox";
constexpr char kPidNamespace[] = "berth.pid-namespace";
constexpr char kNames[] = "berth.names";
constexpr char kUserNamespace[] = "berth.user-namespace";

std::string Architecture() {
  utsname names{};
  uname(&names);
  const std::string machine = names.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

}  // namespace

SandboxService::SandboxService(const ShimParts& parts, TaskTable& tasks,
                               std::function<void()> shutdown)
    : parts_(parts), tasks_(tasks), shutdown_(std::move(shutdown)) {}

void SandboxService::Register(TtrpcServer& server) {
  server.Add(kName, [this](const TtrpcCall& call, const Responder& reply) {
    Handle(call, reply);
  });
}

void SandboxService::Handle(const TtrpcCall& call, const Responder& reply) {
  if (call.method == "CreateSandbox") return Create(call.payload, reply);
  if (call.method == "Platform") {
    sandbox::PlatformResponse response;
    response.mutable_platform()->set_os("linux");
    response.mutable_platform()->set_architecture(Architecture());
    return reply.Send(response);
  }
  if (call.method == "PingSandbox") return reply.Send(OkStatus());
  if (call.method == "UpdateSandbox" || call.method == "SandboxMetrics") {
    return reply.Fail(Unimplemented(call.method));
  }
  if (phase_ == Phase::kNone) {
    return reply.Fail(NotFound("this shim has no sandbox"));
  }
  if (call.method == "StartSandbox") return Start(reply);
  if (call.method == "StopSandbox") return StopSandbox(reply);
  if (call.method == "WaitSandbox") return Wait(reply);
  if (call.method == "SandboxStatus") return State(reply);
  if (call.method == "ShutdownSandbox") return Shutdown(reply);
  reply.Fail(Unimplemented("unknown method " + call.method));
}

void SandboxService::Create(const std::string& payload,
                            const Responder& reply) {
  sandbox::CreateSandboxRequest request;
  if (!request.ParseFromString(payload)) {
    return reply.Fail(InvalidArgument("CreateSandbox: cannot parse"));
  }
  if (phase_ != Phase::kNone) {
    return reply.Fail(AlreadyExists("sandbox " + id_ + " is in this shim"));
  }
  if (request.rootfs_size() > 0) {
    return reply.Fail(Unimplemented("rootfs of a sandbox"));
  }
  const auto wish = request.annotations().find(kPidNamespace);
  if (wish != request.annotations().end()) {
    wants_init_ = wish->second == "pod";
    if (!wants_init_ && wish->second != "container") {
      return reply.Fail(InvalidArgument("annotation " +
                                        std::string(kPidNamespace) + " is " +
                                        Quoted(wish->second)));
    }
  }
  const auto user = request.annotations().find(kUserNamespace);
  if (user != request.annotations().end()) user_namespace_ = user->second;
  const auto names = request.annotations().find(kNames);
  if (names != request.annotations().end()) {
    StatusOr<std::unique_ptr<NameServer>> server =
        NameServer::Start(parts_.loop, request.netns_path(), names->second);
    if (!server.ok()) return reply.Fail(server.status());
    names_ = *std::move(server);
  }
  id_ = request.sandbox_id();
  phase_ = Phase::kCreated;
  reply.Send(OkStatus());
}

void SandboxService::Start(const Responder& reply) {
  if (phase_ != Phase::kCreated) {
    return reply.Fail(
        FailedPrecondition("sandbox " + id_ + " was started before"));
  }
  if (wants_init_) {
    const StatusOr<pid_t> pid = StartInit();
    if (!pid.ok()) return reply.Fail(pid.status());
    pid_ = *pid;
  }
  phase_ = Phase::kReady;
  created_at_ = Now();
  sandbox::StartSandboxResponse response;
  response.set_pid(static_cast<uint32_t>(pid_));
  *response.mutable_created_at() = ToWire(created_at_);
  reply.Send(response);
}

StatusOr<pid_t> SandboxService::StartInit() {
  ASSIGN_OR_RETURN_AS(const pid_t pid, MakePodInit(user_namespace_),
                      "make the pid namespace of sandbox " + id_);
  parts_.reaper.Watch(pid, [this](const Reaper::Exit& exit) {
    pid_ = 0;
    OnExit({static_cast<uint32_t>(ExitCodeOf(exit.wait_status)), exit.at});
  });
  return pid;
}

void SandboxService::OnExit(const ExitStatus& exit) {
  if (phase_ == Phase::kStopped) return;
  phase_ = Phase::kStopped;
  exit_ = exit;
  const std::vector<Responder> waiters = std::exchange(waiters_, {});
  for (const Responder& waiter : waiters) Wait(waiter);
}

void SandboxService::Stop() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);  // OnExit follows
  } else {
    OnExit({0, Now()});
  }
}

void SandboxService::StopSandbox(const Responder& reply) {
  Stop();
  reply.Send(OkStatus());
}

void SandboxService::Wait(const Responder& reply) {
  if (phase_ != Phase::kStopped) {
    std::erase_if(waiters_,
                  [](const Responder& each) { return !each.alive(); });
    return waiters_.push_back(reply);
  }
  sandbox::WaitSandboxResponse response;
  response.set_exit_status(exit_.code);
  *response.mutable_exited_at() = ToWire(exit_.at);
  reply.Send(response);
}

void SandboxService::State(const Responder& reply) {
  sandbox::SandboxStatusResponse response;
  response.set_sandbox_id(id_);
  response.set_pid(static_cast<uint32_t>(pid_));
  response.set_state(phase_ == Phase::kReady ? "SANDBOX_READY"
                                             : "SANDBOX_NOTREADY");
  if (created_at_ != 0) *response.mutable_created_at() = ToWire(created_at_);
  if (exit_.at != 0) *response.mutable_exited_at() = ToWire(exit_.at);
  reply.Send(response);
}

void SandboxService::Shutdown(const Responder& reply) {
  if (!tasks_.empty()) {
    return reply.Fail(
        FailedPrecondition("sandbox " + id_ + " still holds containers"));
  }
  reply.Send(OkStatus());
  Stop();
  shutdown_();
}

}  // namespace berth::shim
