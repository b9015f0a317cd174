// What crosses a shim's socket, in both directions.
#include <string>

#include "api/shim/runtime/task/v3/shim.pb.h"
#include "api/shim/ttrpc/request.pb.h"
#include "shim/wire/ttrpc.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth::shim;
  FrameParser parser;
  size_t frames = 0;
  size_t size = 0;
  for (size_t at = 0; at < bytes.size(); at += 7) {
    parser.Feed(bytes.substr(at, 7));
    while (const auto frame = parser.Next()) {
      ++frames;
      size += kFrameHeaderSize + frame->data.size();
      (void)DecodeResponse(frame->data);
      ttrpc::Request request;
      if (!request.ParseFromString(frame->data)) continue;
      containerd::task::v3::CreateTaskRequest create;
      (void)create.ParseFromString(request.payload());
    }
  }
  FUZZ_CHECK(size <= bytes.size());
  return frames > 0;
}
