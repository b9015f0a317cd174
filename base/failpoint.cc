#include "base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdio>
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
  int times = INT_MAX;
  std::atomic<int> passages = 0;
};

using Actions = std::map<std::string, std::unique_ptr<Action>, std::less<>>;

// Cuts "<mark>N" off the end of the text, if it is there.
void TakeNumber(std::string& text, char mark, int& number) {
  const size_t at = text.find(mark);
  if (at == std::string::npos) return;
  number = static_cast<int>(ParseInt(text.substr(at + 1)).value_or(number));
  text.resize(at);
}

Actions Parse(const char* text) {
  Actions actions;
  for (const std::string& entry : Split(text, ';')) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    auto action = std::make_unique<Action>();
    action->verb = entry.substr(equals + 1);
    TakeNumber(action->verb, '*', action->times);
    TakeNumber(action->verb, '@', action->first_passage);
    actions[entry.substr(0, equals)] = std::move(action);
  }
  return actions;
}

// Read once: null when nothing is armed.
const Actions* Armed() {
  static const Actions* const actions = [] {
    const char* text = getenv(kFailpointsVariable);
    return text == nullptr ? nullptr : new Actions(Parse(text));
  }();
  return actions;
}

void TellThatActed(const std::string& name) {
  const char* const file = getenv(kFailpointsActedVariable);
  if (file == nullptr) return;
  const int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string line = name + "\n";
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) perror(file);
  if (fd >= 0) close(fd);
}

}  // namespace

Status Failpoint(const char* name) {
  const Actions* const actions = Armed();
  if (actions == nullptr) return OkStatus();
  const auto it = actions->find(std::string_view(name));
  if (it == actions->end()) return OkStatus();
  Action& action = *it->second;
  const int late = ++action.passages - action.first_passage;
  if (late < 0 || late >= action.times) return OkStatus();
  TellThatActed(name);
  if (action.verb == "kill") {
    kill(getpid(), SIGKILL);
    pause();
  }
  if (action.verb == "error") {
    return Internal(std::string("failpoint ") + name);
  }
  if (StartsWith(action.verb, "sleep:")) {
    const std::string_view millis = std::string_view(action.verb).substr(6);
    usleep(1000 * static_cast<useconds_t>(ParseUint(millis).value_or(0)));
  }
  return OkStatus();
}

}  // namespace berth
