#include "nri/plugins.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/strings.h"

namespace berth::nri {
namespace {

// For plugins that are told that berthd ends, all together.
constexpr Duration kShutdownTime = std::chrono::seconds(2);

// The validator speaks of each container if it asks for plugins, or may.
EventMask WantedBy(const ValidatorSettings& settings) {
  return settings.enabled ? MaskOf(api::CREATE_CONTAINER) : 0;
}

bool IsBefore(const std::shared_ptr<Plugin>& a,
              const std::shared_ptr<Plugin>& b) {
  return a->full_name() < b->full_name();
}

StatusOr<Gate::Pass> AloneFor(const Context& ctx, Gate& gate,
                              const char* what) {
  StatusOr<Gate::Pass> pass = gate.BeAlone(ctx);
  if (pass.ok()) return pass;
  return Annotate(pass.status(), std::string("wait for ") + what);
}

}  // namespace

Plugins::Plugins(Options options)
    : validator_(options.validator),
      always_wanted_(WantedBy(options.validator)),
      wanted_(always_wanted_),
      reception_(
          std::move(options.reception),
          {[this](const Context& ctx, const std::shared_ptr<Plugin>& plugin) {
             return Join(ctx, plugin);
           },
           [this](const std::shared_ptr<Plugin>& plugin) { Leave(plugin); },
           [this](const Context& ctx, const Plugin& plugin,
                  const api::UpdateContainersRequest& request) {
             return ChangeByItself(ctx, plugin, request);
           }}) {}

Status Plugins::Start(Runtime runtime) {
  runtime_ = std::move(runtime);
  return reception_.Start();
}

void Plugins::Stop() {
  const Context ctx = Context::Background("nri").WithTimeout(kShutdownTime);
  for (const auto& plugin : Present()) plugin->Shutdown(ctx);
  reception_.Stop();
}

StatusOr<Gate::Pass> Plugins::KeepJoinersOut(const Context& ctx) {
  StatusOr<Gate::Pass> pass = made_.Enter(ctx);
  if (pass.ok()) return pass;
  return Annotate(pass.status(), "wait for an NRI plugin that joins");
}

Plugins::List Plugins::Present() {
  MutexLock lock(mutex_);
  return plugins_;
}

void Plugins::CountWanted() {
  EventMask wanted = always_wanted_;
  for (const auto& plugin : plugins_) wanted |= plugin->events();
  wanted_.store(wanted, std::memory_order_release);
}

Status Plugins::Join(const Context& ctx,
                     const std::shared_ptr<Plugin>& plugin) {
  Changes wanted;
  {
    ASSIGN_OR_RETURN(const Gate::Pass alone,
                     AloneFor(ctx, made_, "what is being made"));
    ASSIGN_OR_RETURN(const Gate::Pass turn,
                     AloneFor(ctx, turn_, "NRI plugins"));
    ASSIGN_OR_RETURN(wanted.updates,
                     plugin->Synchronize(ctx, runtime_.everything()));
    MutexLock lock(mutex_);
    // Nobody would take it out: Leave may have come and gone.
    if (plugin->line().closed()) {
      return Unavailable("plugin " + plugin->full_name() +
                         " has gone while it joined");
    }
    const auto place =
        std::upper_bound(plugins_.begin(), plugins_.end(), plugin, IsBefore);
    plugins_.insert(place, plugin);
    CountWanted();
  }
  if (wanted.updates.empty()) return OkStatus();
  for (const auto& failed : runtime_.change(ctx, wanted)) {
    LOG(WARNING) << "NRI plugin " << plugin->full_name() << ": container "
                 << Quoted(failed.container_id())
                 << " cannot be changed as it wants";
  }
  return OkStatus();
}

void Plugins::Leave(const std::shared_ptr<Plugin>& plugin) {
  MutexLock lock(mutex_);
  plugins_.erase(std::remove(plugins_.begin(), plugins_.end(), plugin),
                 plugins_.end());
  CountWanted();
}

StatusOr<api::UpdateContainersResponse> Plugins::ChangeByItself(
    const Context& ctx, const Plugin& plugin,
    const api::UpdateContainersRequest& request) {
  LOG(INFO) << "NRI plugin " << plugin.full_name() << " asks for "
            << request.update_size() << " updates and " << request.evict_size()
            << " evictions";
  ChangeMerge merge;
  RETURN_IF_ERROR(
      merge.Add(plugin.full_name(), request.update(), request.evict()));
  api::UpdateContainersResponse response;
  for (const auto& failed : runtime_.change(ctx, merge.others())) {
    *response.add_failed() = failed;
  }
  return response;
}

Status Plugins::Tell(const Context& ctx, const api::StateChangeEvent& event) {
  ASSIGN_OR_RETURN(const Gate::Pass turn, AloneFor(ctx, turn_, "NRI plugins"));
  for (const auto& plugin : Present()) {
    RETURN_IF_ERROR(plugin->Tell(ctx, event));
  }
  return OkStatus();
}

Status Plugins::UpdatePod(const Context& ctx,
                          const api::UpdatePodSandboxRequest& request) {
  ASSIGN_OR_RETURN(const Gate::Pass turn, AloneFor(ctx, turn_, "NRI plugins"));
  for (const auto& plugin : Present()) {
    const Status asked = plugin
                             ->Ask<api::UpdatePodSandboxResponse>(
                                 ctx, api::UPDATE_POD_SANDBOX, request)
                             .status();
    // Plugins from before there was this event.
    if (asked.code() != StatusCode::kUnimplemented) RETURN_IF_ERROR(asked);
  }
  return OkStatus();
}

StatusOr<Merge> Plugins::Create(const Context& ctx,
                                api::CreateContainerRequest& request) {
  ASSIGN_OR_RETURN(const Gate::Pass turn, AloneFor(ctx, turn_, "NRI plugins"));
  const List plugins = Present();
  api::ValidateContainerAdjustmentRequest result;
  *result.mutable_pod() = request.pod();
  *result.mutable_container() = request.container();  // without plugins
  Merge merge(*request.mutable_container());
  for (const auto& plugin : plugins) {
    ASSIGN_OR_RETURN(auto answer, plugin->Ask<api::CreateContainerResponse>(
                                      ctx, api::CREATE_CONTAINER, request));
    // Not one that was lost while it was asked.
    if (!answer && plugin->line().closed()) continue;
    api::PluginInstance& instance = *result.add_plugins();
    instance.set_name(plugin->name());
    instance.set_index(plugin->index());
    if (!answer) continue;
    RETURN_IF_ERROR(merge.Add(plugin->full_name(), *std::move(answer)));
  }
  *result.mutable_adjust() = merge.adjustment();
  *result.mutable_owners() = merge.owners().all();
  for (const auto& update : merge.others().updates) {
    *result.add_update() = update;
  }
  RETURN_IF_ERROR(Validate(ctx, plugins, result));
  return merge;
}

Status Plugins::Validate(
    const Context& ctx, const List& plugins,
    const api::ValidateContainerAdjustmentRequest& request) {
  if (validator_.enabled) RETURN_IF_ERROR(nri::Validate(validator_, request));
  for (const auto& plugin : plugins) {
    ASSIGN_OR_RETURN(const auto answer,
                     plugin->Ask<api::ValidateContainerAdjustmentResponse>(
                         ctx, api::VALIDATE_CONTAINER_ADJUSTMENT, request));
    if (!answer || !answer->reject()) continue;
    return FailedPrecondition("plugin " + plugin->full_name() +
                              " rejects the adjustment: " + answer->reason());
  }
  return OkStatus();
}

StatusOr<ChangeMerge> Plugins::Update(const Context& ctx,
                                      api::UpdateContainerRequest request) {
  ASSIGN_OR_RETURN(const Gate::Pass turn, AloneFor(ctx, turn_, "NRI plugins"));
  ChangeMerge merge(request.container().id(), request.linux_resources());
  for (const auto& plugin : Present()) {
    ASSIGN_OR_RETURN(const auto answer,
                     plugin->Ask<api::UpdateContainerResponse>(
                         ctx, api::UPDATE_CONTAINER, request));
    if (!answer) continue;
    RETURN_IF_ERROR(
        merge.Add(plugin->full_name(), answer->update(), answer->evict()));
    *request.mutable_linux_resources() = merge.asked();
  }
  return merge;
}

StatusOr<ChangeMerge> Plugins::Ended(const Context& ctx,
                                     const api::StopContainerRequest& request) {
  ASSIGN_OR_RETURN(const Gate::Pass turn, AloneFor(ctx, turn_, "NRI plugins"));
  ChangeMerge merge;
  for (const auto& plugin : Present()) {
    ASSIGN_OR_RETURN(const auto answer, plugin->Ask<api::StopContainerResponse>(
                                            ctx, api::STOP_CONTAINER, request));
    if (answer) {
      RETURN_IF_ERROR(merge.Add(plugin->full_name(), answer->update(), {}));
    }
  }
  return merge;
}

}  // namespace berth::nri
