#ifndef DOOR_STREAM_STREAM_H_
#define DOOR_STREAM_STREAM_H_

namespace berth::door {

// The outputs of a process, by the numbers of their descriptors.
enum class Stream { kStdout = 1, kStderr = 2 };

}  // namespace berth::door

#endif  // DOOR_STREAM_STREAM_H_
