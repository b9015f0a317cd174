// Bodies and queries of the Docker door's routes that read one, by the routes
// themselves: on real managers, records and files, with a fake shim and a fake
// network. The first byte chooses the route; the first line is its query.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/context.h"
#include "base/store/metadata_store.h"
#include "base/testing/temp_dir.h"
#include "cni/user/user_networks.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "door/http/http_server.h"
#include "image/image_service.h"
#include "oci/cgroup/cgroup_host.h"
#include "sandbox/container_manager.h"
#include "sandbox/core.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/testing/fakes.h"
#include "sandbox/usage/stats.h"
#include "sandbox/world.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

using namespace berth;
using door::HttpExchange;
using door::ServerRequest;
using door::UpgradedConnection;

// A request and what became of it.
class Exchange : public HttpExchange {
 public:
  Exchange(ServerRequest request, std::string body)
      : request_(std::move(request)), body_(std::move(body)) {}

  const ServerRequest& request() const override { return request_; }
  StatusOr<std::string> ReadSome(size_t limit) override {
    std::string some = body_.substr(0, limit);
    body_.erase(0, some.size());
    return some;
  }
  StatusOr<std::string> ReadBody(size_t limit) override {
    if (body_.size() > limit) return ResourceExhausted("body");
    return std::exchange(body_, "");
  }
  bool body_too_long() const override { return false; }
  void AddHeader(const std::string&, const std::string&) override {}
  Status Respond(int status, const std::string&, std::string_view) override {
    code_ = status;
    return OkStatus();
  }
  Status BeginStream(int status, const std::string& type) override {
    return Respond(status, type, "");
  }
  Status Write(std::string_view) override { return OkStatus(); }
  StatusOr<UpgradedConnection> Upgrade(const std::string&) override {
    return Unavailable("the client is gone");
  }
  bool answered() const override { return code_ != 0; }
  int code() const { return code_; }

 private:
  const ServerRequest request_;
  std::string body_;
  int code_ = 0;
};

template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) fprintf(stderr, "%s\n", value.status().ToString().c_str());
  FUZZ_CHECK(value.ok());
  return *std::move(value);
}

// A daemon without a socket, and one container that it takes for running.
class Daemon {
 public:
  Daemon() {
    sandbox::Settings settings;
    settings.root = dir_.Path("lib");
    settings.state = dir_.Path("run");
    settings.runtimes[""] = sandbox::Runtime();
    store_ = Must(MetadataStore::Open(dir_.Path("meta.db")));
    image::ImageServiceOptions options;
    options.root = settings.root;
    images_ = Must(image::ImageService::Open(options, *store_));
    world_ = std::make_unique<sandbox::World>(
        settings, sandbox::Parts{*store_, shims_, network_, images_->rootfs()});
    sandboxes_ = std::make_unique<sandbox::SandboxManager>(*world_);
    containers_ = std::make_unique<sandbox::ContainerManager>(*world_);
    FUZZ_CHECK(world_->Recover(ctx_).ok());
    user_networks_ = std::make_unique<cni::UserNetworks>(
        *store_, dir_.Path("addresses"), [] { return std::nullopt; });
    engine_ = std::make_unique<docker::Engine>(
        docker::EngineSettings{settings.root, "1", "id", "berth0", ""}, *world_,
        *sandboxes_, *containers_, *images_, stats_, *user_networks_);
    AddRunning();
    for (auto* group : {docker::ExecRoutes, docker::VolumeRoutes,
                        docker::ContainerRoutes, docker::ImageRoutes}) {
      for (docker::Route& route : group()) routes_.push_back(route);
    }
  }

  // True if it was answered with success.
  bool Serve(const std::string& method, const std::string& pattern,
             const std::string& name, const std::string& query,
             std::string_view body) {
    ServerRequest request;
    request.method = method;
    request.path = pattern;
    request.query["filters"] = {query};
    request.query["name"] = {query};
    request.headers = {{"content-type", "application/json"},
                       {"x-registry-auth", query}};
    Exchange exchange(request, std::string(body));
    docker::Call call{ctx_, exchange, name, 50};
    for (const docker::Route& route : routes_) {
      if (route.method != method || route.pattern != pattern) continue;
      const Status status = route.handler(*engine_, call);
      FUZZ_CHECK(status.ok() || status.code() != StatusCode::kInternal);
      return status.ok() && exchange.code() < 300;
    }
    FUZZ_CHECK(!"the route is there");
    return false;
  }

  void RemoveVolumes() {
    for (const docker::Volume& volume : Must(engine_->volumes.List())) {
      (void)engine_->volumes.Remove(ctx_, volume.name,
                                    [] { return std::vector<std::string>(); });
    }
  }
  void ForgetExecs() { engine_->execs.Forget("c0"); }
  std::string AnExec() {
    (void)Serve("POST", "/containers/{id}/exec", "c0", "", R"({"Cmd":["x"]})");
    return engine_->execs.Of("c0").at(0);
  }

 private:
  void AddRunning() {
    state::v1::SandboxRecord sandbox;
    sandbox.set_id("s0");
    sandbox.mutable_config()->set_kind(state::v1::SANDBOX_KIND_STANDALONE);
    sandbox.set_phase(state::v1::SANDBOX_PHASE_READY);
    FUZZ_CHECK(world_->core().records.Save(sandbox).ok());
    state::v1::ContainerRecord container;
    container.set_id("c0");
    container.set_sandbox_id("s0");
    container.mutable_config()->set_name("web");
    container.set_phase(state::v1::CONTAINER_PHASE_RUNNING);
    FUZZ_CHECK(world_->core().records.Save(container).ok());
  }

  const TempDir dir_;
  const Context ctx_ = Context::Background("fuzz");
  sandbox::FakeShims shims_;
  sandbox::FakeNetwork network_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<image::ImageService> images_;
  std::unique_ptr<sandbox::World> world_;
  std::unique_ptr<sandbox::SandboxManager> sandboxes_;
  std::unique_ptr<sandbox::ContainerManager> containers_;
  sandbox::StatsReader stats_{oci::CgroupHost()};
  std::unique_ptr<cni::UserNetworks> user_networks_;
  std::unique_ptr<docker::Engine> engine_;
  std::vector<docker::Route> routes_;
};

}  // namespace

FUZZ_TARGET(bytes) {
  static Daemon daemon;
  if (bytes.empty() || bytes[0] == '\n') return false;
  const size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string query(bytes.substr(1, line - 1));
  const std::string_view body = bytes.substr(std::min(line + 1, bytes.size()));
  bool good = false;
  switch (bytes[0]) {
    case 'e':
      good = daemon.Serve("POST", "/containers/{id}/exec", "c0", query, body);
      daemon.ForgetExecs();
      return good;
    case 's':
      good = daemon.Serve("POST", "/exec/{id}/start", daemon.AnExec(), query,
                          body);
      daemon.ForgetExecs();
      return good;
    case 'v':
      good = daemon.Serve("POST", "/volumes/create", "", query, body);
      daemon.RemoveVolumes();
      return good;
    case 'c':  // no image is there: it comes as far as looking for one
      return daemon.Serve("POST", "/containers/create", "", query, body);
    case 'l':
      return daemon.Serve("GET", "/containers/json", "", query, body);
    case 'L':
      return daemon.Serve("GET", "/volumes", "", query, body);
    case 'i':
      return daemon.Serve("GET", "/images/json", "", query, body);
    default:
      return false;
  }
}
