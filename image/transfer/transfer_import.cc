// The half of Transfer that takes images from files.
#include <optional>
#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "image/archive/docker_archive.h"
#include "image/archive/layout_source.h"
#include "image/transfer/transfer.h"

namespace berth::image {
namespace {

using OptionalName = std::optional<Reference>;

// What an entry of a layout calls itself may be a full name or a tag only.
StatusOr<OptionalName> NameOf(const Layout::Entry& entry,
                              const std::string& base) {
  const bool is_full = entry.name.find_first_of("/:") != std::string::npos;
  if (!is_full && base.empty()) return OptionalName();
  const std::string text = is_full ? entry.name
                           : entry.name.empty()
                               ? base + "@" + entry.descriptor.digest.str()
                               : base + ":" + entry.name;
  ASSIGN_OR_RETURN(Reference name, Reference::Parse(text));
  return OptionalName(std::move(name));
}

std::string NameText(const OptionalName& name) {
  return name ? Quoted(name->str()) : "an image without a name";
}

}  // namespace

StatusOr<std::vector<Image>> Transfer::ImportDirectory(
    const Context& ctx, const std::string& directory, const std::string& base,
    BlobPolicy policy) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageFiles> files,
                   DirectoryFiles::Load(directory));
  return Import(ctx, *files, base, policy);
}

StatusOr<std::vector<Image>> Transfer::ImportArchive(const Context& ctx,
                                                     UniqueFd archive,
                                                     const std::string& base,
                                                     BlobPolicy policy) {
  FileSource file(std::move(archive));
  return ImportArchive(ctx, file, base, policy);
}

StatusOr<std::vector<Image>> Transfer::ImportArchive(const Context& ctx,
                                                     ByteSource& archive,
                                                     const std::string& base,
                                                     BlobPolicy policy) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageFiles> files,
                   ArchiveFiles::Load(ctx, archive, options_.spool, {}));
  RETURN_IF_ERROR(Failpoint("image.import.spooled"));
  return Import(ctx, *files, base, policy);
}

StatusOr<std::vector<Image>> Transfer::Import(const Context& ctx,
                                              const ImageFiles& files,
                                              const std::string& base,
                                              BlobPolicy policy) {
  std::vector<std::string> ids;
  if (files.Has("index.json")) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Layout> layout, Layout::Open(files));
    for (const Layout::Entry& entry : layout->entries()) {
      ASSIGN_OR_RETURN(const OptionalName name, NameOf(entry, base));
      LayoutSource source(*layout, entry.descriptor);
      ASSIGN_OR_RETURN_AS(
          std::string id,
          InstallAndName(ctx, source, {name, policy, ""}, nullptr),
          "import " + NameText(name));
      ids.push_back(std::move(id));
    }
  } else {
    ASSIGN_OR_RETURN(const std::vector<DockerArchiveImage> images,
                     ReadDockerArchive(files));
    for (const DockerArchiveImage& image : images) {
      ASSIGN_OR_RETURN(const std::unique_ptr<DockerArchiveSource> source,
                       DockerArchiveSource::Open(ctx, files, image));
      std::vector<std::string> names = image.tags;
      if (names.empty()) names.push_back(base);
      for (const std::string& text : names) {
        OptionalName name;
        if (!text.empty()) {
          ASSIGN_OR_RETURN(name, Reference::Parse(text));
        }
        ASSIGN_OR_RETURN_AS(
            std::string id,
            InstallAndName(ctx, *source, {name, policy, ""}, nullptr),
            "import " + NameText(name));
        ids.push_back(std::move(id));
      }
    }
  }
  std::vector<Image> all;
  std::set<std::string> seen;
  for (const std::string& id : ids) {
    if (!seen.insert(id).second) continue;
    ASSIGN_OR_RETURN(Image image, stores_.images.Resolve(id));
    all.push_back(std::move(image));
  }
  return all;
}

}  // namespace berth::image
