#include "docker/event_file.h"

#include <fcntl.h>

#include <utility>

#include "base/fs/atomic_file.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::docker {
namespace {

constexpr uint64_t kMaxBytes = 64 << 20;

std::string LineOf(const DockerEvent& event) {
  return DumpJson({{"time", event.time},
                   {"type", event.type},
                   {"action", event.action},
                   {"id", event.id},
                   {"attributes", event.attributes}});
}

StatusOr<DockerEvent> EventOf(const std::string& line) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(line, "event"));
  DockerEvent event;
  JsonReader reader(json, "event");
  reader.Get("time", event.time);
  reader.Get("type", event.type);
  reader.Get("action", event.action);
  reader.Get("id", event.id);
  reader.Get("attributes", event.attributes);
  RETURN_IF_ERROR(reader.status());
  return event;
}

// The last lines of the file, `most` at most.
StatusOr<std::vector<std::string>> LastLines(const std::string& path,
                                             size_t most) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxBytes));
  std::vector<std::string> lines = Split(text, '\n');
  std::erase_if(lines, [](const std::string& line) { return line.empty(); });
  if (lines.size() > most) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  }
  return lines;
}

}  // namespace

std::vector<DockerEvent> EventFile::Load() {
  const auto lines = LastLines(path_, most_);
  std::vector<DockerEvent> events;
  // So that the first addition shortens what may have any length.
  lines_ = 2 * most_;
  if (!lines.ok()) return events;
  for (const std::string& line : *lines) {
    StatusOr<DockerEvent> event = EventOf(line);
    if (event.ok()) events.push_back(*std::move(event));
  }
  return events;
}

Status EventFile::Append(const std::vector<DockerEvent>& events) {
  std::string added;
  for (const DockerEvent& event : events) added += LineOf(event) + "\n";
  lines_ += events.size();
  if (lines_ > 2 * most_) {
    const auto kept = LastLines(path_, most_);
    lines_ = events.size() + (kept.ok() ? kept->size() : 0);
    const std::string before =
        kept.ok() && !kept->empty() ? Join(*kept, "\n") + "\n" : "";
    return ReplaceFile(path_, before + added, 0600);
  }
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenFile(path_, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600));
  return WriteAll(file.get(), added);
}

}  // namespace berth::docker
