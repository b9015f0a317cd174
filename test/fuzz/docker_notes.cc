// What the Docker door keeps with a container, as inspect and list read it
// again: a record may have been written by another version.
#include <memory>
#include <string>

#include "api/state/v1/state.pb.h"
#include "base/json.h"
#include "docker/container_json.h"
#include "docker/notes.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

berth::docker::View ViewOf(std::string_view notes) {
  berth::state::v1::ContainerRecord container;
  container.set_id("c");
  container.set_phase(berth::state::v1::CONTAINER_PHASE_EXITED);
  container.mutable_config()->set_door_notes(std::string(notes));
  berth::state::v1::SandboxRecord sandbox;
  sandbox.set_id("s");
  sandbox.mutable_config()->set_kind(berth::state::v1::SANDBOX_KIND_STANDALONE);
  berth::docker::View view;
  view.container =
      std::make_shared<berth::state::v1::ContainerRecord>(container);
  view.sandbox = std::make_shared<berth::state::v1::SandboxRecord>(sandbox);
  auto read = berth::docker::ParseNotes(std::string(notes));
  view.notes_status = read.status();
  if (read.ok()) {
    view.notes = std::make_shared<const berth::docker::Notes>(*std::move(read));
  }
  return view;
}

}  // namespace

FUZZ_TARGET(bytes) {
  using namespace berth::docker;
  const View view = ViewOf(bytes);
  const Surroundings around{"/volumes", false, std::nullopt,
                            1'700'000'000'000'000'000};
  for (const auto& json :
       {InspectJson(view, around), SummaryJson(view, around)}) {
    FUZZ_CHECK(berth::ParseJson(berth::DumpJson(json), "answer").ok());
  }
  (void)view.notes->auto_remove();
  (void)view.notes->max_retries();
  (void)view.exit_code();
  if (!view.notes_status.ok()) return false;
  // What was read is kept.
  const berth::StatusOr<Notes> again = ParseNotes(SerializeNotes(*view.notes));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->restarts_before == view.notes->restarts_before);
  FUZZ_CHECK(again->stopped_by_hand == view.notes->stopped_by_hand);
  return !view.notes->restart_policy().empty();
}
