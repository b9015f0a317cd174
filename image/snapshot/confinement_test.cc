// A hostile layer against an unpacker that does not look where names lead
// (BUILD.bazel arms the failpoint image.layer.unchecked): the kernel stops it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/failpoint.h"
#include "base/store/metadata_store.h"
#include "base/sys/confined_thread.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/layer/tar_builder.h"
#include "image/snapshot/overlay_snapshotter.h"

namespace berth::image {
namespace {

class ConfinementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    if (!ConfinementLacks().empty()) GTEST_SKIP() << ConfinementLacks();
    if (Failpoint("image.layer.unchecked").ok()) {
      GTEST_SKIP() << "needs BERTH_FAILPOINTS=image.layer.unchecked=error";
    }
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    ASSERT_OK_AND_ASSIGN(snapshots_, OverlaySnapshotter::Open(
                                         dir_.Path("snapshots"), *metadata_));
    dir_.MakeDirectory("host");
    dir_.Write("host/passwd", "root");
  }

  Status Unpack(const std::string& tar) {
    StringSource source(tar);
    return snapshots_->Unpack(Context::Background("test"), source).status();
  }

  // A link to the host's folder, and what is to be made through it.
  TarBuilder Through() {
    return TarBuilder().Symlink("way", dir_.Path("host"));
  }

  TempDir dir_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<OverlaySnapshotter> snapshots_;
};

TEST_F(ConfinementTest, OrdinaryLayersUnpack) {
  EXPECT_OK(Unpack(TarBuilder()
                       .Directory("d")
                       .File("d/file", "data")
                       .HardLink("hard", "d/file")
                       .File("d/.wh.gone", "")
                       .Bytes()));
}

TEST_F(ConfinementTest, NoFileIsMadeOutside) {
  EXPECT_EQ(ErrnoOf(Unpack(Through().File("way/new", "x").Bytes())), EACCES);
  EXPECT_FALSE(dir_.Exists("host/new"));
}

TEST_F(ConfinementTest, NoFileIsReplacedOutside) {
  EXPECT_EQ(ErrnoOf(Unpack(Through().File("way/passwd", "x").Bytes())), EACCES);
  EXPECT_EQ(dir_.Read("host/passwd"), "root");
}

// What Landlock does not govern, and so only the unpacker's own looking holds
// up: the mode of a folder that is there. Fails once the kernel does too.
TEST_F(ConfinementTest, ModeOfAFolderOutsideIsNotHeldUp) {
  dir_.MakeDirectory("host/existing");
  ASSERT_EQ(chmod(dir_.Path("host/existing").c_str(), 0700), 0);
  EXPECT_OK(Unpack(
      Through().Raw(TarBuilder::Header("way/existing", '5', 0, "")).Bytes()));
  struct stat st;
  ASSERT_EQ(stat(dir_.Path("host/existing").c_str(), &st), 0);
  EXPECT_NE(st.st_mode & 0777, 0700u);
}

TEST_F(ConfinementTest, NothingElseIsMadeOutside) {
  // A link, a device, a directory and a fifo. Some are stopped before.
  for (const char kind : {'2', '3', '5', '6'}) {
    const Status unpacked =
        Unpack(Through()
                   .Raw(TarBuilder::Header("way/new", kind, 0, "target"))
                   .Bytes());
    EXPECT_FALSE(unpacked.ok()) << kind;
    if (kind == '2' || kind == '6') {
      EXPECT_EQ(ErrnoOf(unpacked), EACCES);
    }
    EXPECT_FALSE(dir_.Exists("host/new")) << kind;
  }
  EXPECT_FALSE(Unpack(Through().File("way/.wh.new", "").Bytes()).ok());
  EXPECT_FALSE(dir_.Exists("host/new"));
}

}  // namespace
}  // namespace berth::image
