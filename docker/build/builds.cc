#include "docker/build/builds.h"

#include <fcntl.h>

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "docker/build/buildkit.h"
#include "docker/build/exporter.h"
#include "docker/build/prune_order.h"
#include "door/grpc/proxy.h"

namespace berth::docker {
namespace {

constexpr char kSolve[] = "/moby.buildkit.v1.Control/Solve";

}  // namespace

// What one build gives to this engine: before it is sent, and when it is done.
class Builds::Export {
 public:
  Export(Engine& engine, Receiver& receiver)
      : engine_(engine), place_(receiver.Open()) {}

  Receiver::Place& place() { return *place_; }

  Status Prepare(bk::SolveRequest& request) {
    const auto& attributes = request.frontendattrs();
    const auto mode = attributes.find("image-resolve-mode");
    if (mode != attributes.end() && mode->second == "pull") {
      place_->PreferRegistries();
    }
    ASSIGN_OR_RETURN(taken_, TakeEngineExport(request, place_->image_name()));
    return OkStatus();
  }

  StatusOr<std::optional<image::Image>> Complete(const Context& ctx,
                                                 bk::SolveResponse& response) {
    if (!taken_.wanted) return std::nullopt;
    ASSIGN_OR_RETURN(const Digest manifest, PushedManifest(response));
    ASSIGN_OR_RETURN_AS(
        image::Image image,
        place_->reception().Install(ctx, manifest, taken_.names),
        "take in what was built");
    DescribeEngineExport(taken_, image, response);
    for (const image::Reference& name : taken_.names) {
      engine_.events.Publish("image", "tag", image.id(),
                             {{"name", name.Familiar()}});
    }
    return image;
  }

 private:
  Engine& engine_;
  const std::shared_ptr<Receiver::Place> place_;
  EngineExport taken_;
};

class Builds::SolveRewriter : public door::CallRewriter {
 public:
  SolveRewriter(Context ctx, Engine& engine, Receiver& receiver)
      : ctx_(std::move(ctx)), export_(engine, receiver) {}

  StatusOr<std::string> Request(std::string message) override {
    bk::SolveRequest request;
    if (!request.ParseFromString(message)) {
      return InvalidArgument("a request to solve that cannot be read");
    }
    RETURN_IF_ERROR(export_.Prepare(request));
    return request.SerializeAsString();
  }
  StatusOr<std::string> Response(std::string message) override {
    bk::SolveResponse response;
    if (!response.ParseFromString(message)) {
      return Internal("an answer of the builder that cannot be read");
    }
    RETURN_IF_ERROR(export_.Complete(ctx_, response).status());
    return response.SerializeAsString();
  }

 private:
  const Context ctx_;
  Export export_;
};

Builds::Builds(Engine& engine, BuilderSettings settings)
    : engine_(engine),
      root_(settings.root),
      receiver_(engine.transfer, engine.images, settings.root + "/receiver"),
      builder_(engine, std::move(settings), receiver_) {}

Status Builds::ServeCalls(const Context& ctx,
                          door::UpgradedConnection& client) {
  const Context work = ctx.WithCancel();
  const StatusOr<Builder::Use> use = builder_.Acquire(ctx);
  door::GrpcProxyOptions options{Unavailable(""), nullptr, nullptr};
  // HTTP is over: why there is no builder is the answer to every call.
  options.target = use.ok() ? StatusOr<std::string>(use->socket())
                            : StatusOr<std::string>(use.status());
  options.rewriter = [&](const std::string& method) {
    return method != kSolve
               ? nullptr
               : std::make_unique<SolveRewriter>(work, engine_, receiver_);
  };
  options.run = [this](std::function<void()> change) {
    rewriting_.Run([change = std::move(change)](const Context&) { change(); });
  };
  door::GrpcProxy proxy(std::move(options));
  const Status served = proxy.Serve(work, client);
  work.Cancel();
  RETURN_IF_ERROR(use.status());
  return served;
}

Status Builds::ServeSession(
    const Context& ctx, const std::multimap<std::string, std::string>& headers,
    door::UpgradedConnection& client) {
  ASSIGN_OR_RETURN(const Builder::Use use, builder_.Acquire(ctx));
  return BuildKit(use.socket()).CarrySession(ctx, headers, client);
}

StatusOr<std::optional<image::Image>> Builds::Build(const Context& ctx,
                                                    Order order,
                                                    const Follow& follow) {
  const Context work = ctx.WithCancel();
  ASSIGN_OR_RETURN(const Builder::Use use, builder_.Acquire(work));
  Export output(engine_, receiver_);
  bk::SolveRequest& request = order.request;
  request.set_ref(RandomId());
  if (order.context.valid()) {
    (*request.mutable_frontendattrs())["context"] =
        output.place().OfferContext(std::move(order.context));
  }
  RETURN_IF_ERROR(output.Prepare(request));
  std::multimap<std::string, Context>::iterator entry;
  {
    MutexLock lock(mutex_);
    entry = running_.emplace(order.id, work);
  }
  const absl::Cleanup ended = [&] {
    MutexLock lock(mutex_);
    running_.erase(entry);
  };
  BuildKit builder(use.socket());
  ASSIGN_OR_RETURN(bk::SolveResponse response,
                   builder.Solve(work, request, follow));
  return output.Complete(work, response);
}

void Builds::Cancel(const std::string& id) {
  if (id.empty()) return;
  MutexLock lock(mutex_);
  const auto [begin, end] = running_.equal_range(id);
  for (auto one = begin; one != end; ++one) one->second.Cancel();
}

StatusOr<std::vector<bk::UsageRecord>> Builds::DiskUsage(const Context& ctx) {
  if (!builder_.HasCache()) return std::vector<bk::UsageRecord>();
  ASSIGN_OR_RETURN(const Builder::Use use, builder_.Acquire(ctx));
  return BuildKit(use.socket()).DiskUsage(ctx);
}

StatusOr<std::vector<bk::UsageRecord>> Builds::Prune(
    const Context& ctx, const bk::PruneRequest& request) {
  if (!builder_.HasCache()) return std::vector<bk::UsageRecord>();
  if (!builder_.IsThere()) return PruneAlone(ctx, request);
  ASSIGN_OR_RETURN(const Builder::Use use, builder_.Acquire(ctx));
  return BuildKit(use.socket()).Prune(ctx, request);
}

// `docker system prune -a` comes here: the builder's image has just gone.
StatusOr<std::vector<bk::UsageRecord>> Builds::PruneAlone(
    const Context& ctx, const bk::PruneRequest& request) {
  std::vector<bk::UsageRecord> removed;
  if (!PrunesAll(request)) return removed;
  ASSIGN_OR_RETURN(const uint64_t bytes, builder_.DropCache(ctx));
  removed.emplace_back().set_size(static_cast<int64_t>(bytes));
  return removed;
}

StatusOr<UniqueFd> Builds::MakeSpool() {
  RETURN_IF_ERROR(MakeDirectories(root_, 0700));
  return OpenFile(root_, O_TMPFILE | O_RDWR, 0600);
}

}  // namespace berth::docker
