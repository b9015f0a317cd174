#ifndef DOOR_GRPC_CALL_CONTEXT_H_
#define DOOR_GRPC_CALL_CONTEXT_H_

#include <grpcpp/grpcpp.h>

#include "base/context.h"

namespace berth::door {

// With the client's deadline; cancelled by Context::Cancel.
Context ContextOf(const grpc::CallbackServerContext& call);

}  // namespace berth::door

#endif  // DOOR_GRPC_CALL_CONTEXT_H_
