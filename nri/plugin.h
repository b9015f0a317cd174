#ifndef NRI_PLUGIN_H_
#define NRI_PLUGIN_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "nri/line.h"
#include "nri/messages.h"

namespace berth::nri {

// How long a plugin may take to come, and to answer.
struct PluginTimes {
  Duration registration = std::chrono::seconds(5);
  Duration request = std::chrono::seconds(2);
};

// One registered plugin, by its index and name, over its line. A plugin that
// does not answer in time, or not in messages, is closed, and what it was asked
// goes on without it. Thread-safe.
class Plugin {
 public:
  Plugin(std::string index, std::string name, PluginTimes times,
         std::shared_ptr<Line> line);

  const std::string& index() const { return index_; }
  const std::string& name() const { return name_; }
  // "10-logger", which orders plugins.
  const std::string& full_name() const { return full_name_; }
  bool Wants(api::Event event) const {
    return (events_ & MaskOf(event)) != 0 && !line_->closed();
  }
  EventMask events() const { return line_->closed() ? 0 : events_.load(); }
  Line& line() { return *line_; }

  // Hands it its configuration and learns the events that it wants. Any error:
  // it is closed.
  Status Configure(const Context& ctx, const std::string& config,
                   const std::string& runtime_version);
  // Shows it all that is there, in as many messages as it takes; what it wants
  // changed. Any error: it is closed.
  StatusOr<std::vector<api::ContainerUpdate>> Synchronize(
      const Context& ctx, const api::SynchronizeRequest& all);

  // Asks it. Nothing if it does not want the event or is lost; an error if it
  // answers with one, or the context ends.
  template <typename Response, typename Request>
  StatusOr<std::optional<Response>> Ask(const Context& ctx, api::Event event,
                                        const Request& request) {
    ASSIGN_OR_RETURN(const std::optional<std::string> payload,
                     AskBytes(ctx, event, request.SerializeAsString()));
    if (!payload) return std::optional<Response>();
    Response response;
    if (response.ParseFromString(*payload)) {
      return std::optional<Response>(std::move(response));
    }
    line_->Close(
        DataLoss(std::string(MethodOf(event)) + ": the answer is no message"));
    return std::optional<Response>();
  }
  // The same for events without an answer, of a container or of a pod alone. A
  // plugin from before there was a call for each hears StateChange.
  Status Tell(const Context& ctx, const api::StateChangeEvent& event);
  // It may end now. Waits as long as for any answer.
  void Shutdown(const Context& ctx);

 private:
  StatusOr<std::optional<std::string>> AskBytes(const Context& ctx,
                                                api::Event event,
                                                const std::string& payload);
  // The answer of a call that a plugin must not fail.
  template <typename Response, typename Request>
  StatusOr<Response> MustCall(const Context& ctx, const std::string& method,
                              const Request& request);
  Reply Call(const Context& ctx, const std::string& method,
             const std::string& payload);

  const std::string index_;
  const std::string name_;
  const std::string full_name_;
  const PluginTimes times_;
  const std::shared_ptr<Line> line_;
  std::atomic<EventMask> events_{0};
  std::atomic<bool> state_changes_{false};  // it knows no calls of events
};

// The parts of `all` that each fit into a message of `limit` bytes, with
// `more` set in all but the last. One object that does not fit by itself is
// left out. At least one part.
std::vector<api::SynchronizeRequest> SplitSynchronize(
    const api::SynchronizeRequest& all, size_t limit);

}  // namespace berth::nri

#endif  // NRI_PLUGIN_H_
