#ifndef DOCKER_ROUTES_STREAM_CHANNEL_H_
#define DOCKER_ROUTES_STREAM_CHANNEL_H_

#include <memory>
#include <utility>

#include "door/http/upgrade.h"
#include "door/stream/channel.h"
#include "door/stream/framed_channel.h"
#include "door/stream/raw_channel.h"

namespace berth::docker {

// Docker's two streams: both outputs kept apart, or bytes as they are.
inline std::unique_ptr<door::StreamChannel> NewChannel(
    door::UpgradedConnection client, bool framed) {
  if (framed) return std::make_unique<door::FramedChannel>(std::move(client));
  return std::make_unique<door::RawChannel>(std::move(client));
}

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_STREAM_CHANNEL_H_
