#include "shim/wire/bootstrap.h"

#include "api/shim/runtime/bootstrap/v1/bootstrap.pb.h"
#include "base/json.h"
#include "base/strings.h"
#include "shim/wire/options.h"

namespace berth::shim {
namespace {

namespace v1 = containerd::runtime::bootstrap::v1;

constexpr char kOptionsType[] = "containerd.runc.v1.Options";
constexpr char kUnixScheme[] = "unix://";

StatusOr<std::string> SocketPathOf(const std::string& address) {
  std::string path = address;
  if (StartsWith(path, kUnixScheme)) path.erase(0, sizeof(kUnixScheme) - 1);
  if (!StartsWith(path, "/") || path.find('\0') != std::string::npos) {
    return DataLoss("not a shim's address: " + Quoted(address.substr(0, 256)));
  }
  return path;
}

StatusOr<ShimAddress> ToAddress(const std::string& address, int64_t version,
                                const std::string& protocol) {
  if (!protocol.empty() && protocol != "ttrpc") {
    return Unimplemented("a shim that speaks " + Quoted(protocol));
  }
  if (version > 3) {
    return Unimplemented("a shim of version " + std::to_string(version));
  }
  ShimAddress parsed;
  ASSIGN_OR_RETURN(parsed.path, SocketPathOf(address));
  if (version > 0) parsed.version = static_cast<int>(version);
  return parsed;
}

StatusOr<ShimAddress> ParseJsonAddress(const std::string& bytes) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(bytes, "shim's answer"));
  JsonReader reader(json, "shim's answer");
  int64_t version = 2;
  std::string address, protocol;
  reader.Get("version", version);
  reader.Get("address", address);
  reader.Get("protocol", protocol);
  RETURN_IF_ERROR(reader.status());
  return ToAddress(address, version, protocol);
}

wire::Any ToAny(const containerd::runc::v1::Options& options) {
  wire::Any any;
  any.set_type_url(kOptionsType);
  any.set_value(options.SerializeAsString());
  return any;
}

}  // namespace

StatusOr<StartInput> ParseStartInput(const std::string& bytes,
                                     const std::string& id,
                                     const std::string& name_space) {
  StartInput input;
  v1::BootstrapParams params;
  if (params.ParseFromString(bytes) && params.instance_id() == id &&
      params.namespace_() == name_space) {
    input.bootstrap = true;
    input.socket_dir = params.socket_dir();
    input.event_address = params.containerd_ttrpc_address();
    for (const v1::Extension& extension : params.extensions()) {
      if (!EndsWith(extension.value().type_url(), kOptionsType)) continue;
      ASSIGN_OR_RETURN(input.options, ParseOptions(extension.value()));
    }
    return input;
  }
  wire::Any any;
  if (!any.ParseFromString(bytes)) {
    return InvalidArgument("standard input is not a message of options");
  }
  ASSIGN_OR_RETURN(input.options, ParseOptions(any));
  return input;
}

std::string FormatStartInput(const std::string& id,
                             const std::string& name_space,
                             const containerd::runc::v1::Options& options) {
  v1::BootstrapParams params;
  params.set_instance_id(id);
  params.set_namespace_(name_space);
  *params.add_extensions()->mutable_value() = ToAny(options);
  return params.SerializeAsString();
}

std::string FormatOptions(const containerd::runc::v1::Options& options) {
  return ToAny(options).SerializeAsString();
}

std::string FormatStartOutput(const ShimAddress& address, StartFormat format) {
  const std::string uri = kUnixScheme + address.path;
  switch (format) {
    case StartFormat::kPlain:
      return uri;
    case StartFormat::kJson:
      return DumpJson({{"version", address.version},
                       {"address", uri},
                       {"protocol", "ttrpc"}});
    case StartFormat::kBootstrap:
      break;
  }
  v1::BootstrapResult result;
  result.set_version(address.version);
  result.set_address(uri);
  result.set_protocol("ttrpc");
  return result.SerializeAsString();
}

StatusOr<ShimAddress> ParseStartOutput(const std::string& bytes) {
  v1::BootstrapResult result;
  if (result.ParseFromString(bytes) && !result.address().empty()) {
    return ToAddress(result.address(), result.version(), result.protocol());
  }
  const std::string text(Trim(bytes));
  if (StartsWith(text, "{")) return ParseJsonAddress(text);
  return ToAddress(text, 2, "");
}

std::string SocketName(const std::string& manager,
                       const std::string& name_space,
                       const std::string& group) {
  // FNV-1a of 128 bits: http://www.isthe.com/chongo/tech/comp/fnv/
  using Wide = unsigned __int128;
  const Wide prime = (Wide{1} << 88) + 0x13b;
  Wide hash = (Wide{0x6c62272e07bb0142} << 64) + 0x62b821756295c58d;
  for (const char c : manager + '\0' + name_space + '\0' + group) {
    hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  }
  std::string bytes;
  for (int shift = 120; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(hash >> shift & 0xff));
  }
  return HexEncode(bytes);
}

}  // namespace berth::shim
