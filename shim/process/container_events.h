// The task API's events, one function each (containerd.events.Task*).
#ifndef SHIM_PROCESS_CONTAINER_EVENTS_H_
#define SHIM_PROCESS_CONTAINER_EVENTS_H_

#include <sys/types.h>

#include <string>

#include "shim/process/event_publisher.h"
#include "shim/process/process.h"
#include "shim/shim.h"

namespace berth::shim {

void PublishCreated(EventPublisher& events, const CreateTask& task, pid_t pid);
void PublishExecAdded(EventPublisher& events, const std::string& id,
                      const std::string& exec_id);
// Of the init if exec_id is empty.
void PublishStarted(EventPublisher& events, const std::string& id,
                    const std::string& exec_id, pid_t pid);
void PublishOom(EventPublisher& events, const std::string& id);
void PublishFrozen(EventPublisher& events, const std::string& id, bool frozen);
void PublishExited(EventPublisher& events, const std::string& id,
                   const Process& process);
void PublishDeleted(EventPublisher& events, const std::string& id,
                    const Process& init);

}  // namespace berth::shim

#endif  // SHIM_PROCESS_CONTAINER_EVENTS_H_
