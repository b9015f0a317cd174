#include "cri/convert_image.h"

#include <optional>

#include "base/strings.h"

namespace berth::cri {

v1::Image ToImage(const image::Image& image) {
  v1::Image ours;
  ours.set_id(image.record.id());
  *ours.mutable_repo_tags() = {image.repo_tags.begin(), image.repo_tags.end()};
  *ours.mutable_repo_digests() = {image.repo_digests.begin(),
                                  image.repo_digests.end()};
  ours.set_size(image.record.size());
  ours.mutable_spec()->set_image(image.record.id());
  ours.set_pinned(image.pinned);
  // "user[:group]": a number or a name.
  const std::string& user = image.record.config().user();
  const std::string name = user.substr(0, user.find(':'));
  const std::optional<int64_t> uid = ParseInt(name);
  if (uid.has_value()) {
    ours.mutable_uid()->set_value(*uid);
  } else {
    ours.set_username(name);
  }
  return ours;
}

image::RegistryAuth FromAuth(const v1::AuthConfig& auth) {
  return {.username = auth.username(),
          .password = auth.password(),
          .auth = auth.auth(),
          .server_address = auth.server_address(),
          .identity_token = auth.identity_token(),
          .registry_token = auth.registry_token()};
}

}  // namespace berth::cri
