// The last steps before a program runs: what it is called, where, with which
// environment. All of it happens inside the container's root, and so must
// follow the root's own files only.
#ifndef OCI_INIT_PROGRAM_H_
#define OCI_INIT_PROGRAM_H_

#include <string>
#include <vector>

#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// process.env with the last of equal names, and HOME from the container's
// /etc/passwd if there is none ("/" if the user is not in it).
std::vector<std::string> FinalEnvironment(const ProcessSpec& process,
                                          const RootedPath& root);

// The file to execute: args[0] itself if it has a slash, else found in PATH of
// `env`. NOT_FOUND ("executable file not found in $PATH") or
// PERMISSION_DENIED, in the words that callers of runc look for.
StatusOr<std::string> FindProgram(const std::string& name,
                                  const std::vector<std::string>& env);

// Goes to process.cwd. PERMISSION_DENIED is worth a second try as the user.
// A directory outside the root is refused (CVE-2024-21626).
Status EnterDirectory(const std::string& directory, const RootedPath& root);

// An execve(2) with all that it needs, so that between a filter and the call
// nothing is allocated, which might be a system call. What it is made of must
// outlive it. Single-threaded.
class Execution {
 public:
  Execution(const std::string& path, const std::vector<std::string>& args,
            const std::vector<std::string>& env);

  // Returns only to say why not.
  Status Run() const;

 private:
  const std::string& path_;
  std::vector<char*> args_;
  std::vector<char*> env_;
};

}  // namespace berth::oci

#endif  // OCI_INIT_PROGRAM_H_
