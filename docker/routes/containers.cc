// Containers: list, inspect and the lifecycle verbs.
#include <signal.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/io/subprocess.h"
#include "base/strings.h"
#include "base/sys/process.h"
#include "docker/build/builder.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/names.h"
#include "docker/convert/start_error.h"
#include "docker/engine.h"
#include "docker/lifecycle.h"
#include "docker/restart_monitor.h"
#include "docker/routes/container_create.h"
#include "docker/routes/container_list.h"
#include "docker/routes/disk_usage.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::ContainerId;

constexpr int64_t kDefaultGrace = 10;
constexpr Duration kTelling = std::chrono::milliseconds(500);
constexpr Duration kForEver = std::chrono::hours(24 * 365);

Status NotRunning(const View& view) {
  return FailedPrecondition("container " + view.id() + " is not running");
}

// What inspect has no longer from API 1.52 on.
void DropLegacy(Json& json) {
  Json& settings = json["NetworkSettings"];
  for (const char* member :
       {"Bridge", "EndpointID", "Gateway", "GlobalIPv6Address",
        "GlobalIPv6PrefixLen", "HairpinMode", "IPAddress", "IPPrefixLen",
        "IPv6Gateway", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen",
        "MacAddress", "SecondaryIPAddresses", "SecondaryIPv6Addresses"}) {
    settings.erase(member);
  }
  Json& config = json["Config"];
  config.erase("MacAddress");
  if (config.Find("OnBuild") == nullptr) config.erase("OnBuild");
}

Status Inspect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  Json json = InspectJson(view, SurroundingsOf(engine, view));
  if (call.version >= 52) DropLegacy(json);
  const std::vector<std::string> execs = engine.execs.Of(view.id());
  if (!execs.empty()) json["ExecIDs"] = execs;
  if (call.Flag("size")) AddSizes(engine, view, json);
  return call.Reply(200, json);
}

Status Start(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(View view, FindOurs(engine, call.name));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(call.ctx, view.id()));
  view = ViewOf(engine, view.id());
  if (view.container == nullptr) {
    return NotFound("No such container: " + call.name);
  }
  RETURN_IF_ERROR(call.Refuse({"checkpoint", "checkpoint-dir"}));
  if (view.container->paused()) {
    return FailedPrecondition(
        "cannot start a paused container, try unpause instead");
  }
  if (view.running()) return call.Reply(304);
  // From here on it goes on without whoever asked for it, as dockerd's does;
  // but one who leaves while others have their turn gives up their own.
  const Context ctx = Lasting(engine);
  engine.monitor->Forget(view.id());
  RETURN_IF_ERROR(MarkStartedByHand(engine, ctx, view.id()));
  const Status started = StartContainer(engine, ctx, view);
  if (started.ok()) return call.Reply(204);
  // The container, or a network, that has been removed meanwhile.
  if (IsNotFound(started)) return started;
  // What the CLI makes of it hangs on the words.
  const std::string text = StartErrorText(
      "failed to create task for container: " + Message(started));
  const int code = StartErrorCode(text);
  return call.http.Respond(code == 128 ? 500 : 400, "application/json",
                           DumpJson({{"message", text}}) + "\n");
}

StatusOr<Duration> GraceOf(const Call& call, const View& view) {
  const auto& config = view.container->config();
  ASSIGN_OR_RETURN(
      const int64_t seconds,
      call.Number("t", config.has_stop_timeout() ? config.stop_timeout()
                                                 : kDefaultGrace));
  return seconds < 0 || seconds > 365 * 24 * 3600
             ? kForEver
             : Duration(std::chrono::seconds(seconds));
}

StatusOr<int> SignalOf(const std::string& text) {
  StatusOr<int> signal = ParseSignal(text);
  if (!signal.ok() || *signal == 0) {
    return InvalidArgument("Invalid signal: " + text);
  }
  return signal;
}

int StopSignal(const View& view) {
  const int signal = view.container->stop_signal();
  return signal > 0 ? signal : SIGTERM;
}

// Starts and ends are told by a thread of their own: what is told after one
// waits for that, a moment.
void AwaitTold(Engine& engine, const Context& ctx, uint64_t from,
               const std::string& action, const std::string& id) {
  const Context moment = ctx.WithTimeout(kTelling);
  while (true) {
    const auto events = engine.events.Read(moment, from);
    if (!events.ok()) return;
    for (const DockerEvent& event : *events) {
      if (event.id == id && event.action == action) return;
      from = event.number + 1;
    }
  }
}

// With a signal of the caller's choice, or the container's own.
Status StopContainer(Engine& engine, const Context& ctx, const Call& call,
                     const View& view) {
  ASSIGN_OR_RETURN(const Duration grace, GraceOf(call, view));
  const std::string name = call.Query("signal");
  int signal = StopSignal(view);
  if (!name.empty()) {
    ASSIGN_OR_RETURN(signal, SignalOf(name));
  }
  const ContainerId id(view.id());
  const uint64_t from = engine.events.Next();
  engine.events.PublishContainer("kill", view.id(),
                                 {{"signal", std::to_string(signal)}});
  // Otherwise the one who kills it tells of that.
  if (grace == Duration::zero()) {
    engine.events.PublishContainer("kill", view.id(), {{"signal", "9"}});
  }
  sandbox::HowToStop how;
  if (!name.empty()) how.signal = signal;
  how.run = view.container->run();
  RETURN_IF_ERROR(engine.containers.Stop(ctx, id, grace, how));
  AwaitTold(engine, ctx, from, "die", view.id());
  engine.events.PublishContainer("stop", view.id());
  return OkStatus();
}

// From now on no policy starts it. What it is then, and whether it waited for
// its policy.
StatusOr<std::pair<View, bool>> TakeInHand(Engine& engine, const Context& ctx,
                                           const Call& call) {
  ASSIGN_OR_RETURN(View view, FindOurs(engine, call.name));
  // Not in the middle of a start, which would be missed.
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(ctx, view.id()));
  RETURN_IF_ERROR(MarkStoppedByHand(engine, ctx, view.id()));
  const bool waited = engine.monitor->Waiting(view.id());
  engine.monitor->Forget(view.id());
  view = ViewOf(engine, view.id());
  if (view.container == nullptr) {
    return NotFound("No such container: " + call.name);
  }
  return std::pair(std::move(view), waited);
}

Status Stop(Engine& engine, Call& call) {
  const Context ctx = Lasting(engine);
  ASSIGN_OR_RETURN(const auto taken, TakeInHand(engine, ctx, call));
  const auto& [view, waited] = taken;
  if (!view.running()) {
    RETURN_IF_ERROR(SettleExit(engine, ctx, view.id()));
    return call.Reply(waited ? 204 : 304);
  }
  RETURN_IF_ERROR(StopContainer(engine, ctx, call, view));
  RETURN_IF_ERROR(SettleExit(engine, ctx, view.id()));
  return call.Reply(204);
}

// The second half of a restart.
Status StartAgain(Engine& engine, const Context& ctx, const Call& call,
                  const std::string& id) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(ctx, id));
  const View view = ViewOf(engine, id);
  if (view.container == nullptr) {
    return NotFound("No such container: " + call.name);
  }
  if (view.running()) return OkStatus();  // somebody was quicker
  engine.monitor->Forget(id);
  RETURN_IF_ERROR(MarkStartedByHand(engine, ctx, id));
  return StartContainer(engine, ctx, ViewOf(engine, id));
}

Status Restart(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  const Context ctx = Lasting(engine);
  const std::string id = view.id();
  // The exit is not to be taken for the last one. No lock is held while it is
  // waited for: a harder verb must get through.
  engine.monitor->Expect(id);
  engine.monitor->Forget(id);
  Status done =
      view.running() ? StopContainer(engine, ctx, call, view) : OkStatus();
  const uint64_t from = engine.events.Next();
  if (done.ok()) done = StartAgain(engine, ctx, call, id);
  engine.monitor->Release(id);
  // What the exit would have led to, if it has not been started; or one that
  // followed the start before the release.
  LogFailure("wind up container " + id, SettleExit(engine, ctx, id));
  RETURN_IF_ERROR(done);
  AwaitTold(engine, ctx, from, "start", id);
  engine.events.PublishContainer("restart", id);
  return call.Reply(204);
}

// Between an exit and the start that its policy wants: there is no process to
// signal, and no start any more.
StatusOr<bool> KillWaiting(Engine& engine, Call& call, const View& view,
                           int signal) {
  if (view.running() || !engine.monitor->Waiting(view.id())) return false;
  const Context ctx = Lasting(engine);
  ASSIGN_OR_RETURN(const auto taken, TakeInHand(engine, ctx, call));
  if (taken.first.running()) return false;  // it has just been started
  engine.events.PublishContainer("kill", view.id(),
                                 {{"signal", std::to_string(signal)}});
  RETURN_IF_ERROR(SettleExit(engine, ctx, view.id()));
  return true;
}

Status Kill(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(View view, FindOurs(engine, call.name));
  const std::string text = call.Query("signal");
  ASSIGN_OR_RETURN(const int signal, SignalOf(text.empty() ? "KILL" : text));
  ASSIGN_OR_RETURN(const bool waited, KillWaiting(engine, call, view, signal));
  if (waited) return call.Reply(204);
  view = ViewOf(engine, view.id());
  if (view.container == nullptr) {
    return NotFound("No such container: " + call.name);
  }
  if (!view.running()) {
    return Annotate(NotRunning(view), "Cannot kill container: " + call.name);
  }
  if (signal == SIGKILL || signal == StopSignal(view)) {
    RETURN_IF_ERROR(MarkStoppedByHand(engine, call.ctx, view.id()));
  }
  engine.events.PublishContainer("kill", view.id(),
                                 {{"signal", std::to_string(signal)}});
  const ContainerId id(view.id());
  if (signal != SIGKILL) {
    RETURN_IF_ERROR(engine.containers.Kill(call.ctx, id, signal));
    return call.Reply(204);
  }
  // Docker answers when it is dead; no shim is asked.
  RETURN_IF_ERROR(engine.containers.Stop(call.ctx, id, Duration::zero(),
                                         {0, view.container->run()}));
  return call.Reply(204);
}

Status Rename(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  std::string name = call.Query("name");
  if (!name.empty() && name.front() == '/') name.erase(0, 1);
  RETURN_IF_ERROR(CheckName(name, "container"));
  if (name == view.name()) {
    return InvalidArgument(
        "Renaming a container with the same name as its current name");
  }
  const StatusOr<View> other = FindView(engine, name);
  if (other.ok() && other->name() == name) {
    return NameConflict(name, other->id());
  }
  const Status renamed =
      engine.containers.Rename(call.ctx, ContainerId(view.id()), name);
  if (renamed.code() == StatusCode::kAlreadyExists) {
    return NameConflict(name, "");
  }
  RETURN_IF_ERROR(renamed);
  engine.events.PublishContainer("rename", view.id(),
                                 {{"oldName", "/" + view.name()}});
  return call.Reply(204);
}

Status Freeze(Engine& engine, Call& call, bool frozen) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  if (!view.running()) return NotRunning(view);
  if (view.container->paused() == frozen) {
    return FailedPrecondition("Container " + view.id() + " is " +
                              (frozen ? "already" : "not") + " paused");
  }
  RETURN_IF_ERROR(
      engine.containers.Freeze(call.ctx, ContainerId(view.id()), frozen));
  return call.Reply(204);
}

// What runs, or is about to, is removed by force only.
Status CheckRemovable(const Engine& engine, const View& view) {
  const bool restarting = SurroundingsOf(engine, view).restarting;
  if (!view.running() && !restarting) return OkStatus();
  return FailedPrecondition("cannot remove container \"" + view.name() +
                            "\": container is " + view.state(restarting) +
                            ": stop the container before removing or force "
                            "remove");
}

Status Delete(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindOurs(engine, call.name));
  // Only other containers' links to it have names of their own.
  if (call.Flag("link")) {
    return FailedPrecondition(
        "Conflict, cannot remove the default link name of the container");
  }
  const Context ctx = Lasting(engine).WithTimeout(kWindUpLimit);
  const bool force = call.Flag("force");
  if (force) {
    // Outside the lock: a start that hangs holds it.
    RETURN_IF_ERROR(MarkStoppedByHand(engine, ctx, view.id()));
    engine.monitor->Forget(view.id());
    if (view.running()) {
      engine.events.PublishContainer("kill", view.id(), {{"signal", "9"}});
    }
    RETURN_IF_ERROR(
        engine.containers.Stop(ctx, ContainerId(view.id()), Duration::zero()));
  }
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(ctx, view.id()));
  const View now = ViewOf(engine, view.id());
  if (now.container != nullptr) {
    if (!force) RETURN_IF_ERROR(CheckRemovable(engine, now));
    RETURN_IF_ERROR(RemoveContainer(engine, ctx, now, call.Flag("v")));
  }
  return call.Reply(204);
}

Status Prune(Engine& engine, Call& call) {
  static const auto& known =
      *new std::set<std::string>{"label", "label!", "until"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  ASSIGN_OR_RETURN(const UnixNanos until, UntilOf(filters));
  const Context ctx = Lasting(engine);
  Json deleted;
  uint64_t reclaimed = 0;
  for (const View& view : AllViews(engine)) {
    RETURN_IF_ERROR(call.ctx.Check());
    const auto& labels = view.container->config().labels();
    if (!view.ours() || IsBuilder(view) || !CheckRemovable(engine, view).ok() ||
        !filters.MatchLabels({labels.begin(), labels.end()}) ||
        (until > 0 && view.container->created_at() >= until)) {
      continue;
    }
    ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                     engine.lifecycle.Acquire(call.ctx, view.id()));
    const View now = ViewOf(engine, view.id());
    if (now.container == nullptr || !CheckRemovable(engine, now).ok()) continue;
    const uint64_t size = WrittenBy(engine, now);
    if (RemoveContainer(engine, ctx, now, false).ok()) {
      deleted.push_back(view.id());
      reclaimed += size;
    }
  }
  engine.events.Publish("container", "prune", "",
                        {{"reclaimed", std::to_string(reclaimed)}});
  return call.Reply(
      200, {{"ContainersDeleted", deleted}, {"SpaceReclaimed", reclaimed}});
}

// The header and the rows of those pids, of ps(1)'s output.
StatusOr<Json> SelectRows(const std::string& output,
                          const std::set<int>& pids) {
  const auto words = [](const std::string& line, size_t most) {
    std::vector<std::string> all;
    std::string_view rest = Trim(line);
    while (!rest.empty()) {
      const size_t blank = all.size() + 1 == most ? std::string_view::npos
                                                  : rest.find_first_of(" \t");
      all.emplace_back(rest.substr(0, blank));
      rest = blank == std::string_view::npos ? "" : Trim(rest.substr(blank));
    }
    return all;
  };
  const std::vector<std::string> lines = Split(output, '\n');
  if (lines.empty()) return Internal("ps printed nothing");
  const std::vector<std::string> titles = words(lines[0], 1000);
  const auto pid = std::find(titles.begin(), titles.end(), "PID");
  if (pid == titles.end()) {
    return InvalidArgument("Couldn't find PID field in ps output");
  }
  Json rows = Json::array();
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> row = words(lines[i], titles.size());
    if (row.size() != titles.size()) continue;
    const auto number = ParseInt(row[pid - titles.begin()]);
    if (number.has_value() && pids.count(static_cast<int>(*number)) > 0) {
      rows.push_back(row);
    }
  }
  return Json{{"Titles", titles}, {"Processes", rows}};
}

// "1,2,3".
std::string Listed(const std::vector<int>& pids) {
  std::string text;
  for (const int pid : pids) {
    text += (text.empty() ? "" : ",") + std::to_string(pid);
  }
  return text;
}

Status Top(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  if (!view.running()) return NotRunning(view);
  ASSIGN_OR_RETURN(const std::vector<int> pids,
                   engine.containers.Pids(ContainerId(view.id())));
  Command ps;
  ps.program = "/bin/ps";
  const std::string asked = call.Query("ps_args");
  for (const std::string& word : Split(asked.empty() ? "-ef" : asked, ' ')) {
    if (!word.empty()) ps.args.push_back(word);
  }
  ps.env = {"PATH=/usr/bin:/bin"};
  ps.time_limit = std::chrono::seconds(30);
  // `ps -o pid` alone would list those of its own terminal.
  ps.args.push_back("-q" + Listed(pids));
  ASSIGN_OR_RETURN(CommandResult result, RunCommand(call.ctx, ps));
  if (!result.ok()) {
    ps.args.pop_back();
    ASSIGN_OR_RETURN(result, RunCommand(call.ctx, ps));
  }
  if (!result.ok()) {
    return InvalidArgument("ps: " + std::string(Trim(result.errors)));
  }
  ASSIGN_OR_RETURN(const Json json,
                   SelectRows(result.output, {pids.begin(), pids.end()}));
  return call.Reply(200, json);
}

}  // namespace

std::vector<Route> ContainerRoutes() {
  return {
      {"GET", "/containers/json", ListContainers},
      {"POST", "/containers/create", CreateContainer},
      {"POST", "/containers/prune", Prune},
      // `docker inspect` asks for what may be the name of an image, too.
      {"GET", "/containers/{id...}/json", Inspect},
      {"POST", "/containers/{id}/start", Start},
      {"POST", "/containers/{id}/stop", Stop},
      {"POST", "/containers/{id}/restart", Restart},
      {"POST", "/containers/{id}/kill", Kill},
      {"POST", "/containers/{id}/rename", Rename},
      {"POST", "/containers/{id}/pause",
       [](Engine& engine, Call& call) { return Freeze(engine, call, true); }},
      {"POST", "/containers/{id}/unpause",
       [](Engine& engine, Call& call) { return Freeze(engine, call, false); }},
      {"GET", "/containers/{id}/top", Top},
      {"DELETE", "/containers/{id}", Delete}};
}

}  // namespace berth::docker
