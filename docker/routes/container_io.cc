// Attach, logs, wait, resize.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "docker/routes/stream_channel.h"
#include "docker/stream/log_reader.h"
#include "door/http/upgrade.h"
#include "door/stream/channel.h"
#include "door/stream/frames.h"
#include "door/stream/pump.h"
#include "door/stream/stream.h"
#include "door/stream/websocket_channel.h"
#include "sandbox/event_bus.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using door::DetachKeys;
using door::Frame;
using door::Pump;
using door::PumpEnd;
using door::PumpOptions;
using door::Stream;
using door::StreamChannel;
using door::UpgradedConnection;
using sandbox::ContainerId;
using sandbox::Event;

constexpr char kRaw[] = "application/vnd.docker.raw-stream";
constexpr char kFramed[] = "application/vnd.docker.multiplexed-stream";

const char* StreamType(const Call& call, bool tty) {
  return tty || call.version < 42 ? kRaw : kFramed;
}

bool HasLog(const View& view) {
  return view.container->config().log().path() != "/dev/null";
}

// The log so far, as attach with logs=1 begins.
Status Replay(Call& call, const View& view, StreamChannel& client,
              const PumpOptions& options) {
  if (!HasLog(view)) return OkStatus();
  LogQuery query;
  query.want_stdout = options.want_stdout;
  query.want_stderr = options.want_stderr;
  return ReadLog(
      call.ctx, view.container->log_path(), query, [] { return false; },
      [&](const LogEntry& entry) {
        const Stream stream =
            entry.from_stderr ? Stream::kStderr : Stream::kStdout;
        return client.Write(call.ctx, stream, entry.text);
      });
}

// Ends HTTP: what comes after it is streams.
using OpenChannel =
    std::function<StatusOr<std::unique_ptr<StreamChannel>>(bool tty)>;

Status AttachTo(Engine& engine, Call& call, const OpenChannel& open) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  if (view.running() && view.container->paused()) {
    return FailedPrecondition("Container " + view.id() +
                              " is paused, unpause the container before "
                              "attach");
  }
  PumpOptions options{call.Flag("stdout"), call.Flag("stderr"),
                      call.Flag("stdin") && view.container->config().stdin(),
                      DetachKeys(),
                      view.container->config().stdin_once() && !view.tty()};
  ASSIGN_OR_RETURN(options.detach_keys,
                   DetachKeys::Parse(call.Query("detachKeys")));
  StatusOr<sandbox::StreamSession> session = sandbox::StreamSession();
  const bool live = call.Flag("stream");
  if (live) {
    // Before 101 is sent: the client starts the container once it has that,
    // and must not lose what comes first.
    session = engine.streams.Attach(call.ctx, ContainerId(view.id()),
                                    options.want_stdin);
    RETURN_IF_ERROR(session.status());
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<StreamChannel> client,
                   open(view.tty()));
  if (call.Flag("logs")) RETURN_IF_ERROR(Replay(call, view, *client, options));
  if (!live) return client->End(call.ctx, std::nullopt);
  engine.events.PublishContainer("attach", view.id());
  ASSIGN_OR_RETURN(const PumpEnd end,
                   Pump(call.ctx, *client, *session, std::move(options)));
  if (end == PumpEnd::kDetached) {
    engine.events.PublishContainer("detach", view.id());
  }
  if (end == PumpEnd::kClientGone) return OkStatus();
  return client->End(call.ctx, std::nullopt);
}

// A body that says its length is not the program's input: clients of
// JavaScript send the options once more in it.
Status SkipBody(const Call& call) {
  constexpr size_t kMost = 1 << 20;
  if (call.http.request().Header("content-length").empty()) return OkStatus();
  return call.http.ReadBody(kMost).status();
}

Status Attach(Engine& engine, Call& call) {
  return AttachTo(engine, call,
                  [&](bool tty) -> StatusOr<std::unique_ptr<StreamChannel>> {
                    RETURN_IF_ERROR(SkipBody(call));
                    ASSIGN_OR_RETURN(UpgradedConnection client,
                                     call.http.Upgrade(StreamType(call, tty)));
                    return NewChannel(std::move(client), /*framed=*/!tty);
                  });
}

Status AttachWebsocket(Engine& engine, Call& call) {
  return AttachTo(engine, call,
                  [&](bool /*tty*/) { return door::OpenWebsocket(call.http); });
}

Status Logs(Engine& engine, Call& call) {
  // An experiment of API 1.54.
  RETURN_IF_ERROR(call.Refuse({"format"}));
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  LogQuery query;
  query.want_stdout = call.Flag("stdout");
  query.want_stderr = call.Flag("stderr");
  query.follow = call.Flag("follow");
  if (!query.want_stdout && !query.want_stderr) {
    return InvalidArgument(
        "Bad parameters: you must choose at least one stream");
  }
  ASSIGN_OR_RETURN(query.since, call.Time("since"));
  ASSIGN_OR_RETURN(query.until, call.Time("until"));
  query.tail = ParseInt(call.Query("tail")).value_or(-1);
  if (!HasLog(view)) {
    return Unimplemented("configured logging driver does not support reading");
  }
  if (view.container->log_path().empty()) {
    // A container that never started has no log either.
    if (view.running()) {
      return Unimplemented(
          "configured logging driver does not support reading");
    }
  }
  const bool stamps = call.Flag("timestamps");
  const bool details = call.Flag("details");
  RETURN_IF_ERROR(call.http.BeginStream(200, StreamType(call, view.tty())));
  const std::string id = view.id();
  std::string path = view.container->log_path();
  if (path.empty()) path = view.container->config().log().path();
  if (path.empty()) return OkStatus();
  return ReadLog(
      call.ctx, path, query,
      [&] {
        const View now = ViewOf(engine, id);
        return now.container != nullptr &&
               (now.running() || SurroundingsOf(engine, now).restarting);
      },
      [&](const LogEntry& entry) {
        std::string text = stamps ? FormatRfc3339(entry.time) + " " : "";
        if (details) text += entry.details + " ";
        text += entry.text;
        const Stream stream =
            entry.from_stderr ? Stream::kStderr : Stream::kStdout;
        return call.http.Write(view.tty() ? text : Frame(stream, text));
      });
}

// The exit code to answer `wait` with, once the condition holds.
StatusOr<int> AwaitCondition(Engine& engine, const Context& ctx,
                             sandbox::Subscription& events, const View& view,
                             const std::string& condition) {
  // As it is now that no event can be missed.
  const View begin = ViewOf(engine, view.id());
  if (begin.container == nullptr) return view.exit_code();
  if (condition == "not-running" && !begin.running() &&
      !SurroundingsOf(engine, begin).restarting) {
    return begin.exit_code();
  }
  int code = view.running() ? 0 : view.exit_code();
  while (true) {
    const StatusOr<Event> event = events.Next(ctx);
    if (event.status().code() == StatusCode::kResourceExhausted) continue;
    RETURN_IF_ERROR(event.status());
    if (event->type == Event::Type::kContainerRemoved) return code;
    code = event->exit_code;
    // One that never ran says what a shell would.
    const View now = ViewOf(engine, view.id());
    if (now.container != nullptr && now.failed_start()) code = now.exit_code();
    if (condition != "removed") return code;
  }
}

Status Wait(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  std::string condition = call.Query("condition");
  if (condition.empty()) condition = "not-running";
  if (condition != "not-running" && condition != "next-exit" &&
      condition != "removed") {
    return InvalidArgument("invalid condition: \"" + condition + "\"");
  }
  // Before the head goes out: the client starts the container right after.
  const std::shared_ptr<sandbox::Subscription> events =
      engine.world.events().Subscribe(
          {{Event::Type::kContainerExited, Event::Type::kContainerRemoved},
           "",
           view.id()});
  RETURN_IF_ERROR(call.http.BeginStream(200, "application/json"));
  ASSIGN_OR_RETURN(const int code,
                   AwaitCondition(engine, call.ctx, *events, view, condition));
  return call.http.Write(DumpJson({{"StatusCode", code}}) + "\n");
}

Status Resize(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(const int64_t height, call.Number("h", -1));
  ASSIGN_OR_RETURN(const int64_t width, call.Number("w", -1));
  if (height < 0 || width < 0 || height > 65535 || width > 65535) {
    return InvalidArgument("invalid terminal size");
  }
  if (!view.running()) {
    return FailedPrecondition("container " + view.id() + " is not running");
  }
  sandbox::TerminalSize size;
  size.height = static_cast<uint16_t>(height);
  size.width = static_cast<uint16_t>(width);
  RETURN_IF_ERROR(
      engine.streams.Resize(call.ctx, ContainerId(view.id()), size));
  engine.events.PublishContainer(
      "resize", view.id(),
      {{"height", std::to_string(height)}, {"width", std::to_string(width)}});
  return call.Reply(200);
}

}  // namespace

std::vector<Route> ContainerIoRoutes() {
  return {{"POST", "/containers/{id}/attach", Attach},
          {"GET", "/containers/{id}/attach/ws", AttachWebsocket},
          {"GET", "/containers/{id}/logs", Logs},
          {"POST", "/containers/{id}/wait", Wait},
          {"POST", "/containers/{id}/resize", Resize}};
}

}  // namespace berth::docker
