// state.json, which the runtime reads again in each of its commands.
#include <string>

#include "base/testing/temp_dir.h"
#include "oci/container/state_file.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

// ROOT/ID of one container.
struct StateFolder {
  StateFolder() { dir.MakeDirectory("c"); }
  berth::TempDir dir;
};

}  // namespace

FUZZ_TARGET(bytes) {
  using berth::oci::StateFile;
  static const StateFolder folder;
  folder.dir.Write("c/state.json", bytes);
  const auto state = StateFile::Load(folder.dir.path(), "c");
  if (!state.ok()) return false;
  FUZZ_CHECK(state->Save().ok());
  const auto again = StateFile::Load(folder.dir.path(), "c");
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->pid == state->pid);
  FUZZ_CHECK(again->start_time == state->start_time);
  FUZZ_CHECK(again->created == state->created);
  return true;
}
