#include "image/image_store.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/clock.h"
#include "base/strings.h"

namespace berth::image {

using state::v1::ImageRecord;
using state::v1::NameRecord;

namespace {

const Table<ImageRecord> kImages("images");
const Table<NameRecord> kNames("image_names");

bool IsDigestName(const std::string& name) {
  return name.find('@') != std::string::npos;
}

Status NoImage(std::string_view text) {
  return NotFound("no image " + Quoted(text.substr(0, 300)));
}

constexpr int kMaxSources = 4;

// What a further pull of an image leaves of what was known of it.
ImageRecord Merge(ImageRecord fresh, const ImageRecord& known) {
  fresh.set_keep_blobs(fresh.keep_blobs() || known.keep_blobs());
  std::set<std::string> seen(fresh.sources().begin(), fresh.sources().end());
  for (const std::string& source : known.sources()) {
    if (fresh.sources_size() >= kMaxSources) break;
    if (seen.insert(source).second) fresh.add_sources(source);
  }
  return fresh;
}

NameRecord NameOf(const std::string& id, const std::string& digest) {
  NameRecord record;
  record.set_image_id(id);
  record.set_digest(digest);
  record.set_updated(Now());
  return record;
}

}  // namespace

Status ImageStore::Put(Transaction& tx, const ImageRecord& record,
                       const Reference& reference, const Digest& digest) const {
  const NameRecord name = NameOf(record.id(), digest.str());
  RETURN_IF_ERROR(PutUnnamed(tx, record));
  RETURN_IF_ERROR(kNames.Put(tx, reference.WithDigest(digest), name));
  if (reference.has_digest()) return OkStatus();
  return kNames.Put(tx, reference.str(), name);
}

Status ImageStore::PutUnnamed(Transaction& tx,
                              const ImageRecord& record) const {
  const StatusOr<ImageRecord> known = kImages.Get(tx, record.id());
  return kImages.Put(tx, record.id(),
                     known.ok() ? Merge(record, *known) : record);
}

Status ImageStore::Tag(const std::string& id, const Reference& name) {
  if (name.has_digest()) {
    return InvalidArgument("tag image as " + Quoted(name.str()) +
                           ": a digest is not a tag");
  }
  return metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const ImageRecord record, kImages.Get(tx, id));
    return kNames.Put(tx, name.str(), NameOf(id, record.manifest_digest()));
  });
}

Image ImageStore::MakeImage(const ImageRecord& record,
                            const Names& names) const {
  Image image;
  image.record = record;
  for (const auto& [name, target] : names) {
    if (target.image_id() != record.id()) continue;
    (IsDigestName(name) ? image.repo_digests : image.repo_tags).push_back(name);
    for (const std::string& pattern : pinned_) {
      if (fnmatch(pattern.c_str(), name.c_str(), 0) == 0) image.pinned = true;
    }
  }
  return image;
}

StatusOr<std::string> ImageStore::FindId(std::string_view text,
                                         const Records& records,
                                         const Names& names) const {
  const Digest digest = ParseImageId(text);
  if (!digest.empty()) {
    if (records.count(digest.str()) > 0) return digest.str();
    for (const auto& [id, record] : records) {
      if (record.manifest_digest() == digest.str() ||
          record.index_digest() == digest.str()) {
        return id;
      }
    }
    return NoImage(text);
  }
  const StatusOr<Reference> reference = Reference::Parse(text);
  if (reference.ok()) {
    const auto it = names.find(reference->str());
    if (it != names.end()) return it->second.image_id();
    // By the digest of the platform's manifest, where the name has the
    // index's.
    for (const auto& [name, target] : names) {
      const auto record = records.find(target.image_id());
      if (reference->has_digest() && record != records.end() &&
          record->second.manifest_digest() == reference->digest().str() &&
          StartsWith(name, reference->name() + "@")) {
        return target.image_id();
      }
    }
  }
  std::string prefix(text);
  if (!StartsWith(prefix, "sha256:")) prefix = "sha256:" + prefix;
  if (prefix.size() < 10) return NoImage(text);
  auto it = records.lower_bound(prefix);
  if (it == records.end() || !StartsWith(it->first, prefix)) {
    return NoImage(text);
  }
  const std::string id = it->first;
  if (++it != records.end() && StartsWith(it->first, prefix)) {
    return FailedPrecondition("image id " + Quoted(text) +
                              " is the beginning of several");
  }
  return id;
}

StatusOr<Image> ImageStore::Resolve(std::string_view text) const {
  Image image;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const Records records, kImages.All(tx));
    ASSIGN_OR_RETURN(const Names names, kNames.All(tx));
    ASSIGN_OR_RETURN(const std::string id, FindId(text, records, names));
    const auto it = records.find(id);
    if (it == records.end()) return NoImage(text);
    image = MakeImage(it->second, names);
    return OkStatus();
  }));
  return image;
}

StatusOr<std::vector<Image>> ImageStore::List() const {
  std::vector<Image> all;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const Records records, kImages.All(tx));
    ASSIGN_OR_RETURN(const Names names, kNames.All(tx));
    for (const auto& [id, record] : records) {
      all.push_back(MakeImage(record, names));
    }
    return OkStatus();
  }));
  return all;
}

StatusOr<ImageRecord> ImageStore::Get(const Transaction& tx,
                                      const std::string& id) const {
  StatusOr<ImageRecord> record = kImages.Get(tx, id);
  if (IsNotFound(record.status())) return NoImage(id);
  return record;
}

Status ImageStore::Remove(const std::string& id) {
  return metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const Names names, kNames.All(tx));
    for (const auto& [name, target] : names) {
      if (target.image_id() == id) RETURN_IF_ERROR(kNames.Erase(tx, name));
    }
    return kImages.Erase(tx, id);
  });
}

Status ImageStore::RemoveName(const Reference& name) {
  return metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const Names all, kNames.All(tx));
    const auto it = all.find(name.str());
    if (it == all.end()) return OkStatus();
    const std::string id = it->second.image_id();
    std::set<std::string> left;
    for (const auto& [other, target] : all) {
      if (target.image_id() == id && other != it->first) left.insert(other);
    }
    std::set<std::string> gone = {it->first};
    // The digests of a repository go with its last tag.
    const bool more_tags =
        std::any_of(left.begin(), left.end(), [&](const std::string& other) {
          return StartsWith(other, name.name() + ":");
        });
    for (const std::string& other : left) {
      if (name.has_digest() || more_tags) break;
      if (StartsWith(other, name.name() + "@")) gone.insert(other);
    }
    for (const std::string& one : gone) {
      RETURN_IF_ERROR(kNames.Erase(tx, one));
      left.erase(one);
    }
    return left.empty() ? kImages.Erase(tx, id) : OkStatus();
  });
}

StatusOr<ImageStore::Needed> ImageStore::NeededByImages() const {
  Needed needed;
  const auto add = [](const std::string& text, std::set<Digest>& to) {
    const StatusOr<Digest> digest = Digest::Parse(text);
    if (digest.ok()) to.insert(*digest);
  };
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const Records records, kImages.All(tx));
    for (const auto& [id, record] : records) {
      add(id, needed.blobs);
      add(record.manifest_digest(), needed.blobs);
      add(record.index_digest(), needed.blobs);
      for (const std::string& layer : record.layer_digests()) {
        if (record.keep_blobs()) add(layer, needed.blobs);
      }
      add(record.chain_id(), needed.chains);
    }
    return OkStatus();
  }));
  return needed;
}

}  // namespace berth::image
