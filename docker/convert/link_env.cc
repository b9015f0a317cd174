#include "docker/convert/link_env.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

#include "base/strings.h"

namespace berth::docker {
namespace {

struct Port {
  int64_t number = 0;
  std::string protocol;

  bool tcp() const { return protocol == "tcp"; }
  std::string text() const { return std::to_string(number); }
};

std::vector<Port> PortsOf(const Json& config) {
  std::vector<Port> ports;
  const Json* const exposed = config.Find("ExposedPorts");
  if (exposed == nullptr) return ports;
  for (const auto& [text, value] : exposed->members()) {
    const size_t slash = text.find('/');
    Port port;
    port.number = ParseInt(text.substr(0, slash)).value_or(0);
    port.protocol =
        slash == std::string::npos ? "tcp" : Lower(text.substr(slash + 1));
    if (port.number > 0) ports.push_back(std::move(port));
  }
  return ports;
}

// TCP first, then by number.
bool TcpFirst(const Port& a, const Port& b) {
  if (a.protocol == b.protocol) return a.number < b.number;
  if (a.tcp() != b.tcp()) return a.tcp();
  return a.protocol < b.protocol;
}

class LinkVariables {
 public:
  LinkVariables(const Link& link, std::string prefix)
      : link_(link), prefix_(std::move(prefix)) {}

  void Add(const std::string& name, const std::string& value) {
    variables_.push_back(prefix_ + "_" + name + "=" + value);
  }
  std::string UrlOf(const Port& port) const {
    return port.protocol + "://" + link_.address + ":" + port.text();
  }
  // Of three ports or more without a gap between them.
  void AddRange(const Port& first, const Port& last) {
    const std::string name = NameOf(first);
    Add(name + "_START", UrlOf(first));
    Add(name + "_ADDR", link_.address);
    Add(name + "_PROTO", first.protocol);
    Add(name + "_PORT_START", first.text());
    Add(name + "_END", UrlOf(last));
    Add(name + "_PORT_END", last.text());
  }
  void AddPort(const Port& port) {
    const std::string name = NameOf(port);
    Add(name, UrlOf(port));
    Add(name + "_ADDR", link_.address);
    Add(name + "_PORT", port.text());
    Add(name + "_PROTO", port.protocol);
  }
  std::vector<std::string> Take() { return std::move(variables_); }

 private:
  static std::string NameOf(const Port& port) {
    return "PORT_" + port.text() + "_" + Upper(port.protocol);
  }
  static std::string Upper(std::string text) {
    for (char& c : text) {
      c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
    }
    return text;
  }

  const Link& link_;
  const std::string prefix_;
  std::vector<std::string> variables_;
};

// "/PARENT/my-db" -> "MY_DB".
std::string PrefixOf(const std::string& name) {
  std::string prefix = name.substr(name.rfind('/') + 1);
  for (char& c : prefix) {
    c = c == '-' ? '_'
                 : static_cast<char>(toupper(static_cast<unsigned char>(c)));
  }
  return prefix;
}

void AddPorts(std::vector<Port> ports, LinkVariables& variables) {
  if (ports.empty()) return;
  std::sort(ports.begin(), ports.end(), TcpFirst);
  variables.Add("PORT", variables.UrlOf(ports[0]));
  for (size_t i = 0; i < ports.size();) {
    size_t last = i;
    while (last + 1 < ports.size() &&
           ports[last + 1].number == ports[last].number + 1) {
      ++last;
    }
    if (last > i + 1) variables.AddRange(ports[i], ports[last]);
    i = last > i + 1 ? last + 1 : i + 1;
  }
  for (const Port& port : ports) variables.AddPort(port);
}

}  // namespace

std::vector<std::string> LinkEnv(const Link& link) {
  LinkVariables variables(link, PrefixOf(link.name));
  AddPorts(PortsOf(link.config), variables);
  variables.Add("NAME", link.name);
  const Json* const env = link.config.Find("Env");
  if (env == nullptr) return variables.Take();
  for (const Json& entry : env->elements()) {
    const std::string text = entry.is_string() ? *entry.AsText() : "";
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos || name == "HOME" || name == "PATH") {
      continue;
    }
    variables.Add("ENV_" + name, text.substr(equals + 1));
  }
  return variables.Take();
}

}  // namespace berth::docker
