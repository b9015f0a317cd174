#include "docker/volume_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Context ctx = Context::Background();

std::vector<std::string> Nobody() { return {}; }

TEST(VolumeStoreTest, MakesFindsAndRemoves) {
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  EXPECT_THAT(store.List(), IsOkAndHolds(IsEmpty()));
  ASSERT_OK_AND_ASSIGN(const Volume made,
                       store.Create(ctx, "data", {{"a", "b"}}, {}));
  EXPECT_EQ(made.mountpoint, dir.Path("volumes/data/_data"));
  dir.Write("volumes/data/_data/file", "kept");
  // Again: the same one.
  ASSERT_OK_AND_ASSIGN(const Volume again, store.Create(ctx, "data", {}, {}));
  EXPECT_EQ(again.labels.at("a"), "b");
  EXPECT_EQ(dir.Read("volumes/data/_data/file"), "kept");
  EXPECT_THAT(VolumeStore(dir.Path("volumes")).List(), IsOkAndHolds(SizeIs(1)));
  ASSERT_OK(store.Remove(ctx, "data", Nobody));
  EXPECT_THAT(store.Get("data"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(store.Remove(ctx, "data", Nobody),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(dir.Names("volumes"), IsEmpty());
}

TEST(VolumeStoreTest, KeepsWhatIsInUse) {
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  std::optional<VolumeStore::Use> first = store.BeginUse("data");
  std::optional<VolumeStore::Use> second = store.BeginUse("data");
  ASSERT_OK(store.Create(ctx, "data", {}, {}));
  ASSERT_OK(store.Create(ctx, "other", {}, {}));
  ASSERT_OK(store.Remove(ctx, "other", Nobody));
  first.reset();
  EXPECT_THAT(
      store.Remove(ctx, "data", Nobody),
      StatusIs(StatusCode::kFailedPrecondition, HasSubstr("being created")));
  second.reset();
  EXPECT_THAT(store.Remove(ctx, "data",
                           [] {
                             return std::vector<std::string>{"c1", "c2"};
                           }),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("[c1, c2]")));
  ASSERT_OK(store.Get("data"));
  ASSERT_OK(store.Remove(ctx, "data", Nobody));
}

TEST(VolumeStoreTest, SweepsAbandonedVolumesThatNobodyUses) {
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  for (const char* name : {"plain", "lost", "used", "claimed"}) {
    if (std::string(name) != "plain") {
      ASSERT_OK(store.Abandon(name));
    }
    ASSERT_OK(store.Create(ctx, name, {}, {}));
  }
  ASSERT_OK(store.Claim("claimed"));
  EXPECT_FALSE(store.IsAbandoned("claimed"));
  EXPECT_TRUE(store.IsAbandoned("lost"));
  ASSERT_OK(store.Abandon("unfinished"));
  const auto uses = [](const std::string& name) { return name == "used"; };
  ASSERT_OK(store.Sweep(ctx, uses));
  EXPECT_THAT(dir.Names("volumes"), ElementsAre("claimed", "plain", "used"));
  // What was in use then has been claimed.
  ASSERT_OK(store.Sweep(ctx, [](const std::string&) { return false; }));
  EXPECT_THAT(dir.Names("volumes"), ElementsAre("claimed", "plain", "used"));
}

TEST(VolumeStoreTest, FinishesARemovalThatFailedHalfWay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  ASSERT_OK(store.Create(ctx, "data", {}, {}));
  dir.MakeDirectory("volumes/data/held");
  const std::string held = dir.Path("volumes/data/held");
  ASSERT_EQ(mount("t", held.c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_FALSE(store.Remove(ctx, "data", Nobody).ok());
  EXPECT_THAT(store.Get("data"), StatusIs(StatusCode::kNotFound));
  EXPECT_FALSE(store.Remove(ctx, "data", Nobody).ok());
  ASSERT_EQ(umount2(held.c_str(), MNT_DETACH), 0);
  EXPECT_OK(store.Remove(ctx, "data", Nobody));
  EXPECT_THAT(dir.Names("volumes"), IsEmpty());
  EXPECT_THAT(store.Remove(ctx, "data", Nobody),
              StatusIs(StatusCode::kNotFound));
}

TEST(VolumeStoreTest, RefusesBadNamesAndDriversOptions) {
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  for (const char* bad : {"", "..", "../x", "a/b", "_a"}) {
    EXPECT_THAT(store.Create(ctx, bad, {}, {}),
                StatusIs(StatusCode::kInvalidArgument));
    EXPECT_THAT(store.Get(bad), StatusIs(StatusCode::kNotFound));
  }
  EXPECT_THAT(store.Create(ctx, "nfs1", {}, {{"type", "nfs"}}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("missing required option: \"device\"")));
  EXPECT_THAT(store.Create(ctx, "nfs1", {}, {{"o", "ro"}, {"device", "x"}}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("missing required option: \"type\"")));
  EXPECT_THAT(store.Create(ctx, "nfs1", {}, {{"size", "1m"}}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("invalid option: \"size\"")));
  EXPECT_THAT(store.List(), IsOkAndHolds(IsEmpty()));
}

TEST(VolumeStoreTest, LooksUpTheServer) {
  TempDir dir;
  VolumeStore store(dir.Path("volumes"));
  const auto attached = [&](const std::string& type, const std::string& device,
                            const std::string& o) {
    EXPECT_OK(store.Create(ctx, type, {},
                           {{"type", type}, {"device", device}, {"o", o}}));
    return store.Attach(ctx, type);
  };
  EXPECT_THAT(attached("nfs", ":/x", "ro,addr=no-such-host.invalid"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("address: lookup no-such-host.invalid: ")));
  EXPECT_THAT(attached("cifs", "//no-such-host.invalid/x", "ro"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("address: lookup no-such-host.invalid: ")));
}

TEST(VolumeStoreTest, MountsWhatTheOptionsSay) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir dir;
  dir.MakeDirectory("elsewhere");
  dir.Write("elsewhere/file", "theirs");
  VolumeStore store(dir.Path("volumes"));
  ASSERT_OK(store.Create(
      ctx, "bound", {},
      {{"type", "none"}, {"device", dir.Path("elsewhere")}, {"o", "bind"}}));
  ASSERT_OK(store.Create(
      ctx, "missing", {},
      {{"type", "none"}, {"device", dir.Path("nothing")}, {"o", "bind"}}));
  EXPECT_THAT(store.Attach(ctx, "missing"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("failed to mount local volume")));
  EXPECT_THAT(store.Attach(ctx, "no"), StatusIs(StatusCode::kNotFound));
  const std::string file = "volumes/bound/_data/file";
  for (int i = 0; i < 2; ++i) ASSERT_OK(store.Attach(ctx, "bound"));
  EXPECT_EQ(dir.Read(file), "theirs");
  {
    const VolumeStore::Use use = store.BeginUse("bound");
    ASSERT_OK(store.Detach(ctx, "bound", Nobody));
    EXPECT_EQ(dir.Read(file), "theirs");
  }
  ASSERT_OK(store.Detach(ctx, "bound",
                         [] { return std::vector<std::string>{"c1"}; }));
  EXPECT_EQ(dir.Read(file), "theirs");
  for (int i = 0; i < 2; ++i) ASSERT_OK(store.Detach(ctx, "bound", Nobody));
  EXPECT_THAT(dir.Names("volumes/bound/_data"), IsEmpty());
  // What lies there is not the volume's to remove.
  ASSERT_OK(store.Attach(ctx, "bound"));
  ASSERT_OK(store.Abandon("missing"));
  ASSERT_OK(store.Remove(ctx, "bound", Nobody));
  ASSERT_OK(store.Create(
      ctx, "lost", {},
      {{"type", "none"}, {"device", dir.Path("elsewhere")}, {"o", "bind"}}));
  ASSERT_OK(store.Attach(ctx, "lost"));
  ASSERT_OK(store.Abandon("lost"));
  ASSERT_OK(store.Sweep(ctx, [](const std::string&) { return false; }));
  EXPECT_THAT(dir.Names("volumes"), IsEmpty());
  EXPECT_EQ(dir.Read("elsewhere/file"), "theirs");
}

}  // namespace
}  // namespace berth::docker
