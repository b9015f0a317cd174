#ifndef SHIM_CLIENT_FIFO_READER_H_
#define SHIM_CLIENT_FIFO_READER_H_

#include <sys/types.h>

#include <functional>
#include <string>

namespace berth::shim {

// Waits until process `pid` has the fifo open for reading, a second at most, or
// until `over`. containerd's shim opens an input behind its answer: whoever
// wrote to it and left before that would have written to nobody.
void AwaitReader(pid_t pid, const std::string& fifo,
                 const std::function<bool()>& over);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FIFO_READER_H_
