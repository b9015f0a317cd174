// Compares what protoc makes of our files with the table of containerd's
// protocol, row by row and both ways.
#include <gtest/gtest.h>

#include <string>

#include "api/testing/proto_table.h"

namespace {

// Google's types, which our files replace by equals.
std::string TableName(const std::string& full_name) {
  const std::string ours = "berth.wire.";
  if (full_name.rfind(ours, 0) != 0) return full_name;
  const std::string name = full_name.substr(ours.size());
  return (name == "Status" ? "google.rpc." : "google.protobuf.") + name;
}

TEST(ShimWireTest, MatchesTheTableOfTheProtocolBothWays) {
  berth::testing::ExpectMatchesTable("api/shim/", "shim-task.tsv", TableName);
}

}  // namespace
