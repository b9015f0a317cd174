#include "shim/process/event_publisher.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "api/shim/events/task.pb.h"
#include "api/shim/services/ttrpc/events/v1/events.pb.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The manager is a server on the same loop.
class EventPublisherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    events_ = std::make_unique<EventPublisher>(
        *loop_, "unix://" + dir_.Path("manager"), "ns1");
  }

  void StartManager() {
    ASSERT_OK_AND_ASSIGN(UniqueFd listener,
                         ListenUnix(dir_.Path("manager"), 0600));
    manager_ = std::make_unique<TtrpcServer>(*loop_, std::move(listener));
    manager_->Add("containerd.services.events.ttrpc.v1.Events",
                  [this](const TtrpcCall& call, const Responder& reply) {
                    Receive(call, reply);
                  });
    ASSERT_OK(manager_->Listen());
  }

  void Receive(const TtrpcCall& call, const Responder& reply) {
    if (refusals_ > 0) {
      --refusals_;
      return reply.Fail(Internal("busy"));
    }
    containerd::services::events::ttrpc::v1::ForwardRequest request;
    ASSERT_TRUE(request.ParseFromString(call.payload));
    EXPECT_EQ(request.envelope().namespace_(), "ns1");
    EXPECT_EQ(request.envelope().event().type_url(),
              "containerd.events.TaskOOM");
    containerd::events::TaskOOM event;
    ASSERT_TRUE(event.ParseFromString(request.envelope().event().value()));
    received_.push_back(request.envelope().topic() + ":" +
                        event.container_id());
    reply.Send(OkStatus());
    if (received_.size() == expected_) {
      loop_->After(milliseconds(20), [this] { loop_->Stop(); });
    }
  }

  void Publish(const std::string& id) {
    containerd::events::TaskOOM event;
    event.set_container_id(id);
    events_->Publish("/tasks/oom", "containerd.events.TaskOOM", event);
  }

  void RunUntilReceived(size_t count) {
    expected_ = count;
    loop_->After(seconds(20), [this] { loop_->Stop(); });
    ASSERT_OK(loop_->Run());
  }

  TempDir dir_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TtrpcServer> manager_;
  std::unique_ptr<EventPublisher> events_;
  std::vector<std::string> received_;
  size_t expected_ = 0;
  int refusals_ = 0;
};

TEST_F(EventPublisherTest, KeepsTheOrder) {
  StartManager();
  for (const char* id : {"a", "b", "c", "d"}) Publish(id);
  RunUntilReceived(4);
  EXPECT_EQ(received_,
            (std::vector<std::string>{"/tasks/oom:a", "/tasks/oom:b",
                                      "/tasks/oom:c", "/tasks/oom:d"}));
  EXPECT_TRUE(events_->idle());
}

TEST_F(EventPublisherTest, TriesAgain) {
  StartManager();
  refusals_ = 2;
  Publish("a");
  Publish("b");
  RunUntilReceived(2);
  EXPECT_EQ(received_,
            (std::vector<std::string>{"/tasks/oom:a", "/tasks/oom:b"}));
}

TEST_F(EventPublisherTest, WaitsForAManagerThatComesBack) {
  Publish("a");
  loop_->After(milliseconds(100), [this] { StartManager(); });
  RunUntilReceived(1);
  EXPECT_EQ(received_, (std::vector<std::string>{"/tasks/oom:a"}));
}

TEST_F(EventPublisherTest, SendsNothingWithoutAnAddress) {
  events_ = std::make_unique<EventPublisher>(*loop_, "", "ns1");
  Publish("a");
  EXPECT_TRUE(events_->idle());
}

}  // namespace
}  // namespace berth::shim
