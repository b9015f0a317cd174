// Images from files and from containers: docker load, import and commit.
#include <glog/logging.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/undo.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/image_changes.h"
#include "docker/engine.h"
#include "docker/routes/body_source.h"
#include "docker/routes/image_names.h"
#include "image/image_service.h"
#include "image/layer/decompressor.h"
#include "image/layer/layer_reader.h"
#include "image/layer/tar_writer.h"
#include "image/manifest.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using image::BlobPolicy;
using image::Image;
using sandbox::ContainerId;

Status Load(Engine& engine, Call& call) {
  RETURN_IF_ERROR(CheckPlatforms(call, "platform"));
  BodySource body(call.http);
  ASSIGN_OR_RETURN(const std::vector<Image> images,
                   engine.transfer.ImportArchive(call.ctx, body, /*base=*/"",
                                                 BlobPolicy::kKeep));
  RETURN_IF_ERROR(call.http.BeginStream(200, "application/json"));
  for (const Image& image : images) {
    std::vector<std::string> lines;
    for (const std::string& name : Familiar(image.repo_tags)) {
      lines.push_back("Loaded image: " + name + "\n");
    }
    if (lines.empty()) lines.push_back("Loaded image ID: " + image.id() + "\n");
    for (const std::string& line : lines) {
      RETURN_IF_ERROR(call.http.Write(DumpJson({{"stream", line}}) + "\r\n"));
    }
    engine.events.Publish("image", "load", image.id(), {{"name", image.id()}});
  }
  return OkStatus();
}

// A line of an image's history, and the words around it, for a new layer.
struct NewLayer {
  std::string created_by;
  std::string author;
  std::string comment;
};

void Describe(const NewLayer& layer, Json& document) {
  const std::string now = FormatRfc3339(Now());
  Json line = {{"created", now}, {"created_by", layer.created_by}};
  if (!layer.author.empty()) line["author"] = layer.author;
  if (!layer.comment.empty()) line["comment"] = layer.comment;
  if (!document["history"].is_array()) document["history"] = Json::array();
  document["history"].push_back(std::move(line));
  document["created"] = now;
  document["author"] = layer.author;
  document["comment"] = layer.comment;
}

// Writes the body, decompressed, which must be a tar archive.
Status SpoolBody(Call& call, int file) {
  BodySource body(call.http);
  ASSIGN_OR_RETURN(const std::unique_ptr<image::Decompressor> plain,
                   image::Decompressor::Open(body));
  while (true) {
    RETURN_IF_ERROR(call.ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view piece, plain->Next());
    if (piece.empty()) return OkStatus();
    RETURN_IF_ERROR(WriteAll(file, piece));
  }
}

// Freezes a container that runs, if the client does not mind; `thaw` lets it go
// on.
Status Pause(Engine& engine, Call& call, const View& view, Undo& thaw) {
  const bool wanted =
      call.http.request().query.count("pause") == 0 || call.Flag("pause");
  if (!wanted || !view.ours() || !view.running() || view.container->paused()) {
    return OkStatus();
  }
  const ContainerId id(view.id());
  RETURN_IF_ERROR(engine.containers.Freeze(call.ctx, id, true));
  thaw.Add([&engine, id] {
    const Status thawed =
        engine.containers.Freeze(Context::Background("commit"), id, false);
    if (!thawed.ok()) LOG(WARNING) << Message(thawed);
  });
  return OkStatus();
}

std::string CommandText(const Json& config) {
  std::vector<std::string> words;
  if (const Json* const command = config.Find("Cmd")) {
    for (const Json& word : command->elements()) {
      if (word.AsText() != nullptr) words.push_back(*word.AsText());
    }
  }
  return Join(words, " ");
}

Status Commit(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.Query("container")));
  ASSIGN_OR_RETURN(const Json asked, call.Body());
  image::Transfer::NewImage made;
  ASSIGN_OR_RETURN(made.name, NewNameOf(call));
  made.base = view.container->config().image_id();
  ASSIGN_OR_RETURN(const Image base, FindImage(engine, made.base));
  made.config = DocumentOf(engine, base);
  made.config.erase("container_config");
  Json& config = made.config["config"];
  MergeContainerConfig(
      InspectJson(view, SurroundingsOf(engine, view))["Config"], config);
  MergeContainerConfig(asked, config);
  const std::string command = CommandText(config);
  RETURN_IF_ERROR(ApplyImageChanges(QueryList(call, "changes"), config));
  Describe({command, call.Query("author"), call.Query("comment")}, made.config);

  Undo thaw;
  RETURN_IF_ERROR(Pause(engine, call, view, thaw));
  ASSIGN_OR_RETURN(
      const Image image,
      engine.transfer.Make(call.ctx, made, [&](int file) -> Status {
        image::TarWriter tar(
            [file](std::string_view bytes) { return WriteAll(file, bytes); });
        RETURN_IF_ERROR(engine.changes.WriteLayer(
            call.ctx, view.container->snapshot_key(), tar));
        thaw.Run();
        return OkStatus();
      }));
  engine.events.PublishContainer(
      "commit", view.id(),
      {{"comment", call.Query("comment")}, {"imageID", image.id()}});
  return call.Reply(201, {{"Id", image.id()}});
}

Status Changes(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const View view, FindView(engine, call.name));
  ASSIGN_OR_RETURN(
      const std::vector<image::FileChange> changes,
      engine.changes.List(call.ctx, view.container->snapshot_key()));
  if (changes.empty()) return call.Reply(200, Json());
  Json list = Json::array();
  for (const image::FileChange& change : changes) {
    list.push_back(
        {{"Path", change.path}, {"Kind", static_cast<int>(change.kind)}});
  }
  return call.Reply(200, list);
}

}  // namespace

Status ImportImage(Engine& engine, Call& call) {
  if (call.Query("fromSrc") != "-") {
    return Unimplemented(
        "query parameter fromSrc: only \"-\", the body of the request, is "
        "supported");
  }
  image::Transfer::NewImage made;
  ASSIGN_OR_RETURN(made.name, NewNameOf(call));
  const image::Platform platform = image::HostPlatform();
  made.config = {{"architecture", platform.architecture()},
                 {"os", platform.os()},
                 {"config", Json::object()}};
  RETURN_IF_ERROR(
      ApplyImageChanges(QueryList(call, "changes"), made.config["config"]));
  const std::string message = call.Query("message");
  Describe({"", "", message.empty() ? "Imported from -" : message},
           made.config);
  ASSIGN_OR_RETURN(const Image image,
                   engine.transfer.Make(call.ctx, made, [&](int file) {
                     return SpoolBody(call, file);
                   }));
  engine.events.Publish("image", "import", image.id(), {{"name", image.id()}});
  RETURN_IF_ERROR(call.http.BeginStream(200, "application/json"));
  return call.http.Write(DumpJson({{"status", image.id()}}) + "\r\n");
}

std::vector<Route> ImageImportRoutes() {
  return {{"POST", "/images/load", Load},
          {"POST", "/commit", Commit},
          {"GET", "/containers/{id}/changes", Changes}};
}

}  // namespace berth::docker
