#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <string>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/archive/tree_packer.h"
#include "image/archive/tree_unpacker.h"
#include "image/layer/tar_builder.h"

namespace berth::image {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Packed {
  LayerEntry entry;
  std::string data;
};

// What a reader makes of an archive, by name.
std::map<std::string, Packed> ReadBack(const std::string& bytes) {
  StringSource source(bytes);
  LayerReader reader(source);
  std::map<std::string, Packed> all;
  while (true) {
    StatusOr<std::optional<LayerEntry>> entry = reader.Next();
    EXPECT_OK(entry);
    if (!entry.ok() || !entry->has_value()) return all;
    Packed& packed = all[(*entry)->path];
    packed.entry = **entry;
    while (true) {
      const StatusOr<std::string_view> piece = reader.Data();
      EXPECT_OK(piece);
      if (!piece.ok() || piece->empty()) break;
      packed.data += *piece;
    }
  }
}

class TreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices";
  }

  StatusOr<std::string> Pack(const std::string& name, const std::string& as) {
    std::string bytes;
    TarWriter writer([&](std::string_view piece) {
      bytes += piece;
      return OkStatus();
    });
    TreePacker packer(writer);
    RETURN_IF_ERROR(packer.Add(Context::Background(), from_.fd(), name, as));
    RETURN_IF_ERROR(writer.Finish());
    return bytes;
  }

  Status Unpack(const TarBuilder& tar, const std::string& directory,
                UnpackOptions options = {}) {
    return UnpackBytes(tar.Bytes(), directory, options);
  }
  Status UnpackBytes(const std::string& bytes, const std::string& directory,
                     UnpackOptions options = {}) {
    ASSIGN_OR_RETURN(const RootedPath root, RootedPath::Open(to_.Path("root")));
    StringSource source(bytes);
    LayerReader reader(source);
    TreeUnpacker unpacker(root, directory, options);
    return unpacker.Unpack(Context::Background(), reader);
  }

  struct stat Stat(const std::string& path) const {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }

  TempDir from_;
  TempDir to_;  // "root" is the container's
};

TEST_F(TreeTest, PacksEveryKindAsItIs) {
  from_.MakeDirectory("d/sub");
  from_.Write("d/file", std::string(1000, 'x'));
  ASSERT_EQ(chmod(from_.Path("d/file").c_str(), 04751), 0);
  ASSERT_EQ(chown(from_.Path("d/sub").c_str(), 3000000, 7), 0);
  ASSERT_EQ(symlink("/etc/shadow", from_.Path("d/link").c_str()), 0);
  ASSERT_EQ(link(from_.Path("d/file").c_str(), from_.Path("d/same").c_str()),
            0);
  ASSERT_EQ(mkfifo(from_.Path("d/fifo").c_str(), 0600), 0);
  ASSERT_EQ(mknod(from_.Path("d/null").c_str(), S_IFCHR | 0666, makedev(1, 3)),
            0);
  const std::string deep(180, 'n');
  from_.Write("d/sub/" + deep, "long");

  const StatusOr<std::string> bytes = Pack("d", "as");
  ASSERT_OK(bytes);
  std::map<std::string, Packed> all = ReadBack(*bytes);
  EXPECT_EQ(all.size(), 8u);
  EXPECT_EQ(all["as"].entry.kind, EntryKind::kDirectory);
  EXPECT_EQ(all["as/sub"].entry.uid, 3000000u);
  EXPECT_EQ(all["as/sub"].entry.gid, 7u);
  EXPECT_EQ(all["as/link"].entry.link, "/etc/shadow");
  EXPECT_EQ(all["as/fifo"].entry.kind, EntryKind::kFifo);
  EXPECT_EQ(all["as/null"].entry.kind, EntryKind::kCharDevice);
  EXPECT_EQ(all["as/null"].entry.minor, 3u);
  EXPECT_EQ(all["as/sub/" + deep].data, "long");
  // One of the two names is a link to the other.
  const bool first = all["as/file"].entry.kind == EntryKind::kFile;
  const Packed& file = first ? all["as/file"] : all["as/same"];
  const Packed& second = first ? all["as/same"] : all["as/file"];
  EXPECT_EQ(file.data, std::string(1000, 'x'));
  EXPECT_EQ(file.entry.mode, mode_t{04751});
  EXPECT_EQ(second.entry.kind, EntryKind::kHardLink);
  EXPECT_EQ(second.entry.link, file.entry.path);
}

TEST_F(TreeTest, RefusesWhatIsTooDeep) {
  int at = dup(from_.fd());
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(mkdirat(at, "d", 0755), 0);
    const int below = openat(at, "d", O_RDONLY | O_DIRECTORY);
    close(at);
    at = below;
  }
  close(at);
  const Status packed = Pack("d", "d").status();
  EXPECT_THAT(packed, StatusIs(StatusCode::kFailedPrecondition,
                               HasSubstr("levels deep")));
}

TEST_F(TreeTest, KeepsWhatItPacked) {
  from_.MakeDirectory("d");
  from_.Write("d/file", "text");
  ASSERT_EQ(chown(from_.Path("d/file").c_str(), 12, 34), 0);
  char capability[20] = {1, 0, 0, 2, 0, 4};  // version 2, CAP_NET_BIND_SERVICE
  ASSERT_EQ(setxattr(from_.Path("d/file").c_str(), "security.capability",
                     capability, sizeof(capability), 0),
            0);
  const struct timespec times[] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, from_.Path("d").c_str(), times, 0), 0);
  const StatusOr<std::string> bytes = Pack("d", "copy");
  ASSERT_OK(bytes);
  to_.MakeDirectory("root/in");
  ASSERT_OK(UnpackBytes(*bytes, "/in"));
  const std::string file = to_.Path("root/in/copy/file");
  EXPECT_EQ(to_.Read("root/in/copy/file"), "text");
  EXPECT_EQ(Stat(file).st_uid, 12u);
  EXPECT_EQ(Stat(file).st_gid, 34u);
  EXPECT_EQ(Stat(to_.Path("root/in/copy")).st_mtim.tv_sec, 1000);
  char has[64];
  EXPECT_EQ(getxattr(file.c_str(), "security.capability", has, sizeof(has)),
            ssize_t{20});
}

TEST_F(TreeTest, LeavesTheRootByNoLink) {
  to_.MakeDirectory("outside");
  to_.Write("outside/file", "safe");
  to_.MakeDirectory("root/in");
  const std::string outside = to_.Path("outside");
  ASSERT_EQ(symlink(outside.c_str(), to_.Path("root/in/abs").c_str()), 0);
  ASSERT_EQ(symlink("../../outside", to_.Path("root/in/rel").c_str()), 0);
  ASSERT_EQ(
      symlink((outside + "/file").c_str(), to_.Path("root/in/leaf").c_str()),
      0);
  // Through links of the tree, through links of the archive, onto a link, and
  // by hard links to them.
  EXPECT_OK(Unpack(TarBuilder()
                       .File("abs/file", "bad")
                       .File("rel/file", "bad")
                       .File("leaf", "bad")
                       .Symlink("own", outside)
                       .File("own/file", "bad")
                       .Symlink("dot", "/..")
                       .HardLink("hard", "own")
                       .File("hard", "bad"),
                   "/in"));
  EXPECT_EQ(to_.Read("outside/file"), "safe");
  EXPECT_EQ(to_.Names("outside").size(), 1u);
  EXPECT_EQ(to_.Read("root/in/leaf"), "bad");
  EXPECT_EQ(to_.Read("root" + outside + "/file"), "bad");
}

TEST_F(TreeTest, ModesAndOwnersOfLinksTargetsStay) {
  to_.Write("victim", "safe");
  ASSERT_EQ(chmod(to_.Path("victim").c_str(), 0600), 0);
  to_.MakeDirectory("root/in");
  ASSERT_OK(Unpack(TarBuilder().Raw(TarBuilder::Header(
                       "link", '2', 0, to_.Path("victim"), 0777, 77, 77)),
                   "/in"));
  EXPECT_EQ(Stat(to_.Path("root/in/link")).st_uid, 77u);
  EXPECT_EQ(Stat(to_.Path("victim")).st_uid, 0u);
  EXPECT_EQ(Stat(to_.Path("victim")).st_mode & 07777, mode_t{0600});
}

TEST_F(TreeTest, RefusesHostileNames) {
  to_.MakeDirectory("root/in");
  for (const char* name : {"../x", "a/../../x", "/.."}) {
    EXPECT_THAT(Unpack(TarBuilder().File(name, "bad"), "/in"),
                StatusIs(StatusCode::kInvalidArgument))
        << name;
  }
  EXPECT_THAT(Unpack(TarBuilder().HardLink("x", "../../victim"), "/in"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Unpack(TarBuilder().Raw(TarBuilder::Header("x", '3', 0)), "/in"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("device 0/0")));
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "d/";
  EXPECT_THAT(
      Unpack(TarBuilder().Pax("path", deep + "x").File("x", "bad"), "/in"),
      StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(to_.Names("root/in"), IsEmpty());
}

TEST_F(TreeTest, ReplacesAndMerges) {
  to_.MakeDirectory("root/in/dir");
  to_.Write("root/in/dir/old", "old");
  to_.Write("root/in/file", "old");
  ASSERT_OK(Unpack(TarBuilder()
                       .Directory("dir", 0700)
                       .File("dir/new", "new")
                       .File("file", "new"),
                   "/in"));
  EXPECT_EQ(to_.Read("root/in/dir/old"), "old");
  EXPECT_EQ(to_.Read("root/in/file"), "new");
  EXPECT_EQ(Stat(to_.Path("root/in/dir")).st_mode & 0777, mode_t{0700});

  UnpackOptions strict;
  strict.keep_kinds = true;
  EXPECT_THAT(Unpack(TarBuilder().File("dir", "x"), "/in", strict),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("cannot overwrite directory")));
  EXPECT_THAT(Unpack(TarBuilder().Directory("file"), "/in", strict),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("cannot overwrite non-directory")));
  ASSERT_OK(Unpack(TarBuilder().File("dir", "x").Directory("file"), "/in"));
  EXPECT_EQ(to_.Read("root/in/dir"), "x");
  EXPECT_TRUE(S_ISDIR(Stat(to_.Path("root/in/file")).st_mode));
}

TEST_F(TreeTest, AnOwnerCanBeChosen) {
  to_.MakeDirectory("root/in");
  UnpackOptions options;
  options.owner = {1001, 1002};
  ASSERT_OK(Unpack(TarBuilder().Directory("d", 0755, 5, 5).File("d/f", "x"),
                   "/in", options));
  EXPECT_EQ(Stat(to_.Path("root/in/d")).st_uid, 1001u);
  EXPECT_EQ(Stat(to_.Path("root/in/d/f")).st_gid, 1002u);
}

}  // namespace
}  // namespace berth::image
