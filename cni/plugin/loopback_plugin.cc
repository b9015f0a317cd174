#include "cni/plugin/loopback_plugin.h"

#include <sched.h>

#include <utility>

#include "base/sys/link.h"
#include "base/sys/namespace.h"
#include "base/unique_fd.h"

namespace berth::cni {
namespace {

constexpr char kName[] = "lo";

Status Raise(int netns) { return SetLinkUp(netns, kName); }

}  // namespace

Status RaiseLoopback(const std::string& netns) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenNamespace(netns, CLONE_NEWNET));
  return Raise(fd.get());
}

StatusOr<Json> LoopbackPlugin::Add(const Context&, int netns,
                                   const Invocation& invocation) const {
  RETURN_IF_ERROR(Raise(netns));
  if (const Json* previous = invocation.config.Find("prevResult")) {
    return *previous;
  }
  ASSIGN_OR_RETURN(const Link link, FindLink(netns, kName));
  Json ips = Json::array();
  for (const std::string& address : link.addresses) {
    ips.push_back({{"interface", 0}, {"address", address}});
  }
  return Json{{"interfaces", Json::array({{{"name", kName},
                                           {"mac", "00:00:00:00:00:00"},
                                           {"sandbox", invocation.netns}}})},
              {"ips", std::move(ips)}};
}

Status LoopbackPlugin::Check(const Context&, int netns,
                             const Invocation&) const {
  ASSIGN_OR_RETURN(const Link link, FindLink(netns, kName));
  return link.up ? OkStatus() : Internal("the loopback interface is down");
}

Status LoopbackPlugin::Delete(const Context&, int netns,
                              const Invocation&) const {
  return netns < 0 ? OkStatus() : SetLinkDown(netns, kName);
}

}  // namespace berth::cni
