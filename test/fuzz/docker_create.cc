// The body of POST /containers/create.
#include "api/state/v1/image.pb.h"
#include "base/json.h"
#include "docker/convert/create_request.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

// An image whose configuration a request adds to.
berth::state::v1::ImageConfig Image() {
  berth::state::v1::ImageConfig image;
  image.add_cmd("/bin/app");
  image.add_env("PATH=/bin");
  image.add_volumes("/data");
  image.add_exposed_ports("80/tcp");
  image.set_working_dir("/srv");
  return image;
}

}  // namespace

FUZZ_TARGET(bytes) {
  const auto body = berth::ParseJson(bytes, "body");
  if (!body.ok()) return false;
  const auto request = berth::docker::ConvertCreate(*body, Image());
  if (!request.ok()) return false;
  for (const auto& use : request->volumes) {
    FUZZ_CHECK(use.mount >= 0);
    FUZZ_CHECK(use.mount < request->container.mounts_size());
  }
  // What inspect answers from is written down as JSON.
  FUZZ_CHECK(berth::ParseJson(DumpJson(request->config), "config").ok());
  FUZZ_CHECK(berth::ParseJson(DumpJson(request->host_config), "host").ok());
  return true;
}
