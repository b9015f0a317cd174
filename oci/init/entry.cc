#include "oci/init/entry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "base/sys/process.h"
#include "oci/init/handshake.h"

namespace berth::oci {

struct Entry::Page {
  pid_t pid;
  uint32_t length;  // of text; what others write there is bounded by its size
  char text[4000];
};

void Entry::Unmap::operator()(Page* page) const { munmap(page, sizeof(Page)); }

StatusOr<Entry::Mapping> Entry::Map() {
  void* memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Errno(errno, "mmap");
  return Mapping(static_cast<Page*>(memory));
}

StatusOr<Entry> Entry::Make() {
  Entry entry;
  ASSIGN_OR_RETURN(entry.born_, Map());
  ASSIGN_OR_RETURN(entry.error_, Map());
  return entry;
}

Status Entry::Cross(bool until_exec) {
  if (madvise(born_.get(), sizeof(Page), MADV_DONTFORK) != 0) {
    return Errno(errno, "madvise");
  }
  ASSIGN_OR_RETURN(
      const ClonedProcess inside,
      CloneProcess(
          {.sibling = true, .until_exec = until_exec, .pid_to = &born_->pid}));
  if (inside.pid != 0) _exit(0);
  (void)born_.release();  // is not mapped here
  return OkStatus();
}

Status Died() {
  return Errno(EOWNERDEAD, "the container's process died while it was set up");
}

void Entry::Fail(const Status& why) {
  const std::string text = EncodeStatus(why);
  const size_t length = std::min(text.size(), sizeof(error_->text));
  memcpy(error_->text, text.data(), length);
  error_->length = static_cast<uint32_t>(length);
  _exit(1);
}

pid_t Entry::born() const { return born_->pid; }

StatusOr<Entry::Outcome> Entry::Await(int outside) const {
  struct pollfd ended = {outside, POLLIN, 0};
  if (TEMP_FAILURE_RETRY(poll(&ended, 1, -1)) < 0) {
    return Errno(errno, "wait for the process outside");
  }
  Outcome outcome;
  outcome.pid = born_->pid;
  const size_t length = std::min<size_t>(error_->length, sizeof(error_->text));
  if (length > 0) {
    outcome.status = DecodeStatus(std::string(error_->text, length));
  }
  if (outcome.status.ok() && outcome.pid <= 0) {
    outcome.status = Died();
  }
  return outcome;
}

}  // namespace berth::oci
