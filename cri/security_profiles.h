#ifndef CRI_SECURITY_PROFILES_H_
#define CRI_SECURITY_PROFILES_H_

#include <string>

#include "api/cri/v1/image_api.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "image/profiles.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// What the CRI's ImageService has for seccomp profiles from registries, which
// are no images. Thread-safe.
class SecurityProfiles {
 public:
  // `profiles` must outlive it.
  explicit SecurityProfiles(image::Profiles& profiles) : profiles_(profiles) {}

  StatusOr<v1::PullSecurityProfileResponse> PullSecurityProfile(
      const Context& ctx, const v1::PullSecurityProfileRequest& request);
  StatusOr<v1::ListSecurityProfilesResponse> ListSecurityProfiles(
      const Context& ctx, const v1::ListSecurityProfilesRequest& request);
  StatusOr<v1::RemoveSecurityProfileResponse> RemoveSecurityProfile(
      const Context& ctx, const v1::RemoveSecurityProfileRequest& request);

  // The JSON of the one with the digest in `name`.
  StatusOr<std::string> Read(const std::string& name) const {
    return profiles_.Read(name);
  }

 private:
  image::Profiles& profiles_;
};

}  // namespace berth::cri

#endif  // CRI_SECURITY_PROFILES_H_
