// Binds, Mounts, Tmpfs and Volumes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "docker/convert/create_fixture.h"

namespace berth::docker {
namespace {

using state::v1::Mount;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class HostMountsTest : public CreateTest {
 protected:
  HostMountsTest() { image_.clear_volumes(); }

  // The only mount of a request.
  Mount Bound(const std::string& bind) {
    const auto request = Hosted((R"({"Binds": [")" + bind + R"("]})").c_str());
    EXPECT_OK(request) << bind;
    if (!request.ok() || request->container.mounts_size() != 1) return {};
    return request->container.mounts(0);
  }
  StatusOr<CreateRequest> Mounted(const char* mount) {
    return Hosted((R"({"Mounts": [)" + std::string(mount) + "]}").c_str());
  }
};

TEST_F(HostMountsTest, ReadsTheWordsOfABind) {
  EXPECT_EQ(Bound("/h:/c").host_path(), "/h");
  EXPECT_EQ(Bound("/h:/c").container_path(), "/c");
  EXPECT_FALSE(Bound("/h:/c").readonly());
  EXPECT_FALSE(Bound("/h:/c:rw").readonly());
  EXPECT_TRUE(Bound("/h:/c:ro").readonly());
  EXPECT_TRUE(Bound("/h:/c:z").selinux_relabel());
  EXPECT_TRUE(Bound("/h:/c:z").selinux_shared());
  EXPECT_TRUE(Bound("/h:/c:Z,ro").selinux_relabel());
  EXPECT_FALSE(Bound("/h:/c:Z,ro").selinux_shared());
  EXPECT_FALSE(Bound("/h:/c:cached,delegated,consistent").readonly());
  EXPECT_FALSE(Bound("v1:/c:nocopy").copy_image_content());
  EXPECT_TRUE(Bound("v1:/c").copy_image_content());
  EXPECT_EQ(Bound("v1:/c").volume(), "v1");
}

TEST_F(HostMountsTest, PropagationMayEndRecursion) {
  struct {
    const char* word;
    state::v1::MountPropagation propagation;
    bool non_recursive;
  } const cases[] = {
      {"rprivate", state::v1::MOUNT_PROPAGATION_PRIVATE, false},
      {"private", state::v1::MOUNT_PROPAGATION_PRIVATE, true},
      {"rslave", state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER, false},
      {"slave", state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER, true},
      {"rshared", state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL, false},
      {"shared", state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL, true},
  };
  for (const auto& one : cases) {
    const Mount mount = Bound(std::string("/h:/c:ro,") + one.word);
    EXPECT_EQ(mount.propagation(), one.propagation) << one.word;
    EXPECT_EQ(mount.non_recursive(), one.non_recursive) << one.word;
    // What appears later would pass a read-only mount.
    EXPECT_EQ(mount.recursive_readonly(),
              one.propagation == state::v1::MOUNT_PROPAGATION_PRIVATE);
  }
}

TEST_F(HostMountsTest, RefusesABindThatIsNone) {
  for (const char* bind :
       {"", ":/c", "a:b:c:d", "/h:c", "/h:", "/h:/", "/h:/c:often", "v 1:/c",
        "_v:/c", "v1:/c:rshared", "/h:/c:ro:x", "/h:/c:ro,rw", "/h:/c:ro,ro",
        "/h:/c:z,Z", "/h:/c:shared,slave"}) {
    EXPECT_THAT(With("Binds", {bind}), StatusIs(StatusCode::kInvalidArgument))
        << bind;
  }
  EXPECT_THAT(
      With("Binds", {"/h:/c:often"}),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("invalid mode: often")));
  EXPECT_THAT(With("Binds", {"/h:c"}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("mount path must be absolute")));
}

TEST_F(HostMountsTest, ReadsTmpfsOptions) {
  ASSERT_OK_AND_ASSIGN(
      CreateRequest request,
      Hosted(R"({"Tmpfs": {"/t": "size=1m,mode=1770,ro,suid,uid=7"}})"));
  Mount mount = request.container.mounts(0);
  EXPECT_EQ(mount.type(), state::v1::MOUNT_TYPE_TMPFS);
  EXPECT_EQ(mount.tmpfs_size(), 1 << 20);
  EXPECT_EQ(mount.tmpfs_mode(), 01770u);
  EXPECT_TRUE(mount.readonly());
  EXPECT_THAT(mount.options(),
              UnorderedElementsAre("noexec", "nodev", "suid", "uid=7"));
  for (const char* bad : {"size=x", "mode=9", "mode=", "mode=17777"}) {
    EXPECT_THAT(With("Tmpfs", {{"/t", bad}}),
                StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
  ASSERT_OK_AND_ASSIGN(request, Mounted(R"({"Type": "tmpfs", "Target": "/t",
                           "TmpfsOptions": {"SizeBytes": 7, "Mode": 511}})"));
  EXPECT_EQ(request.container.mounts(0).tmpfs_size(), 7);
  EXPECT_EQ(request.container.mounts(0).tmpfs_mode(), 0777u);
  ASSERT_OK_AND_ASSIGN(request,
                       Mounted(R"({"Type": "tmpfs", "Target": "/t"})"));
  EXPECT_THAT(request.container.mounts(0).options(),
              UnorderedElementsAre("noexec", "nosuid", "nodev"));
  ASSERT_OK_AND_ASSIGN(request, Mounted(R"({"Type": "tmpfs", "Target": "/t",
      "TmpfsOptions": {"SizeBytes": 7, "Options": [["exec"], ["uid", "7"]]}})"));
  EXPECT_EQ(request.container.mounts(0).tmpfs_size(), 7);
  EXPECT_THAT(request.container.mounts(0).options(),
              UnorderedElementsAre("exec", "nosuid", "nodev", "uid=7"));
}

TEST_F(HostMountsTest, ReadsTheOptionsOfAMount) {
  ASSERT_OK_AND_ASSIGN(
      CreateRequest request,
      Mounted(R"({"Type": "bind", "Source": "/s", "Target": "/t/",
                  "BindOptions": {"NonRecursive": true,
                                  "CreateMountpoint": true}})"));
  EXPECT_EQ(request.container.mounts(0).container_path(), "/t");
  EXPECT_TRUE(request.container.mounts(0).non_recursive());
  EXPECT_FALSE(request.container.mounts(0).host_path_must_exist());
  ASSERT_OK_AND_ASSIGN(
      request, Mounted(R"({"Type": "volume", "Source": "v1", "Target": "/t",
                  "VolumeOptions": {"NoCopy": true, "Labels": {"a": "b"},
                    "DriverConfig": {"Name": "local",
                                     "Options": {"k": "v"}}}})"));
  ASSERT_THAT(request.volumes, SizeIs(1));
  EXPECT_EQ(request.volumes[0].labels.at("a"), "b");
  EXPECT_EQ(request.volumes[0].driver_options.at("k"), "v");
  EXPECT_FALSE(request.volumes[0].copy_image_content);
  EXPECT_FALSE(request.volumes[0].anonymous);
  ASSERT_OK_AND_ASSIGN(request,
                       Mounted(R"({"Type": "volume", "Target": "/t"})"));
  EXPECT_TRUE(request.volumes[0].anonymous);
}

TEST_F(HostMountsTest, NamesWhatAMountAsksForInVain) {
  struct {
    const char* mount;
    StatusCode code;
    const char* words;
  } const cases[] = {
      {R"({"Type": "bind", "Target": "/t"})", StatusCode::kInvalidArgument,
       "mount path must be absolute"},
      {R"({"Type": "bind", "Source": "/s", "Target": "t"})",
       StatusCode::kInvalidArgument, "mount path must be absolute"},
      {R"({"Type": "bind", "Source": "/s", "Target": "/"})",
       StatusCode::kInvalidArgument, "can't be '/'"},
      {R"({"Type": "image", "Target": "/t"})", StatusCode::kInvalidArgument,
       "field Source must not be empty"},
      {R"({"Type": "image", "Source": "i", "Target": "/t",
           "ImageOptions": {"Odd": 1}})",
       StatusCode::kUnimplemented, "ImageOptions.Odd"},
      {R"({"Type": "bind", "Source": "/s", "Target": "/t", "Other": 1})",
       StatusCode::kUnimplemented, "Other"},
      {R"({"Type": "bind", "Source": "/s", "Target": "/t",
           "BindOptions": {"Other": 1}})",
       StatusCode::kUnimplemented, "BindOptions.Other"},
      {R"({"Type": "bind", "Source": "/s", "Target": "/t",
           "BindOptions": {"Propagation": "odd"}})",
       StatusCode::kInvalidArgument, "invalid propagation config"},
      {R"({"Type": "volume", "Source": "v/1", "Target": "/t"})",
       StatusCode::kInvalidArgument, "for a local volume name"},
      {R"({"Type": "volume", "Target": "/t",
           "VolumeOptions": {"Subpath": "a/../../x"}})",
       StatusCode::kInvalidArgument, "within the volume"},
      {R"({"Type": "volume", "Target": "/t",
           "VolumeOptions": {"Subpath": "/x"}})",
       StatusCode::kInvalidArgument, "within the volume"},
      {R"({"Type": "cluster", "Source": "v", "Target": "/t"})",
       StatusCode::kInvalidArgument, "swarm"},
      {R"({"Type": "odd", "Source": "v", "Target": "/t"})",
       StatusCode::kInvalidArgument, "odd"},
      {R"({"Type": "volume", "Target": "/t",
           "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}})",
       StatusCode::kUnimplemented, "nfs"},
      {R"({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Options": [1]}})",
       StatusCode::kInvalidArgument, "invalid option for tmpfs mount: 1"},
      {R"({"Type": "tmpfs", "Target": "/t",
           "TmpfsOptions": {"Options": [["uid=7,ro"], ["a", "b=c"]]}})",
       StatusCode::kInvalidArgument, "invalid option for tmpfs mount"},
      {R"({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Mode": -1}})",
       StatusCode::kInvalidArgument, "Mode"},
      {"7", StatusCode::kInvalidArgument, "HostConfig.Mounts"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(Mounted(one.mount), StatusIs(one.code, HasSubstr(one.words)))
        << one.mount;
  }
}

TEST_F(HostMountsTest, MountsTheInsideOfAVolume) {
  ASSERT_OK_AND_ASSIGN(const CreateRequest request,
                       Mounted(R"({"Type": "volume", "Source": "vol",
           "Target": "/t", "VolumeOptions": {"Subpath": "a/./b/"}})"));
  EXPECT_EQ(request.container.mounts(0).sub_path(), "a/b");
}

TEST_F(HostMountsTest, MountsImagesReadOnly) {
  ASSERT_OK_AND_ASSIGN(const CreateRequest request,
                       Mounted(R"({"Type": "image", "Source": "i:1",
           "Target": "/t", "ImageOptions": {"Subpath": "a/b"}})"));
  const Mount& mount = request.container.mounts(0);
  EXPECT_EQ(mount.type(), state::v1::MOUNT_TYPE_IMAGE);
  EXPECT_EQ(mount.image(), "i:1");
  EXPECT_EQ(mount.image_sub_path(), "a/b");
  EXPECT_TRUE(mount.readonly());
}

TEST_F(HostMountsTest, OnePlaceIsMountedOnce) {
  EXPECT_THAT(Hosted(R"({"Binds": ["/a:/c"], "Tmpfs": {"/c/": ""}})"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("Duplicate mount point: /c")));
  EXPECT_THAT(Hosted(R"({"Binds": ["/a:/c"], "Mounts": [
                         {"Type": "tmpfs", "Target": "/x/../c"}]})"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("Duplicate")));
  body_["Volumes"] = {{"rel", Json::object()}};
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument,
                                  HasSubstr("must be absolute")));
}

}  // namespace
}  // namespace berth::docker
