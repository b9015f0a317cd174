#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/selinux/relabel.h"

namespace berth::sandbox {
namespace {

using state::v1::SelinuxOptions;

const SelinuxContexts kContexts = {"system_u:system_r:container_t:s0",
                                   "system_u:object_r:container_file_t:s0"};

// ---- names ------------------------------------------------------------------

TEST(SelinuxContextsTest, AreThoseOfThePolicyInForce) {
  TempDir dir;
  dir.MakeDirectory("sys/fs/selinux");
  dir.MakeDirectory("etc/selinux/strict/contexts");
  dir.Write("etc/selinux/config",
            "# SELINUXTYPE=other\nSELINUX=enforcing\nSELINUXTYPE=strict\n");
  dir.Write("etc/selinux/strict/contexts/lxc_contexts",
            "\n# a comment\nprocess = \"u:r:c_t:s0\"\n"
            "content = \"u:object_r:content_t:s0\"\n"
            "file=\"u:object_r:f_t:s0\"\nro_file=\"u:object_r:ro_t:s0\"\n");
  const auto detect = [&] {
    return SelinuxContexts::Detect(dir.Path("sys"), dir.Path("etc"));
  };
  EXPECT_TRUE(detect().empty()) << "SELinux is off";
  dir.Write("sys/fs/selinux/enforce", "0");
  EXPECT_EQ(detect().process, "u:r:c_t:s0");
  EXPECT_EQ(detect().file, "u:object_r:f_t:s0");
  dir.Write("etc/selinux/config", "SELINUX=permissive\n");
  EXPECT_TRUE(detect().empty()) << "there is no policy of the usual name";
}

TEST(SelinuxLabelsTest, OfOnePodShareALevel) {
  const SelinuxLabels labels = LabelsOf(kContexts, {}, {}, "s0:c1,c2");
  EXPECT_EQ(labels.process, "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(labels.mount, "system_u:object_r:container_file_t:s0:c1,c2");
}

TEST(SelinuxLabelsTest, WhatIsAskedForWins) {
  SelinuxOptions own;
  SelinuxOptions pod;
  pod.set_user("p_u");
  pod.set_type("p_t");
  pod.set_level("s0:c5");
  own.set_type("o_t");
  own.set_role("o_r");
  const SelinuxLabels labels = LabelsOf(kContexts, own, pod, "s0:c1,c2");
  EXPECT_EQ(labels.process, "p_u:o_r:o_t:s0:c5");
  EXPECT_EQ(labels.mount, "p_u:object_r:container_file_t:s0:c5");
}

TEST(SelinuxLabelsTest, ADisabledOneHasTheFilesLabelAlone) {
  SelinuxOptions own;
  own.set_disabled(true);
  own.set_file_type("mine_t");
  const SelinuxLabels labels = LabelsOf(kContexts, own, {}, "s0:c1,c2");
  EXPECT_EQ(labels.process, "");
  EXPECT_EQ(labels.mount, "system_u:object_r:mine_t:s0:c1,c2");
}

TEST(SelinuxLabelsTest, WithoutAPolicyForContainersThereAreNone) {
  const SelinuxLabels labels = LabelsOf({}, {}, {}, "s0:c1,c2");
  EXPECT_EQ(labels.process + labels.mount, "");
}

TEST(SelinuxLabelsTest, APolicyWithoutLevelsGetsNone) {
  const SelinuxLabels labels =
      LabelsOf({"u:r:t", "u:object_r:f"}, {}, {}, "s0:c1,c2");
  EXPECT_EQ(labels.process, "u:r:t");
  EXPECT_EQ(labels.mount, "u:object_r:f");
}

TEST(SelinuxLabelsTest, SharedFilesHaveNoCategories) {
  EXPECT_EQ(SharedLabel("u:object_r:f:s0:c1,c2"), "u:object_r:f:s0");
  EXPECT_EQ(SharedLabel("u:object_r:f"), "u:object_r:f");
}

TEST(CategoryPairTest, GivesEachPairOnce) {
  std::set<std::string> all;
  constexpr uint64_t kPairs = 1024 * 1023 / 2;
  for (uint64_t i = 0; i < kPairs; ++i) all.insert(CategoryPair(i));
  EXPECT_EQ(all.size(), kPairs);
  EXPECT_EQ(CategoryPair(0), "s0:c0,c1");
  EXPECT_EQ(CategoryPair(kPairs - 1), "s0:c1022,c1023");
  EXPECT_EQ(CategoryPair(kPairs), CategoryPair(0));
}

// ---- files ------------------------------------------------------------------

class RelabelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: security attributes";
    dir_.MakeDirectory("v/deep/er");
    dir_.Write("v/file", "");
    dir_.Write("v/deep/er/file", "");
    dir_.Write("outside", "");
    ASSERT_EQ(symlink("../outside", dir_.Path("v/link").c_str()), 0);
    if (!SetOn("v/file", "probe")) GTEST_SKIP() << "no attributes here";
  }

  bool SetOn(const std::string& name, const std::string& label) {
    return lsetxattr(dir_.Path(name).c_str(), "security.selinux", label.c_str(),
                     label.size() + 1, 0) == 0;
  }
  std::string On(const std::string& name) {
    char label[256] = "";
    const ssize_t size = lgetxattr(dir_.Path(name).c_str(), "security.selinux",
                                   label, sizeof(label) - 1);
    return size < 0 ? "none" : std::string(label);
  }
  Status Run(const std::string& name, const std::string& label) {
    return Relabel(Context::Background("test"), dir_.Path(name), label);
  }

  TempDir dir_;
};

TEST_F(RelabelTest, LabelsAllThatIsBelow) {
  ASSERT_OK(Run("v", "a:b:c:s0"));
  for (const char* name :
       {"v", "v/file", "v/deep", "v/deep/er", "v/deep/er/file", "v/link"}) {
    EXPECT_EQ(On(name), "a:b:c:s0") << name;
  }
  EXPECT_EQ(On("outside"), "none");
}

TEST_F(RelabelTest, LeavesAloneWhatIsRightAtTheTop) {
  ASSERT_TRUE(SetOn("v", "a:b:c:s0"));
  ASSERT_OK(Run("v", "a:b:c:s0"));
  EXPECT_EQ(On("v/file"), "probe");
  // One that was broken off has a top that is not right yet.
  ASSERT_TRUE(SetOn("v", "other"));
  ASSERT_OK(Run("v", "a:b:c:s0"));
  EXPECT_EQ(On("v/file"), "a:b:c:s0");
}

TEST_F(RelabelTest, IsOfFilesToo) {
  ASSERT_OK(Run("v/file", "a:b:c:s0"));
  EXPECT_EQ(On("v/file"), "a:b:c:s0");
  EXPECT_EQ(On("v"), "none");
}

TEST_F(RelabelTest, StaysOnTheFileSystem) {
  const std::string place = dir_.Path("v/deep/er");
  ASSERT_EQ(mount("tmpfs", place.c_str(), "tmpfs", 0, nullptr), 0);
  dir_.Write("v/deep/er/other", "");
  EXPECT_OK(Run("v", "a:b:c:s0"));
  EXPECT_NE(On("v/deep/er/other"), "a:b:c:s0");
  ASSERT_EQ(umount(place.c_str()), 0);
}

TEST_F(RelabelTest, RefusesTheSystemsFolders) {
  for (const char* path : {"/", "/usr", "/home/", "/etc", "/var/lib"}) {
    EXPECT_EQ(Relabel(Context::Background("test"), path, "a:b:c:s0").code(),
              StatusCode::kInvalidArgument)
        << path;
  }
  // By another name, too.
  dir_.MakeDirectory("copy");
  const std::string copy = dir_.Path("copy");
  ASSERT_EQ(mount("/proc", copy.c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(Run("copy", "a:b:c:s0").code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(umount(copy.c_str()), 0);
}

TEST_F(RelabelTest, FollowsNoLinkOnItsWay) {
  ASSERT_EQ(symlink("v", dir_.Path("way").c_str()), 0);
  EXPECT_EQ(ErrnoOf(Run("way/deep", "a:b:c:s0")), ELOOP);
  EXPECT_EQ(On("v/deep"), "none");
}

TEST_F(RelabelTest, EndsWithItsCaller) {
  const Context gone = Context::Background("test").WithCancel();
  gone.Cancel();
  EXPECT_EQ(Relabel(gone, dir_.Path("v"), "a:b:c:s0").code(),
            StatusCode::kCancelled);
  EXPECT_EQ(On("v"), "none");
}

TEST_F(RelabelTest, AFileSystemWithoutLabelsIsNoError) {
  EXPECT_OK(SetLabel("/proc/self/cmdline", "a:b:c:s0"));
  EXPECT_OK(Relabel(Context::Background("test"),
                    "/proc/" + std::to_string(getpid()) + "/fdinfo", "x"));
}

}  // namespace
}  // namespace berth::sandbox
