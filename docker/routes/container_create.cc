// POST /containers/create.
#include "docker/routes/container_create.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/fs/foreign_path.h"
#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/undo.h"
#include "base/unique_fd.h"
#include "docker/convert/create_request.h"
#include "docker/convert/healthcheck.h"
#include "docker/convert/log_tag.h"
#include "docker/convert/names.h"
#include "docker/engine.h"
#include "docker/lifecycle.h"
#include "docker/networks.h"
#include "docker/routes/container_log.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

using image::Image;

StatusOr<Image> ImageOf(const Engine& engine, const std::string& name,
                        const std::string& platform) {
  if (name.empty()) return InvalidArgument("no image specified");
  StatusOr<Image> image = engine.images.Resolve(name);
  if (!image.ok()) {
    if (!IsNotFound(image.status()) &&
        image.status().code() != StatusCode::kInvalidArgument) {
      return image.status();
    }
    const StatusOr<image::Reference> reference = image::Reference::Parse(name);
    if (!reference.ok()) {
      return InvalidArgument("invalid reference format: " +
                             Message(reference.status()));
    }
    // The CLI pulls when it reads this.
    return NotFound("No such image: " + reference->Familiar());
  }
  const auto& ours = image->record.platform();
  const std::string have = ours.os() + "/" + ours.architecture();
  if (!platform.empty() && platform != have &&
      !StartsWith(platform, have + "/")) {
    return NotFound("image with reference " + name +
                    " was found but does not provide the specified platform (" +
                    platform + ")");
  }
  return image;
}

struct ChosenName {
  std::string name;
  sandbox::NameIndex::Claim claim;
};

// One that no container has.
StatusOr<ChosenName> ChooseName(Engine& engine, const std::string& asked) {
  if (asked.empty()) {
    for (int i = 1;; ++i) {
      std::string name = RandomName() + (i == 1 ? "" : std::to_string(i));
      sandbox::NameIndex::Claim claim = engine.world.ClaimName(name);
      if (claim.mine()) return ChosenName{std::move(name), std::move(claim)};
    }
  }
  const std::string name = asked.front() == '/' ? asked.substr(1) : asked;
  RETURN_IF_ERROR(CheckName(name, "container"));
  sandbox::NameIndex::Claim claim = engine.world.ClaimName(name);
  if (!claim.mine()) return NameConflict(name, claim.id());
  // That of a pod's container is not claimed.
  const StatusOr<View> other = FindView(engine, name);
  if (other.ok() && other->name() == name) {
    return NameConflict(name, other->id());
  }
  return ChosenName{name, std::move(claim)};
}

// A port that nobody listens on now: this one, or any for 0. ALREADY_EXISTS if
// it is taken.
StatusOr<uint32_t> FreePort(state::v1::Protocol protocol, uint32_t wanted) {
  const bool udp = protocol == state::v1::PROTOCOL_UDP;
  const UniqueFd probe(
      socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return Errno(errno, "make a socket");
  const int on = 1;  // the rests of old connections are no listener
  if (!udp) {
    setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(wanted));
  socklen_t size = sizeof(address);
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (bind(probe.get(), plain, size) != 0 ||
      getsockname(probe.get(), plain, &size) != 0) {
    return Errno(errno, "find a free port");
  }
  return ntohs(address.sin_port);
}

// Ports that containers have been promised, running or not.
std::set<uint32_t> TakenPorts(const Engine& engine) {
  std::set<uint32_t> taken;
  for (const auto& sandbox : engine.inventory().Sandboxes({})) {
    for (const auto& mapping : sandbox->config().port_mappings()) {
      taken.insert(mapping.host_port());
    }
  }
  return taken;
}

// The first that is free; 0 if none is.
uint32_t FirstFree(state::v1::Protocol protocol,
                   const std::pair<uint32_t, uint32_t>& range,
                   std::set<uint32_t>& taken) {
  for (uint32_t port = range.first; port <= range.second; ++port) {
    if (taken.count(port) == 0 && FreePort(protocol, port).ok()) {
      taken.insert(port);
      return port;
    }
  }
  return 0;
}

Status ChoosePorts(const Engine& engine, CreateRequest& request) {
  constexpr int kTries = 100;
  std::set<uint32_t> taken;
  for (int at = 0; at < request.sandbox.port_mappings_size(); ++at) {
    auto& mapping = *request.sandbox.mutable_port_mappings(at);
    if (mapping.host_port() != 0) continue;
    if (taken.empty()) taken = TakenPorts(engine);
    const auto range = request.port_ranges.find(at);
    if (range != request.port_ranges.end()) {
      mapping.set_host_port(
          FirstFree(mapping.protocol(), range->second, taken));
    }
    for (int i = 0; range == request.port_ranges.end() && i < kTries &&
                    mapping.host_port() == 0;
         ++i) {
      ASSIGN_OR_RETURN(const uint32_t port, FreePort(mapping.protocol(), 0));
      if (taken.insert(port).second) mapping.set_host_port(port);
    }
    if (mapping.host_port() == 0) {
      return Internal("no free port for container port " +
                      std::to_string(mapping.container_port()) +
                      ": all ports are allocated");
    }
  }
  return OkStatus();
}

// "container:NAME" of the three namespaces.
Status FindTargets(const Engine& engine, CreateRequest& request) {
  auto& sandbox = *request.sandbox.mutable_namespaces();
  auto& container = *request.container.mutable_security()->mutable_namespaces();
  if (!request.network_container.empty()) {
    ASSIGN_OR_RETURN(const View target,
                     FindView(engine, request.network_container));
    sandbox.set_network_target(target.container->sandbox_id());
    container.set_network_target(target.container->sandbox_id());
    request.host_config["NetworkMode"] = "container:" + target.id();
    if (request.sandbox.port_mappings_size() > 0) {
      return InvalidArgument(
          "conflicting options: port publishing and the container type "
          "network mode");
    }
  }
  if (!request.pid_container.empty()) {
    ASSIGN_OR_RETURN(const View target,
                     FindView(engine, request.pid_container));
    sandbox.set_target_id(target.id());
    container.set_target_id(target.id());
  }
  if (!request.ipc_container.empty()) {
    ASSIGN_OR_RETURN(const View target,
                     FindView(engine, request.ipc_container));
    sandbox.set_ipc_target(target.container->sandbox_id());
    container.set_ipc_target(target.container->sandbox_id());
  }
  return OkStatus();
}

// Takes what another has at one place, unless something was asked for there.
// Only an anonymous volume, which nobody asked for by name, gives way.
void TakeMount(const state::v1::Mount& theirs, bool readonly,
               CreateRequest& request) {
  auto& mounts = *request.container.mutable_mounts();
  int at = 0;
  while (at < mounts.size() &&
         mounts[at].container_path() != theirs.container_path()) {
    ++at;
  }
  if (at == mounts.size()) {
    mounts.Add();
  } else if (std::erase_if(request.volumes, [at](const VolumeUse& use) {
               return use.anonymous && use.mount == at;
             }) == 0) {
    return;
  }
  mounts[at] = theirs;
  if (readonly) {
    mounts[at].set_readonly(true);
    mounts[at].set_recursive_readonly(true);
  }
  if (theirs.volume().empty()) return;
  VolumeUse use;
  use.mount = at;
  use.name = theirs.volume();
  request.volumes.push_back(std::move(use));
}

// HostConfig.VolumesFrom: of several, the first that has something at a place.
Status TakeVolumes(const Engine& engine, CreateRequest& request) {
  for (const VolumeSource& source : request.volumes_from) {
    ASSIGN_OR_RETURN(const View from, FindView(engine, source.container));
    for (const auto& mount : from.container->config().mounts()) {
      if (mount.type() == state::v1::MOUNT_TYPE_BIND) {
        TakeMount(mount, source.readonly, request);
      }
    }
  }
  return OkStatus();
}

using VolumeUses = std::vector<VolumeStore::Use>;

// While the result lives nobody removes them.
StatusOr<VolumeUses> MakeVolumes(Engine& engine, const Context& ctx,
                                 CreateRequest& request, Undo& undo) {
  VolumeUses uses;
  for (const VolumeUse& use : request.volumes) {
    std::map<std::string, std::string> labels = use.labels;
    if (use.anonymous) labels["com.docker.volume.anonymous"] = "";
    uses.push_back(engine.volumes.BeginUse(use.name));
    const bool fresh = IsNotFound(engine.volumes.Get(use.name).status());
    // Should we die before its container has a record.
    if (use.anonymous) RETURN_IF_ERROR(engine.volumes.Abandon(use.name));
    ASSIGN_OR_RETURN(
        const Volume volume,
        engine.volumes.Create(ctx, use.name, labels, use.driver_options));
    if (fresh) {
      undo.Add([&engine, name = volume.name] {
        LogFailure("remove volume " + name,
                   RemoveVolume(engine, Context::Background("docker"), name));
      });
      engine.events.Publish("volume", "create", volume.name,
                            {{"driver", "local"}});
    }
    request.container.mutable_mounts(use.mount)->set_host_path(
        volume.mountpoint);
  }
  return uses;
}

// Images that are mounted beside the container's own.
Status FindMountedImages(const Engine& engine, CreateRequest& request) {
  for (auto& mount : *request.container.mutable_mounts()) {
    if (mount.type() != state::v1::MOUNT_TYPE_IMAGE) continue;
    const StatusOr<Image> image = engine.images.Resolve(mount.image());
    if (IsNotFound(image.status())) {
      return InvalidArgument("No such image: " + mount.image());
    }
    RETURN_IF_ERROR(image.status());
    mount.set_image_id(image->id());
    mount.set_image_ref(image->id());
  }
  return OkStatus();
}

// Read-only all the way down needs mount_setattr(2), of Linux 5.12. Without it
// only the mount itself is read-only, as it was for all of Docker's years.
Status FitToKernel(const Engine& engine, CreateRequest& request) {
  if (engine.settings.recursive_readonly) return OkStatus();
  if (request.force_recursive_readonly) {
    return InvalidArgument(
        "HostConfig.Mounts.BindOptions.ReadOnlyForceRecursive: the kernel "
        "cannot make mounts read-only recursively");
  }
  for (auto& mount : *request.container.mutable_mounts()) {
    mount.set_recursive_readonly(false);
  }
  return OkStatus();
}

// What the host and the image add to the request.
Status Complete(const Engine& engine, const Image& image,
                const std::string& asked_image, CreateRequest& request,
                Undo& undo) {
  const std::string token = RandomId();
  request.sandbox.mutable_metadata()->set_name(token);
  request.container.set_image_id(image.id());
  request.container.set_image(asked_image);
  request.container.set_user_specified_image(asked_image);
  if (!image.repo_digests.empty()) {
    request.container.set_image_ref(image.repo_digests[0]);
  }
  const Json* const log = request.host_config.Find("LogConfig");
  const std::string log_type = log == nullptr ? "" : log->Text("Type");
  const std::string log_directory = LogDirectory(engine) + "/" + token;
  RETURN_IF_ERROR(MakeDirectories(log_directory, 0700));
  undo.Add([log_directory] {
    LogFailure("remove log", RemoveTree(AT_FDCWD, log_directory));
  });
  if (log_type != "none") {
    request.container.mutable_log()->set_path(log_directory + "/json.log");
  }
  InheritHealthcheck(image.record.config().healthcheck(), request.config);
  Notes notes;
  notes.config = request.config;
  notes.host_config = request.host_config;
  notes.log_directory = log_directory;
  const std::string mode = request.host_config.Text("NetworkMode");
  if (mode.empty() || mode == "default" || mode == "bridge") {
    notes.links = request.links;
  }
  request.container.set_volatile_rootfs(notes.auto_remove());
  request.container.set_door_notes(SerializeNotes(notes));
  return OkStatus();
}

// A source on a file system that does not answer must not keep those waiting
// who wait for a lock of ours.
Status AwaitSources(const Context& ctx, const CreateRequest& request) {
  for (const auto& mount : request.container.mounts()) {
    if (mount.host_path().empty()) continue;
    const Status status = InspectPath(ctx, mount.host_path()).status();
    if (status.code() == StatusCode::kDeadlineExceeded ||
        status.code() == StatusCode::kUnavailable ||
        status.code() == StatusCode::kCancelled) {
      return status;
    }
  }
  return OkStatus();
}

// A port is promised by the sandbox's record: the next choice sees it.
StatusOr<sandbox::SandboxId> MakeSandbox(Engine& engine, const Context& ctx,
                                         CreateRequest& request) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.ports.Acquire(ctx, "ports"));
  RETURN_IF_ERROR(ChoosePorts(engine, request));
  return engine.sandboxes.Create(ctx, request.sandbox);
}

StatusOr<std::string> MakeBoth(Engine& engine, const Context& ctx,
                               CreateRequest& request,
                               sandbox::NameIndex::Claim name, Undo& undo) {
  ASSIGN_OR_RETURN(const sandbox::SandboxId sandbox,
                   MakeSandbox(engine, ctx, request));
  undo.Add([&engine, sandbox] {
    LogFailure("remove sandbox " + sandbox.str(),
               engine.sandboxes.Remove(Context::Background(), sandbox));
  });
  RETURN_IF_ERROR(Failpoint("docker.create.sandbox"));
  const LogTagFields fields = {sandbox.str(), request.container.name(),
                               request.container.image_id(),
                               request.container.user_specified_image()};
  if (!request.forward.driver.empty()) {
    RETURN_IF_ERROR(ForwardLog(ctx, fields, request));
  } else if (!request.log_tag.empty()) {
    (*request.container.mutable_log()->mutable_tags())["tag"] =
        RenderLogTag(request.log_tag, fields);
  }
  ASSIGN_OR_RETURN(const sandbox::ContainerId container,
                   engine.containers.Create(ctx, sandbox, request.container,
                                            std::move(name)));
  return container.str();
}

// Of an image that is there.
StatusOr<MadeContainer> MakeOf(Engine& engine, const Context& ctx,
                               const NewContainer& asked, const Image& image) {
  MadeContainer made;
  ASSIGN_OR_RETURN(CreateRequest request,
                   ConvertCreate(asked.config, image.record.config()));
  RETURN_IF_ERROR(TakeVolumes(engine, request));
  RETURN_IF_ERROR(FitToKernel(engine, request));
  if (engine.settings.unified_cgroups) {
    made.warnings = DiscardV1Limits(*request.container.mutable_resources());
  }

  RETURN_IF_ERROR(AwaitSources(ctx, request));
  ASSIGN_OR_RETURN(ChosenName chosen, ChooseName(engine, asked.name));
  request.container.set_name(chosen.name);
  RETURN_IF_ERROR(FindTargets(engine, request));
  RETURN_IF_ERROR(ChooseNetworks(engine, request));
  RETURN_IF_ERROR(FindMountedImages(engine, request));
  Undo undo;
  // Ends before `undo` removes what has been made.
  ASSIGN_OR_RETURN(const VolumeUses uses,
                   MakeVolumes(engine, ctx, request, undo));
  RETURN_IF_ERROR(Failpoint("docker.create.volumes"));
  RETURN_IF_ERROR(Complete(engine, image, asked.image, request, undo));
  RETURN_IF_ERROR(Failpoint("docker.create.log"));
  ASSIGN_OR_RETURN(
      made.id, MakeBoth(engine, ctx, request, std::move(chosen.claim), undo));
  RETURN_IF_ERROR(Failpoint("docker.create.container"));
  undo.Commit();
  for (const VolumeUse& use : request.volumes) {
    LogFailure("claim volume " + use.name, engine.volumes.Claim(use.name));
  }
  return made;
}

}  // namespace

StatusOr<MadeContainer> MakeContainer(Engine& engine, const Context& ctx,
                                      const NewContainer& asked) {
  ASSIGN_OR_RETURN(const Image image,
                   ImageOf(engine, asked.image, asked.platform));
  StatusOr<MadeContainer> made = MakeOf(engine, ctx, asked, image);
  // NOT_FOUND is for the image alone: clients pull it then.
  if (IsNotFound(made.status())) return InvalidArgument(Message(made.status()));
  return made;
}

namespace {

// Gone from API 1.52 on.
Status RefuseMac(const Json& config) {
  JsonReader reader(config, "Config", JsonNames::kAnyCase);
  std::string mac;
  reader.Get("MacAddress", mac);
  RETURN_IF_ERROR(reader.status());
  if (mac.empty()) return OkStatus();
  return InvalidArgument(
      "container-wide MAC address no longer supported; use endpoint-specific "
      "MAC address instead");
}

// As dockerd does from API 1.52 on.
void WarnOfEmptyBindings(const Json& config,
                         std::vector<std::string>& warnings) {
  JsonReader reader(config, "Config", JsonNames::kAnyCase);
  const Json* const host = reader.Find("HostConfig");
  if (host == nullptr) return;
  JsonReader members(*host, "HostConfig", JsonNames::kAnyCase);
  std::vector<std::string> ports;
  for (const auto& [port, bindings] : members.Object("PortBindings")) {
    if (bindings.empty()) ports.push_back(port);
  }
  if (ports.empty()) return;
  warnings.push_back(
      "Following container port(s) have an empty list of port-bindings: " +
      Join(ports, ", ") +
      ". Such bindings will be discarded in a future version.");
}

}  // namespace

Status CreateContainer(Engine& engine, Call& call) {
  NewContainer asked;
  ASSIGN_OR_RETURN(asked.config, call.Body());
  JsonReader reader(asked.config, "Config", JsonNames::kAnyCase);
  reader.Get("Image", asked.image);
  RETURN_IF_ERROR(reader.status());
  asked.name = call.Query("name");
  asked.platform = call.Query("platform");
  if (call.version >= 52) RETURN_IF_ERROR(RefuseMac(asked.config));
  ASSIGN_OR_RETURN(MadeContainer made, MakeContainer(engine, call.ctx, asked));
  if (call.version >= 52) WarnOfEmptyBindings(asked.config, made.warnings);
  return call.Reply(201, {{"Id", made.id}, {"Warnings", made.warnings}});
}

}  // namespace berth::docker
