#ifndef SHIM_SERVICE_TASK_SERVICE_H_
#define SHIM_SERVICE_TASK_SERVICE_H_

#include <functional>
#include <string>

#include "api/shim/runtime/task/v3/shim.pb.h"
#include "api/shim/types/runc/options/oci.pb.h"
#include "base/io/event_loop.h"
#include "shim/process/task.h"
#include "shim/service/task_records.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {

// containerd's task API, versions 2 and 3, on a TaskTable: parses requests,
// finds the container, writes answers. Single-threaded.
class TaskService {
 public:
  // `defaults`: the options that the shim was started with, for a Create that
  // has none. `record_dir`: where TaskRecords go; empty: each in its bundle.
  // `shutdown` is called when a manager wants the shim to end and
  // nothing is left in it.
  TaskService(TaskTable& tasks, std::string record_dir,
              containerd::runc::v1::Options defaults,
              std::function<void()> shutdown);

  void Register(TtrpcServer& server);
  // Create and Start in one, for BerthService: a CreateTaskRequest, and a
  // CreateTaskResponse with the pid of the program that runs.
  void Run(const TtrpcCall& call, const Responder& reply);
  // The shim ends: from here on Create and Run are UNAVAILABLE.
  void Refuse() { refuses_ = true; }

 private:
  void Handle(const TtrpcCall& call, const Responder& reply);
  TaskRecords RecordsFor(const std::string& bundle) const;
  void Make(const TtrpcCall& call, const Responder& reply, bool start);
  void Create(const TtrpcCall& call, const Responder& reply);
  void Start(const TtrpcCall& call, const Responder& reply);
  void Exec(const TtrpcCall& call, const Responder& reply);
  void Delete(const TtrpcCall& call, const Responder& reply);
  void Kill(const TtrpcCall& call, const Responder& reply);
  void Wait(const TtrpcCall& call, const Responder& reply);
  void State(const TtrpcCall& call, const Responder& reply);
  void Pids(const TtrpcCall& call, const Responder& reply);
  void Pause(const TtrpcCall& call, const Responder& reply);
  void Resume(const TtrpcCall& call, const Responder& reply);
  void CloseIO(const TtrpcCall& call, const Responder& reply);
  void ResizePty(const TtrpcCall& call, const Responder& reply);
  void Update(const TtrpcCall& call, const Responder& reply);
  void Stats(const TtrpcCall& call, const Responder& reply);
  void Connect(const TtrpcCall& call, const Responder& reply);
  void Shutdown(const TtrpcCall& call, const Responder& reply);
  void Checkpoint(const TtrpcCall& call, const Responder& reply);

  TaskTable& tasks_;
  const std::string record_dir_;
  const containerd::runc::v1::Options defaults_;
  const std::function<void()> shutdown_;
  bool refuses_ = false;
};

}  // namespace berth::shim

#endif  // SHIM_SERVICE_TASK_SERVICE_H_
