#include "docker/convert/member_names.h"

#include <gtest/gtest.h>

#include "base/testing/json.h"

namespace berth::docker {
namespace {

// A structure with one of each kind inside.
Shape Everything() {
  return Shape::Struct(
      {{"Image", Shape()},
       {"Labels", Shape()},
       {"Host", Shape::Struct({"Memory", "CpuShares"})},
       {"Mounts", Shape::Each(Shape::Struct({"Type", "Target"}))},
       {"Ports", Shape::Each(Shape::Each(Shape::Struct({"HostPort"})))}});
}

void ExpectSpelled(const char* given, const char* wanted) {
  EXPECT_EQ(Everything().Spell(Parsed(given)), Parsed(wanted)) << given;
}

TEST(MemberNamesTest, SpellsTheNamesOfStructures) {
  ExpectSpelled(R"({"image": "a", "HOST": {"memory": 1, "cPuShares": 2}})",
                R"({"Image": "a", "Host": {"Memory": 1, "CpuShares": 2}})");
  ExpectSpelled(R"({"Image": "a"})", R"({"Image": "a"})");
}

TEST(MemberNamesTest, SpellsInsideOfListsAndMaps) {
  ExpectSpelled(R"({"mounts": [{"type": "bind"}, {"TARGET": "/x"}, 7]})",
                R"({"Mounts": [{"Type": "bind"}, {"Target": "/x"}, 7]})");
  ExpectSpelled(R"({"ports": {"80/TCP": [{"hostport": "1"}], "x": null}})",
                R"({"Ports": {"80/TCP": [{"HostPort": "1"}], "x": null}})");
}

TEST(MemberNamesTest, KeepsTheClientsOwnNames) {
  ExpectSpelled(R"({"labels": {"image": "x", "IMAGE": "y"}})",
                R"({"Labels": {"image": "x", "IMAGE": "y"}})");
}

TEST(MemberNamesTest, KeepsUnknownMembersAsTheyAre) {
  ExpectSpelled(R"({"newField": {"memory": 1}, "host": {"other": [1]}})",
                R"({"newField": {"memory": 1}, "Host": {"other": [1]}})");
}

TEST(MemberNamesTest, AnExactNameGoesFirst) {
  ExpectSpelled(R"({"IMAGE": "a", "Image": "b", "image": "c"})",
                R"({"Image": "b"})");
  ExpectSpelled(R"({"IMAGE": "a", "image": "c"})", R"({"Image": "c"})");
}

TEST(MemberNamesTest, ANullHidesNothing) {
  ExpectSpelled(R"({"Image": null, "image": "c"})", R"({"Image": "c"})");
  ExpectSpelled(R"({"Image": "b", "image": null})", R"({"Image": "b"})");
  ExpectSpelled(R"({"IMAGE": "b", "image": null})", R"({"Image": "b"})");
  ExpectSpelled(R"({"Image": null})", R"({"Image": null})");
}

TEST(MemberNamesTest, PassesWhatIsOfAnotherType) {
  for (const char* other : {"7", "null", "[]", "\"x\""}) {
    ExpectSpelled(other, other);
  }
  ExpectSpelled(R"({"host": [], "mounts": 7, "ports": [{"hostport": 1}]})",
                R"({"Host": [], "Mounts": 7, "Ports": [{"hostport": 1}]})");
}

}  // namespace
}  // namespace berth::docker
