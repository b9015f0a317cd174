#ifndef DOOR_GRPC_GRPC_STATUS_H_
#define DOOR_GRPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace berth::door {

// Our codes are gRPC's, number by number, so an error goes out as it is. An
// empty message gets the code's name: clients show nothing but the text.
grpc::Status ToGrpc(const Status& status);

}  // namespace berth::door

#endif  // DOOR_GRPC_GRPC_STATUS_H_
