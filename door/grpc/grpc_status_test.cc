#include "door/grpc/grpc_status.h"

#include <gtest/gtest.h>

namespace berth::door {
namespace {

TEST(ToGrpcTest, KeepsCodeAndMessage) {
  EXPECT_TRUE(ToGrpc(OkStatus()).ok());
  const grpc::Status status = ToGrpc(NotFound("container \"x\""));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "container \"x\"");
}

TEST(ToGrpcTest, HasTheSameNumberForEveryCode) {
  for (int code = 1; code <= 16; ++code) {
    const auto ours = static_cast<StatusCode>(code);
    EXPECT_EQ(static_cast<int>(ToGrpc(Error(ours, "m")).error_code()), code);
  }
}

TEST(ToGrpcTest, IsNeverWithoutAMessage) {
  EXPECT_EQ(ToGrpc(Error(StatusCode::kUnavailable, "")).error_message(),
            "UNAVAILABLE");
}

}  // namespace
}  // namespace berth::door
