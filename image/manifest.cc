#include "image/manifest.h"

#include <algorithm>
#include <set>

#include "base/base64.h"
#include "base/json.h"
#include "base/rfc3339.h"
#include "base/strings.h"

namespace berth::image {
namespace {

// The kernel stacks 500 (OVL_MAX_STACK, fs/overlayfs/super.c); lists in an
// index are bounded by the size of the document.
constexpr size_t kMaxLayers = 1000;
// No member that we know is deeper than 6. Peers take more, and follow each
// level with a call of its own.
constexpr int kMaxDepth = 64;
constexpr size_t kMaxEmbedded = 1 << 20;

// Of equal members our parser takes the last, others the first: whoever relies
// on that difference is up to no good.
StatusOr<Json> ParseStrictly(std::string_view bytes, const std::string& what) {
  ASSIGN_OR_RETURN(Json json, ParseJson(bytes, what,
                                        {.max_depth = kMaxDepth,
                                         .refuse_duplicates = true}));
  if (!json.is_object()) return InvalidArgument(what + ": not a JSON object");
  return json;
}

StatusOr<Platform> ParsePlatform(const Json& json, const std::string& path) {
  std::string os, architecture, variant;
  JsonReader reader(json, path);
  reader.Get("os", os);
  reader.Get("architecture", architecture);
  reader.Get("variant", variant);
  RETURN_IF_ERROR(reader.status());
  Platform platform;
  platform.set_os(os);
  platform.set_architecture(architecture);
  platform.set_variant(variant);
  return NormalizePlatform(platform);
}

StatusOr<Descriptor> ParseDescriptor(const Json& json,
                                     const std::string& path) {
  Descriptor descriptor;
  std::string digest;
  std::string data;
  JsonReader reader(json, path);
  reader.Get("mediaType", descriptor.media_type);
  reader.Get("digest", digest);
  reader.Get("size", descriptor.size);
  reader.Get("annotations", descriptor.annotations);
  reader.Get("artifactType", descriptor.artifact_type);
  reader.Get("data", data);
  if (!reader.Has("size")) reader.Fail("size", "is missing");
  if (descriptor.size > INT64_MAX) reader.Fail("size", "is out of range");
  RETURN_IF_ERROR(reader.status());
  ASSIGN_OR_RETURN_AS(descriptor.digest, Digest::Parse(digest), path);
  if (const Json* platform = reader.Find("platform")) {
    ASSIGN_OR_RETURN(descriptor.platform,
                     ParsePlatform(*platform, reader.PathOf("platform")));
  }
  if (!data.empty() && data.size() <= kMaxEmbedded) {
    StatusOr<std::string> bytes = Base64Decode(data);
    if (!bytes.ok() || bytes->size() != descriptor.size ||
        Digest::Of(*bytes) != descriptor.digest) {
      return DataLoss(path + ".data does not match its digest");
    }
    descriptor.data = *std::move(bytes);
  }
  return descriptor;
}

StatusOr<std::vector<Descriptor>> ParseLayers(const Json::Array& array,
                                              const std::string& path) {
  if (array.size() > kMaxLayers) {
    return InvalidArgument(path + " has more than " +
                           std::to_string(kMaxLayers) + " entries");
  }
  std::vector<Descriptor> all;
  for (const Json& json : array) {
    const std::string at = path + "[" + std::to_string(all.size()) + "]";
    ASSIGN_OR_RETURN(Descriptor one, ParseDescriptor(json, at));
    all.push_back(std::move(one));
  }
  return all;
}

StatusOr<Document> ParseIndex(JsonReader& reader, std::string media_type) {
  Index index;
  index.media_type = std::move(media_type);
  // What one entry is worth shows when it is wanted: a broken one, or one of a
  // digest that we do not know, must not keep the others from being used.
  Status broken;
  for (const Json& json : reader.Array("manifests")) {
    StatusOr<Descriptor> entry =
        ParseDescriptor(json, "index.manifests[" +
                                  std::to_string(index.manifests.size()) + "]");
    if (entry.ok()) {
      index.manifests.push_back(*std::move(entry));
    } else {
      broken = entry.status();
    }
  }
  RETURN_IF_ERROR(reader.status());
  if (index.manifests.empty() && !broken.ok()) return broken;
  return Document(std::move(index));
}

StatusOr<Document> ParseManifest(JsonReader& reader, std::string media_type) {
  Manifest manifest;
  manifest.media_type = std::move(media_type);
  const Json* const config = reader.Find("config");
  if (config == nullptr) return InvalidArgument("manifest.config is missing");
  ASSIGN_OR_RETURN(manifest.config,
                   ParseDescriptor(*config, "manifest.config"));
  ASSIGN_OR_RETURN(manifest.layers,
                   ParseLayers(reader.Array("layers"), "manifest.layers"));
  RETURN_IF_ERROR(reader.status());
  return Document(std::move(manifest));
}

void CopyStrings(const std::vector<std::string>& from,
                 google::protobuf::RepeatedPtrField<std::string>* to) {
  for (const std::string& text : from) *to->Add() = text;
}

// {"a": {}, "b": {}}: Docker's way to write a set.
std::vector<std::string> MemberNames(const Json* json) {
  std::vector<std::string> names;
  if (json == nullptr) return names;
  for (const auto& [name, ignored] : json->members()) names.push_back(name);
  return names;
}

Status ParseHealthcheck(const Json& json, state::v1::Healthcheck* to) {
  std::vector<std::string> test;
  int64_t interval = 0, timeout = 0, start_period = 0, retries = 0,
          start_interval = 0;
  JsonReader reader(json, "config.Healthcheck");
  reader.Get("Test", test);
  reader.Get("Interval", interval);
  reader.Get("Timeout", timeout);
  reader.Get("StartPeriod", start_period);
  reader.Get("StartInterval", start_interval);
  reader.Get("Retries", retries);
  RETURN_IF_ERROR(reader.status());
  CopyStrings(test, to->mutable_test());
  to->set_interval(interval);
  to->set_timeout(timeout);
  to->set_start_period(start_period);
  to->set_start_interval(start_interval);
  to->set_retries(retries);
  return OkStatus();
}

Status ParseRunConfig(const Json& json, state::v1::ImageConfig* to) {
  std::vector<std::string> env, entrypoint, cmd, shell;
  std::map<std::string, std::string> labels;
  JsonReader reader(json, "config");
  reader.Get("User", *to->mutable_user());
  reader.Get("WorkingDir", *to->mutable_working_dir());
  reader.Get("StopSignal", *to->mutable_stop_signal());
  reader.Get("Env", env);
  reader.Get("Entrypoint", entrypoint);
  reader.Get("Cmd", cmd);
  reader.Get("Labels", labels);
  RETURN_IF_ERROR(reader.status());
  CopyStrings(env, to->mutable_env());
  // One empty string is Docker's way to take an entry point away.
  if (entrypoint == std::vector<std::string>{""}) entrypoint.clear();
  CopyStrings(entrypoint, to->mutable_entrypoint());
  CopyStrings(cmd, to->mutable_cmd());
  to->mutable_labels()->insert(labels.begin(), labels.end());
  CopyStrings(MemberNames(reader.Find("Volumes")), to->mutable_volumes());
  CopyStrings(MemberNames(reader.Find("ExposedPorts")),
              to->mutable_exposed_ports());
  // Docker's additions: an image runs without them.
  JsonReader additions(json, "config");
  additions.Get("Shell", shell);
  if (additions.status().ok()) CopyStrings(shell, to->mutable_shell());
  if (const Json* check = reader.Find("Healthcheck")) {
    state::v1::Healthcheck parsed;
    if (ParseHealthcheck(*check, &parsed).ok()) {
      *to->mutable_healthcheck() = std::move(parsed);
    }
  }
  return OkStatus();
}

Status ParseRootfs(const Json& json, std::vector<Digest>& diff_ids) {
  std::string type;
  std::vector<std::string> texts;
  JsonReader reader(json, "rootfs");
  reader.Get("type", type);
  reader.Get("diff_ids", texts);
  RETURN_IF_ERROR(reader.status());
  if (type != "layers") {
    return InvalidArgument("rootfs.type " + Quoted(type) + " is not layers");
  }
  if (texts.size() > kMaxLayers) {
    return InvalidArgument("rootfs.diff_ids has too many entries");
  }
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN_AS(Digest digest, Digest::Parse(text), "rootfs.diff_ids");
    diff_ids.push_back(std::move(digest));
  }
  return OkStatus();
}

}  // namespace

StatusOr<Document> ParseDocument(std::string_view bytes,
                                 const std::string& media_type) {
  ASSIGN_OR_RETURN(const Json json, ParseStrictly(bytes, "manifest"));
  JsonReader reader(json, "manifest");
  int64_t version = 0;
  std::string own_type;
  reader.Get("schemaVersion", version);
  reader.Get("mediaType", own_type);
  RETURN_IF_ERROR(reader.status());
  if (version == 1) {
    return InvalidArgument(
        "manifest has Docker's schema 1, which is no longer supported: push "
        "the image again with a current tool");
  }
  if (version != 2) return InvalidArgument("manifest.schemaVersion is not 2");
  const bool lists = json.Find("manifests") != nullptr;
  const bool runs =
      json.Find("layers") != nullptr || json.Find("config") != nullptr;
  if (lists && runs) {
    return InvalidArgument("manifest is both an index and an image");
  }
  const std::string type = own_type.empty() ? media_type : own_type;
  if (lists && !IsManifestType(type)) return ParseIndex(reader, type);
  if (runs && !IsIndexType(type)) return ParseManifest(reader, type);
  return InvalidArgument("manifest of type " + Quoted(type) +
                         " does not have the members of that type");
}

StatusOr<ImageSpec> ParseImageSpec(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Json json,
                   ParseStrictly(bytes, "image configuration"));
  ImageSpec spec;
  std::string created;
  JsonReader reader(json, "");
  reader.Get("created", created);
  reader.Get("author", spec.author);
  RETURN_IF_ERROR_AS(reader.status(), "image configuration");
  ASSIGN_OR_RETURN_AS(spec.platform, ParsePlatform(json, ""),
                      "image configuration");
  // It only informs: an unreadable time is no fault of the image.
  spec.created = ParseRfc3339(created).value_or(0);
  const Json* const rootfs = reader.Find("rootfs");
  if (rootfs == nullptr) {
    return InvalidArgument("image configuration: rootfs is missing");
  }
  RETURN_IF_ERROR_AS(ParseRootfs(*rootfs, spec.diff_ids),
                     "image configuration");
  if (const Json* config = reader.Find("config")) {
    RETURN_IF_ERROR_AS(ParseRunConfig(*config, &spec.config),
                       "image configuration");
  }
  return spec;
}

Digest ChainIdOf(const std::vector<Digest>& diff_ids, size_t count) {
  Digest chain;
  for (size_t i = 0; i < count && i < diff_ids.size(); ++i) {
    chain = i == 0 ? diff_ids[0]
                   : Digest::Of(chain.str() + " " + diff_ids[i].str());
  }
  return chain;
}

}  // namespace berth::image
