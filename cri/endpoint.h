// Our services as gRPC wants them: each method hands its request to a worker.
// The only place, with its two .cc files, that includes the generated service
// code, which is slow to compile.
#ifndef CRI_ENDPOINT_H_
#define CRI_ENDPOINT_H_

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "cri/image_service.h"
#include "cri/request_log.h"
#include "cri/runtime_service.h"
#include "cri/worker_pool.h"

namespace berth::cri {

// Where requests run; all must outlive the endpoints.
struct Lanes {
  RequestLog& log;
  WorkerPool& requests;
  WorkerPool& exec_sync;
  // What is beyond its limit is refused, not queued: a stream may last forever.
  WorkerPool& event_streams;
  WorkerPool& pulls;
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
