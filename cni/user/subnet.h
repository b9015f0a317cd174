#ifndef CNI_USER_SUBNET_H_
#define CNI_USER_SUBNET_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::cni {

// A range of addresses of one family: "10.1.0.0/16", "fd00:1::/64". A value;
// thread-compatible.
class Subnet {
 public:
  // INVALID_ARGUMENT for what is no subnet, or has bits behind its prefix.
  static StatusOr<Subnet> Parse(const std::string& text);

  bool v6() const { return v6_; }
  std::string Text() const;
  // The address that is `offset` behind the first; "" if that is not inside.
  std::string Address(uint64_t offset) const;
  std::string Last() const;
  bool Contains(const std::string& address) const;
  bool Contains(const Subnet& other) const;
  // The parts, first and last address each, of what is left without these
  // addresses; in order.
  std::vector<std::pair<std::string, std::string>> Without(
      const std::vector<std::string>& addresses) const;
  bool Overlaps(const Subnet& other) const {
    return Contains(other) || other.Contains(*this);
  }

 private:
  using Bytes = std::array<uint8_t, 16>;  // of IPv4 the first four
  bool Covers(const Bytes& address) const;

  Bytes first_ = {};
  int prefix_ = 0;
  bool v6_ = false;
};

// The address in its shortest spelling; "" if the text is not an address.
std::string CanonicalAddress(const std::string& text);

// Of the text of /proc/net/route: the destinations but the default one. Pure.
std::vector<Subnet> ParseRoutes(std::string_view text);
// Of /proc/net/ipv6_route.
std::vector<Subnet> ParseRoutesV6(std::string_view text);

// A subnet for a network that asks for none: of IPv4 172.18.0.0/16 to
// 172.31.0.0/16, then 192.168.0.0/20 and so on; of IPv6 a /64 of the addresses
// for local use, by the network's id (hex). It overlaps none of `taken`.
// RESOURCE_EXHAUSTED if every such subnet is taken.
StatusOr<Subnet> ChooseSubnet(bool v6, const std::string& id,
                              const std::vector<Subnet>& taken);

}  // namespace berth::cni

#endif  // CNI_USER_SUBNET_H_
