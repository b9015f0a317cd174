#ifndef CRI_CHUNK_H_
#define CRI_CHUNK_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "base/status.h"

namespace berth::cri {

// Bytes after which a message of a list stream is sent: far below the 16 MiB
// that clients accept, and few enough messages.
inline constexpr size_t kChunkBytes = 1 << 20;

// Sends items in messages of about kChunkBytes: every item once, at least one
// in a message, no message at all if there are none. `add` puts an item into a
// message.
template <typename Message, typename Item>
Status SendInChunks(const std::vector<Item>& items,
                    const std::function<void(Message&, const Item&)>& add,
                    const std::function<Status(const Message&)>& sink) {
  Message message;
  size_t bytes = 0;
  bool pending = false;
  for (const Item& item : items) {
    add(message, item);
    pending = true;
    bytes += item.ByteSizeLong();
    if (bytes < kChunkBytes) continue;
    RETURN_IF_ERROR(sink(message));
    message.Clear();
    bytes = 0;
    pending = false;
  }
  return pending ? sink(message) : OkStatus();
}

}  // namespace berth::cri

#endif  // CRI_CHUNK_H_
