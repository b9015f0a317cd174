#include "nri/reception.h"

#include <glog/logging.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"
#include "base/thread.h"

namespace berth::nri {
namespace {

constexpr char kRuntimeService[] = "nri.pkg.api.v1alpha1.Runtime";
// What a plugin asks by itself may wait for a container's own verb.
constexpr Duration kUpdateTime = std::chrono::seconds(30);
// Until nothing is being made, and a plugin can be shown all that is there.
constexpr Duration kJoinTime = std::chrono::seconds(60);
// Between two questions whether a plugin that cannot be watched has ended.
constexpr Duration kAskTime = std::chrono::seconds(1);

}  // namespace

// Whoever is at the other end of a line: first unknown, then a plugin.
class Reception::Guest {
 public:
  explicit Guest(UniqueFd socket)
      : line_(std::make_shared<Line>(std::move(socket))) {}

  // Of one that we started; before it is heard.
  void set_installed(InstalledPlugin installed, LaunchedPlugin process) {
    installed_ = std::move(installed);
    process_ = std::move(process);
  }
  const std::optional<InstalledPlugin>& installed() const { return installed_; }
  const LaunchedPlugin& process() const { return process_; }
  const std::shared_ptr<Line>& line() const { return line_; }

  // What it has registered as. False if it has before.
  bool Register(const Question& question) {
    MutexLock lock(mutex_);
    if (registration_.has_value()) return false;
    registration_ = question;
    changed_.SignalAll();
    return true;
  }
  StatusOr<Question> AwaitRegistration(const Context& ctx) {
    MutexLock lock(mutex_);
    const auto known = [this]() NO_THREAD_SAFETY_ANALYSIS {
      return registration_.has_value() || lost_;
    };
    RETURN_IF_ERROR(ctx.Await(mutex_, changed_, known));
    if (!registration_) return Unavailable("it has gone");
    return *registration_;
  }
  void Lose() {
    MutexLock lock(mutex_);
    lost_ = true;
    changed_.SignalAll();
  }

  void set_plugin(std::shared_ptr<Plugin> plugin) {
    MutexLock lock(mutex_);
    plugin_ = std::move(plugin);
  }
  std::shared_ptr<Plugin> plugin() {
    MutexLock lock(mutex_);
    return plugin_;
  }
  // For the log.
  std::string Name() {
    if (const auto plugin = this->plugin()) return plugin->full_name();
    return installed_ ? installed_->index + "-" + installed_->name
                      : "that has not registered";
  }

 private:
  const std::shared_ptr<Line> line_;
  std::optional<InstalledPlugin> installed_;
  LaunchedPlugin process_;
  Mutex mutex_;
  CondVar changed_;
  std::optional<Question> registration_ GUARDED_BY(mutex_);
  std::shared_ptr<Plugin> plugin_ GUARDED_BY(mutex_);
  bool lost_ GUARDED_BY(mutex_) = false;
};

Status Reception::Start() {
  ASSIGN_OR_RETURN(loop_, LoopThread::Start());
  LaunchInstalled();
  return options_.socket.empty() ? OkStatus() : Listen();
}

void Reception::LaunchInstalled() {
  if (options_.plugin_dir.empty()) return;
  const auto found = FindInstalled(options_.plugin_dir, options_.config_dir);
  if (!found.ok()) {
    LOG(ERROR) << "NRI plugins: " << Message(found.status());
    return;
  }
  // All at once: one that hangs takes its own time.
  std::vector<StatusOr<Thread>> admissions;
  for (const InstalledPlugin& plugin : *found) {
    admissions.push_back(StartThread("nri-launch", [this, plugin] {
      const Status launched = AdmitInstalled(plugin);
      if (!launched.ok()) {
        LOG(ERROR) << "NRI plugin " << plugin.path << ": " << Message(launched);
      }
    }));
  }
}

// An error: it cannot be started.
Status Reception::AdmitInstalled(const InstalledPlugin& plugin) {
  ASSIGN_OR_RETURN(LaunchedPlugin process, Launch(plugin));
  auto guest = std::make_shared<Guest>(std::move(process.socket));
  guest->set_installed(plugin, std::move(process));
  {
    MutexLock lock(mutex_);
    running_.insert(guest);
  }
  loop_->Do([this, guest](EventLoop& loop) { AwaitEnd(loop, guest); });
  if (!Receive(guest)) {
    SignalProcess(guest->process().pidfd.get(), SIGKILL).IgnoreError();
    return Cancelled("berthd ends");
  }
  const Status admitted = Admit(*guest);
  if (!admitted.ok()) guest->line()->Close(admitted);
  return OkStatus();
}

// Its socket may be another process's by now: its end is the line's.
void Reception::AwaitEnd(EventLoop& loop, const std::shared_ptr<Guest>& guest) {
  const Status watched = WatchEnd(loop, guest);
  if (watched.ok()) return;
  // A shortage of the kernel's, which may end before the plugin does.
  LOG(ERROR) << "NRI plugin " << guest->Name() << ": " << Message(watched)
             << "; it is asked for instead";
  AskForEnd(loop, guest);
}

Status Reception::WatchEnd(EventLoop& loop,
                           const std::shared_ptr<Guest>& guest) {
  const int pidfd = guest->process().pidfd.get();
  return loop.Add(pidfd, EPOLLIN, [this, &loop, guest, pidfd](uint32_t) {
    const auto keep = guest;  // survives the removal of this handler
    loop.Remove(pidfd);
    waitpid(keep->process().pid, nullptr, WNOHANG);
    Ended(keep);
  });
}

void Reception::AskForEnd(EventLoop& loop,
                          const std::shared_ptr<Guest>& guest) {
  loop.After(kAskTime, [this, &loop, guest] {
    // Not 0: reaped now, or no child of ours any more.
    if (waitpid(guest->process().pid, nullptr, WNOHANG) != 0) {
      return Ended(guest);
    }
    if (!WatchEnd(loop, guest).ok()) AskForEnd(loop, guest);
  });
}

void Reception::Ended(const std::shared_ptr<Guest>& guest) {
  guest->line()->Close(Unavailable("the plugin has ended"));
  MutexLock lock(mutex_);
  running_.erase(guest);
  changed_.SignalAll();
}

void Reception::Stop() {
  if (!loop_) return;
  if (listener_.valid()) {
    loop_->Do([this](EventLoop& loop) { loop.Remove(listener_.get()); });
    unlink(options_.socket.c_str());
  }
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& guest : guests_) {
      guest->line()->Close(Cancelled("berthd ends"));
    }
    // Each line ends on the loop, and each process that we started with it.
    while (!guests_.empty() || !running_.empty()) changed_.Wait(mutex_);
  }
  jobs_.Stop();
  loop_.reset();
}

Status Reception::Listen() {
  const std::string& path = options_.socket;
  const std::string folder = path.substr(0, path.rfind('/'));
  RETURN_IF_ERROR_AS(MakeDirectories(folder, 0700), "NRI socket");
  ASSIGN_OR_RETURN_AS(listener_, ListenUnix(path, 0600), "NRI socket");
  RETURN_IF_ERROR(SetNonBlocking(listener_.get()));
  loop_->Do([this](EventLoop& loop) {
    const Status added = loop.Add(listener_.get(), EPOLLIN,
                                  [this, &loop](uint32_t) { Accept(loop); });
    if (!added.ok()) LOG(ERROR) << "NRI socket: " << Message(added);
  });
  return OkStatus();
}

void Reception::Accept(EventLoop& loop) {
  StatusOr<UniqueFd> socket = AcceptUnix(listener_.get());
  if (!socket.ok()) {
    // Without a descriptor it would be told of the same one for ever.
    if (ErrnoOf(socket.status()) == EMFILE ||
        ErrnoOf(socket.status()) == ENFILE) {
      loop.Modify(listener_.get(), 0).IgnoreError();
      loop.After(std::chrono::seconds(1), [this, &loop] {
        loop.Modify(listener_.get(), EPOLLIN).IgnoreError();
      });
    }
    return;
  }
  const StatusOr<PeerCredentials> peer = GetPeerCredentials(socket->get());
  if (!peer.ok() || peer->uid != geteuid()) return;
  const auto guest = std::make_shared<Guest>(*std::move(socket));
  if (!Receive(guest)) return;
  const bool admitted = jobs_.Run([this, guest] {
    const Status admission = Admit(*guest);
    if (!admission.ok()) guest->line()->Close(admission);
  });
  if (!admitted) guest->line()->Close(ResourceExhausted("too many plugins"));
}

bool Reception::Receive(const std::shared_ptr<Guest>& guest) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return false;
    guests_.insert(guest);
  }
  guest->line()->Open(
      *loop_, {[this, guest](Question question) {
                 OnQuestion(guest, std::move(question));
               },
               [this, guest](const Status& why) { OnLost(guest, why); }});
  return true;
}

Status Reception::Admit(Guest& guest) {
  const Context ctx =
      Context::Background("nri").WithTimeout(options_.times.registration);
  ASSIGN_OR_RETURN_AS(const Question registration, guest.AwaitRegistration(ctx),
                      "registration");
  api::RegisterPluginRequest request;
  Status good = OkStatus();
  if (!request.ParseFromString(registration.payload)) {
    good = InvalidArgument("the registration is no message");
  }
  std::string index = request.plugin_idx();
  std::string name = request.plugin_name();
  if (guest.installed()) {
    index = guest.installed()->index;
    name = guest.installed()->name;
  }
  if (good.ok()) good = CheckPluginIndex(index);
  if (good.ok()) good = CheckPluginName(name);
  guest.line()->Answer(ctx, registration.stream,
                       good.ok() ? StatusOr<std::string>(std::string())
                                 : StatusOr<std::string>(good));
  RETURN_IF_ERROR(good);
  auto plugin =
      std::make_shared<Plugin>(index, name, options_.times, guest.line());
  guest.set_plugin(plugin);
  RETURN_IF_ERROR(plugin->Configure(
      Context::Background("nri"),
      guest.installed() ? guest.installed()->config : "", options_.version));
  RETURN_IF_ERROR(
      host_.join(Context::Background("nri").WithTimeout(kJoinTime), plugin));
  LOG(INFO) << "NRI plugin " << plugin->full_name() << " has joined";
  return OkStatus();
}

void Reception::OnQuestion(const std::shared_ptr<Guest>& guest,
                           Question question) {
  if (question.service == kRuntimeService &&
      question.method == "RegisterPlugin" && guest->Register(question)) {
    return;
  }
  const bool answered = jobs_.Run([this, guest,
                                   question = std::move(question)] {
    const Context ctx = Context::Background("nri").WithTimeout(kUpdateTime);
    guest->line()->Answer(ctx, question.stream, Answer(ctx, *guest, question));
  });
  if (!answered) guest->line()->Close(ResourceExhausted("it asks too much"));
}

StatusOr<std::string> Reception::Answer(const Context& ctx, Guest& guest,
                                        const Question& question) {
  if (question.service != kRuntimeService) {
    return Unimplemented("unknown service " + Quoted(question.service));
  }
  if (question.method == "RegisterPlugin") {
    return FailedPrecondition("it has registered before");
  }
  if (question.method != "UpdateContainers") {
    return Unimplemented("unknown method " + Quoted(question.method));
  }
  const std::shared_ptr<Plugin> plugin = guest.plugin();
  if (!plugin) return FailedPrecondition("it has not registered");
  api::UpdateContainersRequest request;
  if (!request.ParseFromString(question.payload)) {
    return InvalidArgument("UpdateContainers: no message of it");
  }
  ASSIGN_OR_RETURN(const api::UpdateContainersResponse response,
                   host_.update(ctx, *plugin, request));
  return response.SerializeAsString();
}

void Reception::OnLost(const std::shared_ptr<Guest>& guest, const Status& why) {
  LOG(INFO) << "NRI plugin " << guest->Name() << " has gone: " << Message(why);
  guest->Lose();
  if (const auto plugin = guest->plugin()) host_.left(plugin);
  if (guest->process().pid != 0) {
    SignalProcess(guest->process().pidfd.get(), SIGKILL).IgnoreError();
  }
  MutexLock lock(mutex_);
  guests_.erase(guest);
  changed_.SignalAll();
}

}  // namespace berth::nri
