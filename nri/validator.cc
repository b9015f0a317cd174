#include "nri/validator.h"

#include <algorithm>

#include "base/strings.h"

namespace berth::nri {
namespace {

constexpr char kRequiredPlugins[] = "required-plugins.noderesource.dev";

using Request = api::ValidateContainerAdjustmentRequest;

std::string OwnerOf(const Request& request, api::Field field) {
  const auto fields = request.owners().owners().find(request.container().id());
  if (fields == request.owners().owners().end()) return "?";
  const auto simple = fields->second.simple().find(field);
  if (simple != fields->second.simple().end()) return simple->second;
  const auto compound = fields->second.compound().find(field);
  if (compound == fields->second.compound().end() ||
      compound->second.owners().empty()) {
    return "?";
  }
  return compound->second.owners().begin()->second;
}

Status Rejected(const Request& request, api::Field field, const char* what) {
  return FailedPrecondition(std::string("plugin ") +
                            Quoted(OwnerOf(request, field)) + " adjusts " +
                            what + ", which is not allowed here");
}

Status CheckSeccomp(const ValidatorSettings& settings, const Request& request) {
  if (!request.adjust().linux().has_seccomp_policy()) return OkStatus();
  bool reject = settings.reject_unconfined_seccomp;
  const char* what = "the seccomp policy of an unconfined container";
  if (request.container().linux().has_seccomp_profile()) {
    switch (request.container().linux().seccomp_profile().profile_type()) {
      case api::SecurityProfile::RUNTIME_DEFAULT:
        reject = settings.reject_runtime_default_seccomp;
        what = "the runtime's default seccomp policy";
        break;
      case api::SecurityProfile::LOCALHOST:
        reject = settings.reject_custom_seccomp;
        what = "a seccomp policy that the pod brings";
        break;
      default:
        break;
    }
  }
  return reject ? Rejected(request, api::SeccompPolicy, what) : OkStatus();
}

// The pod's annotation, the one for this container first; null if neither.
const std::string* AnnotationOf(const Request& request,
                                const std::string& name) {
  const auto& all = request.pod().annotations();
  for (const std::string& key :
       {name + "/container." + request.container().name(), name + "/pod",
        name}) {
    const auto found = all.find(key);
    if (found != all.end()) return &found->second;
  }
  return nullptr;
}

// A list of plain words in YAML: [a, b], or lines that begin with "-".
std::vector<std::string> ParseList(const std::string& yaml) {
  std::string text = yaml;
  std::replace_if(
      text.begin(), text.end(),
      [](char c) {
        return c == '[' || c == ']' || c == ',' || c == '"' || c == '\'';
      },
      '\n');
  std::vector<std::string> words;
  for (const std::string& line : Split(text, '\n')) {
    std::string_view word = Trim(line);
    if (StartsWith(word, "- ")) word = Trim(word.substr(2));
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

Status CheckRequired(const ValidatorSettings& settings,
                     const Request& request) {
  std::vector<std::string> required = settings.required_plugins;
  const std::string* asked = AnnotationOf(request, kRequiredPlugins);
  if (asked != nullptr) {
    const std::vector<std::string> more = ParseList(*asked);
    required.insert(required.end(), more.begin(), more.end());
  }
  if (required.empty()) return OkStatus();
  const std::string& tolerate = settings.tolerate_missing_annotation;
  const std::string* tolerated =
      tolerate.empty() ? nullptr : AnnotationOf(request, tolerate);
  if (tolerated != nullptr && *tolerated == "true") return OkStatus();
  for (const std::string& name : required) {
    const bool there = std::any_of(
        request.plugins().begin(), request.plugins().end(),
        [&](const api::PluginInstance& it) { return it.name() == name; });
    if (!there) {
      return FailedPrecondition("the required plugin " + Quoted(name) +
                                " is not there");
    }
  }
  return OkStatus();
}

}  // namespace

Status Validate(const ValidatorSettings& settings, const Request& request) {
  const api::ContainerAdjustment& adjust = request.adjust();
  if (settings.reject_hooks && adjust.hooks().ByteSizeLong() > 0) {
    return Rejected(request, api::OciHooks, "OCI hooks");
  }
  RETURN_IF_ERROR(CheckSeccomp(settings, request));
  if (settings.reject_namespaces && !adjust.linux().namespaces().empty()) {
    return Rejected(request, api::Namespace, "namespaces");
  }
  if (settings.reject_sysctls && !adjust.linux().sysctl().empty()) {
    return Rejected(request, api::Sysctl, "sysctls");
  }
  return CheckRequired(settings, request);
}

}  // namespace berth::nri
