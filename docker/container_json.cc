#include "docker/container_json.h"

#include <cstdio>
#include <set>

#include "base/digest.h"
#include "base/strings.h"
#include "docker/convert/start_error.h"
#include "docker/endpoint_json.h"
#include "docker/host_config_json.h"

namespace berth::docker {
namespace {

const char* ProtocolName(state::v1::Protocol protocol) {
  switch (protocol) {
    case state::v1::PROTOCOL_UDP:
      return "udp";
    case state::v1::PROTOCOL_SCTP:
      return "sctp";
    default:
      return "tcp";
  }
}

// "" where our own network mode is an address.
const std::string kAnyAddress = "0.0.0.0";

// It is reached through the default network, by ports of its own.
bool HasPorts(const View& view) {
  return view.sandbox != nullptr && view.running() &&
         view.sandbox->config().namespaces().network() ==
             state::v1::NAMESPACE_MODE_POD;
}

// "80/tcp" also of a port without a protocol.
std::set<std::string> ExposedPorts(const View& view) {
  std::set<std::string> ports;
  const Json* const exposed = view.notes->config.Find("ExposedPorts");
  if (exposed == nullptr) return ports;
  for (const auto& [port, ignored] : exposed->members()) {
    const bool bare = port.find('/') == std::string::npos;
    ports.insert(bare ? port + "/tcp" : port);
  }
  return ports;
}

// PortMap of inspect: published and merely exposed ones.
Json PortMapJson(const View& view) {
  Json map = Json::object();
  if (!HasPorts(view)) return map;
  for (const std::string& port : ExposedPorts(view)) map[port] = nullptr;
  for (const auto& mapping : view.sandbox->config().port_mappings()) {
    if (mapping.host_port() == 0) continue;
    const std::string key = std::to_string(mapping.container_port()) + "/" +
                            ProtocolName(mapping.protocol());
    map[key].push_back(
        {{"HostIp",
          mapping.host_ip().empty() ? kAnyAddress : mapping.host_ip()},
         {"HostPort", std::to_string(mapping.host_port())}});
  }
  return map;
}

// The same as the list has it.
Json PortListJson(const View& view) {
  Json list = Json::array();
  if (!HasPorts(view)) return list;
  std::set<std::string> exposed = ExposedPorts(view);
  for (const auto& mapping : view.sandbox->config().port_mappings()) {
    if (mapping.host_port() == 0) continue;
    const char* protocol = ProtocolName(mapping.protocol());
    exposed.erase(std::to_string(mapping.container_port()) + "/" + protocol);
    list.push_back(
        {{"IP", mapping.host_ip().empty() ? kAnyAddress : mapping.host_ip()},
         {"PrivatePort", mapping.container_port()},
         {"PublicPort", mapping.host_port()},
         {"Type", protocol}});
  }
  for (const std::string& port : exposed) {
    const std::vector<std::string> parts = Split(port, '/');
    list.push_back(
        {{"PrivatePort", ParseInt(parts[0]).value_or(0)}, {"Type", parts[1]}});
  }
  return list;
}

std::string PropagationText(const state::v1::Mount& mount) {
  const std::string recursive = mount.non_recursive() ? "" : "r";
  switch (mount.propagation()) {
    case state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER:
      return recursive + "slave";
    case state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL:
      return recursive + "shared";
    default:
      return recursive + "private";
  }
}

// Those of HostConfig.Tmpfs are shown there alone.
Json MountsJson(const View& view, const Surroundings& around) {
  Json list = Json::array();
  const Json* const hidden = view.notes->host_config.Find("Tmpfs");
  for (const auto& mount : view.container->config().mounts()) {
    const bool tmpfs = mount.type() == state::v1::MOUNT_TYPE_TMPFS;
    if (tmpfs && hidden != nullptr &&
        hidden->Find(mount.container_path()) != nullptr) {
      continue;
    }
    Json json = {{"Type", tmpfs ? "tmpfs" : "bind"},
                 {"Source", tmpfs ? "" : mount.host_path()},
                 {"Destination", mount.container_path()},
                 {"Mode", mount.readonly() ? "ro" : ""},
                 {"RW", !mount.readonly()},
                 {"Propagation", tmpfs ? "" : PropagationText(mount)}};
    if (mount.type() == state::v1::MOUNT_TYPE_IMAGE) {
      json["Type"] = "image";
      json["Source"] = mount.image();
      json["Propagation"] = "";
    }
    if (!mount.volume().empty()) {
      json["Type"] = "volume";
      json["Name"] = mount.volume();
      json["Driver"] = "local";
      json["Source"] =
          around.volume_directory + "/" + mount.volume() + "/_data";
      json["Propagation"] = "";
    }
    list.push_back(std::move(json));
  }
  return list;
}

// Path and arguments: in force once it has run, else as asked for.
std::vector<std::string> Argv(const View& view) {
  const auto& argv = view.container->argv();
  if (!argv.empty()) return {argv.begin(), argv.end()};
  const auto& config = view.container->config();
  std::vector<std::string> all(config.command().begin(),
                               config.command().end());
  all.insert(all.end(), config.args().begin(), config.args().end());
  return all;
}

std::string ErrorText(const View& view) {
  if (!view.notes_status.ok()) return Message(view.notes_status);
  return view.failed_start() ? StartErrorText(view.container->message()) : "";
}

Json StateJson(const View& view, const Surroundings& around) {
  const auto& record = *view.container;
  Json json = {
      {"Status", view.state(around.restarting)},
      {"Running", view.running() || around.restarting},
      {"Paused", view.running() && record.paused()},
      {"Restarting", around.restarting},
      {"OOMKilled", record.oom_killed()},
      {"Dead", false},
      {"Pid", view.running() ? record.pid() : 0},
      {"ExitCode", view.running() ? 0 : view.exit_code()},
      {"Error", ErrorText(view)},
      {"StartedAt", TimeText(view.failed_start() ? 0 : record.started_at())},
      {"FinishedAt", TimeText(view.failed_start() ? 0 : view.finished_at())}};
  if (around.health) json["Health"] = around.health->ToJson();
  return json;
}

std::string HealthText(const Surroundings& around) {
  if (!around.health) return "";
  const std::string& status = around.health->status();
  return status == "starting" ? " (health: starting)" : " (" + status + ")";
}

std::string StatusText(const View& view, const Surroundings& around) {
  const auto& record = *view.container;
  const auto since = [&](UnixNanos time) {
    return HumanDuration(Duration(around.now - time));
  };
  const std::string state = view.state(around.restarting);
  const std::string code = "(" + std::to_string(view.exit_code()) + ") ";
  if (state == "running") {
    return "Up " + since(record.started_at()) + HealthText(around);
  }
  if (state == "paused")
    return "Up " + since(record.started_at()) + " (Paused)";
  if (state == "restarting") {
    return "Restarting " + code + since(view.finished_at()) + " ago";
  }
  if (state == "exited") {
    return "Exited " + code + since(view.finished_at()) + " ago";
  }
  return state == "removing" ? "Removal In Progress" : "Created";
}

std::map<std::string, std::string> Labels(const View& view) {
  const auto& labels = view.container->config().labels();
  return {labels.begin(), labels.end()};
}

// A pod's container was made without our notes: what they would have said.
Json ConfigJson(const View& view) {
  Json config = view.notes->config;
  const auto& ours = view.container->config();
  config["Labels"] = Labels(view);
  config["Image"] = ImageName(view);
  config["Tty"] = ours.tty();
  config["OpenStdin"] = ours.stdin();
  if (config.Text("Hostname").empty() && view.sandbox != nullptr) {
    config["Hostname"] = view.sandbox->hostname().empty()
                             ? view.id().substr(0, 12)
                             : view.sandbox->hostname();
  }
  if (config.Find("Cmd") == nullptr) config["Cmd"] = Argv(view);
  for (const char* text : {"Domainname", "User", "WorkingDir"}) {
    if (config.Find(text) == nullptr) config[text] = "";
  }
  for (const char* list : {"Env", "Entrypoint", "Volumes", "OnBuild"}) {
    if (config.Find(list) == nullptr) config[list] = nullptr;
  }
  return config;
}

}  // namespace

std::string ImageName(const View& view) {
  const auto& config = view.container->config();
  if (!config.user_specified_image().empty()) {
    return config.user_specified_image();
  }
  return config.image().empty() ? config.image_id() : config.image();
}

std::string NetworkModeOf(const View& view) {
  const std::string mode = view.notes->host_config.Text("NetworkMode");
  if (!mode.empty() && mode != "default") return mode;
  if (view.sandbox != nullptr) {
    const auto network = view.sandbox->config().namespaces().network();
    if (network == state::v1::NAMESPACE_MODE_NODE) return "host";
    if (network == state::v1::NAMESPACE_MODE_NONE) return "none";
  }
  return "bridge";
}

std::string NetworkId(const std::string& name) {
  return Digest::Of("network " + name).hex();
}

std::string TimeText(UnixNanos time) {
  if (time <= 0) return "0001-01-01T00:00:00Z";
  std::string text = FormatRfc3339(time);  // nine digits and Z
  text.pop_back();
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + "Z";
}

std::string HumanDuration(Duration duration) {
  const int64_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  const auto many = [](int64_t count, const char* unit) {
    return std::to_string(count) + " " + unit;
  };
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return many(seconds, "seconds");
  const int64_t minutes = seconds / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return many(minutes, "minutes");
  const int64_t hours = (seconds + 1800) / 3600;
  if (hours == 1) return "About an hour";
  if (hours < 48) return many(hours, "hours");
  if (hours < 24 * 14) return many(hours / 24, "days");
  if (hours < 24 * 60) return many(hours / 24 / 7, "weeks");
  if (hours < 24 * 365 * 2) return many(hours / 24 / 30, "months");
  return many(hours / 24 / 365, "years");
}

Json InspectJson(const View& view, const Surroundings& around) {
  const auto& record = *view.container;
  const std::vector<std::string> argv = Argv(view);
  Json json = {{"Id", record.id()},
               {"Created", TimeText(record.created_at())},
               {"Path", argv.empty() ? "" : argv[0]},
               {"Args", argv.empty() ? std::vector<std::string>()
                                     : std::vector<std::string>(
                                           argv.begin() + 1, argv.end())},
               {"State", StateJson(view, around)},
               {"Image", record.config().image_id()},
               {"LogPath", record.log_path()},
               {"Name", "/" + view.name()},
               {"RestartCount", view.restarts()},
               {"Driver", "overlay2"},
               {"Platform", "linux"},
               {"MountLabel", record.mount_label()},
               {"ProcessLabel", record.process_label()},
               {"AppArmorProfile", record.apparmor_profile()},
               {"ExecIDs", nullptr},
               {"HostConfig", HostConfigJson(view)},
               {"GraphDriver", {{"Name", "overlay2"}, {"Data", nullptr}}},
               {"Mounts", MountsJson(view, around)},
               {"Config", ConfigJson(view)}};
  const std::string files =
      view.sandbox == nullptr ? "" : view.sandbox->directory().root_path();
  json["ResolvConfPath"] = files.empty() ? "" : files + "/resolv.conf";
  json["HostnamePath"] = files.empty() ? "" : files + "/hostname";
  json["HostsPath"] = files.empty() ? "" : files + "/hosts";

  Json networks = EndpointsJson(view);
  Json settings = {
      {"Bridge", ""},
      {"SandboxID", record.sandbox_id()},
      {"SandboxKey",
       view.sandbox == nullptr ? "" : view.sandbox->namespaces().network()},
      {"HairpinMode", false},
      {"LinkLocalIPv6Address", ""},
      {"LinkLocalIPv6PrefixLen", 0},
      {"SecondaryIPAddresses", nullptr},
      {"SecondaryIPv6Addresses", nullptr},
      {"Ports", PortMapJson(view)},
      {"Networks", networks}};
  // The default network's addresses are repeated at the top.
  Json endpoint = networks.Find("bridge") != nullptr ? networks["bridge"]
                                                     : BareEndpointJson();
  for (const char* member :
       {"EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen",
        "IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress"}) {
    settings[member] = endpoint[member];
  }
  json["NetworkSettings"] = std::move(settings);
  return json;
}

namespace {

// Arguments with blanks stand in quotes.
std::string CommandText(const std::vector<std::string>& argv) {
  std::vector<std::string> words;
  for (const std::string& word : argv) {
    const bool quoted = !words.empty() && word.find(' ') != std::string::npos;
    words.push_back(quoted ? "'" + word + "'" : word);
  }
  return Join(words, " ");
}

}  // namespace

Json SummaryJson(const View& view, const Surroundings& around) {
  const auto& record = *view.container;
  Json health = {{"Status", "none"}, {"FailingStreak", 0}};
  if (around.health) health = around.health->ToJson();
  health.erase("Log");
  return {{"Id", record.id()},
          {"Names", {"/" + view.name()}},
          {"Image", ImageName(view)},
          {"ImageID", record.config().image_id()},
          {"Command", CommandText(Argv(view))},
          {"Created", record.created_at() / 1000000000},
          {"Ports", PortListJson(view)},
          {"Labels", Labels(view)},
          {"State", view.state(around.restarting)},
          {"Status", StatusText(view, around)},
          {"Health", std::move(health)},
          {"HostConfig", {{"NetworkMode", NetworkModeOf(view)}}},
          {"NetworkSettings", {{"Networks", EndpointsJson(view)}}},
          {"Mounts", MountsJson(view, around)}};
}

}  // namespace berth::docker
