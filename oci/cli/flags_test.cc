#include "oci/cli/flags.h"

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;

const std::vector<FlagSpec> kKnown = {
    {"bundle", "b", true}, {"env", "e", true}, {"force", "f", false}};

StatusOr<Flags> Parse(const std::vector<std::string>& args,
                      bool interspersed = true) {
  size_t next = 0;
  return Flags::Parse(args, &next, kKnown, interspersed);
}

TEST(FlagsTest, AllSpellingsAreTheSame) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--bundle", "x", "id"},
        {"--bundle=x", "id"},
        {"-b", "x", "id"},
        {"-bundle=x", "id"},
        {"id", "-b", "x"}}) {
    ASSERT_OK_AND_ASSIGN(const Flags flags, Parse(args));
    EXPECT_EQ(flags.Get("bundle"), "x");
    EXPECT_THAT(flags.positional(), ElementsAre("id"));
  }
}

TEST(FlagsTest, StopsAtTheFirstArgument) {
  const std::vector<std::string> args = {"-e",  "A=1", "-e",
                                         "B=2", "id",  "--force"};
  size_t next = 0;
  ASSERT_OK_AND_ASSIGN(const Flags flags,
                       Flags::Parse(args, &next, kKnown, false));
  EXPECT_THAT(flags.All("env"), ElementsAre("A=1", "B=2"));
  EXPECT_EQ(next, 4u);
  EXPECT_FALSE(flags.Has("force"));
}

TEST(FlagsTest, ErrorsAndSwitches) {
  EXPECT_THAT(Parse({"--nonsense"}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Parse({"--bundle"}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_TRUE(Parse({"--help"})->On("help"));
  EXPECT_TRUE(Parse({"-h", "id"})->On("help"));
  EXPECT_TRUE(Parse({"--force"})->On("force"));
  EXPECT_FALSE(Parse({"--force=false"})->On("force"));
  EXPECT_THAT(Parse({"--", "--force"})->positional(), ElementsAre("--force"));
  EXPECT_THAT(Parse({"-b", "9x"})->Number("bundle"),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::oci
