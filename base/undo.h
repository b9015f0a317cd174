#ifndef BASE_UNDO_H_
#define BASE_UNDO_H_

#include <functional>
#include <utility>
#include <vector>

namespace berth {

// What has to be taken back if a sequence of steps fails half-way: run last
// first by the destructor, unless Commit was called.
//
//   Undo undo;
//   RETURN_IF_ERROR(MakeCgroup(path));
//   undo.Add([&] { RemoveCgroup(path); });
//   ...
//   undo.Commit();
//
// What an action refers to must be declared before the Undo: the destructor
// runs the action after what was declared later has gone. Actions must not
// throw; one that can fail logs its own failure, so that the first error is the
// one returned. Single-threaded.
class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() { Run(); }

  void Add(std::function<void()> action) {
    actions_.push_back(std::move(action));
  }
  void Commit() { actions_.clear(); }
  void Run() {
    while (!actions_.empty()) {
      std::function<void()> action = std::move(actions_.back());
      actions_.pop_back();
      action();
    }
  }

 private:
  std::vector<std::function<void()>> actions_;
};

}  // namespace berth

#endif  // BASE_UNDO_H_
