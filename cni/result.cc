#include "cni/result.h"

#include <arpa/inet.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace berth::cni {
namespace {

struct Interface {
  std::string name;
  std::string mac;
  std::string sandbox;  // "" for one of the host's
};

bool IsAddress(const std::string& text, int& bits) {
  unsigned char bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
    bits = 32;
    return true;
  }
  bits = 128;
  return inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// "10.1.2.3/24"
Status ParseCidr(JsonReader& reader, Address& address) {
  std::string cidr;
  reader.Get("address", cidr);
  reader.Get("gateway", address.gateway);
  RETURN_IF_ERROR(reader.status());
  const std::vector<std::string> parts = Split(cidr, '/');
  int bits = 0;
  const bool good = parts.size() == 2 && IsAddress(parts[0], bits);
  const int64_t length = good ? ParseInt(parts[1]).value_or(-1) : -1;
  if (!good || length < 0 || length > bits) {
    return InvalidArgument(reader.PathOf("address") + ": " + Quoted(cidr) +
                           " is no address with a prefix length");
  }
  address.ip = parts[0];
  address.prefix_length = static_cast<int>(length);
  if (!address.gateway.empty() && !IsAddress(address.gateway, bits)) {
    return InvalidArgument(reader.PathOf("gateway") + ": " +
                           Quoted(address.gateway) + " is no address");
  }
  return OkStatus();
}

StatusOr<std::vector<Interface>> ParseInterfaces(JsonReader& reader) {
  std::vector<Interface> interfaces;
  for (const Json& element : reader.Array("interfaces")) {
    JsonReader member(element, reader.PathOf("interfaces"));
    Interface interface;
    member.Get("name", interface.name);
    member.Get("mac", interface.mac);
    member.Get("sandbox", interface.sandbox);
    RETURN_IF_ERROR(member.status());
    interfaces.push_back(std::move(interface));
  }
  RETURN_IF_ERROR(reader.status());
  return interfaces;
}

Status ParseDns(const Json* json, const std::string& path, Dns& dns) {
  if (json == nullptr) return OkStatus();
  JsonReader reader(*json, path);
  reader.Get("nameservers", dns.servers);
  reader.Get("search", dns.searches);
  reader.Get("options", dns.options);
  return reader.status();
}

}  // namespace

StatusOr<NetworkResult> ParseResult(const Json& result,
                                    const std::string& interface) {
  NetworkResult parsed;
  parsed.interface = interface;
  JsonReader reader(result, "result");
  ASSIGN_OR_RETURN(const std::vector<Interface> interfaces,
                   ParseInterfaces(reader));
  for (const Interface& candidate : interfaces) {
    if (candidate.name == interface && !candidate.sandbox.empty()) {
      parsed.mac = candidate.mac;
    }
  }

  std::vector<Address> others;
  for (const Json& element : reader.Array("ips")) {
    JsonReader member(element, reader.PathOf("ips"));
    Address address;
    RETURN_IF_ERROR(ParseCidr(member, address));
    std::optional<int64_t> index;
    member.Get("interface", index);
    RETURN_IF_ERROR(member.status());
    // Without an index it belongs to the one interface that was asked for.
    // -1 is how some plugins say the same.
    if (!index.has_value() || *index == -1) {
      parsed.addresses.push_back(std::move(address));
      continue;
    }
    if (*index < 0 || *index >= static_cast<int64_t>(interfaces.size())) {
      return InvalidArgument(member.PathOf("interface") + ": no interface " +
                             std::to_string(*index));
    }
    const Interface& owner = interfaces[static_cast<size_t>(*index)];
    if (owner.sandbox.empty()) continue;
    (owner.name == interface ? parsed.addresses : others)
        .push_back(std::move(address));
  }
  RETURN_IF_ERROR(reader.status());
  parsed.addresses.insert(parsed.addresses.end(), others.begin(), others.end());
  RETURN_IF_ERROR(ParseDns(reader.Find("dns"), "result.dns", parsed.dns));
  return parsed;
}

}  // namespace berth::cni
