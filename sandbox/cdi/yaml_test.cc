#include "sandbox/cdi/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "sandbox/cdi/cdi_file.h"

namespace berth::sandbox {
namespace {

using ::testing::HasSubstr;

std::string Json(const std::string& yaml) {
  const auto json = ParseYaml(yaml, "file", {"number", "numbers"});
  EXPECT_OK(json) << yaml;
  return json.ok() ? DumpJson(*json) : "";
}

TEST(YamlTest, PlaceAndNotLooksSaysWhatAScalarIs) {
  EXPECT_EQ(Json("a: 0\nb: off\nc: 'x'\nd: true\nnumber: 5\n"),
            R"({"a":"0","b":"off","c":"x","d":"true","number":5})");
  EXPECT_EQ(Json("numbers: [0666, 0o17, 0x1f, -1, '3', true, x, 9.5]"),
            R"({"numbers":[438,15,31,-1,"3",true,"x","9.5"]})");
  EXPECT_EQ(Json("a: ~\nb:\nc: null\nd: ''\nnumber: 0"),
            R"({"a":null,"b":null,"c":null,"d":"","number":0})");
}

TEST(YamlTest, ReadsBothStyles) {
  const std::string block =
      "---\n# a comment\nlist:\n- name: a\n  args: [b, \"c d\"]\n- |\n  two\n"
      "  lines\n";
  EXPECT_EQ(Json(block),
            R"({"list":[{"args":["b","c d"],"name":"a"},"two\nlines\n"]})");
  EXPECT_EQ(Json(R"({"list": [{"name": "a"}, {}], "number": 1})"),
            R"({"list":[{"name":"a"},{}],"number":1})");
}

TEST(YamlTest, RefusesWhatIsNotOnePlainDocument) {
  EXPECT_FALSE(ParseYaml({}, "file", {}).ok());
  const struct {
    std::string yaml;
    const char* error;
  } cases[] = {
      {"", "no document"},
      {"a: 1\n---\nb: 2\n", "line 2: a second document"},
      {"a: &x 1\nb: *x\n", "line 2: an alias"},
      {"a: 1\na: 2\n", "line 2: \"a\" comes twice"},
      {"? [a, b]\n: 1\n", "no plain key"},
      {"a: [1\nb: 2\n", "file: line"},
      {"a: \"\xff\"\n", "file: line"},
      {std::string(100, '[') + std::string(100, ']'), "more than 64 levels"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(ParseYaml(one.yaml, "file", {}).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(one.error)))
        << one.yaml;
  }
}

// As the vendor of a graphics card writes it.
TEST(YamlTest, AFileOfCdiSaysTheSameInBoth) {
  const char* const yaml = R"(---
cdiVersion: 0.7.0
kind: v.com/gpu
devices:
- name: 0
  containerEdits:
    deviceNodes:
    - path: /dev/gpu0
      hostPath: /dev/null
      major: 1
      fileMode: 0660
      gid: 44
    additionalGids: [44]
containerEdits:
  env:
  - VISIBLE=void
  hooks:
  - hookName: createContainer
    path: /usr/bin/hook
    args: [hook, --count, 2]
    timeout: 5
)";
  const char* const json = R"({
"cdiVersion": "0.7.0", "kind": "v.com/gpu",
"devices": [{"name": "0", "containerEdits": {
  "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null", "major": 1,
                   "fileMode": 432, "gid": 44}],
  "additionalGids": [44]}}],
"containerEdits": {"env": ["VISIBLE=void"], "hooks": [
  {"hookName": "createContainer", "path": "/usr/bin/hook",
   "args": ["hook", "--count", "2"], "timeout": 5}]}})";
  ASSERT_OK_AND_ASSIGN(const CdiFile one, ParseCdiYaml(yaml, "a.yaml"));
  ASSERT_OK_AND_ASSIGN(const CdiFile other, ParseCdiFile(json, "a.json"));
  EXPECT_EQ(one.kind, other.kind);
  EXPECT_EQ(one.edits, other.edits);
  EXPECT_EQ(one.devices, other.devices);
}

}  // namespace
}  // namespace berth::sandbox
