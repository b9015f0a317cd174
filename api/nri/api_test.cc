#include <gtest/gtest.h>

#include <string>

#include "api/testing/proto_table.h"

namespace {

TEST(NriApiTest, MatchesTheTableOfTheProtocolBothWays) {
  berth::testing::ExpectMatchesTable(
      "api/nri/", "nri.tsv", [](const std::string& name) { return name; });
}

}  // namespace
