#include "oci/spec/annotations.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr std::string_view kContexts[] = {"context", "fscontext", "defcontext",
                                          "rootcontext"};

std::string ValueOf(const Spec& spec, const char* name) {
  const auto found = spec.annotations.find(std::string("run.oci.") + name);
  return found == spec.annotations.end() ? "" : found->second;
}

Status ApplyFile(const Spec& spec, const char* name, std::string& file) {
  file = ValueOf(spec, name);
  if (file.empty() || StartsWith(file, "/")) return OkStatus();
  return InvalidArgument("annotation run.oci." + std::string(name) + ": " +
                         Quoted(file) + " is not absolute");
}

}  // namespace

Status ApplyAnnotations(Spec& spec) {
  if (spec.annotations.empty()) return OkStatus();
  const std::string groups = ValueOf(spec, "keep_original_groups");
  if (spec.process) spec.process->user.keep_groups = groups == "1";
  const std::string context = ValueOf(spec, "mount_context_type");
  if (!context.empty()) {
    if (std::find(std::begin(kContexts), std::end(kContexts), context) ==
        std::end(kContexts)) {
      return InvalidArgument("annotation run.oci.mount_context_type: " +
                             Quoted(context) + " is no such option");
    }
    spec.linux.mount_label_option = context;
  }
  RETURN_IF_ERROR(ApplyFile(spec, "hooks.stdout", spec.hooks.output));
  RETURN_IF_ERROR(ApplyFile(spec, "hooks.stderr", spec.hooks.errors));
  if (spec.linux.seccomp && spec.linux.seccomp->listener_path.empty()) {
    spec.linux.seccomp->listener_path = ValueOf(spec, "seccomp.receiver");
  }
  return OkStatus();
}

}  // namespace berth::oci
