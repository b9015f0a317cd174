#include "docker/build/builder.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/fs/atomic_file.h"
#include "base/fs/tree.h"
#include "base/fs/tree_size.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/socket.h"
#include "base/unique_fd.h"
#include "docker/lifecycle.h"
#include "docker/routes/container_create.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

constexpr char kName[] = "berth-builder";
constexpr auto kStartLimit = std::chrono::minutes(1);
constexpr auto kStopGrace = std::chrono::seconds(10);
constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr Duration kLastRetry = std::chrono::minutes(1);
constexpr auto kLook = std::chrono::milliseconds(20);
// A server that has not said otherwise; of docker.io, where its API is.
constexpr char kHub[] = "docker.io";

// Where this node pulls from, for all domains that it knows.
StatusOr<std::vector<MirrorList>> MirrorsOf(Engine& engine) {
  std::set<std::string> domains = {kHub};
  ASSIGN_OR_RETURN(const std::vector<image::Image> images,
                   engine.images.List({}));
  for (const image::Image& image : images) {
    for (const std::string& tag : image.repo_tags) {
      domains.insert(tag.substr(0, tag.find('/')));
    }
  }
  std::vector<MirrorList> lists;
  for (const std::string& domain : domains) {
    MirrorList& list = lists.emplace_back();
    list.domain = domain;
    // A configuration that cannot be read is told by pulls of this node.
    const auto hosts = engine.transfer.HostsOf(domain);
    if (!hosts.ok()) continue;
    for (const image::RegistryHost& host : *hosts) {
      const bool itself = host.is_upstream && !host.insecure() &&
                          (domain == kHub || host.server() == domain);
      if (!itself && host.can_pull) {
        list.hosts.emplace_back(host.server(), host.insecure());
      }
    }
  }
  return lists;
}

}  // namespace

bool IsBuilder(const View& view) {
  return view.ours() &&
         view.container->config().labels().count(kBuilderLabel) > 0;
}

std::string BuilderConfig(const std::string& ours,
                          const std::vector<MirrorList>& domains) {
  std::string text;
  std::set<std::string> plain;
  std::set<std::string> written;
  for (const MirrorList& list : domains) {
    std::vector<std::string> mirrors = {Quoted(ours)};
    for (const auto& [host, is_plain] : list.hosts) {
      if (is_plain) plain.insert(host);
      if (host != list.domain) mirrors.push_back(Quoted(host));
    }
    text += "[registry." + Quoted(list.domain) + "]\n  mirrors = [" +
            Join(mirrors, ", ") + "]\n";
    if (plain.count(list.domain) > 0) text += "  http = true\n";
    written.insert(list.domain);
  }
  for (const std::string& host : plain) {
    if (written.count(host) > 0) continue;
    text += "[registry." + Quoted(host) + "]\n  http = true\n";
  }
  return text;
}

Builder::Builder(Engine& engine, BuilderSettings settings, Receiver& receiver)
    : engine_(engine),
      settings_(std::move(settings)),
      receiver_(receiver),
      until_(Context::Background("builder").WithCancel()),
      idler_(StartThread("builder-idle", [this] { StopWhenIdle(); })) {
  // One that an earlier process has left counts as used until now.
  if (Find().container != nullptr) {
    BeginUse();
    EndUse();
  }
}

Builder::~Builder() {
  until_.Cancel();
  if (idler_.ok()) idler_->Join();
}

bool Builder::HasCache() const {
  return !settings_.address.empty() || access(CachePath().c_str(), F_OK) == 0;
}

bool Builder::IsThere() const {
  if (!settings_.address.empty()) return true;
  const View view = Find();
  return (view.container != nullptr && view.running()) ||
         engine_.images.Resolve(settings_.image).ok();
}

StatusOr<uint64_t> Builder::DropCache(const Context& ctx) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, changing_.Acquire(ctx, ""));
  if (IsThere()) return 0;
  RETURN_IF_ERROR(Remove(ctx));  // what has ended and is of no use any more
  ASSIGN_OR_RETURN(const UniqueFd cache,
                   OpenFile(CachePath(), O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(cache.get()));
  RETURN_IF_ERROR_AS(RemoveTree(AT_FDCWD, CachePath()),
                     "remove the builder's cache");
  return size.bytes;
}

void Builder::BeginUse() {
  MutexLock lock(mutex_);
  ++uses_;
}

void Builder::EndUse() {
  MutexLock lock(mutex_);
  if (--uses_ > 0) return;
  ++turns_;
  changed_.SignalAll();
}

bool Builder::InUseByOthers() {
  MutexLock lock(mutex_);
  return uses_ > 1;
}

StatusOr<Builder::Use> Builder::Acquire(const Context& ctx) {
  BeginUse();
  Use use(*this, settings_.address.empty() ? SocketPath() : settings_.address);
  RETURN_IF_ERROR(receiver_.Start(ctx));
  if (settings_.address.empty()) RETURN_IF_ERROR(Ensure(ctx));
  return use;
}

StatusOr<Builder::Plan> Builder::MakePlan() const {
  Plan plan;
  const StatusOr<image::Image> image = engine_.images.Resolve(settings_.image);
  if (!image.ok()) {
    return FailedPrecondition(
        "nothing can be built on this node yet: pull or load the image " +
        settings_.image + ", which holds the builder");
  }
  plan.image_id = image->id();
  ASSIGN_OR_RETURN(const std::vector<MirrorList> mirrors, MirrorsOf(engine_));
  plan.config = BuilderConfig(receiver_.mirror(), mirrors);
  plan.mark =
      Digest::Of(plan.image_id + "\n" + plan.config + settings_.host_gateway)
          .hex();
  return plan;
}

View Builder::Find() const {
  for (const View& view : AllViews(engine_)) {
    if (IsBuilder(view)) return view;
  }
  return View();
}

Status Builder::Ensure(const Context& ctx) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, changing_.Acquire(ctx, ""));
  ASSIGN_OR_RETURN(const Plan plan, MakePlan());
  const View view = Find();
  if (view.container != nullptr && view.running()) {
    const auto& labels = view.container->config().labels();
    if (labels.at(kBuilderLabel) == plan.mark || InUseByOthers()) {
      return AwaitSocket(ctx, view.id());
    }
  }
  RETURN_IF_ERROR(Remove(ctx));
  return Create(ctx, plan);
}

Status Builder::Create(const Context& ctx, const Plan& plan) {
  RETURN_IF_ERROR(MakeDirectories(settings_.folder, 0700));
  RETURN_IF_ERROR(MakeDirectories(CachePath(), 0700));
  unlink(SocketPath().c_str());
  RETURN_IF_ERROR(
      ReplaceFile(settings_.folder + "/buildkitd.toml", plan.config, 0600));
  Json command = Json::array({"--config", "/run/buildkit/buildkitd.toml",
                              "--addr", "unix:///run/buildkit/buildkitd.sock",
                              "--root", "/var/lib/buildkit",
                              "--allow-insecure-entitlement", "network.host"});
  if (!settings_.host_gateway.empty()) {
    command.push_back("--oci-worker-labels");
    command.push_back("org.mobyproject.buildkit.worker.moby.host-gateway-ip=" +
                      settings_.host_gateway);
  }
  NewContainer made;
  made.name = kName;
  made.image = plan.image_id;
  made.config = {
      {"Image", plan.image_id},
      {"Entrypoint", Json::array({"buildkitd"})},
      {"Cmd", std::move(command)},
      {"Labels", {{kBuilderLabel, plan.mark}}},
      {"HostConfig",
       {{"Privileged", true},
        {"NetworkMode", "host"},
        {"Memory", settings_.memory},
        {"NanoCpus", static_cast<int64_t>(settings_.cpus * 1e9)},
        {"Binds", Json::array({settings_.folder + ":/run/buildkit",
                               CachePath() + ":/var/lib/buildkit"})}}}};
  ASSIGN_OR_RETURN_AS(const MadeContainer container,
                      MakeContainer(engine_, ctx, made), "make the builder");
  const std::string& id = container.id;
  {
    ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                     engine_.lifecycle.Acquire(ctx, id));
    RETURN_IF_ERROR_AS(StartContainer(engine_, ctx, ViewOf(engine_, id)),
                       "start the builder");
  }
  return AwaitSocket(ctx, id);
}

Status Builder::AwaitSocket(const Context& ctx, const std::string& id) const {
  const Context in_time = ctx.WithTimeout(kStartLimit);
  while (!SomebodyListens(SocketPath())) {
    const View view = ViewOf(engine_, id);
    if (view.container == nullptr || !view.running()) {
      return Unavailable(
          "the builder has ended: its log says why (docker "
          "logs " +
          std::string(kName) + ")");
    }
    RETURN_IF_ERROR_AS(in_time.Check(), "wait for the builder");
    usleep(std::chrono::microseconds(kLook).count());
  }
  return OkStatus();
}

Status Builder::Remove(const Context& ctx) {
  const View view = Find();
  if (view.container == nullptr) return OkStatus();
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine_.lifecycle.Acquire(ctx, view.id()));
  const View now = ViewOf(engine_, view.id());
  if (now.container == nullptr) return OkStatus();
  if (now.running()) {
    LogFailure("stop the builder",
               engine_.containers.Stop(ctx, sandbox::ContainerId(now.id()),
                                       kStopGrace));
  }
  return RemoveContainer(engine_, ctx, now, /*volumes=*/true);
}

// The thread of idler_: asleep until the last use ends, then until it is time.
void Builder::StopWhenIdle() {
  uint64_t seen = 0;
  Duration retry{0};  // a removal has failed; how long until the next
  while (true) {
    {
      MutexLock lock(mutex_);
      const Status turned =
          until_.Await(mutex_, changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
            return uses_ == 0 && (turns_ != seen || retry.count() > 0);
          });
      if (!turned.ok()) return;
      if (turns_ != seen) retry = Duration(0);
      seen = turns_;
      const Status used =
          until_.WithTimeout(retry.count() > 0 ? retry : settings_.idle)
              .Await(mutex_, changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
                return turns_ != seen;
              });
      if (used.ok() || uses_ > 0) continue;
      if (until_.cancelled()) return;
    }
    const StatusOr<KeyedMutex::Lock> lock = changing_.Acquire(until_, "");
    {
      MutexLock state(mutex_);
      if (!lock.ok() || uses_ > 0) continue;
    }
    const Status removed = Remove(until_);
    LogFailure("stop the builder", removed);
    retry = removed.ok() ? Duration(0)
                         : std::clamp(2 * retry, kFirstRetry, kLastRetry);
  }
}

}  // namespace berth::docker
