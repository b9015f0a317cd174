#ifndef DOCKER_CONVERT_REQUEST_PATH_H_
#define DOCKER_CONVERT_REQUEST_PATH_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::docker {

// Without empty parts, "." and ".."; a slash at the end stays. Requests for
// another spelling of a path are redirected to this one, as by Go's routers.
std::string CleanPath(const std::string& path);

// As it is written in a Location header.
std::string TargetText(
    const std::string& path,
    const std::map<std::string, std::vector<std::string>, std::less<>>& query);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_REQUEST_PATH_H_
