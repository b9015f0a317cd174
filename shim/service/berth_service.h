#ifndef SHIM_SERVICE_BERTH_SERVICE_H_
#define SHIM_SERVICE_BERTH_SERVICE_H_

#include <functional>
#include <map>
#include <string>

#include "shim/process/task.h"
#include "shim/service/task_service.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {

// berth.shim.v1.Shim: what berthd asks beyond the task API. Single-threaded.
class BerthService {
 public:
  BerthService(TaskTable& tasks, TaskService& service)
      : tasks_(tasks), service_(service) {}

  void Register(TtrpcServer& server);

 private:
  void Handle(const TtrpcCall& call, const Responder& reply);
  void Attach(const TtrpcCall& call, const Responder& reply);
  void ReopenLog(const TtrpcCall& call, const Responder& reply);
  void ExecSync(const TtrpcCall& call, const Responder& reply);
  void ForgetExecs(const TtrpcCall& call, const Responder& reply);
  void EndExecSync(const TtrpcCall& call, const Responder& reply);
  void List(const Responder& reply);

  TaskTable& tasks_;
  TaskService& service_;
  // What ends an ExecSync early, by its key; those under way.
  std::map<std::string, std::function<void()>> sync_ends_;
};

}  // namespace berth::shim

#endif  // SHIM_SERVICE_BERTH_SERVICE_H_
