#include "shim/service/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "api/shim/runtime/task/v3/shim.pb.h"
#include "base/clock.h"
#include "base/fs/tree.h"
#include "base/io/event_loop.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/sys/socket.h"
#include "base/unique_fd.h"
#include "shim/process/process_facts.h"
#include "shim/process/reaper.h"
#include "shim/runtime/runtime_choice.h"
#include "shim/service/task_records.h"
#include "shim/wire/bootstrap.h"
#include "shim/wire/convert.h"

namespace berth::shim {
namespace {

constexpr uint32_t kKilled = 137;
constexpr uint64_t kMaxAddress = 4096;

std::string WorkingDirectory() {
  char path[PATH_MAX];
  return getcwd(path, sizeof(path)) == nullptr ? "." : path;
}

Status DeleteContainer(EventLoop& loop, Reaper& reaper,
                       const TaskRecords::Record& record) {
  const std::shared_ptr<Runtime> runtime =
      MakeRuntime(loop, reaper, record.runtime, WorkingDirectory());
  Status deleted;
  runtime->Delete(record.id, [&](const Status& status) {
    deleted = status;
    loop.Stop();
  });
  RETURN_IF_ERROR(loop.Run());
  return IgnoreNotFound(deleted);
}

// All that is mounted there, one upon the other.
void UnmountRootfs(const std::string& bundle) {
  const std::string rootfs = bundle + "/rootfs";
  while (Unmount(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW).ok()) {
  }
}

void RemoveFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const StatusOr<UniqueFd> parent =
      OpenFile(path.substr(0, slash + 1), O_PATH | O_DIRECTORY);
  if (!parent.ok()) return;
  RemoveTree(parent->get(), path.substr(slash + 1)).IgnoreError();
}

// The socket of a shim that was killed stays; that of one that lives, for other
// containers of its group, must.
void RemoveDeadSocket() {
  const StatusOr<std::string> address = ReadFile("address", kMaxAddress);
  if (!address.ok()) return;
  const StatusOr<ShimAddress> parsed = ParseStartOutput(*address);
  if (!parsed.ok()) return;
  const StatusOr<UniqueFd> connection = ConnectUnix(parsed->path);
  if (connection.status().code() == StatusCode::kUnavailable) {
    unlink(parsed->path.c_str());
    RemoveFolder(ScratchOf(parsed->path));
  }
}

}  // namespace

StatusOr<std::string> CleanUp(const ShimFlags& flags,
                              const std::string& input) {
  RETURN_IF_ERROR(ValidateId(flags.id));
  const std::string here = WorkingDirectory();
  const TaskRecords records(here);
  std::vector<TaskRecords::Record> all = records.All();
  if (getenv(kSocketVariable) == nullptr) {
    std::erase_if(all, [&](const auto& each) { return each.id != flags.id; });
  }
  if (all.empty()) {
    TaskRecords::Record record;
    record.id = flags.id;
    record.bundle = flags.bundle.empty() ? here : flags.bundle;
    ASSIGN_OR_RETURN(const StartInput start,
                     ParseStartInput(input, flags.id, flags.name_space));
    record.runtime.program = start.options.binary_name();
    record.runtime.root = start.options.root();
    record.runtime.systemd_cgroup = start.options.systemd_cgroup();
    all.push_back(record);
  }

  prctl(PR_SET_CHILD_SUBREAPER, 1);
  ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  Reaper reaper(*loop);
  RETURN_IF_ERROR(reaper.Start());
  for (const TaskRecords::Record& record : all) {
    const Status deleted = DeleteContainer(*loop, reaper, record);
    if (!deleted.ok()) {
      fprintf(stderr, "delete container %s: %s\n", record.id.c_str(),
              Message(deleted).c_str());
      continue;
    }
    UnmountRootfs(record.bundle);
    records.Erase(record.id);
  }

  RemoveDeadSocket();

  containerd::task::v3::DeleteResponse response;
  response.set_exit_status(kKilled);
  *response.mutable_exited_at() = ToWire(Now());
  return response.SerializeAsString();
}

}  // namespace berth::shim
