#include <gtest/gtest.h>

#include <string>

#include "api/testing/proto_table.h"

namespace {

TEST(NriApiTest, MatchesTheTableOfTheProtocolBothWays) {
  berth::testing::ExpectMatchesTable(
      "api/nri/", "nri.tsv", [](std::string name) {
        const size_t prefix = name.find("NRI_SCHED_");
        return prefix == std::string::npos ? name : name.erase(prefix, 4);
      });
}

}  // namespace
