#include "docker/build/exporter.h"

#include <utility>

#include "base/strings.h"

namespace berth::docker {
namespace {

// Of the answer to a Solve.
constexpr char kName[] = "image.name";
constexpr char kDigest[] = "containerimage.digest";
constexpr char kConfigDigest[] = "containerimage.config.digest";
constexpr char kAttestation[] = "attest:";

using Attributes = google::protobuf::Map<std::string, std::string>;

bool IsTrue(const Attributes& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  return found != attributes.end() &&
         (found->second == "true" || found->second == "1");
}

Status ReadNames(const Attributes& attributes,
                 std::vector<image::Reference>& names) {
  const auto found = attributes.find("name");
  if (found == attributes.end()) return OkStatus();
  for (const std::string& text : Split(found->second, ',')) {
    if (text.empty()) continue;
    ASSIGN_OR_RETURN(image::Reference name, image::Reference::Parse(text));
    if (name.has_digest()) {
      return InvalidArgument("cannot name an image " + Quoted(text) +
                             ": a digest is no tag");
    }
    names.push_back(std::move(name));
  }
  return OkStatus();
}

bk::Exporter PushTo(const std::string& target, Attributes attributes) {
  // Of another's store, or of another registry.
  for (const char* name :
       {"push-by-digest", "dangling-name-prefix", "name-canonical", "unpack",
        "store", "registry.insecure"}) {
    attributes.erase(name);
  }
  attributes["name"] = target;
  attributes["push"] = "true";
  bk::Exporter push;
  push.set_type("image");
  *push.mutable_attrs() = std::move(attributes);
  return push;
}

// Statements about the image that a client adds by itself, for wherever it
// does not cost an index of its own.
void DropDefaultAttestations(bk::SolveRequest& request) {
  Attributes kept;
  for (const auto& [name, value] : request.frontendattrs()) {
    if (StartsWith(name, kAttestation) &&
        value.find("inline-only=true") != std::string::npos) {
      continue;
    }
    kept[name] = value;
  }
  *request.mutable_frontendattrs() = std::move(kept);
}

}  // namespace

StatusOr<EngineExport> TakeEngineExport(bk::SolveRequest& request,
                                        const std::string& target) {
  // Clients before BuildKit 0.13 know of one exporter only.
  if (request.exporters_size() == 0 && !request.exporterdeprecated().empty()) {
    bk::Exporter& only = *request.add_exporters();
    only.set_type(request.exporterdeprecated());
    *only.mutable_attrs() = request.exporterattrsdeprecated();
  }
  EngineExport taken;
  std::vector<bk::Exporter> exporters;
  for (const bk::Exporter& exporter : request.exporters()) {
    if (exporter.type() != "moby") {
      exporters.push_back(exporter);
      continue;
    }
    taken.wanted = true;
    RETURN_IF_ERROR(ReadNames(exporter.attrs(), taken.names));
    if (IsTrue(exporter.attrs(), "push")) {
      taken.pushed = true;
      exporters.push_back(exporter);
      exporters.back().set_type("image");
    }
    // The last one's answers are those that count.
    exporters.push_back(PushTo(target, exporter.attrs()));
  }
  if (!taken.wanted) return taken;
  request.clear_exporterdeprecated();
  request.clear_exporterattrsdeprecated();
  request.clear_exporters();
  for (bk::Exporter& exporter : exporters) {
    *request.add_exporters() = std::move(exporter);
  }
  if (!taken.pushed) DropDefaultAttestations(request);
  return taken;
}

StatusOr<Digest> PushedManifest(const bk::SolveResponse& response) {
  const auto found = response.exporterresponse().find(kDigest);
  if (found == response.exporterresponse().end()) {
    return Internal("the builder does not say what it has pushed");
  }
  return Digest::Parse(found->second);
}

void DescribeEngineExport(const EngineExport& taken, const image::Image& image,
                          bk::SolveResponse& response) {
  Attributes& words = *response.mutable_exporterresponse();
  std::vector<std::string> names;
  for (const image::Reference& name : taken.names) names.push_back(name.str());
  words.erase(kName);
  if (!names.empty()) words[kName] = Join(names, ",");
  words[kConfigDigest] = image.id();
  // Clients take it for the image's id.
  if (!taken.pushed) words[kDigest] = image.id();
}

}  // namespace berth::docker
