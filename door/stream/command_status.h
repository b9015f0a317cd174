#ifndef DOOR_STREAM_COMMAND_STATUS_H_
#define DOOR_STREAM_COMMAND_STATUS_H_

#include <string>

#include "door/stream/channel.h"

namespace berth::door {

// What the error stream of a remote command says at its end. As Kubernetes'
// Status in JSON, from version 4 of the protocol on; before it a text, which is
// empty for a success.
std::string CommandStatus(const StreamEnd& end);
std::string CommandErrorText(const StreamEnd& end);

}  // namespace berth::door

#endif  // DOOR_STREAM_COMMAND_STATUS_H_
