// Images as an archive: docker save.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "docker/routes/image_names.h"
#include "image/archive/file_sink.h"
#include "image/archive/layout_sink.h"
#include "image/image_service.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

using image::Image;
using image::Reference;
using Departures = std::vector<image::Transfer::Departure>;

// "busybox", but not "busybox:latest": all of its tags are meant.
bool IsRepository(const std::string& text) {
  return text.find('@') == std::string::npos &&
         text.find(':', text.rfind('/') + 1) == std::string::npos;
}

StatusOr<Departures> AllTagsOf(const Engine& engine, const Reference& name) {
  ASSIGN_OR_RETURN(const std::vector<Image> images, engine.images.List({}));
  Departures departures;
  for (const Image& image : images) {
    for (const std::string& tag : image.repo_tags) {
      if (!StartsWith(tag, name.name() + ":")) continue;
      ASSIGN_OR_RETURN(Reference parsed, Reference::Parse(tag));
      departures.push_back({image.id(), {std::move(parsed)}});
    }
  }
  return departures;
}

// An image that is named by its id or a digest goes without a name.
StatusOr<Departures> DeparturesOf(const Engine& engine,
                                  const std::string& text) {
  const StatusOr<Reference> name = Reference::Parse(text);
  if (name.ok() && IsRepository(text)) {
    ASSIGN_OR_RETURN(Departures departures, AllTagsOf(engine, *name));
    if (!departures.empty()) return departures;
  }
  const StatusOr<Image> image = engine.images.Resolve(text);
  if (IsNotFound(image.status()) ||
      image.status().code() == StatusCode::kInvalidArgument) {
    return NotFound("reference does not exist");
  }
  if (!image.ok()) return image.status();
  image::Transfer::Departure departure = {image->id(), {}};
  const auto& tags = image->repo_tags;
  if (name.ok() &&
      std::find(tags.begin(), tags.end(), name->str()) != tags.end()) {
    departure.names.push_back(*name);
  }
  return Departures{std::move(departure)};
}

Status SaveAll(Engine& engine, Call& call,
               const std::vector<std::string>& names) {
  RETURN_IF_ERROR(CheckPlatforms(call, "platform"));
  Departures departures;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const Departures more, DeparturesOf(engine, name));
    departures.insert(departures.end(), more.begin(), more.end());
  }
  // The stream begins with the first byte, so that what fails before is a plain
  // error.
  bool begun = false;
  image::TarSink tar([&](std::string_view bytes) -> Status {
    if (!std::exchange(begun, true)) {
      RETURN_IF_ERROR(call.http.BeginStream(200, "application/x-tar"));
    }
    return call.http.Write(bytes);
  });
  image::LayoutSink sink(tar);
  const Status sent = engine.transfer.Export(call.ctx, departures, sink);
  // As dockerd does: in the stream, which is then no archive.
  if (!sent.ok() && call.http.answered()) {
    (void)call.http.Write(DumpJson({{"error", Message(sent)}}) + "\r\n");
  }
  RETURN_IF_ERROR(sent);
  for (const auto& departure : departures) {
    engine.events.Publish("image", "save", departure.id,
                          {{"name", departure.id}});
  }
  return OkStatus();
}

Status SaveOne(Engine& engine, Call& call) {
  return SaveAll(engine, call, {call.name});
}

Status SaveSome(Engine& engine, Call& call) {
  const auto& query = call.http.request().query;
  const auto names = query.find("names");
  if (names == query.end()) {
    return InvalidArgument("query parameter names is missing");
  }
  return SaveAll(engine, call, names->second);
}

}  // namespace

std::vector<Route> ImageExportRoutes() {
  return {{"GET", "/images/get", SaveSome},
          {"GET", "/images/{name...}/get", SaveOne}};
}

}  // namespace berth::docker
