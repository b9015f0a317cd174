#include "door/request_log.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/strings.h"

namespace berth::door {
namespace {

bool IsQuery(const std::string& method) {
  return StartsWith(method, "List") || StartsWith(method, "Stream") ||
         EndsWith(method, "Status") || EndsWith(method, "Stats") ||
         method == "Version" || method == "RuntimeConfig" ||
         method == "ImageFsInfo" || method == "GetContainerEvents" ||
         method == "GET";
}

// What a client sends must not look like a line of ours.
std::string OnOneLine(const std::string& text) {
  const std::string quoted = Quoted(text);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

RequestRecord::RequestRecord(const RequestLog& log, std::string method,
                             std::string request_id, std::string object)
    : log_(log),
      method_(std::move(method)),
      request_id_(std::move(request_id)),
      object_(std::move(object)),
      begin_(Now()) {}

void RequestRecord::SetObject(std::string object) {
  if (!object.empty()) object_ = std::move(object);
}

void RequestRecord::Finish(const Status& status) {
  // The clock may have been set back, and sums only grow.
  const Duration time(std::max<UnixNanos>(Now() - begin_, 0));
  if (RequestCounts* const counts = log_.counts()) {
    counts->Add(log_.door(), method_, status.code(), time);
  }
  if (status.ok() && !log_.queries() && IsQuery(method_)) return;
  char ms[32];
  std::snprintf(ms, sizeof(ms), "%.1f",
                static_cast<double>(time.count()) / 1e6);
  std::string line = log_.door() + " method=" + OnOneLine(method_);
  if (!request_id_.empty()) line += " request=" + request_id_;
  if (!object_.empty()) line += " object=" + OnOneLine(object_);
  line += std::string(" ms=") + ms +
          " outcome=" + absl::StatusCodeToString(status.code());
  if (!status.ok()) line += " error=" + Quoted(Message(status));
  LOG(INFO) << line;
}

}  // namespace berth::door
