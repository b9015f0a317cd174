#include "image/layer/layer_applier.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/layer/tar_builder.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Layers in numbered directories, the base first.
class LayerApplierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: owners, trusted xattrs";
  }

  Status Add(const TarBuilder& tar) {
    const std::string name = "layer" + std::to_string(count_++);
    dir_.MakeDirectory(name);
    ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(PathOf(name), O_RDONLY));
    StringSource source(tar.Bytes());
    LayerReader reader(source);
    LayerApplier applier(std::move(fd));
    RETURN_IF_ERROR(applier.Apply(Context::Background(), reader));
    ASSIGN_OR_RETURN(const LayerStack lower, LayerStack::Open(lower_));
    RETURN_IF_ERROR(applier.Complete(lower));
    lower_.insert(lower_.begin(), PathOf(name));
    return OkStatus();
  }

  std::string PathOf(const std::string& name) const { return dir_.Path(name); }
  struct stat Stat(const std::string& name) const {
    struct stat info = {};
    EXPECT_EQ(lstat(PathOf(name).c_str(), &info), 0) << name;
    return info;
  }
  bool Opaque(const std::string& name) const {
    char value = 0;
    return getxattr(PathOf(name).c_str(), "trusted.overlay.opaque", &value,
                    1) == 1 &&
           value == 'y';
  }
  // What the whole stack shows of a file.
  std::string Merged(const std::string& path) const {
    const StatusOr<LayerStack> stack = LayerStack::Open(lower_);
    const StatusOr<UniqueFd> fd = stack->OpenFile(path);
    return fd.ok() ? *ReadAll(fd->get(), 1000, path) : "missing";
  }

  TempDir dir_;
  int count_ = 0;
  std::vector<std::string> lower_;
};

TEST_F(LayerApplierTest, KeepsAttributesWhateverTheUmask) {
  ASSERT_OK(Add(TarBuilder()
                    .Directory("d", 01777, 1, 2)
                    .File("d/f", "data", 06755)
                    .Directory("g", 02775, 0, 5)
                    .File("g/f", "", 0666)));
  EXPECT_EQ(Stat("layer0/d").st_mode & 07777, 01777u);
  EXPECT_EQ(Stat("layer0/d").st_gid, 2u);
  EXPECT_EQ(Stat("layer0/d").st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(Stat("layer0/d/f").st_mode & 07777, 06755u);
  EXPECT_EQ(Stat("layer0/d/f").st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(Stat("layer0/g/f").st_mode & 07777, 0666u);
  EXPECT_EQ(Stat("layer0/g/f").st_gid, 0u);
}

TEST_F(LayerApplierTest, TurnsWhiteoutsIntoDevicesOnlyWhereSomethingIsBelow) {
  ASSERT_OK(Add(TarBuilder().File("d/gone", "1").File("d/kept", "2")));
  ASSERT_OK(Add(TarBuilder().File("d/.wh.gone", "").File("d/.wh.never", "")));
  EXPECT_TRUE(IsWhiteout(Stat("layer1/d/gone")));
  EXPECT_THAT(dir_.Names("layer1/d"), ElementsAre("gone"));
  EXPECT_EQ(Merged("d/gone"), "missing");
  EXPECT_EQ(Merged("d/kept"), "2");
}

TEST_F(LayerApplierTest, AWhiteoutSparesItsOwnLayerInEitherOrder) {
  ASSERT_OK(Add(TarBuilder().File("a/old", "1").File("b/old", "1")));
  ASSERT_OK(Add(TarBuilder()
                    .File(".wh.a", "")
                    .Directory("a")
                    .File("a/new", "2")
                    .Directory("b")
                    .File("b/new", "2")
                    .File(".wh.b", "")));
  for (const std::string name : {"a", "b"}) {
    EXPECT_TRUE(Opaque("layer1/" + name));
    EXPECT_EQ(Merged(name + "/old"), "missing");
    EXPECT_EQ(Merged(name + "/new"), "2");
  }
}

TEST_F(LayerApplierTest, OpaqueDirectoriesHideWhatIsBelow) {
  ASSERT_OK(Add(TarBuilder().File("d/old", "1").File("d/sub/old", "1")));
  ASSERT_OK(Add(TarBuilder()
                    .File("d/new", "2")
                    .File("d/.wh..wh..opq", "")
                    .File("d/.wh.old", "")));
  EXPECT_EQ(Merged("d/old"), "missing");
  EXPECT_EQ(Merged("d/sub/old"), "missing");
  EXPECT_EQ(Merged("d/new"), "2");
  // Hidden already: a device would only show in a listing.
  EXPECT_THAT(dir_.Names("layer1/d"), ElementsAre("new"));
}

TEST_F(LayerApplierTest, ImpliedDirectoriesLookAsBelow) {
  ASSERT_OK(
      Add(TarBuilder().Directory("d", 0700, 3, 4).Directory("d/e", 0711)));
  ASSERT_OK(Add(TarBuilder().File("d/e/f", "x").File("new/f", "y")));
  EXPECT_EQ(Stat("layer1/d").st_mode & 07777, 0700u);
  EXPECT_EQ(Stat("layer1/d").st_uid, 3u);
  EXPECT_EQ(Stat("layer1/d").st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(Stat("layer1/d/e").st_mode & 07777, 0711u);
  EXPECT_EQ(Stat("layer1/new").st_mode & 07777, 0755u);
}

TEST_F(LayerApplierTest, LinksToAFileOfALowerLayer) {
  ASSERT_OK(Add(TarBuilder().File("d/target", "data", 0640)));
  ASSERT_OK(Add(TarBuilder().HardLink("link", "d/target")));
  EXPECT_EQ(Merged("link"), "data");
  EXPECT_EQ(Stat("layer1/link").st_ino, Stat("layer1/d/target").st_ino);
  EXPECT_EQ(Stat("layer1/link").st_mode & 07777, 0640u);
  EXPECT_THAT(Add(TarBuilder().HardLink("x", "nowhere")),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Add(TarBuilder().File(".wh.link", "").HardLink("x", "link")),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("removed")));
}

TEST_F(LayerApplierTest, LaterEntriesReplaceEarlierOnes) {
  ASSERT_OK(Add(TarBuilder()
                    .File("a", "1")
                    .Directory("a")
                    .File("a/b", "2")
                    .File("c", "1")
                    .File("c", "2")
                    .Directory("d")
                    .File("d/x", "1")
                    .Symlink("d", "/nowhere")));
  EXPECT_EQ(dir_.Read("layer0/a/b"), "2");
  EXPECT_EQ(dir_.Read("layer0/c"), "2");
  EXPECT_TRUE(S_ISLNK(Stat("layer0/d").st_mode));
}

TEST_F(LayerApplierTest, LinksNeverLeadOut) {
  dir_.MakeDirectory("host");
  dir_.Write("host/file", "untouched");
  const std::string host = PathOf("host");
  const std::string up = "../../../../../../.." + host;
  ASSERT_OK(Add(TarBuilder()
                    .Symlink("abs", host)
                    .File("abs/file", "evil")
                    .Symlink("rel", up)
                    .File("rel/file", "evil")
                    .Symlink("leaf", host + "/file")
                    .File("leaf", "inside")
                    .File("abs/.wh.file", "")
                    .File("rel/.wh..wh..opq", "")));
  EXPECT_EQ(dir_.Read("host/file"), "untouched");
  EXPECT_THAT(dir_.Names("host"), ElementsAre("file"));
  EXPECT_EQ(dir_.Read("layer0/leaf"), "inside");
  EXPECT_FALSE(Opaque("host"));
}

TEST_F(LayerApplierTest, DropsMarkersThatAreNotTheLayersToSet) {
  ASSERT_OK(Add(TarBuilder()
                    .Pax("SCHILY.xattr.trusted.overlay.opaque", "y")
                    .Directory("d")
                    .Pax("SCHILY.xattr.user.kept", "v")
                    .File("f", "x")));
  EXPECT_FALSE(Opaque("layer0/d"));
  char value = 0;
  EXPECT_EQ(getxattr(PathOf("layer0/f").c_str(), "user.kept", &value, 1), 1);
  EXPECT_THAT(Add(TarBuilder().Raw(TarBuilder::Header("dev", '3', 0))),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(LayerApplierTest, RefusesWhiteoutsThatNameNothing) {
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh.", ".wh.d/f"}) {
    EXPECT_THAT(Add(TarBuilder().File(name, "")),
                StatusIs(StatusCode::kInvalidArgument))
        << name;
  }
  ASSERT_OK(Add(TarBuilder()
                    .Directory(".wh..wh.plnk")
                    .File(".wh..wh.plnk/1", "x")
                    .File(".wh..wh.aufs", "")));
  EXPECT_THAT(dir_.Names("layer" + std::to_string(count_ - 1)), IsEmpty());
}

TEST_F(LayerApplierTest, LimitsHowOftenALayerReplacesItself) {
  TarBuilder tar;
  for (int i = 0; i < 1100; ++i) tar.File("f", "x");
  EXPECT_THAT(Add(tar), StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(LayerApplierTest, ALinkToALowerFileYieldsToLaterEntries) {
  ASSERT_OK(Add(TarBuilder().File("target", "lower").File("b", "1")));
  ASSERT_OK(Add(TarBuilder()
                    .HardLink("a", "target")
                    .File("a", "later")
                    .HardLink("b", "target")
                    .File(".wh.b", "")
                    .File("b", "later")
                    .HardLink("z", "target")
                    .HardLink("y", "z")));
  EXPECT_EQ(Merged("a"), "later");
  EXPECT_EQ(Merged("b"), "later");
  EXPECT_EQ(Merged("y"), "lower");
}

// Hard links to long names that are nowhere.
class EndlessLinks : public ByteSource {
 public:
  StatusOr<std::string_view> Next() override {
    std::string target = "no";
    while (target.size() < 4000) target += "/" + std::string(200, 'x');
    const std::string name = std::to_string(count++);
    entry_ = TarBuilder().Pax("linkpath", target).HardLink(name, "").Unended();
    return std::string_view(entry_);
  }
  int count = 0;

 private:
  std::string entry_;
};

TEST_F(LayerApplierTest, LimitsTheNamesItRemembers) {
  dir_.MakeDirectory("links");
  ASSERT_OK_AND_ASSIGN(UniqueFd fd, OpenFile(PathOf("links"), O_RDONLY));
  EndlessLinks links;
  LayerReader reader(links);
  LayerApplier applier(std::move(fd));
  // Of an applier without the limit this would be the end.
  const Context ctx =
      Context::Background().WithTimeout(std::chrono::minutes(5));
  EXPECT_THAT(applier.Apply(ctx, reader),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("names")));
  EXPECT_LT(links.count, 40'000);
}

// `p` is the oldest of the directories that are held open when `p/x` comes,
// which takes the place of a whiteout and so is opened itself.
TEST_F(LayerApplierTest, HoldsADirectoryWhileItWorksInIt) {
  TarBuilder tar;
  tar.Directory("p").File("p/.wh.x", "");
  for (int i = 1; i <= 15; ++i) {
    tar.File("d" + std::to_string(i) + "/a", "");
  }
  ASSERT_OK(Add(tar.Directory("p/x", 0700, 3, 4)));
  EXPECT_TRUE(Opaque("layer0/p/x"));
  EXPECT_EQ(Stat("layer0/p/x").st_mode & 07777, 0700u);
  EXPECT_EQ(Stat("layer0/p/x").st_uid, 3u);
}

TEST_F(LayerApplierTest, AStackFollowsLinksWithinItself) {
  ASSERT_OK(Add(TarBuilder()
                    .File("usr/etc/passwd", "lower")
                    .Symlink("etc", "usr/etc")
                    .Symlink("up", "../../../../etc/passwd")
                    .Symlink("loop", "loop")
                    .Directory("dir")));
  ASSERT_OK(Add(TarBuilder().Symlink("abs", "/etc/passwd")));
  EXPECT_EQ(Merged("/etc/passwd"), "lower");
  EXPECT_EQ(Merged("up"), "lower");
  EXPECT_EQ(Merged("abs"), "lower");
  ASSERT_OK_AND_ASSIGN(const LayerStack stack, LayerStack::Open(lower_));
  EXPECT_FALSE(stack.OpenFile("loop").ok());
  EXPECT_THAT(stack.OpenFile("dir"), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(stack.OpenFile("etc/passwd/x"), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace berth::image
