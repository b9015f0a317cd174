// What a client of a remote command sends on a WebSocket. The first byte is the
// protocol: one of the letters a to e.
#include <algorithm>
#include <string>
#include <string_view>

#include "door/stream/command_channel.h"
#include "door/stream/test_exchange.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using namespace berth;

constexpr const char* kProtocols[] = {
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io",
    "channel.k8s.io", "base64.channel.k8s.io"};
constexpr size_t kMost = 32 << 10;  // what a channel reads at once

// False if the client has broken the protocol, or left.
bool Give(door::StreamChannel& channel, const door::TestExchange& client,
          std::string_view bytes) {
  if (bytes.empty()) return true;
  client.Send(bytes);
  const auto input = channel.TryRead();
  if (!input.ok()) return false;
  FUZZ_CHECK(input->has_value());
  channel.Took((*input)->bytes.size());
  channel.Put(door::Stream::kStdout, "output");
  FUZZ_CHECK(channel.Flush(Context::Background()).ok());
  (void)client.Received();
  return true;
}

}  // namespace

FUZZ_TARGET(bytes) {
  if (bytes.empty() || bytes[0] < 'a' || bytes[0] > 'e') return false;
  door::TestExchange exchange(
      door::TestExchange::Websocket(kProtocols[bytes[0] - 'a']));
  const auto channel = door::OpenCommandChannel(Context::Background(), exchange,
                                                {true, true, true, true});
  FUZZ_CHECK(channel.ok());
  const std::string_view sent = bytes.substr(1, kMost);
  const size_t half = sent.size() / 2;
  return Give(**channel, exchange, sent.substr(0, half)) &&
         Give(**channel, exchange, sent.substr(half)) &&
         (*channel)->End(Context::Background(), 0).ok();
}
