// Further processes in a running container.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "docker/call.h"
#include "docker/convert/console_size.h"
#include "docker/convert/start_error.h"
#include "docker/engine.h"
#include "docker/exec_table.h"
#include "docker/routes/stream_channel.h"
#include "door/http/upgrade.h"
#include "door/stream/channel.h"
#include "door/stream/frames.h"
#include "door/stream/pump.h"
#include "door/stream/stream.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using door::DetachKeys;
using door::Pump;
using door::PumpEnd;
using door::PumpOptions;
using door::Stream;
using door::StreamChannel;
using door::UpgradedConnection;
using sandbox::ContainerId;

// How long a resize waits for a process that is being started, as dockerd does.
constexpr Duration kStartPatience = std::chrono::seconds(10);

StatusOr<std::optional<sandbox::TerminalSize>> ConsoleSize(JsonReader& reader) {
  ASSIGN_OR_RETURN(const auto size, ParseConsoleSize(reader));
  if (!size.has_value()) return std::nullopt;
  sandbox::TerminalSize console;
  console.height = size->height;
  console.width = size->width;
  return console;
}

Status ReadExec(const Json& body, Exec& exec) {
  JsonReader reader(body, "exec", JsonNames::kAnyCase);
  sandbox::ExecConfig& config = exec.config;
  reader.Get("Cmd", config.args);
  reader.Get("Env", config.env);
  reader.Get("Tty", config.tty);
  reader.Get("Privileged", config.privileged);
  config.stdin = false;
  config.stdout = false;
  config.stderr = false;
  reader.Get("AttachStdin", config.stdin);
  reader.Get("AttachStdout", config.stdout);
  reader.Get("AttachStderr", config.stderr);
  reader.Get("DetachKeys", exec.detach_keys);
  std::string text;
  reader.Get("User", text);
  if (!text.empty()) config.user = text;
  text.clear();
  reader.Get("WorkingDir", text);
  if (!text.empty()) config.working_dir = text;
  ASSIGN_OR_RETURN(config.console_size, ConsoleSize(reader));
  RETURN_IF_ERROR(reader.status());
  if (config.args.empty()) {
    return InvalidArgument("No exec command specified");
  }
  RETURN_IF_ERROR(DetachKeys::Parse(exec.detach_keys).status());
  exec.process = {
      {"tty", config.tty},
      {"entrypoint", config.args[0]},
      {"arguments",
       std::vector<std::string>(config.args.begin() + 1, config.args.end())},
      {"privileged", config.privileged}};
  if (config.user.has_value()) exec.process["user"] = *config.user;
  return OkStatus();
}

Status Create(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(const Json body, call.Body());
  auto exec = std::make_shared<Exec>();
  exec->id = RandomId();
  exec->container_id = view.id();
  RETURN_IF_ERROR(ReadExec(body, *exec));
  if (!view.running()) {
    return FailedPrecondition("container " + view.id() + " is not running");
  }
  if (view.container->paused()) {
    return FailedPrecondition("Container " + call.name +
                              " is paused, unpause the container before exec");
  }
  engine.events.PublishContainer("exec_create: " + Join(exec->config.args, " "),
                                 view.id(), {{"execID", exec->id}});
  const std::string id = exec->id;
  engine.execs.Add(std::move(exec));
  return call.Reply(201, {{"Id", id}});
}

void Ended(Engine& engine, Exec& exec, int code) {
  {
    MutexLock lock(exec.mutex);
    exec.running = false;
    exec.exit_code = code;
    exec.session.reset();
    exec.changed.SignalAll();
  }
  engine.events.PublishContainer(
      "exec_die", exec.container_id,
      {{"execID", exec.id}, {"exitCode", std::to_string(code)}});
}

// Makes the process. A failure is the exec's end.
StatusOr<std::shared_ptr<sandbox::StreamSession>> Run(
    Engine& engine, const Context& ctx, Exec& exec,
    const sandbox::ExecConfig& config) {
  engine.events.PublishContainer("exec_start: " + Join(exec.config.args, " "),
                                 exec.container_id, {{"execID", exec.id}});
  StatusOr<sandbox::StreamSession> session =
      engine.streams.Exec(ctx, ContainerId(exec.container_id), config);
  if (!session.ok()) {
    const int code = StartErrorCode(Message(session.status()));
    Ended(engine, exec, code == 128 ? 126 : code);
    return session.status();
  }
  auto shared = std::make_shared<sandbox::StreamSession>(*std::move(session));
  MutexLock lock(exec.mutex);
  exec.running = true;
  exec.pid = shared->pid();
  exec.session = shared;
  exec.changed.SignalAll();
  return shared;
}

// Waits until the program has ended, whatever becomes of the client; its exit
// code.
int Finish(Engine& engine, const Context& ctx, Exec& exec,
           sandbox::StreamSession& session) {
  const int code = session.Wait(ctx).value_or(137);
  Ended(engine, exec, code);
  return code;
}

Status StartDetached(Engine& engine, Call& call,
                     const std::shared_ptr<Exec>& exec,
                     sandbox::ExecConfig config) {
  config.stdin = false;
  config.stdout = false;
  config.stderr = false;
  const auto session = Run(engine, call.ctx, *exec, config);
  if (!session.ok()) {
    return InvalidArgument(StartErrorText(Message(session.status())));
  }
  engine.background.Run([&engine, exec, shared = *session](const Context& ctx) {
    (void)Finish(engine, ctx, *exec, *shared);
  });
  return call.Reply(200);
}

Status StartAttached(Engine& engine, Call& call,
                     const std::shared_ptr<Exec>& shared,
                     const sandbox::ExecConfig& config, bool raw) {
  Exec& exec = *shared;
  StatusOr<UpgradedConnection> connection = call.http.Upgrade(
      !raw && call.version >= 42 ? "application/vnd.docker.multiplexed-stream"
                                 : "application/vnd.docker.raw-stream");
  if (!connection.ok()) {
    exec.TakeBack();
    return connection.status();
  }
  const std::unique_ptr<StreamChannel> client =
      NewChannel(*std::move(connection), /*framed=*/!raw);
  const auto session = Run(engine, call.ctx, exec, config);
  if (!session.ok()) {
    // HTTP is over: the reason goes where the output would have gone.
    const std::string text = "OCI runtime exec failed: exec failed: " +
                             StartErrorText(Message(session.status())) + "\r\n";
    RETURN_IF_ERROR(client->Write(call.ctx, Stream::kStdout, text));
    return session.status();
  }
  ASSIGN_OR_RETURN(DetachKeys keys, DetachKeys::Parse(exec.detach_keys));
  PumpOptions options{exec.config.stdout, exec.config.stderr, exec.config.stdin,
                      std::move(keys), !exec.config.tty};
  const StatusOr<PumpEnd> end =
      Pump(call.ctx, *client, **session, std::move(options));
  // The client asks for the exit code as soon as the stream has ended, so it
  // is known before; a client that has left does not wait for anything.
  if (end.ok() && *end == PumpEnd::kOutputsEnded) {
    const int code = Finish(engine, call.ctx, exec, **session);
    return client->End(call.ctx, code);
  }
  // What nobody reads any more must not stop the program.
  (*session)->stdin_fd().reset();
  (*session)->stdout_fd().reset();
  (*session)->stderr_fd().reset();
  engine.background.Run([&engine, shared, left = *session](const Context& ctx) {
    (void)Finish(engine, ctx, *shared, *left);
  });
  return end.status();
}

Status Start(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Exec> exec,
                   engine.execs.Find(call.name));
  ASSIGN_OR_RETURN(const Json body, call.Body());
  JsonReader reader(body, "exec", JsonNames::kAnyCase);
  bool detach = false;
  // How the client reads the output, whatever the program writes it to.
  bool raw = false;
  reader.Get("Detach", detach);
  reader.Get("Tty", raw);
  ASSIGN_OR_RETURN(const auto console, ConsoleSize(reader));
  RETURN_IF_ERROR(reader.status());
  const View view = ViewOf(engine, exec->container_id);
  if (view.container == nullptr || !view.running()) {
    return FailedPrecondition("container " + exec->container_id +
                              " is not running");
  }
  RETURN_IF_ERROR(exec->Begin());
  sandbox::ExecConfig config = exec->config;
  if (console.has_value()) config.console_size = console;
  return detach ? StartDetached(engine, call, exec, std::move(config))
                : StartAttached(engine, call, exec, config, raw);
}

Status Inspect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Exec> exec,
                   engine.execs.Find(call.name));
  MutexLock lock(exec->mutex);
  return call.Reply(
      200, {{"ID", exec->id},
            {"Running", exec->running},
            {"ExitCode",
             exec->exit_code.has_value() ? Json(*exec->exit_code) : Json()},
            {"ProcessConfig", exec->process},
            {"OpenStdin", exec->config.stdin},
            {"OpenStderr", exec->config.stderr},
            {"OpenStdout", exec->config.stdout},
            {"CanRemove", false},
            {"ContainerID", exec->container_id},
            {"DetachKeys", exec->detach_keys},
            {"Pid", exec->pid}});
}

// That of a process that runs. One whose start was asked for just now is waited
// for: the client of an attached one hears of it before it runs.
StatusOr<std::shared_ptr<sandbox::StreamSession>> SessionOf(const Context& ctx,
                                                            Exec& exec) {
  MutexLock lock(exec.mutex);
  const Status waited =
      ctx.WithTimeout(kStartPatience)
          .Await(exec.mutex, exec.changed, [&]() NO_THREAD_SAFETY_ANALYSIS {
            return !exec.started || exec.session != nullptr ||
                   exec.exit_code.has_value();
          });
  RETURN_IF_ERROR(ctx.Check());
  if (waited.ok() && exec.session != nullptr) return exec.session;
  return FailedPrecondition("exec process is not running");
}

Status Resize(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Exec> exec,
                   engine.execs.Find(call.name));
  ASSIGN_OR_RETURN(const int64_t height, call.Number("h", -1));
  ASSIGN_OR_RETURN(const int64_t width, call.Number("w", -1));
  if (height < 0 || width < 0 || height > 65535 || width > 65535) {
    return InvalidArgument("invalid terminal size");
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<sandbox::StreamSession> session,
                   SessionOf(call.ctx, *exec));
  sandbox::TerminalSize size;
  size.height = static_cast<uint16_t>(height);
  size.width = static_cast<uint16_t>(width);
  RETURN_IF_ERROR(session->Resize(call.ctx, size));
  return call.Reply(200);
}

}  // namespace

std::vector<Route> ExecRoutes() {
  return {{"POST", "/containers/{id}/exec", Create},
          {"POST", "/exec/{id}/start", Start},
          {"POST", "/exec/{id}/resize", Resize},
          {"GET", "/exec/{id}/json", Inspect}};
}

}  // namespace berth::docker
