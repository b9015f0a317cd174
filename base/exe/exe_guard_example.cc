// A guarded program for exe_guard_test: says where its file is, and whether it
// is guarded. The tests look at it from outside too: it waits for its input's
// end.
#include <stdio.h>
#include <unistd.h>

#include "base/exe/exe_guard.h"

namespace berth {

const char* const kGuardedWords[] = {"guard", nullptr};

}  // namespace berth

int main(int argc, char** argv) {
  char path[256] = {};
  if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) return 1;
  const berth::Status guarded = berth::CheckExeGuard("guarded");
  printf("%s %s %s\n", guarded.ok() ? "guarded" : "open", path, argv[argc - 1]);
  fflush(stdout);
  char byte;
  return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
