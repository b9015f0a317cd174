#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Json Parsed(const std::string& text) {
  const StatusOr<Json> json = ParseJson(text, "text");
  EXPECT_OK(json.status());
  return json.ok() ? *json : Json();
}

std::string Nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonTest, ReadsOfAWrongTypeAreEmpty) {
  const Json json = Parsed(R"({"n": null, "t": "text", "i": -1, "a": [1]})");
  for (const Json& value :
       {Json(), Json(nullptr), Json(true), Json(1), Json(1.5), Json("x"),
        Json::array(), Json::object(), json}) {
    EXPECT_EQ(value.Find("none"), nullptr);
    EXPECT_EQ(value.Text("i"), "");
    EXPECT_EQ(value.is_array(), value == Json::array());
    EXPECT_EQ(value.AsBool().has_value(), value == Json(true));
    EXPECT_EQ(value.AsInt().has_value(), value == Json(1));
    EXPECT_EQ(value.AsText() != nullptr, value == Json("x"));
  }
  EXPECT_EQ(json.Find("n"), nullptr);  // as if it were missing
  EXPECT_EQ(json.members().count("n"), 1u);
  EXPECT_EQ(json.Text("t"), "text");
  EXPECT_EQ(json.Find("i")->AsUint(), std::nullopt);
  EXPECT_EQ(json.Find("a")->elements()[0].AsInt(), 1);
  EXPECT_THAT(json.Find("t")->elements(), IsEmpty());
  EXPECT_THAT(json.Find("a")->members(), IsEmpty());
}

TEST(JsonTest, WritesMakeRoom) {
  Json json = "a text";
  json["a"]["b"] = 1;
  json["list"].push_back("x");
  json["list"].push_back(nullptr);
  json["gone"] = 1;
  json.erase("gone");
  json.erase("never there");
  EXPECT_EQ(DumpJson(json), R"({"a":{"b":1},"list":["x",null]})");
  json = std::move(json["a"]);  // its own part
  EXPECT_EQ(DumpJson(json), R"({"b":1})");
  const Json copy = json;
  json["b"] = 2;
  EXPECT_EQ(DumpJson(copy), R"({"b":1})");
  const Json moved = std::move(json);
  EXPECT_TRUE(json.is_null());  // NOLINT: promised
}

TEST(JsonTest, BracesMakeObjectsOfPairsAndArraysOfTheRest) {
  const std::vector<std::string> list = {"x", "y"};
  const std::map<std::string, std::string> map = {{"k", "v"}};
  const Json json = {
      {"pairs", {{"a", 1}, {"b", {{"c", true}}}}},
      {"texts", {"one", "two", "three"}},
      {"two", {"one", "two"}},
      {"list", list},
      {"map", map},
      {"none", nullptr},
      {"empty", Json::array()},
      {"of pairs", Json::array({{"a", 1}})},
      {"of objects", Json::array({{{"a", 1}}, {{"b", 2.5}}})},
      {"twice", 1},
      {"twice", 2},
  };
  EXPECT_EQ(DumpJson(json),
            R"({"empty":[],"list":["x","y"],"map":{"k":"v"},"none":null,)"
            R"("of objects":[{"a":1},{"b":2.5}],"of pairs":[["a",1]],)"
            R"("pairs":{"a":1,"b":{"c":true}},)"
            R"("texts":["one","two","three"],"twice":2,"two":["one","two"]})");
  EXPECT_EQ(DumpJson(Json{{"a", Json{{"b", 1}}}}), R"({"a":{"b":1}})");
}

TEST(JsonTest, NumbersAreExact) {
  const std::string text =
      "[-9223372036854775808,-1,0,9223372036854775807,18446744073709551615,"
      "0.1,1e+300,1.0,-2.5]";
  const Json json = Parsed(text);
  EXPECT_EQ(DumpJson(json), text);
  const Json::Array& numbers = json.elements();
  EXPECT_EQ(numbers[0].AsInt(), INT64_MIN);
  EXPECT_EQ(numbers[3].AsInt(), INT64_MAX);
  EXPECT_EQ(numbers[4].AsInt(), std::nullopt);
  EXPECT_EQ(numbers[4].AsUint(), UINT64_MAX);
  EXPECT_EQ(numbers[7].AsInt(), std::nullopt);
  EXPECT_EQ(Json(1u), Json(int64_t{1}));
  EXPECT_FALSE(Json(1) == Json(1.0));
  EXPECT_EQ(DumpJson(std::numeric_limits<double>::infinity()), "null");
}

TEST(JsonTest, TextsAreEscapedAndMended) {
  EXPECT_EQ(DumpJson(std::string("\"\\\b\f\n\r\t\x01\x7f\0", 10)),
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f\\u0000\"");
  EXPECT_EQ(DumpJson("gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\xB3"),
            "\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\xB3\"");
  const std::string bad = "\xEF\xBF\xBD";
  // Lone bytes, a cut sequence, an overlong one, a surrogate, one too high.
  EXPECT_EQ(DumpJson("a\xFF\x80z"), "\"a" + bad + bad + "z\"");
  EXPECT_EQ(DumpJson("a\xE2\x82"), "\"a" + bad + "\"");
  EXPECT_EQ(DumpJson("\xE2\x82z"), "\"" + bad + "z\"");
  EXPECT_EQ(DumpJson("\xC0\xAF"), "\"" + bad + bad + "\"");
  EXPECT_EQ(DumpJson("\xED\xA0\x80"), "\"" + bad + bad + bad + "\"");
  EXPECT_EQ(DumpJson("\xF4\x90\x80\x80"), "\"" + bad + bad + bad + bad + "\"");
  EXPECT_FALSE(ParseJson("\"\xFF\"", "x").ok());
  EXPECT_EQ(Parsed(R"("\ud83d\udc33\u00fc")"),
            Json("\xF0\x9F\x90\xB3\xC3\xBC"));
}

TEST(JsonTest, IndentsIfAsked) {
  EXPECT_EQ(DumpJson({{"a", {1, 2}}, {"b", Json::object()}}, 2),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST(ParseJsonTest, ErrorsNameLineAndColumn) {
  struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "x is not JSON: line 1, column 1"},
      {"{", "x is not JSON: line 1, column 2"},
      {"{\n  \"a\": nul1\n}", "x is not JSON: line 2, column 11"},
      {"{\n  \"a\": 1,\n}", "x is not JSON: line 3, column 1"},
      {"[1] 2", "x is not JSON: line 1, column 5"},
      {"\"\xFF\"", "x is not JSON: line 1, column 2"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(ParseJson(one.text, "x"),
                StatusIs(StatusCode::kInvalidArgument, one.error));
  }
}

TEST(ParseJsonTest, BoundsTheDepth) {
  EXPECT_OK(ParseJson(Nested(128), "x"));
  EXPECT_THAT(ParseJson("\n" + Nested(129), "x"),
              StatusIs(StatusCode::kInvalidArgument,
                       "x nests too deeply: line 2, column 129"));
  EXPECT_OK(ParseJson(Nested(129), "x", kDeepJson));
  EXPECT_FALSE(ParseJson(std::string(1'000'000, '['), "x", kDeepJson).ok());
  // Wide is not deep.
  std::string wide = "[0";
  for (int i = 0; i < 1000; ++i) wide += ",[{}]";
  EXPECT_EQ(Parsed(wide + "]").size(), 1001u);
}

TEST(ParseJsonTest, TheLastOfEqualMembersCountsUnlessRefused) {
  const std::string text = R"({"a": {"b": 1}, "a": {"c": [true, {}]}})";
  EXPECT_EQ(DumpJson(Parsed(text)), R"({"a":{"c":[true,{}]}})");
  EXPECT_THAT(ParseJson(text, "x", {.refuse_duplicates = true}),
              StatusIs(StatusCode::kInvalidArgument,
                       "x a member occurs twice: line 1, column 19"));
  EXPECT_OK(ParseJson(R"([{"a": 1}, {"a": {"a": 2}}])", "x",
                      {.refuse_duplicates = true}));
}

// What it takes it can print, read again and get the same.
TEST(ParseJsonTest, SurvivesMutants) {
  Fuzz({R"({"a": [1, -2, 3.5e7, "t\u00e4\n", true, false, null], "b": {}})",
        R"([[[[{"x": {"y": [18446744073709551615, -9223372036854775808]}}]]]])",
        "\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\xB3\""},
       {"null", "\\ud800", "1e999", "[[", "}}", "\":", "\xED\xA0\x80"},
       [](const std::string& text) {
         const StatusOr<Json> json = ParseJson(text, "x");
         if (!json.ok()) return false;
         const std::string printed = DumpJson(*json);
         const StatusOr<Json> again = ParseJson(printed, "x");
         EXPECT_OK(again.status()) << printed;
         if (!again.ok()) return true;
         EXPECT_EQ(*again, *json);
         EXPECT_EQ(DumpJson(*again), printed);
         return true;
       });
}

TEST(JsonReaderTest, IntegersAreExactAndTypesAreChecked) {
  const Json json =
      Parsed(R"({"max":18446744073709551615,"s":"t","list":["a"],"f":1.5})");
  JsonReader reader(json, "root");
  uint64_t max = 0;
  std::vector<std::string> list;
  std::optional<int64_t> missing;
  reader.Get("max", max);
  reader.Get("list", list);
  reader.Get("none", missing);
  ASSERT_OK(reader.status());
  EXPECT_EQ(max, UINT64_MAX);
  EXPECT_THAT(list, ElementsAre("a"));
  EXPECT_EQ(missing, std::nullopt);
  int64_t wrong = 0;
  reader.Get("max", wrong);
  EXPECT_THAT(reader.status(), StatusIs(StatusCode::kInvalidArgument,
                                        "root.max is out of range"));
}

template <typename T>
void ExpectOnlyNullAnd(const std::string& good) {
  for (const char* text : {"null", "true", "-1", "1", "1.5", "\"t\"", "[\"t\"]",
                           "{\"k\":\"v\"}", "[null]", "{\"k\":null}"}) {
    const Json json = Parsed(std::string(R"({"m":)") + text + "}");
    JsonReader reader(json, "root");
    T value{};
    reader.Get("m", value);
    const bool right =
        std::string(text) == "null" ||
        good.find(std::string(" ") + text + " ") != std::string::npos;
    EXPECT_EQ(reader.status().ok(), right) << text;
  }
}

TEST(JsonReaderTest, EveryWrongTypeIsAnError) {
  ExpectOnlyNullAnd<std::string>(" \"t\" ");
  ExpectOnlyNullAnd<bool>(" true ");
  ExpectOnlyNullAnd<int64_t>(" -1 1 ");
  ExpectOnlyNullAnd<int32_t>(" -1 1 ");
  ExpectOnlyNullAnd<uint64_t>(" 1 ");
  ExpectOnlyNullAnd<uint32_t>(" 1 ");
  ExpectOnlyNullAnd<std::vector<std::string>>(" [\"t\"] ");
  ExpectOnlyNullAnd<std::map<std::string, std::string>>(" {\"k\":\"v\"} ");
}

TEST(JsonReaderTest, WhatIsNoObjectHasNoMembers) {
  for (const Json& json : {Json(), Json("text"), Json::array({1}), Json(1)}) {
    JsonReader reader(json, "root");
    EXPECT_THAT(reader.status(), StatusIs(StatusCode::kInvalidArgument,
                                          "root is not an object"));
    EXPECT_EQ(reader.Find("m"), nullptr);
    EXPECT_THAT(reader.Array("m"), IsEmpty());
    EXPECT_THAT(reader.Object("m"), IsEmpty());
  }
}

TEST(JsonReaderTest, NamesInAnotherCaseCountIfAsked) {
  const Json json =
      Parsed(R"({"image": "low", "Image": "exact", "tTY": true, "cmd": null})");
  JsonReader folding(json, "root", JsonNames::kAnyCase);
  std::string image;
  bool tty = false;
  folding.Get("Image", image);
  folding.Get("Tty", tty);
  EXPECT_OK(folding.status());
  EXPECT_EQ(image, "exact");
  EXPECT_TRUE(tty);
  EXPECT_FALSE(folding.Has("Cmd"));
  EXPECT_FALSE(JsonReader(json, "root").Has("Tty"));
}

}  // namespace
}  // namespace berth
