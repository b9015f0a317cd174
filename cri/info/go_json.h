// Messages of the CRI as JSON in the form in which Go programs write them:
// tools read containerd's, which is written in Go.
#ifndef CRI_INFO_GO_JSON_H_
#define CRI_INFO_GO_JSON_H_

#include <google/protobuf/message.h>

#include "base/json.h"

namespace berth::cri {

// Names as in the .proto file; fields that have their default value are left
// out; numbers, enums too, are numbers; bytes are base64.
Json ToGoJson(const google::protobuf::Message& message);

}  // namespace berth::cri

#endif  // CRI_INFO_GO_JSON_H_
