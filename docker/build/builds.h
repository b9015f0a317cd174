#ifndef DOCKER_BUILD_BUILDS_H_
#define DOCKER_BUILD_BUILDS_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/buildkit/v1/control.pb.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "docker/background.h"
#include "docker/build/builder.h"
#include "docker/build/receiver.h"
#include "docker/engine.h"
#include "door/http/upgrade.h"
#include "image/image_store.h"

namespace berth::docker {

namespace bk = moby::buildkit::v1;

// Builds of images, which BuildKit does: what clients ask of it passes through
// here, and what is to be this engine's image comes back. Thread-safe.
class Builds {
 public:
  // `engine` must outlive it.
  Builds(Engine& engine, BuilderSettings settings);
  Builds(const Builds&) = delete;
  Builds& operator=(const Builds&) = delete;

  // For a client that speaks BuildKit's protocol: its calls; and what it lets
  // the builder reach in a session, whose headers have names in lower case.
  Status ServeCalls(const Context& ctx, door::UpgradedConnection& client);
  Status ServeSession(const Context& ctx,
                      const std::multimap<std::string, std::string>& headers,
                      door::UpgradedConnection& client);

  // For one that does not.
  struct Order {
    bk::SolveRequest request;  // its Ref is set here
    std::string id;            // to cancel it by; may be empty
    UniqueFd context;          // an archive; or none
  };
  using Follow = std::function<Status(const bk::StatusResponse&)>;
  // The image, if the request is for one of this engine's. `follow` is called
  // on another thread.
  StatusOr<std::optional<image::Image>> Build(const Context& ctx, Order order,
                                              const Follow& follow);
  // OK if there is no such build.
  void Cancel(const std::string& id);

  // Of the builder's cache; nothing if there never was a builder. Without the
  // image of one nobody knows what is in it: then Prune removes all of it, as
  // one record without an id, if it is asked for all, or nothing.
  StatusOr<std::vector<bk::UsageRecord>> DiskUsage(const Context& ctx);
  StatusOr<std::vector<bk::UsageRecord>> Prune(const Context& ctx,
                                               const bk::PruneRequest& request);

  // A file without a name, for the context of a build.
  StatusOr<UniqueFd> MakeSpool();

 private:
  StatusOr<std::vector<bk::UsageRecord>> PruneAlone(
      const Context& ctx, const bk::PruneRequest& request);

  class Export;
  class SolveRewriter;

  Engine& engine_;
  const std::string root_;
  Receiver receiver_;
  Builder builder_;
  Mutex mutex_;
  std::multimap<std::string, Context> running_ GUARDED_BY(mutex_);
  Background rewriting_;  // last: its threads use the others
};

}  // namespace berth::docker

#endif  // DOCKER_BUILD_BUILDS_H_
