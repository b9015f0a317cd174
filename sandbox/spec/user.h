// Who the first process of a container is: the request and the image say it,
// /etc/passwd and /etc/group of the container translate it. Pure: their text
// is given.
#ifndef SANDBOX_SPEC_USER_H_
#define SANDBOX_SPEC_USER_H_

#include <string>
#include <string_view>

#include "api/state/v1/state.pb.h"
#include "base/status.h"

namespace berth::sandbox {

struct ResolvedUser {
  state::v1::ContainerUser ids;
  std::string home;  // "/" if the files do not tell
};

// Precedence: the request's name, number or "user[:group]", then
// `image_user`, then 0. A text of digits is never a name (CVE-2026-46680).
// The supplemental groups hold the primary one first; merged with those that
// the files give unless the policy is STRICT.
// INVALID_ARGUMENT: a group without a user, ids out of range, names that the
// files do not have.
StatusOr<ResolvedUser> ResolveUser(const state::v1::ContainerSecurity& security,
                                   std::string_view image_user,
                                   std::string_view passwd,
                                   std::string_view group);

// The same for an exec's "user[:group]".
StatusOr<ResolvedUser> ResolveUserText(std::string_view user,
                                       std::string_view passwd,
                                       std::string_view group);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_USER_H_
