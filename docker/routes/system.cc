// _ping, version, info.
#include <fcntl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <string>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "docker/build/builder.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/engine.h"
#include "image/manifest.h"

namespace berth::docker {
namespace {

Status Ping(Engine&, Call& call) {
  call.http.AddHeader("Builder-Version", "2");
  call.http.AddHeader("Swarm", "inactive");
  call.http.AddHeader("Cache-Control", "no-cache, no-store, must-revalidate");
  call.http.AddHeader("Pragma", "no-cache");
  const bool head = call.http.request().method == "HEAD";
  return call.http.Respond(200, "text/plain; charset=utf-8", head ? "" : "OK");
}

Status Version(Engine& engine, Call& call) {
  utsname host = {};
  uname(&host);
  const std::string arch = image::HostPlatform().architecture();
  const std::string& version = engine.settings.version;
  const std::string newest = "1." + std::to_string(kNewestVersion);
  const std::string oldest = "1." + std::to_string(kOldestVersion);
  const Json details = {{"ApiVersion", newest},
                        {"Arch", arch},
                        {"KernelVersion", host.release},
                        {"MinAPIVersion", oldest},
                        {"Os", "linux"}};
  return call.Reply(200, {{"Platform", {{"Name", "berth"}}},
                          {"Components", Json::array({{{"Name", "Engine"},
                                                       {"Version", version},
                                                       {"Details", details}}})},
                          {"Version", version},
                          {"ApiVersion", newest},
                          {"MinAPIVersion", oldest},
                          {"GitCommit", ""},
                          {"GoVersion", ""},
                          {"Os", "linux"},
                          {"Arch", arch},
                          {"KernelVersion", host.release},
                          {"BuildTime", ""}});
}

// A value of os-release(5), without quotes; "" without it.
std::string OsRelease(const std::string& name) {
  const StatusOr<std::string> text = ReadFile("/etc/os-release", 1 << 16);
  if (!text.ok()) return "";
  for (const std::string& line : Split(*text, '\n')) {
    if (!StartsWith(line, name + "=")) continue;
    std::string value = line.substr(name.size() + 1);
    if (value.size() >= 2 && value.front() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return "";
}

// How many entries a directory of /proc/self has.
size_t CountOwn(const char* name) {
  const std::string path = std::string("/proc/self/") + name;
  const UniqueFd directory(open(path.c_str(), O_DIRECTORY | O_CLOEXEC));
  const auto entries = ListDirectory(directory.get());
  return entries.ok() ? entries->size() : 0;
}

// As clients read it who log in, or warn of registries without TLS. Mirrors
// are told without their addresses, which may hold credentials.
Json Registries() {
  return {{"IndexConfigs",
           {{"docker.io",
             {{"Name", "docker.io"},
              {"Mirrors", Json::array()},
              {"Secure", true},
              {"Official", true}}}}},
          {"InsecureRegistryCIDRs", {"::1/128", "127.0.0.0/8"}},
          {"Mirrors", nullptr}};
}

// What changes with every container and image.
Json Counts(const Engine& engine) {
  int running = 0;
  int paused = 0;
  int total = 0;
  for (const View& view : AllViews(engine)) {
    if (IsBuilder(view)) continue;
    ++total;
    if (!view.running()) continue;
    ++(view.container->paused() ? paused : running);
  }
  const StatusOr<std::vector<image::Image>> images = engine.images.List({});
  return {{"Containers", total},
          {"ContainersRunning", running},
          {"ContainersPaused", paused},
          {"ContainersStopped", total - running - paused},
          {"Images", images.ok() ? images->size() : 0}};
}

Json Host(const EngineSettings& settings) {
  utsname host = {};
  uname(&host);
  struct sysinfo memory = {};
  sysinfo(&memory);
  const std::string name = OsRelease("PRETTY_NAME");
  const bool unified = settings.unified_cgroups;
  return {{"CgroupDriver", settings.systemd_cgroups ? "systemd" : "cgroupfs"},
          {"CgroupVersion", unified ? "2" : "1"},
          {"OomKillDisable", !unified},
          {"KernelVersion", host.release},
          {"OperatingSystem", name.empty() ? "Linux" : name},
          {"OSVersion", OsRelease("VERSION_ID")},
          {"OSType", "linux"},
          {"Architecture", host.machine},
          {"NCPU", sysconf(_SC_NPROCESSORS_ONLN)},
          {"MemTotal", uint64_t{memory.totalram} * memory.mem_unit},
          {"Name", host.nodename}};
}

// In dockerd's order.
Json SecurityOptions(const EngineSettings& settings) {
  Json options = Json::array();
  if (settings.apparmor) options.push_back("name=apparmor");
  options.push_back("name=seccomp,profile=builtin");
  if (settings.selinux) options.push_back("name=selinux");
  return options;
}

// What every limit of ours can do.
Json Abilities() {
  Json all = {{"Plugins",
               {{"Volume", {"local"}},
                {"Network", {"bridge", "host", "ipvlan", "macvlan", "null"}},
                {"Authorization", nullptr},
                {"Log", {"journald", "json-file", "local", "none", "syslog"}}}},
              {"DefaultRuntime", "berth"},
              {"LoggingDriver", "json-file"},
              {"Driver", "overlay2"},
              {"DriverStatus", Json::array()},
              {"Swarm", {{"LocalNodeState", "inactive"}}},
              {"LiveRestoreEnabled", true}};
  for (const char* limit :
       {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares",
        "CPUSet", "PidsLimit", "IPv4Forwarding"}) {
    all[limit] = true;
  }
  return all;
}

// What a container may name (HostConfig.Runtime).
Json Runtimes(const EngineSettings& settings) {
  Json all = {{"berth", {{"path", "berth-oci"}}}};
  for (const auto& [name, path] : settings.runtimes) {
    all[name] = Json{{"path", path}};
  }
  return all;
}

void Merge(const Json& from, Json& into) {
  for (const auto& [name, value] : from.members()) into[name] = value;
}

Status Info(Engine& engine, Call& call) {
  Json info = Counts(engine);
  Merge(Host(engine.settings), info);
  Merge(Abilities(), info);
  Merge({{"ID", engine.settings.id},
         {"SecurityOptions", SecurityOptions(engine.settings)},
         {"Debug", false},
         {"NGoroutines", CountOwn("task")},
         {"NFd", CountOwn("fd")},
         {"SystemTime", TimeText(Now())},
         {"IndexServerAddress", "https://index.docker.io/v1/"},
         {"RegistryConfig", Registries()},
         {"GenericResources", nullptr},
         {"Runtimes", Runtimes(engine.settings)},
         {"DockerRootDir", engine.settings.root},
         {"HttpProxy", ""},
         {"HttpsProxy", ""},
         {"NoProxy", ""},
         {"Labels", Json::array()},
         {"ExperimentalBuild", false},
         {"ServerVersion", engine.settings.version},
         {"Isolation", ""},
         {"InitBinary", "berth"},
         {"Warnings", Json::array()}},
        info);
  return call.Reply(200, info);
}

}  // namespace

std::vector<Route> SystemRoutes() {
  return {{"GET", "/_ping", Ping},
          {"HEAD", "/_ping", Ping},
          {"GET", "/version", Version},
          {"GET", "/info", Info}};
}

}  // namespace berth::docker
