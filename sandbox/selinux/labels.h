// SELinux labels of pods and containers: the names that the host's policy gives
// them, and a pair of categories for each pod, which keeps its files from the
// others'.
#ifndef SANDBOX_SELINUX_LABELS_H_
#define SANDBOX_SELINUX_LABELS_H_

#include <cstdint>
#include <string>

#include "api/state/v1/state.pb.h"
#include "base/status.h"

namespace berth::sandbox {

// The labels that the policy's lxc_contexts file gives containers, as
// container-selinux installs it. Empty: SELinux is off, or its policy knows no
// containers, and then nothing is labelled. A value.
struct SelinuxContexts {
  std::string process;  // "system_u:system_r:container_t:s0"
  std::string file;     // "system_u:object_r:container_file_t:s0"

  bool empty() const { return process.empty() || file.empty(); }

  // `sys` and `etc` are the host's /sys and /etc. The policy's name is
  // SELINUXTYPE of /etc/selinux/config (selinux_config(5)).
  static SelinuxContexts Detect(const std::string& sys, const std::string& etc);
};

// The labels of one container, or of a pod's shared files. Empty ones are not
// set. A value.
struct SelinuxLabels {
  std::string process;
  std::string mount;  // of its root file system and other files
};

// What is said of each in `own`, then in `pod`, else the policy's, with `level`
// in place of its level if it has one. User and level are of the files, too,
// whose role and type stay the policy's.
SelinuxLabels LabelsOf(const SelinuxContexts& contexts,
                       const state::v1::SelinuxOptions& own,
                       const state::v1::SelinuxOptions& pod,
                       const std::string& level);

// Two different categories of 1024, by a number: "s0:c7,c903". `number` is of
// any size: 523,776 of them give all pairs.
std::string CategoryPair(uint64_t number);

// The label for files that several pods share: without categories.
std::string SharedLabel(const std::string& label);

// INVALID_ARGUMENT if the policy in force does not know the label.
Status CheckLabel(const std::string& sys, const std::string& label);

}  // namespace berth::sandbox

#endif  // SANDBOX_SELINUX_LABELS_H_
