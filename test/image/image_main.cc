// The image side on its own, for tests: one verb a run, on a store of its own.
//
//   image_main --root DIR [OPTIONS] VERB ARGUMENTS...
//
//   pull REFERENCE       prints the image's id
//   import PATH [NAME]   an OCI layout, an archive of one, or a docker archive
//   export PATH REFERENCE...  an archive; a directory, if PATH ends with "/"
//   list                 id, size, names
//   remove REFERENCE     with all its names
//   mount REFERENCE DIR  makes a root file system and mounts it there
//   umount DIR           undoes that
//   cat REFERENCE FILE   a file of the image, without a mount
//   gc                   prints the bytes freed
//
// Exit status: 0, or 1 with "CODE: message" on standard error.
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"
#include "image/archive/file_sink.h"
#include "image/archive/layout_sink.h"
#include "image/image_service.h"
#include "image/reference.h"

DEFINE_string(root, "", "directory of the store");
DEFINE_string(registry_config, "", "folder of hosts.toml folders");
DEFINE_string(credential_file, "", "credentials in Docker's form");
DEFINE_string(user, "", "user name for the registry");
DEFINE_string(password, "", "password for the registry");
DEFINE_string(identity_token, "", "refresh token for the registry");
DEFINE_int32(tries, 2, "requests to one host");
DEFINE_int32(timeout, 0, "seconds; 0: none");
DEFINE_bool(volatile_root, false, "mount one that needs no flush");
DEFINE_bool(keep, false, "keep compressed layers");
DEFINE_bool(usage, false, "print CPU seconds and peak memory at the end");

namespace berth::image {
namespace {

constexpr uint64_t kMaxFile = 16 << 20;

using Arguments = std::vector<std::string>;

BlobPolicy Policy() {
  return FLAGS_keep ? BlobPolicy::kKeep : BlobPolicy::kDrop;
}

void Print(const Image& image) {
  std::cout << image.id() << "\n";
  std::cout << "  size " << image.record.size() << "\n";
  for (const std::string& tag : image.repo_tags) {
    std::cout << "  tag " << tag << "\n";
  }
  for (const std::string& digest : image.repo_digests) {
    std::cout << "  digest " << digest << "\n";
  }
}

Status Pull(const Context& ctx, ImageService& service, const Arguments& args) {
  ASSIGN_OR_RETURN(const Reference reference, Reference::Parse(args.at(0)));
  RegistryAuth auth;
  auth.username = FLAGS_user;
  auth.password = FLAGS_password;
  auth.identity_token = FLAGS_identity_token;
  ASSIGN_OR_RETURN(
      const Image image,
      service.transfer().Pull(ctx, reference, auth, Policy(), nullptr));
  std::cout << image.id() << "\n";
  return OkStatus();
}

Status Import(const Context& ctx, ImageService& service,
              const Arguments& args) {
  const std::string base = args.size() > 1 ? args[1] : "";
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(args.at(0), O_RDONLY));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(file.get()));
  StatusOr<std::vector<Image>> imported =
      S_ISDIR(info.st_mode)
          ? service.transfer().ImportDirectory(ctx, args.at(0), base, Policy())
          : service.transfer().ImportArchive(ctx, std::move(file), base,
                                             Policy());
  RETURN_IF_ERROR(imported.status());
  for (const Image& image : *imported) std::cout << image.id() << "\n";
  return OkStatus();
}

Status Export(const Context& ctx, ImageService& service,
              const Arguments& args) {
  std::vector<Transfer::Departure> departures;
  for (size_t i = 1; i < args.size(); ++i) {
    ASSIGN_OR_RETURN(const Image image, service.images().Resolve(args[i]));
    Transfer::Departure departure = {image.id(), {}};
    for (const std::string& tag : image.repo_tags) {
      ASSIGN_OR_RETURN(const Reference name, Reference::Parse(tag));
      // All of an id.
      const bool by_id = !ParseImageId(args[i]).empty();
      if (by_id || tag == args[i]) departure.names.push_back(name);
    }
    departures.push_back(std::move(departure));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<FileSink> files,
                   OpenFileSink(args.at(0)));
  LayoutSink sink(*files);
  return service.transfer().Export(ctx, departures, sink);
}

Status MountImage(ImageService& service, const Arguments& args) {
  ASSIGN_OR_RETURN(const Image image, service.images().Resolve(args.at(0)));
  ASSIGN_OR_RETURN(
      Rootfs rootfs,
      service.rootfs().Acquire(Context::Background(), image.id(), args.at(1),
                               FLAGS_volatile_root ? Persistence::kVolatile
                                                   : Persistence::kDurable));
  RETURN_IF_ERROR(MakeDirectories(args.at(1), 0755));
  for (Mount& mount : rootfs.mounts) {
    mount.target = args.at(1) + mount.target;
    RETURN_IF_ERROR(MountAt(mount));
  }
  return OkStatus();
}

Status UnmountImage(ImageService& service, const Arguments& args) {
  RETURN_IF_ERROR(Unmount(args.at(0), MNT_DETACH));
  return service.rootfs().Release(Context::Background(), args.at(0));
}

Status Cat(ImageService& service, const Arguments& args) {
  const std::string key = "cat";
  ASSIGN_OR_RETURN(const Image image, service.images().Resolve(args.at(0)));
  RETURN_IF_ERROR(service.rootfs()
                      .Acquire(Context::Background(), image.id(), key,
                               Persistence::kDurable)
                      .status());
  const StatusOr<std::string> text =
      service.rootfs().ReadFile(key, args.at(1), kMaxFile);
  RETURN_IF_ERROR(service.rootfs().Release(Context::Background(), key));
  RETURN_IF_ERROR(text.status());
  std::cout << *text;
  return OkStatus();
}

Status Run(const Context& ctx, ImageService& service, const std::string& verb,
           const Arguments& args) {
  if (verb == "pull") return Pull(ctx, service, args);
  if (verb == "import") return Import(ctx, service, args);
  if (verb == "export") return Export(ctx, service, args);
  if (verb == "remove") return service.images().Remove(args.at(0));
  if (verb == "mount") return MountImage(service, args);
  if (verb == "umount") return UnmountImage(service, args);
  if (verb == "cat") return Cat(service, args);
  if (verb == "list") {
    ASSIGN_OR_RETURN(const std::vector<Image> all, service.images().List({}));
    for (const Image& image : all) Print(image);
    return OkStatus();
  }
  if (verb == "gc") {
    ASSIGN_OR_RETURN(const DiskUsage freed,
                     service.images().CollectGarbage(ctx));
    std::cout << freed.bytes << "\n";
    return OkStatus();
  }
  return InvalidArgument("unknown verb " + verb);
}

void PrintUsage() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  std::cerr << "cpu " << seconds(usage.ru_utime) + seconds(usage.ru_stime)
            << " s, peak " << usage.ru_maxrss / 1024 << " MiB\n";
}

Status Main(const Arguments& words) {
  ImageServiceOptions options;
  options.root = FLAGS_root;
  options.transfer.registry_config = FLAGS_registry_config;
  options.transfer.credential_file = FLAGS_credential_file;
  options.transfer.retry.tries = FLAGS_tries;
  RETURN_IF_ERROR(MakeDirectories(FLAGS_root, 0700));
  ASSIGN_OR_RETURN(const std::unique_ptr<MetadataStore> metadata,
                   MetadataStore::Open(FLAGS_root + "/meta.db"));
  ASSIGN_OR_RETURN(const std::unique_ptr<ImageService> images,
                   ImageService::Open(options, *metadata));
  Context ctx = Context::Background("test");
  if (FLAGS_timeout > 0) {
    ctx = ctx.WithTimeout(std::chrono::seconds(FLAGS_timeout));
  }
  return Run(ctx, *images, words.at(0), {words.begin() + 1, words.end()});
}

}  // namespace
}  // namespace berth::image

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  FLAGS_logtostderr = true;
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc < 2 || FLAGS_root.empty()) {
    std::cerr << "usage: image_main --root DIR VERB ARGUMENTS...\n";
    return 2;
  }
  const berth::Status status =
      berth::image::Main(std::vector<std::string>(argv + 1, argv + argc));
  if (FLAGS_usage) berth::image::PrintUsage();
  if (status.ok()) return 0;
  std::cerr << status.ToString() << "\n";
  return 1;
}
