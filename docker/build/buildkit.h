#ifndef DOCKER_BUILD_BUILDKIT_H_
#define DOCKER_BUILD_BUILDKIT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/buildkit/v1/control.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"

namespace berth::docker {

namespace bk = moby::buildkit::v1;

// What is asked of a buildkitd. Every call ends with its context. Thread-safe.
class BuildKit {
 public:
  // Of the Unix socket that it serves. Connects when it is used first.
  explicit BuildKit(const std::string& socket);
  ~BuildKit();
  BuildKit(const BuildKit&) = delete;
  BuildKit& operator=(const BuildKit&) = delete;

  // Builds. `follow` is told how it goes, on another thread, and not any more
  // once this has returned; if it answers an error, the build is given up.
  StatusOr<bk::SolveResponse> Solve(
      const Context& ctx, const bk::SolveRequest& request,
      const std::function<Status(const bk::StatusResponse&)>& follow);
  StatusOr<std::vector<bk::UsageRecord>> DiskUsage(const Context& ctx);
  // What has been removed.
  StatusOr<std::vector<bk::UsageRecord>> Prune(const Context& ctx,
                                               const bk::PruneRequest& request);
  // Lets the server reach what a client offers in a session, until either of
  // them ends it. The headers say what; names in lower case.
  Status CarrySession(const Context& ctx,
                      const std::multimap<std::string, std::string>& headers,
                      door::UpgradedConnection& client);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace berth::docker

#endif  // DOCKER_BUILD_BUILDKIT_H_
