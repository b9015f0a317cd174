#ifndef ADMIN_HEALTH_H_
#define ADMIN_HEALTH_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace berth::admin {

// Whether this daemon can do its work: every door serves, and the store can
// write. What it cannot mend and kubelet hears of elsewhere is no reason: a
// network without plugins, a registry that is silent, a container that fails.
//
// How to use it: no answer within a few seconds means that berthd is not up or
// hangs, and a watchdog may start it again (pods go on meanwhile). 503 means
// that it works and somebody has to look: a start anew makes no room on a disk.
//
// Immutable; thread-safe.
class Health {
 public:
  struct Door {
    std::string name;    // "cri"
    std::string socket;  // the path of its Unix socket
  };

  // `root`: the folder with the records. `unsaved`: how many records wait for
  // room on the disk; called from many threads, it must not wait.
  Health(std::vector<Door> doors, std::string root,
         std::function<size_t()> unsaved);

  // What is wrong, a line each; empty: nothing. Asked of the kernel each time:
  // each door is called (a connection without a request, by its Unix socket
  // only), and the file system tells its room. Does not wait, unless that file
  // system hangs.
  std::vector<std::string> Reasons() const;

 private:
  const std::vector<Door> doors_;
  const std::string root_;
  const std::function<size_t()> unsaved_;
};

}  // namespace berth::admin

#endif  // ADMIN_HEALTH_H_
