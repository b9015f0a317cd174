#ifndef BASE_FS_PRIVATE_FOLDER_H_
#define BASE_FS_PRIVATE_FOLDER_H_

#include <string>

#include "base/fs/host_paths.h"
#include "base/status.h"

namespace berth {

// Makes a directory that only its owner, we, can enter (0700). Missing parents
// are 0755. One that exists is tightened.
//
// FAILED_PRECONDITION if it belongs to another user, or if others can write to
// it: what they may have put there cannot be trusted, and a shared directory
// such as /tmp must not be taken from them.
Status MakePrivateFolder(const std::string& path);

// Makes root and state private, and then the directories that an earlier
// version left open below them. What is a container's own, the contents of
// layers, volumes and mounts, keeps its modes: below private directories no
// other user of the host reaches the set-user-ID files in there
// (CVE-2024-25621).
Status MakePrivate(const HostPaths& paths);

}  // namespace berth

#endif  // BASE_FS_PRIVATE_FOLDER_H_
