#include "cri/security_profiles.h"

#include <vector>

#include "cri/convert.h"
#include "cri/convert_image.h"
#include "sandbox/spec/security.h"

namespace berth::cri {

StatusOr<v1::PullSecurityProfileResponse> SecurityProfiles::PullSecurityProfile(
    const Context& ctx, const v1::PullSecurityProfileRequest& request) {
  if (request.profile_kind() != v1::Seccomp) {
    return InvalidArgument("profile_kind: must be Seccomp");
  }
  // Which capabilities a container will have is not known yet, and it decides
  // nothing on whether the text is a profile.
  const StatusOr<bool> cached =
      profiles_.Pull(ctx, request.image().image(), FromAuth(request.auth()),
                     [](const std::string& json) {
                       return sandbox::ParseSeccompProfile(json, {}).status();
                     });
  RETURN_IF_ERROR(WordFirst(cached.status()));
  v1::PullSecurityProfileResponse response;
  response.set_cached(*cached);
  return response;
}

StatusOr<v1::ListSecurityProfilesResponse>
SecurityProfiles::ListSecurityProfiles(const Context&,
                                       const v1::ListSecurityProfilesRequest&) {
  ASSIGN_OR_RETURN(const std::vector<image::Profiles::Profile> list,
                   profiles_.List());
  v1::ListSecurityProfilesResponse response;
  for (const image::Profiles::Profile& profile : list) {
    v1::SecurityProfileInfo& info = *response.add_profiles();
    info.set_digest(profile.digest);
    info.mutable_refs()->Assign(profile.names.begin(), profile.names.end());
    info.set_size(profile.size);
  }
  return response;
}

StatusOr<v1::RemoveSecurityProfileResponse>
SecurityProfiles::RemoveSecurityProfile(
    const Context&, const v1::RemoveSecurityProfileRequest& request) {
  if (request.digest().empty()) return InvalidArgument("digest: is missing");
  RETURN_IF_ERROR(profiles_.Remove(request.digest()));
  return v1::RemoveSecurityProfileResponse();
}

}  // namespace berth::cri
