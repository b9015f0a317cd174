#include "sandbox/selinux/labels.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "sandbox/record/files.h"

namespace berth::sandbox {
namespace {

constexpr uint64_t kMaxFile = 1 << 20;
constexpr uint64_t kCategories = 1024;

// The value of "KEY = VALUE" in a text of such lines, without quotes.
std::string ValueOf(const std::string& text, const std::string& key) {
  for (const std::string& line : Split(text, '\n')) {
    const std::string trimmed(Trim(line));
    const size_t equals = trimmed.find('=');
    if (trimmed[0] == '#' || equals == std::string::npos) continue;
    if (Trim(trimmed.substr(0, equals)) != key) continue;
    std::string value(Trim(trimmed.substr(equals + 1)));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return "";
}

// user, role, type, and the level if the policy has levels, which holds colons
// itself.
using Parts = std::array<std::string, 4>;
enum { kUser, kRole, kType, kLevel };

Parts PartsOf(const std::string& label) {
  Parts parts;
  size_t from = 0;
  for (int i = 0; i < kLevel && from != std::string::npos; ++i) {
    const size_t colon = label.find(':', from);
    parts[i] = label.substr(from, colon - from);
    from = colon == std::string::npos ? colon : colon + 1;
  }
  if (from != std::string::npos) parts[kLevel] = label.substr(from);
  return parts;
}

std::string LabelOf(const Parts& parts) {
  std::string label = parts[kUser] + ":" + parts[kRole] + ":" + parts[kType];
  if (!parts[kLevel].empty()) label += ":" + parts[kLevel];
  return label;
}

void Replace(const std::string& own, const std::string& pod,
             std::string& part) {
  if (!own.empty()) {
    part = own;
  } else if (!pod.empty()) {
    part = pod;
  }
}

}  // namespace

SelinuxContexts SelinuxContexts::Detect(const std::string& sys,
                                        const std::string& etc) {
  SelinuxContexts contexts;
  if (access((sys + "/fs/selinux/enforce").c_str(), F_OK) != 0) return contexts;
  const StatusOr<std::string> config =
      ReadSmallFile(etc + "/selinux/config", kMaxFile);
  std::string policy = config.ok() ? ValueOf(*config, "SELINUXTYPE") : "";
  if (policy.empty()) policy = "targeted";
  const StatusOr<std::string> text = ReadSmallFile(
      etc + "/selinux/" + policy + "/contexts/lxc_contexts", kMaxFile);
  if (!text.ok()) return contexts;
  contexts.process = ValueOf(*text, "process");
  contexts.file = ValueOf(*text, "file");
  return contexts;
}

SelinuxLabels LabelsOf(const SelinuxContexts& contexts,
                       const state::v1::SelinuxOptions& own,
                       const state::v1::SelinuxOptions& pod,
                       const std::string& level) {
  SelinuxLabels labels;
  if (contexts.empty()) return labels;
  Parts process = PartsOf(contexts.process);
  Parts file = PartsOf(contexts.file);
  for (Parts* parts : {&process, &file}) {
    if (!(*parts)[kLevel].empty() && !level.empty()) (*parts)[kLevel] = level;
    Replace(own.user(), pod.user(), (*parts)[kUser]);
    Replace(own.level(), pod.level(), (*parts)[kLevel]);
  }
  Replace(own.role(), pod.role(), process[kRole]);
  Replace(own.type(), pod.type(), process[kType]);
  Replace(own.file_type(), pod.file_type(), file[kType]);
  labels.mount = LabelOf(file);
  if (!own.disabled() && !pod.disabled()) labels.process = LabelOf(process);
  return labels;
}

std::string CategoryPair(uint64_t number) {
  // The pairs with the smaller one 0 come first, then those with 1, and so on.
  uint64_t rest = number % (kCategories * (kCategories - 1) / 2);
  uint64_t first = 0;
  for (uint64_t row = kCategories - 1; rest >= row; --row, ++first) rest -= row;
  return "s0:c" + std::to_string(first) + ",c" +
         std::to_string(first + 1 + rest);
}

std::string SharedLabel(const std::string& label) {
  Parts parts = PartsOf(label);
  if (!parts[kLevel].empty()) parts[kLevel] = "s0";
  return LabelOf(parts);
}

Status CheckLabel(const std::string& sys, const std::string& label) {
  if (label.empty()) return OkStatus();
  const std::string file = sys + "/fs/selinux/context";
  const UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open " + Quoted(file));
  // With the zero byte that ends it.
  if (write(fd.get(), label.c_str(), label.size() + 1) >= 0) return OkStatus();
  if (errno != EINVAL) return Errno(errno, "ask for label " + Quoted(label));
  return InvalidArgument("selinux label " + Quoted(label) +
                         ": the policy of this host does not know it");
}

}  // namespace berth::sandbox
