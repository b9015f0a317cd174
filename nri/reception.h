#ifndef NRI_RECEPTION_H_
#define NRI_RECEPTION_H_

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "nri/jobs.h"
#include "nri/launcher.h"
#include "nri/line.h"
#include "nri/loop_thread.h"
#include "nri/plugin.h"

namespace berth::nri {

struct ReceptionOptions {
  std::string version;     // berth's
  std::string socket;      // where plugins connect; empty: they cannot
  std::string plugin_dir;  // of installed plugins; empty: none are started
  std::string config_dir;
  PluginTimes times;
};

// Where plugins come in: those that are installed are started, others connect
// to a socket that root alone may open. Each registers, is configured, and
// joins. One thread hears all plugins; a registration, and what a plugin asks
// by itself, has a thread while it lasts. Thread-safe.
class Reception {
 public:
  // On threads for that alone; may block, until Stop.
  struct Host {
    // A plugin that is ready to be asked. An error: it is closed.
    std::function<Status(const Context& ctx,
                         const std::shared_ptr<Plugin>& plugin)>
        join;
    // One that had joined is gone.
    std::function<void(const std::shared_ptr<Plugin>& plugin)> left;
    // It asks for changes by itself.
    std::function<StatusOr<api::UpdateContainersResponse>(
        const Context& ctx, const Plugin& plugin,
        const api::UpdateContainersRequest& request)>
        update;
  };

  Reception(ReceptionOptions options, Host host)
      : options_(std::move(options)), host_(std::move(host)) {}
  ~Reception() { Stop(); }
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  // Returns when each installed plugin is there or has failed, and others can
  // connect. An error: they cannot.
  Status Start();
  // Ends all lines, and the plugins that we started; when it returns, no
  // function of the host runs.
  void Stop() EXCLUDES(mutex_);

 private:
  class Guest;

  Status Listen();
  void Accept(EventLoop& loop);
  void LaunchInstalled();
  Status AdmitInstalled(const InstalledPlugin& plugin);
  // Of a plugin that we started: reaps it, whatever else fails.
  void AwaitEnd(EventLoop& loop, const std::shared_ptr<Guest>& guest);
  Status WatchEnd(EventLoop& loop, const std::shared_ptr<Guest>& guest);
  void AskForEnd(EventLoop& loop, const std::shared_ptr<Guest>& guest);
  void Ended(const std::shared_ptr<Guest>& guest) EXCLUDES(mutex_);
  // From now on it is heard; false if no more are, as this stops.
  bool Receive(const std::shared_ptr<Guest>& guest) EXCLUDES(mutex_);
  // From a line to a plugin that has joined.
  Status Admit(Guest& guest);
  void OnQuestion(const std::shared_ptr<Guest>& guest, Question question);
  StatusOr<std::string> Answer(const Context& ctx, Guest& guest,
                               const Question& question);
  void OnLost(const std::shared_ptr<Guest>& guest, const Status& why)
      EXCLUDES(mutex_);

  const ReceptionOptions options_;
  const Host host_;
  std::unique_ptr<LoopThread> loop_;
  UniqueFd listener_;
  Jobs jobs_{64};

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Guest>> guests_ GUARDED_BY(mutex_);
  // Whose processes are ours to reap.
  std::set<std::shared_ptr<Guest>> running_ GUARDED_BY(mutex_);
};

}  // namespace berth::nri

#endif  // NRI_RECEPTION_H_
