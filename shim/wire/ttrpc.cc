#include "shim/wire/ttrpc.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/io/big_endian.h"

namespace berth::shim {
namespace {

constexpr char kNamespaceKey[] = "containerd-namespace-ttrpc";

}  // namespace

std::string EncodeFrame(uint32_t stream, FrameType type,
                        std::string_view data) {
  std::string frame;
  frame.reserve(kFrameHeaderSize + data.size());
  AppendBigEndian(frame, static_cast<uint32_t>(data.size()));
  AppendBigEndian(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(0);
  frame.append(data);
  return frame;
}

std::optional<Frame> FrameParser::Next() {
  const uint64_t dropped = std::min<uint64_t>(skip_, buffer_.size() - used_);
  used_ += static_cast<size_t>(dropped);
  skip_ -= dropped;

  const char* bytes = buffer_.data() + used_;
  const size_t available = buffer_.size() - used_;
  const uint32_t length =
      available < kFrameHeaderSize ? 0 : ReadBigEndian(bytes);
  const bool oversized = length > kMaxFrameData;
  if (available < kFrameHeaderSize ||
      (!oversized && available < kFrameHeaderSize + length)) {
    // Gives memory back: a shim holds idle connections for weeks.
    buffer_.erase(0, used_);
    used_ = 0;
    if (buffer_.empty() && buffer_.capacity() > 4096) {
      std::string().swap(buffer_);
    }
    return std::nullopt;
  }

  Frame frame;
  frame.stream = ReadBigEndian(bytes + 4);
  frame.type = static_cast<uint8_t>(bytes[8]);
  frame.flags = static_cast<uint8_t>(bytes[9]);
  frame.oversized = oversized;
  used_ += kFrameHeaderSize;
  if (oversized) {
    skip_ = length;
  } else {
    frame.data.assign(buffer_, used_, length);
    used_ += length;
  }
  return frame;
}

StatusOr<std::string> EncodeRequest(uint32_t stream, const std::string& service,
                                    const std::string& method,
                                    const std::string& payload,
                                    const CallOptions& options) {
  ttrpc::Request request;
  request.set_service(service);
  request.set_method(method);
  request.set_payload(payload);
  request.set_timeout_nano(options.timeout.count());
  if (!options.name_space.empty()) {
    ttrpc::KeyValue* pair = request.add_metadata();
    pair->set_key(kNamespaceKey);
    pair->set_value(options.name_space);
  }
  const std::string data = request.SerializeAsString();
  if (data.size() > kMaxFrameData) {
    return ResourceExhausted("call " + service + "/" + method + ": " +
                             std::to_string(data.size()) +
                             " bytes are more than a message may have");
  }
  return EncodeFrame(stream, kRequestFrame, data);
}

std::string EncodeResponse(uint32_t stream,
                           const StatusOr<std::string>& payload) {
  ttrpc::Response response;
  if (payload.ok()) {
    response.set_payload(*payload);
  } else {
    response.mutable_status()->set_code(
        static_cast<int32_t>(payload.status().code()));
    response.mutable_status()->set_message(Message(payload.status()));
  }
  const std::string data = response.SerializeAsString();
  if (data.size() > kMaxFrameData) {
    return EncodeResponse(
        stream,
        ResourceExhausted("the answer of " + std::to_string(data.size()) +
                          " bytes is more than a message may have"));
  }
  return EncodeFrame(stream, kResponseFrame, data);
}

StatusOr<std::string> DecodeResponse(const std::string& data) {
  ttrpc::Response response;
  if (!response.ParseFromString(data)) {
    return DataLoss("the answer is no ttrpc response");
  }
  if (response.has_status() && response.status().code() != 0) {
    // absl takes codes that it does not know for UNKNOWN.
    return Error(static_cast<StatusCode>(response.status().code()),
                 response.status().message());
  }
  return std::move(*response.mutable_payload());
}

}  // namespace berth::shim
