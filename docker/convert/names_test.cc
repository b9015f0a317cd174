// Names, exit codes, status codes and sizes that Docker's clients know.
#include "docker/convert/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "docker/convert/console_size.h"
#include "docker/convert/http_status.h"
#include "docker/convert/start_error.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;

TEST(NamesTest, ChecksAndMakes) {
  EXPECT_OK(CheckName("a_b.C-1", "container"));
  EXPECT_OK(CheckName("a0", "container"));
  EXPECT_OK(CheckName(std::string(255, 'x'), "container"));
  for (const std::string& bad :
       {std::string(), std::string("a"), std::string("_a"), std::string("-a"),
        std::string(".a"), std::string("a b"), std::string("a/b"),
        std::string("a\n"), std::string("a\0b", 3), std::string("\xc3\xa4x"),
        std::string(256, 'x')}) {
    EXPECT_THAT(CheckName(bad, "container"),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr("Invalid container name (" + bad + ")")));
  }
  EXPECT_THAT(CheckName("/", "volume"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("for a local volume name")));
}

TEST(NamesTest, RandomNamesAreGoodAndMany) {
  std::set<std::string> names;
  for (int i = 0; i < 200; ++i) {
    const std::string name = RandomName();
    EXPECT_OK(CheckName(name, "container"));
    EXPECT_THAT(name, HasSubstr("_"));
    names.insert(name);
  }
  EXPECT_GT(names.size(), 100u);
}

TEST(HttpStatusTest, EveryCodeHasOne) {
  const std::map<StatusCode, int> wanted = {
      {StatusCode::kOk, 200},
      {StatusCode::kInvalidArgument, 400},
      {StatusCode::kOutOfRange, 400},
      {StatusCode::kUnauthenticated, 401},
      {StatusCode::kPermissionDenied, 403},
      {StatusCode::kNotFound, 404},
      {StatusCode::kAlreadyExists, 409},
      {StatusCode::kFailedPrecondition, 409},
      {StatusCode::kAborted, 409},
      {StatusCode::kUnimplemented, 501},
      {StatusCode::kUnavailable, 503},
      {StatusCode::kInternal, 500},
      {StatusCode::kDataLoss, 500},
      {StatusCode::kDeadlineExceeded, 500},
      {StatusCode::kResourceExhausted, 500},
      {StatusCode::kCancelled, 500},
      {StatusCode::kUnknown, 500},
  };
  for (const auto& [code, status] : wanted) {
    EXPECT_EQ(HttpStatus(Status(code, "why")), status)
        << static_cast<int>(code);
  }
}

TEST(StartErrorTest, ReadsTheKernelsWords) {
  struct {
    const char* message;
    int code;
    const char* text;
  } const cases[] = {
      {"exec \"x\": Executable file not found in $PATH", 127,
       "executable file not found"},
      {"exec \"/x\": No such file or directory", 127,
       "no such file or directory"},
      {"exec \"/etc\": Is a directory", 126, "is a directory"},
      {"exec \"/x\": Permission denied", 126, "permission denied"},
      // A folder to start in, not the program.
      {"chdir to cwd \"/x\": No such file or directory", 128,
       "no such file or directory"},
      {"mount \"proc\": Invalid argument", 128, "Invalid argument"},
      {"", 128, ""},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(StartErrorCode(one.message), one.code) << one.message;
    EXPECT_THAT(StartErrorText(one.message), HasSubstr(one.text));
  }
  EXPECT_EQ(StartErrorText("A: Permission denied; Permission denied"),
            "A: permission denied; permission denied");
}

StatusOr<std::optional<ConsoleSize>> SizeIn(const char* text) {
  const Json json = Parsed(text);
  JsonReader reader(json, "exec");
  return ParseConsoleSize(reader);
}

TEST(ConsoleSizeTest, IsAHeightAndAWidth) {
  ASSERT_OK_AND_ASSIGN(const auto size, SizeIn(R"({"ConsoleSize": [24, 80]})"));
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(size->height, 24);
  EXPECT_EQ(size->width, 80);
  for (const char* none :
       {"{}", R"({"ConsoleSize": null})", R"({"ConsoleSize": []})",
        R"({"ConsoleSize": [24]})", R"({"ConsoleSize": [0, 80]})",
        R"({"ConsoleSize": [24, 65536]})"}) {
    ASSERT_OK_AND_ASSIGN(const auto found, SizeIn(none));
    EXPECT_FALSE(found.has_value()) << none;
  }
  for (const char* bad :
       {R"({"ConsoleSize": [-1, 80]})", R"({"ConsoleSize": ["1", 80]})",
        R"({"ConsoleSize": [1.5, 80]})", R"({"ConsoleSize": {}})",
        R"({"ConsoleSize": 7})"}) {
    EXPECT_THAT(SizeIn(bad), StatusIs(StatusCode::kInvalidArgument,
                                      HasSubstr("exec.ConsoleSize")))
        << bad;
  }
}

}  // namespace
}  // namespace berth::docker
