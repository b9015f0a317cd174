#include "cri/pod_extras.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::cri {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(PodExtrasTest, ReadsSizesAndLimits) {
  ASSERT_OK_AND_ASSIGN(
      const PodExtras extras,
      ParsePodExtras("128Mi", {"nofile=1024:4096", "core=0", "nproc=unlimited"},
                     {kShmSize}));
  EXPECT_EQ(extras.shm_size, 128 << 20);
  EXPECT_THAT(extras.ulimits, SizeIs(3));
  EXPECT_EQ(extras.ulimits.at("RLIMIT_NOFILE").soft(), 1024u);
  EXPECT_EQ(extras.ulimits.at("RLIMIT_NOFILE").hard(), 4096u);
  EXPECT_EQ(extras.ulimits.at("RLIMIT_CORE").hard(), 0u);
  EXPECT_EQ(extras.ulimits.at("RLIMIT_NPROC").soft(), UINT64_MAX);
  for (const char* size : {"1g", "1GI", "1024m", "1048576k", "1073741824"}) {
    ASSERT_OK_AND_ASSIGN(const PodExtras one, ParsePodExtras(size, {}, {}));
    EXPECT_EQ(one.shm_size, 1 << 30) << size;
  }
}

TEST(PodExtrasTest, RefusesWhatIsNone) {
  for (const char* size : {"0", "-1", "x", "1t", "9223372036854775807k", "m"}) {
    EXPECT_THAT(ParsePodExtras(size, {}, {}).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("shm_size")))
        << size;
  }
  for (const char* limit : {"", "nofile", "nofile=", "nofile=x", "files=1",
                            "nofile=2:1", "nofile=1:2:3", "nofile=-2"}) {
    EXPECT_THAT(ParsePodExtras("", {limit}, {}).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("ulimits")))
        << limit;
  }
  EXPECT_THAT(ParsePodExtras("", {}, {"io.berth.other"}).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("other")));
}

class AddExtrasTest : public ::testing::Test {
 protected:
  void Annotate(const std::string& name, const std::string& text) {
    (*pod_.mutable_annotations())[name] = text;
  }
  state::v1::SandboxConfig pod_;
  state::v1::ContainerConfig container_;
};

TEST_F(AddExtrasTest, OnlyAllowedAnnotationsCount) {
  Annotate(kShmSize, "1m");
  Annotate(kUlimits, "nofile=1");
  ASSERT_OK_AND_ASSIGN(const PodExtras none, ParsePodExtras("", {}, {}));
  ASSERT_OK(AddExtras(none, pod_));
  ASSERT_OK(AddExtras(none, pod_, container_));
  EXPECT_EQ(pod_.shm_size(), 0);
  EXPECT_THAT(container_.rlimits(), IsEmpty());
}

TEST_F(AddExtrasTest, TheNearestCounts) {
  ASSERT_OK_AND_ASSIGN(const PodExtras extras,
                       ParsePodExtras("2m", {"nofile=1:9", "core=1", "nproc=1"},
                                      {kShmSize, kUlimits}));
  ASSERT_OK(AddExtras(extras, pod_));
  EXPECT_EQ(pod_.shm_size(), 2 << 20);
  Annotate(kShmSize, "1m");
  Annotate(kUlimits, "core=2, nproc=2");
  Annotate(std::string(kUlimits) + "/app", "nproc=3");
  Annotate(std::string(kUlimits) + "/other", "nproc=4");
  container_.set_name("app");
  ASSERT_OK(AddExtras(extras, pod_));
  ASSERT_OK(AddExtras(extras, pod_, container_));
  EXPECT_EQ(pod_.shm_size(), 1 << 20);
  ASSERT_THAT(container_.rlimits(), SizeIs(3));
  EXPECT_EQ(container_.rlimits(0).type(), "RLIMIT_CORE");
  EXPECT_EQ(container_.rlimits(0).hard(), 2u);
  EXPECT_EQ(container_.rlimits(1).soft(), 1u);
  EXPECT_EQ(container_.rlimits(1).hard(), 9u);
  EXPECT_EQ(container_.rlimits(2).hard(), 3u);
}

TEST_F(AddExtrasTest, NamesTheAnnotationThatCannotBeRead) {
  ASSERT_OK_AND_ASSIGN(const PodExtras extras,
                       ParsePodExtras("", {}, {kShmSize, kUlimits}));
  Annotate(kShmSize, "much");
  Annotate(kUlimits, "nofile=many");
  EXPECT_THAT(AddExtras(extras, pod_),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(kShmSize)));
  EXPECT_THAT(AddExtras(extras, pod_, container_),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(kUlimits)));
}

}  // namespace
}  // namespace berth::cri
