#include "shim/wire/options.h"

#include "base/strings.h"

namespace berth::shim {

StatusOr<containerd::runc::v1::Options> ParseOptions(const wire::Any& any) {
  containerd::runc::v1::Options options;
  if (any.type_url().empty()) return options;
  if (EndsWith(any.type_url(), "containerd.runc.v1.Options")) {
    if (options.ParseFromString(any.value())) return options;
    return InvalidArgument("options: cannot parse " + any.type_url());
  }
  if (EndsWith(any.type_url(), "runtimeoptions.v1.Options")) return options;
  return InvalidArgument("options of type " + Quoted(any.type_url()));
}

}  // namespace berth::shim
