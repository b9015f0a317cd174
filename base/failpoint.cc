#include "base/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/strings.h"

namespace berth {
namespace {

struct Action {
  std::string verb;
  int first_passage = 1;
  std::atomic<int> passages = 0;
};

using Actions = std::map<std::string, std::unique_ptr<Action>, std::less<>>;

Actions Parse(const char* text) {
  Actions actions;
  for (const std::string& entry : Split(text, ';')) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    auto action = std::make_unique<Action>();
    action->verb = entry.substr(equals + 1);
    const size_t at = action->verb.find('@');
    if (at != std::string::npos) {
      action->first_passage = atoi(action->verb.c_str() + at + 1);
      action->verb.resize(at);
    }
    actions[entry.substr(0, equals)] = std::move(action);
  }
  return actions;
}

// Read once: null when nothing is armed.
const Actions* Armed() {
  static const Actions* const actions = [] {
    const char* text = getenv("BERTH_FAILPOINTS");
    return text == nullptr ? nullptr : new Actions(Parse(text));
  }();
  return actions;
}

}  // namespace

Status Failpoint(const char* name) {
  const Actions* const actions = Armed();
  if (actions == nullptr) return OkStatus();
  const auto it = actions->find(std::string_view(name));
  if (it == actions->end()) return OkStatus();
  Action& action = *it->second;
  if (++action.passages < action.first_passage) return OkStatus();
  if (action.verb == "kill") {
    kill(getpid(), SIGKILL);
    pause();
  }
  if (action.verb == "error") {
    return Internal(std::string("failpoint ") + name);
  }
  if (StartsWith(action.verb, "sleep:")) {
    usleep(1000 * static_cast<unsigned>(atoi(action.verb.c_str() + 6)));
  }
  return OkStatus();
}

}  // namespace berth
