#include "nri/plugin.h"

#include "base/strings.h"
#include "shim/wire/ttrpc.h"

namespace berth::nri {
namespace {

// What is around a message in its frame.
constexpr size_t kEnvelope = 4096;
constexpr char kNriVersion[] = "v0.12.0";

std::string PayloadOf(const api::StateChangeEvent& event) {
  if (event.event() == api::RUN_POD_SANDBOX ||
      event.event() == api::STOP_POD_SANDBOX ||
      event.event() == api::REMOVE_POD_SANDBOX ||
      event.event() == api::POST_UPDATE_POD_SANDBOX) {
    // All of them have the same fields under the same numbers.
    api::RunPodSandboxRequest request;
    *request.mutable_pod() = event.pod();
    return request.SerializeAsString();
  }
  api::PostCreateContainerRequest request;
  *request.mutable_pod() = event.pod();
  *request.mutable_container() = event.container();
  return request.SerializeAsString();
}

}  // namespace

Plugin::Plugin(std::string index, std::string name, PluginTimes times,
               std::shared_ptr<Line> line)
    : index_(std::move(index)),
      name_(std::move(name)),
      full_name_(index_ + "-" + name_),
      times_(times),
      line_(std::move(line)) {}

Reply Plugin::Call(const Context& ctx, const std::string& method,
                   const std::string& payload) {
  Reply reply = line_->Call(ctx.WithTimeout(times_.request), method, payload);
  if (reply.answered || line_->closed() || !ctx.Check().ok()) return reply;
  // Its own time is over.
  line_->Close(reply.payload.status());
  return reply;
}

template <typename Response, typename Request>
StatusOr<Response> Plugin::MustCall(const Context& ctx,
                                    const std::string& method,
                                    const Request& request) {
  const Reply reply = Call(ctx, method, request.SerializeAsString());
  Response response;
  Status failed = reply.payload.status();
  if (failed.ok() && !response.ParseFromString(*reply.payload)) {
    failed = DataLoss("the answer is no message");
  }
  if (failed.ok()) return response;
  line_->Close(failed);
  return Annotate(failed, method + " of plugin " + full_name_);
}

Status Plugin::Configure(const Context& ctx, const std::string& config,
                         const std::string& runtime_version) {
  const auto millis = [](Duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  };
  api::ConfigureRequest request;
  request.set_config(config);
  request.set_runtime_name("berth");
  request.set_runtime_version(runtime_version);
  request.set_registration_timeout(millis(times_.registration));
  request.set_request_timeout(millis(times_.request));
  request.set_nri_version(kNriVersion);
  ASSIGN_OR_RETURN(const api::ConfigureResponse response,
                   MustCall<api::ConfigureResponse>(ctx, "Configure", request));
  const auto events = static_cast<EventMask>(response.events());
  if ((events & ~kAllEvents) != 0) {
    const Status unknown =
        InvalidArgument("plugin " + full_name_ + " wants unknown events");
    line_->Close(unknown);
    return unknown;
  }
  events_ = events == 0 ? kAllEvents : events;
  return OkStatus();
}

StatusOr<std::vector<api::ContainerUpdate>> Plugin::Synchronize(
    const Context& ctx, const api::SynchronizeRequest& all) {
  const auto parts = SplitSynchronize(all, shim::kMaxFrameData - kEnvelope);
  for (const api::SynchronizeRequest& part : parts) {
    ASSIGN_OR_RETURN(
        const api::SynchronizeResponse response,
        MustCall<api::SynchronizeResponse>(ctx, "Synchronize", part));
    if (!part.more()) {
      return std::vector<api::ContainerUpdate>(response.update().begin(),
                                               response.update().end());
    }
    if (!response.more() || response.update_size() > 0) {
      const Status whole = FailedPrecondition("plugin " + full_name_ +
                                              " takes no Synchronize in parts");
      line_->Close(whole);
      return whole;
    }
  }
  return std::vector<api::ContainerUpdate>();
}

StatusOr<std::optional<std::string>> Plugin::AskBytes(
    const Context& ctx, api::Event event, const std::string& payload) {
  if (!Wants(event)) return std::optional<std::string>();
  const Reply reply = Call(ctx, MethodOf(event), payload);
  if (reply.payload.ok()) return std::optional<std::string>(*reply.payload);
  if (reply.answered) {
    return Annotate(reply.payload.status(), "plugin " + full_name_);
  }
  if (!line_->closed()) return reply.payload.status();  // the caller's time
  return std::optional<std::string>();
}

Status Plugin::Tell(const Context& ctx, const api::StateChangeEvent& event) {
  if (!state_changes_) {
    const Status told = AskBytes(ctx, event.event(), PayloadOf(event)).status();
    if (told.code() != StatusCode::kUnimplemented) return told;
    state_changes_ = true;
  }
  if (!Wants(event.event())) return OkStatus();
  const Reply reply = Call(ctx, "StateChange", event.SerializeAsString());
  if (!reply.answered) {
    return line_->closed() ? OkStatus() : reply.payload.status();
  }
  return Annotate(reply.payload.status(), "plugin " + full_name_);
}

void Plugin::Shutdown(const Context& ctx) {
  Call(ctx, "Shutdown", api::Empty().SerializeAsString());
}

std::vector<api::SynchronizeRequest> SplitSynchronize(
    const api::SynchronizeRequest& all, size_t limit) {
  std::vector<api::SynchronizeRequest> parts(1);
  size_t size = 0;
  // Room in the last part for an object of so many bytes, and its frame.
  const auto make_room = [&](size_t bytes) {
    if (size > 0 && size + bytes > limit) {
      parts.back().set_more(true);
      parts.emplace_back();
      size = 0;
    }
    size += bytes;
  };
  constexpr size_t kField = 16;
  for (const api::PodSandbox& pod : all.pods()) {
    const size_t bytes = pod.ByteSizeLong() + kField;
    if (bytes > limit) continue;
    make_room(bytes);
    *parts.back().add_pods() = pod;
  }
  for (const api::Container& container : all.containers()) {
    const size_t bytes = container.ByteSizeLong() + kField;
    if (bytes > limit) continue;
    make_room(bytes);
    *parts.back().add_containers() = container;
  }
  return parts;
}

}  // namespace berth::nri
