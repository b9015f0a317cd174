#include "daemon/daemon.h"

#include <glog/logging.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "admin/server.h"
#include "base/digest.h"
#include "base/fs/foreign_path.h"
#include "base/fs/host_paths.h"
#include "base/fs/private_folder.h"
#include "base/store/metadata_store.h"
#include "base/strings.h"
#include "base/sys/confined_thread.h"
#include "base/sys/id_mapped.h"
#include "cni/cni_network.h"
#include "cni/config_list.h"
#include "cri/image_service.h"
#include "cri/runtime_service.h"
#include "cri/server.h"
#include "cri/streaming/streaming_server.h"
#include "daemon/claims.h"
#include "daemon/host_facts.h"
#include "daemon/version.h"
#include "docker/api_server.h"
#include "docker/engine.h"
#include "door/http/tls_relay.h"
#include "door/request_counts.h"
#include "image/image_service.h"
#include "image/reference.h"
#include "nri/plugins.h"
#include "sandbox/apparmor/default_profile.h"
#include "sandbox/cgroup_driver.h"
#include "sandbox/container_manager.h"
#include "sandbox/plugin_runtime.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/selinux/relabel.h"
#include "sandbox/usage/stats.h"
#include "sandbox/world.h"
#include "shim/client/shim_launcher.h"

namespace berth::daemon {
namespace {

// How long requests at work may take to end by themselves at Stop.
constexpr Duration kGrace = std::chrono::seconds(2);
// How long a predecessor that was killed may take to be gone.
// Less than systemd waits for a start.
constexpr Duration kLabelTime = std::chrono::seconds(60);
constexpr Duration kPredecessor = std::chrono::seconds(5);
// PullImage calls that are answered at the same time: more than the pods of a
// node, so that those of a registry that is silent leave room for the others.
constexpr size_t kMaxWaitingPulls = 1024;

HostPaths PathsOf(const Config& config) {
  HostPaths paths;
  paths.root = config.root();
  paths.state = config.state();
  return paths;
}

image::ImageServiceOptions ImageOptions(const Config& config) {
  image::ImageServiceOptions options;
  options.root = config.root();
  options.transfer.registry_config = config.registry().config_dir();
  const auto& hosts = config.registry().plain_http_hosts();
  options.transfer.plain_http = {hosts.begin(), hosts.end()};
  const auto& pinned = config.images().pinned();
  options.pinned = {pinned.begin(), pinned.end()};
  // Nobody who collects images sees that builds need it.
  const auto builder = image::Reference::Parse(config.build().image());
  if (builder.ok() && config.build().socket().empty()) {
    options.pinned.push_back(builder->str());
  }
  options.transfer.user_agent = std::string("berth/") + kVersion;
  options.transfer.limits.window =
      std::chrono::seconds(config.registry().stall_seconds());
  options.transfer.limits.min_rate = config.registry().min_bytes_per_second();
  options.transfer.pulls_per_registry = config.limits().pulls();
  return options;
}

image::BlobPolicy PolicyOf(config::v1::Images::Blobs blobs) {
  return blobs == config::v1::Images::KEEP ? image::BlobPolicy::kKeep
                                           : image::BlobPolicy::kDrop;
}

cni::CniOptions NetworkOptions(const Config& config) {
  cni::CniOptions options;
  options.config_directory = config.network().conf_dir();
  options.plugin_folders = PluginFolders(config);
  options.address_directory = config.state() + "/cni-addresses";
  options.old_result_directory = config.state() + "/cni";
  options.plugin_time_limit =
      std::chrono::seconds(config.network().plugin_timeout_seconds());
  return options;
}

// So that a node without any configuration has a network.
Status SetUpNetwork(const Config& config) {
  if (!config.network().write_default()) return OkStatus();
  cni::DefaultNetwork network;
  network.bridge = config.network().bridge();
  network.subnet = config.network().subnet();
  network.address_directory = config.state() + "/cni-addresses";
  ASSIGN_OR_RETURN(const bool wrote, cni::WriteDefaultConfig(
                                         config.network().conf_dir(), network));
  if (wrote) {
    LOG(INFO) << "no network was configured: wrote a bridge " << network.bridge
              << ", " << network.subnet << ", to "
              << config.network().conf_dir();
  }
  return OkStatus();
}

// Said once: whoever runs the node may want it otherwise.
Status LoadAppArmor(const HostPaths& paths) {
  if (!sandbox::HasAppArmor(paths)) {
    return Unimplemented("the kernel has no AppArmor");
  }
  const Status loaded = sandbox::LoadDefaultProfile(
      Context::Background("load the AppArmor profile"), paths);
  LOG_IF(WARNING, !loaded.ok())
      << "containers that name no AppArmor profile are not confined by one: "
      << Message(loaded);
  LOG_IF(INFO, loaded.ok()) << "containers that name no AppArmor profile have "
                            << sandbox::kDefaultProfile;
  return loaded;
}

sandbox::Settings SandboxSettings(const Config& config) {
  sandbox::Settings settings;
  settings.apparmor_default = LoadAppArmor(PathsOf(config));
  settings.root = config.root();
  settings.state = config.state();
  settings.cgroup_parent = CgroupParent(config);
  settings.systemd_cgroup = UsesSystemd(config);
  settings.enable_unprivileged_ports = config.pods().unprivileged_ports();
  settings.enable_unprivileged_icmp = config.pods().unprivileged_ping();
  settings.log_line = config.limits().log_line();
  settings.cdi_spec_dirs = Join(CdiFolders(config), ":");
  sandbox::Runtime ours;
  ours.shim = ShimPath(config);
  settings.runtimes[""] = ours;
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    sandbox::Runtime runtime = ours;
    if (!handler.shim().empty()) {
      runtime.shim = handler.shim();
      runtime.helper = ours.shim;
    }
    runtime.program = handler.runtime();
    settings.runtimes[handler.name()] = runtime;
  }
  return settings;
}

std::vector<std::string> HandlerNames(const Config& config) {
  std::vector<std::string> names;
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    names.push_back(handler.name());
  }
  return names;
}

// The configuration has been checked.
std::map<std::string, cri::PodExtras> ExtrasByHandler(const Config& config) {
  std::map<std::string, cri::PodExtras> extras;
  extras[""] = *PodExtrasOf(config.pods().extras());
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    extras[handler.name()] = *PodExtrasOf(handler.extras());
  }
  return extras;
}

// Those with our own shim, if the host can map the ids of images at all.
std::set<std::string> UserNamespaceHandlers(const Config& config) {
  std::set<std::string> names;
  if (!ProbeMappedOverlay(config.root()).ok()) return names;
  names.insert("");
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    if (handler.shim().empty()) names.insert(handler.name());
  }
  return names;
}

bool HasSelinux(const std::string& sys) {
  return access((sys + "/fs/selinux/enforce").c_str(), F_OK) == 0;
}

docker::EngineSettings DockerSettings(const Config& config) {
  docker::EngineSettings settings;
  settings.recursive_readonly = HasMountSetattr();
  settings.unified_cgroups = sandbox::CgroupsAreUnified();
  settings.systemd_cgroups = UsesSystemd(config);
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    settings.runtimes[handler.name()] =
        handler.shim().empty() ? handler.runtime() : handler.shim();
  }
  settings.apparmor = sandbox::HasAppArmor(PathsOf(config));
  settings.selinux = HasSelinux(PathsOf(config).sys);
  settings.root = config.root();
  settings.version = kVersion;
  // The same for as long as the root is.
  settings.id = Digest::Of("berth " + config.root()).hex();
  settings.bridge = config.network().bridge();
  settings.subnet = config.network().subnet();
  settings.blobs = PolicyOf(config.images().docker_blobs());
  return settings;
}

docker::BuilderSettings BuilderSettingsOf(const Config& config) {
  docker::BuilderSettings settings;
  settings.image = config.build().image();
  settings.address = config.build().socket();
  settings.folder = config.state() + "/builder";
  settings.root = config.root() + "/builder";
  settings.idle = std::chrono::seconds(config.build().idle_seconds());
  settings.memory = config.build().memory();
  settings.cpus = config.build().cpus();
  settings.host_gateway = "127.0.0.1";
  return settings;
}

cri::ServerOptions DoorOptions(const Config& config,
                               door::RequestCounts& counts) {
  cri::ServerOptions options;
  options.socket = CriSocket(config);
  options.requests = config.limits().requests();
  options.exec_sync = config.limits().exec_sync();
  options.event_streams = config.limits().event_streams();
  // Not at work, but waiting: the images know how many may pull.
  options.pulls = kMaxWaitingPulls;
  options.log_queries = config.log().queries();
  options.counts = &counts;
  return options;
}

cri::StreamingOptions StreamingOptionsOf(const Config& config,
                                         door::RequestCounts& counts) {
  const config::v1::Streaming& streaming = config.streaming();
  cri::StreamingOptions options;
  options.address = streaming.address();
  if (!streaming.cert().empty()) {
    options.tls =
        door::TlsFiles{streaming.ca_cert(), streaming.cert(), streaming.key()};
  }
  options.idle_limit = std::chrono::seconds(streaming.idle_timeout_seconds());
  options.streams = config.limits().streams();
  options.counts = &counts;
  return options;
}

std::vector<admin::Health::Door> DoorsOf(const Config& config) {
  std::vector<admin::Health::Door> doors = {{"cri", CriSocket(config)}};
  if (!config.docker_socket().empty()) {
    doors.push_back({"docker", config.docker_socket()});
  }
  return doors;
}

// Ours alone: the two folders and the sockets.
struct Claims {
  // `served` has somebody who listens on it for us.
  static StatusOr<Claims> Take(const Config& config,
                               const std::string& served) {
    ASSIGN_OR_RETURN(FolderClaim root,
                     FolderClaim::Take(config.root(), kPredecessor));
    ASSIGN_OR_RETURN(FolderClaim state,
                     FolderClaim::Take(config.state(), kPredecessor));
    for (const std::string& socket : {CriSocket(config), config.docker_socket(),
                                      AdminSocket(config), NriSocket(config)}) {
      if (socket.empty() || socket == served) continue;
      RETURN_IF_ERROR(ClearSocket(socket, kPredecessor));
    }
    return Claims{std::move(root), std::move(state)};
  }

  FolderClaim root;
  FolderClaim state;
};

nri::Options NriOptions(const Config& config) {
  const config::v1::Nri& nri = config.nri();
  const config::v1::NriValidator& rules = nri.validator();
  nri::Options options;
  options.reception.version = kVersion;
  options.reception.socket = NriSocket(config);
  options.reception.plugin_dir = nri.plugin_dir();
  options.reception.config_dir = nri.plugin_config_dir();
  options.reception.times.registration =
      std::chrono::seconds(nri.registration_timeout_seconds());
  options.reception.times.request =
      std::chrono::seconds(nri.request_timeout_seconds());
  options.validator = {
      .enabled = rules.enable(),
      .reject_hooks = rules.reject_hooks(),
      .reject_runtime_default_seccomp = rules.reject_runtime_default_seccomp(),
      .reject_custom_seccomp = rules.reject_custom_seccomp(),
      .reject_unconfined_seccomp = rules.reject_unconfined_seccomp(),
      .reject_namespaces = rules.reject_namespaces(),
      .reject_sysctls = rules.reject_sysctls(),
      .required_plugins = {rules.required_plugins().begin(),
                           rules.required_plugins().end()},
      .tolerate_missing_annotation = rules.tolerate_missing_annotation()};
  return options;
}

// The label of a container's root does not do when a program's pages are
// protected (mprotect(2)): then SELinux looks at that of the layer's own file,
// which new ones have of their folder. Containers have files there, too: one of
// these that cannot be labelled does not keep the daemon from its start, and
// the next start goes on with the others.
void LabelLayers(const HostPaths& paths) {
  const auto contexts = sandbox::SelinuxContexts::Detect(paths.sys, "/etc");
  if (contexts.empty()) return;
  const Context ctx =
      Context::Background("label layers").WithTimeout(kLabelTime);
  const StatusOr<PathFacts> layers =
      InspectPath(ctx, paths.root + "/snapshots");
  const Status done = layers.ok()
                          ? sandbox::Relabel(ctx, layers->path, contexts.file)
                          : layers.status();
  LOG_IF(WARNING, !done.ok()) << "label layers: " << Message(done);
}

StatusOr<std::unique_ptr<MetadataStore>> OpenRecords(const HostPaths& paths) {
  StoreOptions options;
  options.wait = kPredecessor;
  options.on_set_aside = [](const std::string& record, const std::string& why) {
    LOG(ERROR) << "record " << record << " is set aside: " << why;
  };
  return MetadataStore::Open(paths.MetadataFile(), std::move(options));
}

}  // namespace

// Members in the order of need: each may use those above it.
class Daemon::Parts {
 public:
  static StatusOr<std::unique_ptr<Parts>> Build(const Config& config,
                                                const std::string& served);
  Parts(const Config& config, Claims claims,
        std::unique_ptr<MetadataStore> store,
        std::unique_ptr<image::ImageService> images,
        std::unique_ptr<sandbox::StatsReader> stats)
      : claims_(std::move(claims)),
        store_(std::move(store)),
        images_(std::move(images)),
        network_(NetworkOptions(config), *store_),
        shims_(shim::NewShimLauncher()),
        plugins_(config.nri().enable()
                     ? std::make_unique<nri::Plugins>(NriOptions(config))
                     : nullptr),
        world_(SandboxSettings(config), {.store = *store_,
                                         .shims = *shims_,
                                         .network = network_,
                                         .images = images_->rootfs(),
                                         .plugins = plugins_.get()}),
        sandboxes_(world_),
        containers_(world_),
        stats_(std::move(stats)),
        streaming_(StreamingOptionsOf(config, requests_),
                   sandbox::ContainerStreams(world_), world_.inventory()),
        cri_images_(ImageFactsOf(config), *images_),
        cri_runtime_(RuntimeFactsOf(config), RuntimePartsOf()) {}

  // A plugin is told of the end before what it asks for ends.
  ~Parts() { StopPlugins(); }

  // Before any door opens: what became of what ran.
  Status Recover() { return world_.Recover(Context::Background("recovery")); }
  // Behind the open doors: what has to be finished.
  void FinishRecovery() { world_.FinishRecovery(); }

  // Before the doors, too: no container is made that a plugin of this node has
  // no word in.
  Status StartPlugins() {
    if (plugins_ == nullptr) return OkStatus();
    return plugins_->Start(sandbox::PluginRuntime(world_));
  }

  // Before any door opens, and instead of it.
  Status StopPods() {
    Status first;
    for (const auto& sandbox : world_.inventory().AllSandboxes()) {
      const Status stopped = sandboxes_.Stop(Context::Background("stop pods"),
                                             sandbox::SandboxId(sandbox->id()));
      if (stopped.ok() || !first.ok()) continue;
      first = Annotate(stopped, "stop pod " + sandbox->id());
    }
    return first;
  }

  Status OpenDoors(const Config& config,
                   std::optional<InheritedSocket> docker) {
    RETURN_IF_ERROR_AS(streaming_.Listen(), "serve streams");
    LOG(INFO) << "berthd " << kVersion << " serves the CRI's streams on "
              << streaming_.base_url();
    ASSIGN_OR_RETURN(door_, cri::Server::Start(DoorOptions(config, requests_),
                                               cri_runtime_, cri_images_));
    LOG(INFO) << "berthd " << kVersion << " serves the CRI on "
              << CriSocket(config);
    if (!config.docker_socket().empty()) {
      docker_ = std::make_unique<docker::ApiServer>(
          DockerSettings(config), BuilderSettingsOf(config), world_, sandboxes_,
          containers_, *images_, *stats_, network_.user_networks(), requests_);
      RETURN_IF_ERROR(docker.has_value()
                          ? docker_->Listen(door::Listener::OnInherited(
                                std::move(docker->socket)))
                          : docker_->Listen(config.docker_socket()));
      LOG(INFO) << "berthd " << kVersion << " serves docker on "
                << config.docker_socket();
    }
    RETURN_IF_ERROR(OpenTcpDoor(config.docker_tcp()));
    return OpenAdminDoor(config);
  }

  Status OpenTcpDoor(const config::v1::DockerTcp& tcp) {
    if (docker_ == nullptr || tcp.address().empty()) return OkStatus();
    std::optional<door::TlsFiles> tls;
    if (!tcp.insecure_loopback()) {
      tls = door::TlsFiles{tcp.ca_cert(), tcp.cert(), tcp.key()};
    }
    RETURN_IF_ERROR(docker_->ListenTcp(tcp.address(), tls));
    LOG(INFO) << "berthd " << kVersion << " serves docker on " << tcp.address()
              << (tls.has_value() ? " with TLS" : " to this machine");
    return OkStatus();
  }

  // The last to open and the first to close: it asks the others.
  Status OpenAdminDoor(const Config& config) {
    const std::string socket = AdminSocket(config);
    if (socket.empty()) return OkStatus();
    const auto unsaved = [this] { return world_.unsaved(); };
    admin_ = std::make_unique<admin::Server>(admin::ServerOptions{
        .version = kVersion,
        .config = EffectiveConfigText(config),
        .health = admin::Health(DoorsOf(config), config.root(), unsaved),
        .sources = {.inventory = world_.inventory(),
                    .requests = requests_,
                    .unsaved = unsaved,
                    .pools = [this] { return door_->Loads(); }},
        .log_queries = config.log().queries()});
    RETURN_IF_ERROR(admin_->Listen(socket));
    LOG(INFO) << "berthd " << kVersion << " tells health and metrics on "
              << socket;
    return OkStatus();
  }

  void CloseDoors() {
    if (admin_ != nullptr) admin_->Shutdown();
    if (docker_ != nullptr) docker_->Shutdown();
    if (door_ != nullptr) door_->Shutdown(kGrace);
    streaming_.Shutdown();
    StopPlugins();
  }

 private:
  void StopPlugins() {
    if (plugins_ != nullptr) plugins_->Stop();
  }

  static cri::ImageFacts ImageFactsOf(const Config& config) {
    return {.handlers = HandlerNames(config),
            .mountpoint = config.root(),
            .pulled_blobs = PolicyOf(config.images().kubelet_blobs()),
            .imported_blobs = PolicyOf(config.images().import_blobs())};
  }

  cri::RuntimeFacts RuntimeFactsOf(const Config& config) const {
    const bool confined = world_.settings().apparmor_default.ok();
    const bool setattr = HasMountSetattr();
    return {.version = kVersion,
            .handlers = HandlerNames(config),
            .extras = ExtrasByHandler(config),
            .recursive_read_only_mounts = setattr,
            .cgroup_namespaces = access("/proc/self/ns/cgroup", F_OK) == 0,
            .user_namespaces = UserNamespaceHandlers(config),
            .systemd_cgroup = UsesSystemd(config),
            .apparmor_profile = confined ? sandbox::kDefaultProfile : "",
            .config = EffectiveConfigText(config),
            .network_folder = config.network().conf_dir(),
            .plugin_folders = PluginFolders(config),
            .root = config.root(),
            .state = config.state(),
            .exec_sync_output = config.limits().exec_sync_output()};
  }

  cri::RuntimeParts RuntimePartsOf() {
    return {
        .sandboxes = sandboxes_,
        .containers = containers_,
        .streams = sandbox::ContainerStreams(world_),
        .inventory = world_.inventory(),
        .events = world_.events(),
        .stats = *stats_,
        .resolve_image =
            [this](const std::string& name) { return cri_images_.Names(name); },
        .profile =
            [this](const std::string& name) {
              return cri_images_.profiles().Read(name);
            },
        .writable_layer =
            [this](const std::string& key) {
              return cri_images_.WritableLayer(key);
            },
        .network_ready = [this] { return network_.Ready(); },
        .network_list = [this] { return network_.DefaultList(); },
        .stream_url =
            [this](cri::StreamRequest request) {
              return streaming_.UrlFor(std::move(request));
            },
        .records_set_aside = [this] { return store_->SetAside(); }};
  }

  const Claims claims_;
  const std::unique_ptr<MetadataStore> store_;
  const std::unique_ptr<image::ImageService> images_;
  cni::CniNetwork network_;
  const std::unique_ptr<shim::ShimLauncher> shims_;
  const std::unique_ptr<nri::Plugins> plugins_;
  sandbox::World world_;
  sandbox::SandboxManager sandboxes_;
  sandbox::ContainerManager containers_;
  const std::unique_ptr<sandbox::StatsReader> stats_;
  door::RequestCounts requests_;
  cri::StreamingServer streaming_;
  cri::ImageService cri_images_;
  cri::RuntimeService cri_runtime_;
  std::unique_ptr<cri::Server> door_;
  std::unique_ptr<docker::ApiServer> docker_;
  std::unique_ptr<admin::Server> admin_;
};

// All of it, at rest: nothing is recovered, and no door is open.
StatusOr<std::unique_ptr<Daemon::Parts>> Daemon::Parts::Build(
    const Config& config, const std::string& served) {
  if (UsesSystemd(config) && !sandbox::SystemdIsManager()) {
    return FailedPrecondition(
        "cgroup_driver: SYSTEMD, but systemd does not manage this machine");
  }
  const HostPaths paths = PathsOf(config);
  RETURN_IF_ERROR(MakePrivate(paths));
  ASSIGN_OR_RETURN(Claims claims, Claims::Take(config, served));
  ASSIGN_OR_RETURN(std::unique_ptr<MetadataStore> store, OpenRecords(paths));
  for (const std::string& lack : HostLacks(paths.proc, paths.cgroup)) {
    LOG(INFO) << lack;
  }
  const std::string unconfined = ConfinementLacks();
  LOG_IF(WARNING, !unconfined.empty()) << unconfined;
  RETURN_IF_ERROR_AS(SetUpNetwork(config), "set up the default network");
  ASSIGN_OR_RETURN(std::unique_ptr<sandbox::StatsReader> stats,
                   sandbox::StatsReader::Open());
  ASSIGN_OR_RETURN_AS(std::unique_ptr<image::ImageService> images,
                      image::ImageService::Open(ImageOptions(config), *store),
                      "open images");
  LabelLayers(paths);
  return std::make_unique<Parts>(config, std::move(claims), std::move(store),
                                 std::move(images), std::move(stats));
}

StatusOr<std::unique_ptr<Daemon>> Daemon::Start(
    Config config, std::optional<InheritedSocket> docker) {
  if (docker.has_value()) config.set_docker_socket(docker->path);
  if (!config.docker_tcp().address().empty() &&
      config.docker_socket().empty()) {
    return InvalidArgument(
        "docker_tcp.address: needs docker_socket as well, or a socket from "
        "systemd");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Parts> parts,
                   Parts::Build(config, docker ? docker->path : ""));
  RETURN_IF_ERROR_AS(parts->Recover(), "recover");
  RETURN_IF_ERROR_AS(parts->StartPlugins(), "start NRI plugins");
  RETURN_IF_ERROR(parts->OpenDoors(config, std::move(docker)));
  parts->FinishRecovery();
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Status Daemon::StopPods(const Config& config) {
  // Whoever has the sockets has the folders, too, and these are asked for.
  ASSIGN_OR_RETURN(const std::unique_ptr<Parts> parts,
                   Parts::Build(config, config.docker_socket()));
  RETURN_IF_ERROR_AS(parts->Recover(), "recover");
  return parts->StopPods();
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() { Stop(); }

void Daemon::Stop() { parts_->CloseDoors(); }

}  // namespace berth::daemon
