// A container's log in both formats, whose content a container chooses.
#include <string>

#include "base/context.h"
#include "base/rfc3339.h"
#include "base/testing/temp_dir.h"
#include "docker/stream/log_reader.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

size_t Entries(const std::string& path, int64_t tail) {
  berth::docker::LogQuery query;
  query.tail = tail;
  size_t count = 0;
  const auto read = berth::docker::ReadLog(
      berth::Context::Background(), path, query, [] { return false; },
      [&](const berth::docker::LogEntry&) {
        ++count;
        return berth::OkStatus();
      });
  FUZZ_CHECK(read.ok());
  return count;
}

}  // namespace

FUZZ_TARGET(bytes) {
  static const berth::TempDir dir;
  (void)berth::ParseRfc3339(bytes);
  const bool is_record = berth::docker::ParseLogLine(bytes).has_value();
  dir.Write("log", bytes);
  const size_t all = Entries(dir.Path("log"), -1);
  FUZZ_CHECK(Entries(dir.Path("log"), 1) <= 1);
  FUZZ_CHECK(Entries(dir.Path("log"), 1'000'000) == all);
  return is_record || all > 0;
}
