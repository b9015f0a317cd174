#ifndef DOCKER_BUILD_BUILDER_H_
#define DOCKER_BUILD_BUILDER_H_

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "docker/build/receiver.h"
#include "docker/engine.h"

namespace berth::docker {

// The label of the builder's container, with a digest of how it was made.
inline constexpr char kBuilderLabel[] = "io.berth.builder";

struct BuilderSettings {
  std::string image;    // that holds buildkitd
  std::string address;  // of a buildkitd that runs already; empty: none does
  std::string folder;   // for its socket and configuration; short
  std::string root;     // for its cache, in a folder of its own
  Duration idle = std::chrono::minutes(10);
  uint64_t memory = 0;  // bytes; 0: no limit
  double cpus = 0;
  std::string host_gateway;  // what builds reach this machine by
};

// The buildkitd that builds for this engine: a privileged container of this
// node in the host's network, made at the first build, left alone when this
// process ends, and removed when it has had nothing to do for a while. What it
// has cached stays. Thread-safe.
class Builder {
 public:
  // It goes on for at least as long as one of these lives. Movable.
  class Use {
   public:
    Use(Builder& owner, std::string socket)
        : owner_(&owner), socket_(std::move(socket)) {}
    Use(Use&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          socket_(std::move(other.socket_)) {}
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (owner_ != nullptr) owner_->EndUse();
    }
    const std::string& socket() const { return socket_; }

   private:
    Builder* owner_;
    std::string socket_;
  };

  // All must outlive it.
  Builder(Engine& engine, BuilderSettings settings, Receiver& receiver);
  ~Builder();
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  // Starts it if it does not run. FAILED_PRECONDITION, with what to do, if its
  // image is not on this node.
  StatusOr<Use> Acquire(const Context& ctx);
  // Whether it has ever been used: then it may have something in its cache.
  bool HasCache() const;
  // Whether one runs, or could be made.
  bool IsThere() const;
  // Removes the cache of a builder that is not there (IsThere); the bytes that
  // the cache took on the disk. If the builder is there, removes nothing: 0.
  StatusOr<uint64_t> DropCache(const Context& ctx);

 private:
  struct Plan {
    std::string image_id;
    std::string config;  // buildkitd.toml
    std::string mark;    // a digest of all
  };

  std::string SocketPath() const {
    return settings_.folder + "/buildkitd.sock";
  }
  std::string CachePath() const { return settings_.root + "/cache"; }
  StatusOr<Plan> MakePlan() const;
  View Find() const;
  Status Ensure(const Context& ctx);
  Status Create(const Context& ctx, const Plan& plan);
  Status AwaitSocket(const Context& ctx, const std::string& id) const;
  Status Remove(const Context& ctx);
  void BeginUse();
  void EndUse();
  bool InUseByOthers();
  void StopWhenIdle();

  Engine& engine_;
  const BuilderSettings settings_;
  Receiver& receiver_;
  const Context until_;
  KeyedMutex changing_;  // one key: who makes and removes the container

  Mutex mutex_;
  CondVar changed_;
  int uses_ GUARDED_BY(mutex_) = 0;
  uint64_t turns_ GUARDED_BY(mutex_) = 0;  // how often it became idle
  StatusOr<Thread> idler_;                 // last: it uses the others
};

// What an idle daemon shows to nobody who does not ask for it by its label.
bool IsBuilder(const View& view);

// buildkitd.toml: images are looked for on this node first, then where this
// node would pull them from. Pure.
struct MirrorList {
  std::string domain;
  std::vector<std::pair<std::string, bool>> hosts;  // and if by plain HTTP
};
std::string BuilderConfig(const std::string& ours,
                          const std::vector<MirrorList>& domains);

}  // namespace berth::docker

#endif  // DOCKER_BUILD_BUILDER_H_
