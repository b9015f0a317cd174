#include "daemon/config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "base/strings.h"
#include "door/listener.h"
#include "sandbox/cgroup_driver.h"

namespace berth::daemon {
namespace {

// More than any configuration, and little enough to read without a thought.
constexpr size_t kMaxFileBytes = 1 << 20;
constexpr char kSlice[] = ".slice";

class Complaints : public google::protobuf::io::ErrorCollector {
 public:
  explicit Complaints(std::string name) : name_(std::move(name)) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    // The parser counts from zero; -1 is the text as a whole.
    lines_.push_back(name_ + ":" + std::to_string(line + 1) + ":" +
                     std::to_string(column + 1) + ": " + message);
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  const std::string name_;
  std::vector<std::string> lines_;
};

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Errno(errno, "open " + path);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Errno(errno, "read " + path);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return InvalidArgument("read " + path + ": longer than 1 MiB");
  }
  return text;
}

struct CloseDirectory {
  void operator()(DIR* dir) const { closedir(dir); }
};

StatusOr<std::vector<std::string>> FilesOf(const std::string& folder) {
  std::unique_ptr<DIR, CloseDirectory> dir(opendir(folder.c_str()));
  std::vector<std::string> files;
  if (dir == nullptr) {
    if (errno == ENOENT) return files;
    return Errno(errno, "open folder " + folder);
  }
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && EndsWith(name, ".conf")) {
      files.push_back(folder + "/" + name);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// A shim's socket is <state>/shims/<24 characters>/shim.sock, and shims make
// longer names of it (sandbox/resource/shim_process.cc).
constexpr size_t kMaxStatePath = 59;

// Collects what is wrong. `setting` is the dotted name that a reader finds in
// the file.
class Checker {
 public:
  void Wrong(const std::string& setting, const std::string& why) {
    found_.push_back(setting + ": " + why);
  }
  void Absolute(const std::string& setting, const std::string& path) {
    if (!path.empty() && path[0] != '/') {
      Wrong(setting, Quoted(path) + " is not an absolute path");
    }
    if (path.find('\0') != std::string::npos) Wrong(setting, "holds a NUL");
  }
  void Socket(const std::string& setting, const std::string& path) {
    Absolute(setting, path);
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      Wrong(setting, Quoted(path) + " is too long for a unix socket");
    }
  }
  template <typename T>
  void Between(const std::string& setting, T value, T low, T high) {
    if (value < low || value > high) {
      Wrong(setting, std::to_string(value) + " is not between " +
                         std::to_string(low) + " and " + std::to_string(high));
    }
  }
  std::vector<std::string> Found() && { return std::move(found_); }

 private:
  std::vector<std::string> found_;
};

bool IsSubnet(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return false;
  in6_addr address;
  const std::string host = text.substr(0, slash);
  const std::optional<uint64_t> bits = ParseUint(text.substr(slash + 1));
  if (!bits.has_value()) return false;
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return *bits <= 30;
  return inet_pton(AF_INET6, host.c_str(), &address) == 1 && *bits <= 126;
}

// The kernel's rule for names of interfaces (dev_valid_name).
bool IsInterfaceName(const std::string& name) {
  return !name.empty() && name.size() < 16 && name != "." && name != ".." &&
         name.find_first_of("/: \t\n") == std::string::npos;
}

void CheckNetwork(const config::v1::Network& network, Checker& check) {
  check.Absolute("network.conf_dir", network.conf_dir());
  if (network.conf_dir().empty()) {
    check.Wrong("network.conf_dir", "must not be empty");
  }
  for (const std::string& dir : network.bin_dirs()) {
    check.Absolute("network.bin_dirs", dir);
  }
  if (!IsInterfaceName(network.bridge())) {
    check.Wrong("network.bridge", Quoted(network.bridge()) +
                                      " is not a name for an interface (at "
                                      "most 15 characters)");
  }
  if (!IsSubnet(network.subnet())) {
    check.Wrong("network.subnet", Quoted(network.subnet()) +
                                      " is not a subnet such as "
                                      "\"10.190.0.0/16\"");
  }
  check.Between("network.plugin_timeout_seconds",
                network.plugin_timeout_seconds(), 1u, 3600u);
}

void CheckRegistry(const config::v1::Registry& registry, Checker& check) {
  check.Between("registry.stall_seconds", registry.stall_seconds(), 1u, 3600u);
  check.Between("registry.min_bytes_per_second",
                registry.min_bytes_per_second(), 0u, 1u << 30);
}

void CheckLimits(const config::v1::Limits& limits, Checker& check) {
  check.Between("limits.requests", limits.requests(), 8u, 4096u);
  check.Between("limits.exec_sync", limits.exec_sync(), 1u, 4096u);
  check.Between("limits.event_streams", limits.event_streams(), 1u, 1024u);
  check.Between("limits.pulls", limits.pulls(), 1u, 256u);
  check.Between("limits.exec_sync_output", limits.exec_sync_output(), 1024u,
                16u << 20);
  check.Between("limits.streams", limits.streams(), 1u, 16384u);
  check.Between("limits.log_line", limits.log_line(), 256u, 1u << 20);
}

void CheckDockerTcp(const Config& config, Checker& check) {
  const config::v1::DockerTcp& tcp = config.docker_tcp();
  int files = 0;
  for (const auto& [setting, path] :
       {std::pair("ca_cert", tcp.ca_cert()), std::pair("cert", tcp.cert()),
        std::pair("key", tcp.key())}) {
    check.Absolute(std::string("docker_tcp.") + setting, path);
    files += path.empty() ? 0 : 1;
  }
  if (tcp.address().empty()) return;
  const StatusOr<bool> loopback = door::IsLoopback(tcp.address());
  if (!loopback.ok()) {
    return check.Wrong("docker_tcp.address", Message(loopback.status()));
  }
  if (!tcp.insecure_loopback()) {
    if (files < 3) {
      check.Wrong("docker_tcp",
                  "needs ca_cert, cert and key: who gets in is "
                  "root on this machine");
    }
  } else if (files > 0) {
    check.Wrong("docker_tcp.insecure_loopback",
                "there are certificates: either they or this");
  } else if (!*loopback) {
    check.Wrong("docker_tcp.insecure_loopback",
                Quoted(tcp.address()) + " is not an address of loopback");
  }
}

void CheckStreaming(const config::v1::Streaming& streaming, Checker& check) {
  for (const auto& [setting, path] :
       {std::pair("cert", streaming.cert()), std::pair("key", streaming.key()),
        std::pair("ca_cert", streaming.ca_cert())}) {
    check.Absolute(std::string("streaming.") + setting, path);
  }
  check.Between("streaming.idle_timeout_seconds",
                streaming.idle_timeout_seconds(), 1u, 7u * 86400u);
  const bool tls = !streaming.cert().empty() && !streaming.key().empty();
  if (!tls &&
      !(streaming.cert() + streaming.key() + streaming.ca_cert()).empty()) {
    check.Wrong("streaming", "needs cert and key, or neither of them");
  }
  const StatusOr<bool> loopback = door::IsLoopback(streaming.address());
  if (!loopback.ok()) {
    check.Wrong("streaming.address", Message(loopback.status()));
  } else if (!*loopback && !tls) {
    check.Wrong("streaming.address",
                Quoted(streaming.address()) +
                    " is reached by other machines: it needs cert and key");
  }
}

void CheckBuild(const config::v1::Build& build, Checker& check) {
  check.Socket("build.socket", build.socket());
  check.Between("build.idle_seconds", build.idle_seconds(), 1u, 30u * 86400u);
  check.Between("build.cpus", build.cpus(), 0.0, 4096.0);
  if (build.image().empty() && build.socket().empty()) {
    check.Wrong("build.image", "must not be empty without build.socket");
  }
}

void CheckNri(const config::v1::Nri& nri, Checker& check) {
  check.Socket("nri.socket", nri.socket());
  check.Absolute("nri.plugin_dir", nri.plugin_dir());
  check.Absolute("nri.plugin_config_dir", nri.plugin_config_dir());
  check.Between("nri.registration_timeout_seconds",
                nri.registration_timeout_seconds(), 1u, 600u);
  check.Between("nri.request_timeout_seconds", nri.request_timeout_seconds(),
                1u, 600u);
}

void CheckExtras(const std::string& setting,
                 const config::v1::PodExtras& extras, Checker& check) {
  const Status status = PodExtrasOf(extras).status();
  if (!status.ok()) check.Wrong(setting + ".extras", Message(status));
}

void CheckHandlers(const Config& config, Checker& check) {
  CheckExtras("pods", config.pods().extras(), check);
  std::set<std::string> names;
  for (const config::v1::RuntimeHandler& handler : config.runtime_handlers()) {
    const std::string setting = "runtime_handlers " + Quoted(handler.name());
    if (handler.name().empty()) check.Wrong(setting, "has no name");
    if (!names.insert(handler.name()).second) {
      check.Wrong(setting, "is given twice");
    }
    check.Absolute(setting + ".runtime", handler.runtime());
    CheckExtras(setting, handler.extras(), check);
  }
}

}  // namespace

StatusOr<Config> ParseConfig(const std::string& text, const std::string& name) {
  Complaints complaints(name);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&complaints);
  Config config;
  if (!parser.ParseFromString(text, &config)) {
    return InvalidArgument(Join(complaints.lines(), "\n"));
  }
  return config;
}

StatusOr<Config> LoadConfig(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  ASSIGN_OR_RETURN(Config config, ParseConfig(text, file));
  ASSIGN_OR_RETURN(const std::vector<std::string> more, FilesOf(file + ".d"));
  for (const std::string& path : more) {
    ASSIGN_OR_RETURN(const std::string part_text, ReadFile(path));
    ASSIGN_OR_RETURN(const Config part, ParseConfig(part_text, path));
    config.MergeFrom(part);
  }
  return config;
}

StatusOr<cri::PodExtras> PodExtrasOf(const config::v1::PodExtras& extras) {
  return cri::ParsePodExtras(
      extras.shm_size(), {extras.ulimits().begin(), extras.ulimits().end()},
      {extras.annotations().begin(), extras.annotations().end()});
}

void CheckCgroups(const Config& config, Checker& check) {
  const std::string parent = CgroupParent(config);
  if (!UsesSystemd(config)) {
    check.Absolute("cgroup_parent", parent);
    if (parent == "/") {
      check.Wrong("cgroup_parent", "must name a cgroup below the root");
    }
    if (EndsWith(parent, kSlice)) {
      check.Wrong("cgroup_parent", Quoted(parent) +
                                       " is a slice of systemd's, and "
                                       "cgroup_driver is CGROUPFS");
    }
  } else if (!EndsWith(parent, kSlice) ||
             parent.find('/') != std::string::npos) {
    check.Wrong("cgroup_parent",
                Quoted(parent) +
                    " is not the name of a slice (NAME.slice), which the "
                    "systemd driver needs");
  }
}

std::vector<std::string> CheckConfig(const Config& config) {
  Checker check;
  for (const auto& [setting, path] :
       {std::pair("root", config.root()), std::pair("state", config.state())}) {
    check.Absolute(setting, path);
    if (path.empty()) check.Wrong(setting, "must not be empty");
  }
  if (config.state().size() > kMaxStatePath) {
    check.Wrong("state", Quoted(config.state()) + " has " +
                             std::to_string(config.state().size()) +
                             " bytes; the sockets below it leave room for " +
                             std::to_string(kMaxStatePath));
  }
  check.Socket("cri_socket", CriSocket(config));
  check.Socket("docker_socket", config.docker_socket());
  check.Socket("admin_socket", AdminSocket(config));
  check.Absolute("shim", config.shim());
  CheckCgroups(config, check);
  CheckNetwork(config.network(), check);
  check.Absolute("registry.config_dir", config.registry().config_dir());
  for (const std::string& dir : config.pods().cdi_spec_dirs()) {
    check.Absolute("pods.cdi_spec_dirs", dir);
  }
  check.Absolute("log.file", config.log().file());
  CheckRegistry(config.registry(), check);
  CheckLimits(config.limits(), check);
  CheckHandlers(config, check);
  CheckDockerTcp(config, check);
  CheckStreaming(config.streaming(), check);
  CheckBuild(config.build(), check);
  CheckNri(config.nri(), check);
  return std::move(check).Found();
}

bool UsesSystemd(const Config& config) {
  if (config.cgroup_driver() != Config::AUTO) {
    return config.cgroup_driver() == Config::SYSTEMD;
  }
  if (!config.cgroup_parent().empty()) {
    return EndsWith(config.cgroup_parent(), kSlice);
  }
  return sandbox::SystemdHasCgroups();
}

std::string CgroupParent(const Config& config) {
  if (!config.cgroup_parent().empty()) return config.cgroup_parent();
  return UsesSystemd(config) ? "system.slice" : "/berth";
}

std::string CriSocket(const Config& config) {
  if (!config.cri_socket().empty()) return config.cri_socket();
  return config.state() + "/berthd.sock";
}

std::string AdminSocket(const Config& config) {
  const std::string& name = config.admin_socket();
  const bool in_state = !name.empty() && name.find('/') == std::string::npos;
  return in_state ? config.state() + "/" + name : name;
}

std::string NriSocket(const Config& config) {
  return config.nri().enable() ? config.nri().socket() : "";
}

std::vector<std::string> PluginFolders(const Config& config) {
  const auto& dirs = config.network().bin_dirs();
  if (dirs.empty()) return {"/opt/cni/bin", "/usr/lib/cni"};
  return {dirs.begin(), dirs.end()};
}

std::vector<std::string> CdiFolders(const Config& config) {
  const auto& dirs = config.pods().cdi_spec_dirs();
  if (dirs.empty()) return {"/etc/cdi", "/var/run/cdi"};
  return {dirs.begin(), dirs.end()};
}

std::string ShimPath(const Config& config) {
  if (!config.shim().empty()) return config.shim();
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
  if (n <= 0) return "/usr/bin/berth-shim";
  const std::string self(path, static_cast<size_t>(n));
  return self.substr(0, self.rfind('/')) + "/berth-shim";
}

}  // namespace berth::daemon
