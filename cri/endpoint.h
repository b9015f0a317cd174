// Our services as gRPC wants them: each method hands its request to a worker.
// The only place, with its two .cc files, that includes the generated service
// code, which is slow to compile.
#ifndef CRI_ENDPOINT_H_
#define CRI_ENDPOINT_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "cri/image_service.h"
#include "cri/runtime_service.h"
#include "door/request_log.h"
#include "door/stream_places.h"
#include "door/worker_pool.h"

namespace berth::cri {

// Where requests run; all must outlive the endpoints. What only asks has
// threads of its own, which no verb can take, however long it hangs.
struct Lanes {
  door::RequestLog& log;
  door::WorkerPool& queries;
  // Queries that read a lot, and may wait for a shim.
  door::WorkerPool& statistics;
  door::WorkerPool& requests;
  door::WorkerPool& exec_sync;  // with a share per pod
  door::WorkerPool& event_streams;
  door::StreamPlaces& event_readers;
  door::WorkerPool& pulls;
};

std::unique_ptr<grpc::Service> NewRuntimeEndpoint(RuntimeService& service,
                                                  const Lanes& lanes);
std::unique_ptr<grpc::Service> NewImageEndpoint(ImageService& service,
                                                const Lanes& lanes);
// For the commands of `berthd` (api/admin/v1).
std::unique_ptr<grpc::Service> NewAdminEndpoint(ImageService& service,
                                                const Lanes& lanes);

}  // namespace berth::cri

#endif  // CRI_ENDPOINT_H_
