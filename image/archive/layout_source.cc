#include "image/archive/layout_source.h"

#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/byte_source.h"

namespace berth::image {

StatusOr<std::unique_ptr<Layout>> Layout::Open(const ImageFiles& files) {
  std::unique_ptr<Layout> layout(new Layout(files));
  RETURN_IF_ERROR_AS(layout->ReadIndex(), "image layout");
  return layout;
}

Status Layout::ReadIndex() {
  ASSIGN_OR_RETURN(const std::string marker, files_.Read("oci-layout", 4096));
  ASSIGN_OR_RETURN(const Json header, ParseJson(marker, "oci-layout"));
  std::string version;
  JsonReader reader(header, "oci-layout");
  reader.Get("imageLayoutVersion", version);
  RETURN_IF_ERROR(reader.status());
  if (!StartsWith(version, "1.")) {
    return InvalidArgument("imageLayoutVersion " + Quoted(version) +
                           " is not 1.0.0");
  }
  ASSIGN_OR_RETURN(const std::string text,
                   files_.Read("index.json", kMaxManifestBytes));
  ASSIGN_OR_RETURN(
      const Document document,
      ParseDocument(text, "application/vnd.oci.image.index.v1+json"));
  const Index* const index = std::get_if<Index>(&document);
  if (index == nullptr) return InvalidArgument("index.json is no index");
  for (const Descriptor& descriptor : index->manifests) {
    std::string name;
    for (const char* key : {kFullName, kRefName}) {
      const auto it = descriptor.annotations.find(key);
      if (it != descriptor.annotations.end() && name.empty()) {
        name = it->second;
      }
    }
    entries_.push_back({descriptor, name});
  }
  return OkStatus();
}

std::string Layout::BlobName(const Digest& digest) {
  return "blobs/sha256/" + digest.hex();
}

StatusOr<UniqueFd> Layout::OpenBlob(const Digest& digest) const {
  return files_.Open(BlobName(digest));
}

StatusOr<ImageSource::Fetched> LayoutSource::Resolve(const Context& ctx) {
  return FetchManifest(ctx, entry_);
}

StatusOr<ImageSource::Fetched> LayoutSource::FetchManifest(
    const Context& ctx, const Descriptor& descriptor) {
  RETURN_IF_ERROR(ctx.Check());
  Fetched fetched;
  fetched.descriptor = descriptor;
  ASSIGN_OR_RETURN(const UniqueFd fd, layout_.OpenBlob(descriptor.digest));
  ASSIGN_OR_RETURN(fetched.bytes,
                   ReadAll(fd.get(), kMaxManifestBytes,
                           "manifest " + descriptor.digest.str()));
  if (Digest::Of(fetched.bytes) != descriptor.digest ||
      fetched.bytes.size() != descriptor.size) {
    return DataLoss("manifest " + descriptor.digest.str() +
                    " does not match its file");
  }
  return fetched;
}

Status LayoutSource::FetchBlob(const Context& ctx, const Descriptor& descriptor,
                               ContentStore& store,
                               const std::function<void(uint64_t)>& progress) {
  ASSIGN_OR_RETURN(UniqueFd fd, layout_.OpenBlob(descriptor.digest));
  return CopyBlob(ctx, std::move(fd), descriptor, store, progress);
}

Status CopyBlob(const Context& ctx, UniqueFd from, const Descriptor& descriptor,
                ContentStore& store,
                const std::function<void(uint64_t)>& progress) {
  FileSource file(std::move(from));
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                   store.Ingest(descriptor));
  RETURN_IF_ERROR(writer->Restart());
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view bytes, file.Next());
    if (bytes.empty()) break;
    RETURN_IF_ERROR(writer->Append(bytes));
    progress(writer->offset());
  }
  return writer->Commit();
}

}  // namespace berth::image
