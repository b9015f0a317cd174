#include "cri/chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/cri/v1/api.pb.h"
#include "base/testing/status_matchers.h"

namespace berth::cri {
namespace {

using Message = runtime::v1::StreamContainersResponse;
using runtime::v1::Container;

Status Send(const std::vector<Container>& items, std::vector<Message>& sent,
            size_t most = 1000) {
  return SendInChunks<Message, Container>(
      items, [](Message& m, const Container& c) { *m.add_containers() = c; },
      [&](const Message& m) {
        if (sent.size() == most) return Cancelled("the client is gone");
        sent.push_back(m);
        return OkStatus();
      });
}

TEST(SendInChunksTest, SendsNothingForNothing) {
  std::vector<Message> sent;
  EXPECT_OK(Send({}, sent));
  EXPECT_TRUE(sent.empty());
}

TEST(SendInChunksTest, SendsEveryItemOnce) {
  std::vector<Container> items(10);
  for (int i = 0; i < 10; ++i) {
    items[i].set_id(std::to_string(i));
    (*items[i].mutable_annotations())["a"] = std::string(300000, 'x');
  }
  std::vector<Message> sent;
  EXPECT_OK(Send(items, sent));
  EXPECT_EQ(sent.size(), 3u);
  std::string ids;
  for (const Message& message : sent) {
    EXPECT_LT(message.ByteSizeLong(), 2 * kChunkBytes);
    for (const Container& item : message.containers()) ids += item.id();
  }
  EXPECT_EQ(ids, "0123456789");
}

TEST(SendInChunksTest, EndsWithTheClient) {
  std::vector<Container> items(5);
  for (Container& item : items) item.set_id(std::string(2 << 20, 'x'));
  std::vector<Message> sent;
  EXPECT_THAT(Send(items, sent, 2), StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(sent.size(), 2u);
}

}  // namespace
}  // namespace berth::cri
