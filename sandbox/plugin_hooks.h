// Where plugins (NRI) hear of pods and containers, and have a word in them. Of
// pods alone: Docker's containers are none of theirs. Without NRI, or when no
// plugin wants an event, each returns at once.
#ifndef SANDBOX_PLUGIN_HOOKS_H_
#define SANDBOX_PLUGIN_HOOKS_H_

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/gate.h"
#include "base/status.h"
#include "nri/merge.h"
#include "nri/messages.h"
#include "oci/spec/spec.h"
#include "sandbox/core.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// For who makes or removes a pod or a container: held from the plugins' word on
// it until all can see it, so that no plugin that comes misses it.
StatusOr<Gate::Pass> KeepPluginsOut(const Context& ctx, Core& core);

// Whether a plugin wants to hear this of the pod.
bool PluginsWant(const Core& core, const SandboxRecord& sandbox,
                 nri::api::Event event);

// Tells them of the pod. An error is the word of one of them.
Status TellPlugins(const Context& ctx, Core& core, nri::api::Event event,
                   const SandboxRecord& sandbox);
// The same of one of its containers, as it is in its bundle, or else its plan.
Status TellPlugins(const Context& ctx, Core& core, nri::api::Event event,
                   const ContainerRecord& container);
Status AskForNewPodLimits(const Context& ctx, Core& core,
                          const SandboxRecord& sandbox,
                          const state::v1::Resources& overhead,
                          const state::v1::Resources& resources);

// What they make of a container that is being created and would run with
// `spec`: into its record, unsaved, the limits into its configuration, all
// else into its plan. Changes the other containers that they want changed.
Status AdjustByPlugins(const Context& ctx, Core& core,
                       const SandboxRecord& sandbox, ContainerRecord& container,
                       const oci::Spec& spec);
// The new limits of a container as they want them. What they want of others is
// added to `others`, for when no container's lock is held.
StatusOr<state::v1::Resources> LimitsByPlugins(
    const Context& ctx, Core& core, const ContainerRecord& container,
    const state::v1::Resources& limits, nri::Changes& others);
// It has ended. What they want of others is done behind the caller.
void TellPluginsOfEnd(Core& core, const ContainerRecord& container);

// Does it, with no container's lock held. What must not fail and did is in the
// answer, each with the first reason in the log. Evictions go on behind the
// caller.
std::vector<nri::api::ContainerUpdate> ChangeForPlugins(
    const Context& ctx, Core& core, const nri::Changes& changes);
// FAILED_PRECONDITION if something of it must not fail and did.
Status ChangeOthers(const Context& ctx, Core& core,
                    const nri::Changes& changes);

}  // namespace berth::sandbox

#endif  // SANDBOX_PLUGIN_HOOKS_H_
