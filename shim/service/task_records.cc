#include "shim/service/task_records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "api/shim/runtime/task/v3/shim.pb.h"
#include "api/shim/types/runc/options/oci.pb.h"
#include "base/unique_fd.h"
#include "shim/wire/options.h"

namespace berth::shim {
namespace {

// The form of a record is the request that it began with.
using Message = containerd::task::v3::CreateTaskRequest;

std::string Encode(const TaskRecords::Record& record) {
  containerd::runc::v1::Options options;
  options.set_binary_name(record.runtime.program);
  options.set_root(record.runtime.root);
  options.set_systemd_cgroup(record.runtime.systemd_cgroup);
  Message message;
  message.set_id(record.id);
  message.set_bundle(record.bundle);
  message.mutable_options()->set_type_url("containerd.runc.v1.Options");
  message.mutable_options()->set_value(options.SerializeAsString());
  return message.SerializeAsString();
}

StatusOr<TaskRecords::Record> Decode(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) return DataLoss("not a task record");
  ASSIGN_OR_RETURN(const auto options, ParseOptions(message.options()));
  TaskRecords::Record record;
  record.id = message.id();
  record.bundle = message.bundle();
  record.runtime.program = options.binary_name();
  record.runtime.root = options.root();
  record.runtime.systemd_cgroup = options.systemd_cgroup();
  return record;
}

}  // namespace

Status TaskRecords::Save(const Record& record) const {
  if (mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + folder_);
  }
  const std::string path = folder_ + "/" + record.id;
  const std::string bytes = Encode(record);
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return Errno(errno, "create " + path);
  const ssize_t n = write(file.get(), bytes.data(), bytes.size());
  if (n != static_cast<ssize_t>(bytes.size())) {
    return Errno(n < 0 ? errno : ENOSPC, "write " + path);
  }
  return OkStatus();
}

void TaskRecords::Erase(const std::string& id) const {
  unlink((folder_ + "/" + id).c_str());
}

std::vector<TaskRecords::Record> TaskRecords::All() const {
  std::vector<Record> records;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(folder_.c_str()),
                                                   closedir);
  if (folder == nullptr) return records;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    UniqueFd file(
        openat(dirfd(folder.get()), entry->d_name, O_RDONLY | O_CLOEXEC));
    std::string bytes(16 * 1024, '\0');
    const ssize_t n = read(file.get(), bytes.data(), bytes.size());
    if (n <= 0) continue;
    bytes.resize(static_cast<size_t>(n));
    StatusOr<Record> record = Decode(bytes);
    if (record.ok()) records.push_back(*std::move(record));
  }
  return records;
}

}  // namespace berth::shim
