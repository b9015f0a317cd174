#include "oci/cgroup/systemd_cgroup.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/process.h"
#include "base/undo.h"
#include "oci/cgroup/unit_limits.h"

namespace berth::oci {
namespace {

// What systemd's cg_escape has put in front of the name of the directory.
std::string UnitOf(const std::string& path, size_t begin, size_t end) {
  std::string unit = path.substr(begin, end - begin);
  if (unit.size() > 1 && unit[0] == '_') unit.erase(0, 1);
  return unit;
}

std::string LastPart(const std::string& path) {
  return UnitOf(path, path.rfind('/') + 1, path.size());
}

std::string PartBefore(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  return parent.empty() ? "-.slice" : LastPart(parent);
}

// True if it was among them.
bool DropOomPolicy(std::vector<UnitProperty>& properties) {
  return std::erase_if(properties, [](const UnitProperty& property) {
           return property.name == kOomPolicy;
         }) > 0;
}

[[noreturn]] void HoldPlace(pid_t maker) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != maker) _exit(0);
  // Whoever waits for the end of a pipe must not wait for us.
  (void)CloseAllBut(0, {}).ok();
  for (;;) pause();
}

}  // namespace

StatusOr<pid_t> PlaceHolder::Begin() {
  const pid_t maker = getpid();
  ASSIGN_OR_RETURN(ClonedProcess cloned, CloneProcess({}));
  if (cloned.pid == 0) HoldPlace(maker);
  pidfd_ = std::move(cloned.pidfd);
  return cloned.pid;
}

void PlaceHolder::End() {
  if (!pidfd_.valid()) return;
  (void)SignalProcess(pidfd_.get(), SIGKILL).ok();
  siginfo_t ended;
  TEMP_FAILURE_RETRY(
      waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &ended, WEXITED));
  pidfd_.reset();
}

SystemdCgroup::SystemdCgroup(CgroupVersion version, const std::string& path,
                             std::unique_ptr<Cgroup> files,
                             ScopeOptions options)
    : version_(version),
      unit_(LastPart(path)),
      slice_(PartBefore(path)),
      files_(std::move(files)),
      options_(std::move(options)),
      manager_(options_.systemd) {}

StatusOr<std::vector<UnitProperty>> SystemdCgroup::PropertiesOf(
    const Resources& limits) const {
  const bool v2 = version_ == CgroupVersion::kV2;
  ASSIGN_OR_RETURN(const std::vector<LimitWrite> writes,
                   v2 ? LimitsV2(limits) : LimitsV1(limits));
  std::vector<UnitProperty> properties = LimitProperties(writes);
  if (limits.devices.empty()) return properties;
  for (UnitProperty& property : DeviceProperties(limits.devices)) {
    properties.push_back(std::move(property));
  }
  return properties;
}

std::vector<UnitProperty> SystemdCgroup::ScopeProperties(pid_t first) const {
  const bool v2 = version_ == CgroupVersion::kV2;
  const std::vector<uint32_t> pids = {static_cast<uint32_t>(first)};
  const std::string description = options_.description.empty()
                                      ? "container " + unit_
                                      : options_.description;
  return {{"Description", description},
          {"Slice", slice_},
          {"PIDs", pids},
          {"Delegate", true},
          {"DefaultDependencies", false},
          // One that has failed (out of memory) is not kept either.
          {"CollectMode", std::string("inactive-or-failed")},
          {"MemoryAccounting", true},
          {"CPUAccounting", true},
          {v2 ? "IOAccounting" : "BlockIOAccounting", true},
          {"TasksAccounting", true}};
}

Status SystemdCgroup::Start(std::vector<UnitProperty> properties) {
  const Status started = manager_.Start(unit_, properties);
  const bool old = started.code() == StatusCode::kFailedPrecondition &&
                   Message(started).find(kOomPolicy) != std::string::npos &&
                   DropOomPolicy(properties);
  return old ? manager_.Start(unit_, properties) : started;
}

// A systemd in a cgroup of its own (in a container) makes its units below that.
Status SystemdCgroup::CheckPlace(pid_t first) const {
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, files_->Pids());
  if (std::binary_search(pids.begin(), pids.end(), first)) return OkStatus();
  return FailedPrecondition("systemd has not made " + Quoted(unit_) +
                            " where we look for it");
}

Status SystemdCgroup::Create(const Resources& limits) {
  ASSIGN_OR_RETURN(const std::vector<UnitProperty> more, PropertiesOf(limits));
  ASSIGN_OR_RETURN(const pid_t first, holder_.Begin());
  Undo undo;
  undo.Add([this] { holder_.End(); });
  std::vector<UnitProperty> properties = ScopeProperties(first);
  properties.insert(properties.end(), more.begin(), more.end());
  for (const UnitProperty& property : options_.properties) {
    properties.push_back(property);
  }
  // If it fails late, there will be nobody in it, which ends it.
  RETURN_IF_ERROR(Start(std::move(properties)));
  undo.Add([this] {
    holder_.End();
    (void)Remove().ok();
  });
  RETURN_IF_ERROR(CheckPlace(first));
  RETURN_IF_ERROR(files_->Update(limits));
  undo.Commit();
  return OkStatus();
}

// systemd takes a quota as a share of a second, and keeps one for the other.
Resources SystemdCgroup::WithWholeQuota(const Resources& limits) const {
  Resources whole = limits;
  const bool quota = limits.cpu.quota.value_or(0) > 0;
  const bool period = limits.cpu.period.value_or(0) != 0;
  if (quota == period) return whole;
  const StatusOr<CgroupStats> stats = files_->Stats();
  if (!stats.ok()) return whole;
  if (!period && stats->cpu.period_us != 0) {
    whole.cpu.period = stats->cpu.period_us;
  }
  if (!quota && limits.cpu.quota.value_or(0) == 0 && stats->cpu.quota_us != 0) {
    whole.cpu.quota = static_cast<int64_t>(stats->cpu.quota_us);
  }
  return whole;
}

Status SystemdCgroup::Update(const Resources& limits) {
  const Resources whole = WithWholeQuota(limits);
  ASSIGN_OR_RETURN(std::vector<UnitProperty> properties, PropertiesOf(whole));
  (void)DropOomPolicy(properties);
  // The kernel first, which knows what it refuses; then systemd, so that it
  // keeps them; then what systemd has rounded.
  RETURN_IF_ERROR(files_->Update(whole));
  if (properties.empty()) return OkStatus();
  RETURN_IF_ERROR(manager_.SetProperties(unit_, properties));
  return files_->Update(whole);
}

Status SystemdCgroup::Remove() {
  holder_.End();
  RETURN_IF_ERROR(files_->Remove());
  return IgnoreNotFound(manager_.Stop(unit_));
}

}  // namespace berth::oci
