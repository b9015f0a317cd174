// Sandboxes that get and lose networks while they live.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ConnectTest : public ManagerTest {
 protected:
  SandboxId Make(const std::string& name = "one") {
    SandboxConfig config = Pod(name);
    config.set_kind(SANDBOX_KIND_STANDALONE);
    auto id = sandboxes_->Create(ctx_, config);
    EXPECT_OK(id);
    return *id;
  }
  NetworkAttachment On(const std::string& network) {
    NetworkAttachment attachment;
    attachment.set_network(network);
    attachment.set_name(network + "-name");
    return attachment;
  }
  std::string Names(const std::string& network) {
    const std::string file = "run/networks/" + network;
    return dir_.Exists(file) ? dir_.Read(file) : "";
  }
};

TEST_F(ConnectTest, AttachesOneThatRuns) {
  const SandboxId id = Make();
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  ASSERT_OK(sandboxes_->Connect(ctx_, id, On("n")));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0", "eth1"));
  ASSERT_THAT(Look(id)->config().networks(), SizeIs(2));
  EXPECT_EQ(Look(id)->config().networks(0).network(), "");
  EXPECT_EQ(Look(id)->more_networks(0).interface(), "eth1");
  EXPECT_TRUE(Look(id)->more_networks(0).attached());
  EXPECT_THAT(dir_.Read("lib/sandboxes/" + id.str() + "/resolv.conf"),
              HasSubstr("nameserver 127.0.0.11"));
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, On("n")),
              StatusIs(StatusCode::kAlreadyExists));

  ASSERT_OK(sandboxes_->Disconnect(ctx_, id, ""));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth1"));
  EXPECT_EQ(Look(id)->network().interface(), "eth1");
  EXPECT_THAT(sandboxes_->Disconnect(ctx_, id, ""),
              StatusIs(StatusCode::kNotFound));
  ASSERT_OK(sandboxes_->Connect(ctx_, id, On("m")));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0", "eth1"));
  ASSERT_OK(sandboxes_->Stop(ctx_, id));
  EXPECT_THAT(network_.interfaces(id.str()), IsEmpty());
}

TEST_F(ConnectTest, RemembersForTheNextStart) {
  const SandboxId id = Make();
  ASSERT_OK(sandboxes_->Connect(ctx_, id, On("n")));
  ASSERT_OK(sandboxes_->Disconnect(ctx_, id, ""));
  Restart();
  EXPECT_THAT(network_.interfaces(id.str()), IsEmpty());
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0"));
  EXPECT_EQ(Look(id)->network().network(), "n");
  ASSERT_OK(sandboxes_->Stop(ctx_, id));
  // None at all is not the default one.
  ASSERT_OK(sandboxes_->Disconnect(ctx_, id, "n"));
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_THAT(network_.interfaces(id.str()), IsEmpty());
}

TEST_F(ConnectTest, AnInterfaceIsThatOfOneNetwork) {
  const SandboxId id = Make();
  NetworkAttachment first = On("n");
  first.set_interface("red");
  ASSERT_OK(sandboxes_->Connect(ctx_, id, first));
  NetworkAttachment second = On("m");
  second.set_interface("red");
  const auto refused =
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("that of network"));
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, second), refused);
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0", "red"));
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, second), refused);
  // Nobody asked for this one.
  second.set_interface("eth0");
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, second), refused);
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0", "red"));
  second.set_interface("blue");
  EXPECT_OK(sandboxes_->Connect(ctx_, id, second));
}

TEST_F(ConnectTest, AFailedConnectLeavesItAsItWas) {
  const SandboxId id = Make();
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  network_.failures.Set("Attach", Unavailable("on purpose"));
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, On("n")),
              StatusIs(StatusCode::kUnavailable, HasSubstr("on purpose")));
  EXPECT_THAT(Look(id)->config().networks(), SizeIs(1));
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0"));
  network_.failures.Clear("Attach");
  EXPECT_OK(sandboxes_->Connect(ctx_, id, On("n")));
}

// A daemon that died between two steps.
TEST_F(ConnectTest, ARetryFinishesWhatWasCutOff) {
  const SandboxId id = Make();
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  ASSERT_OK(sandboxes_->Connect(ctx_, id, On("n")));
  SandboxRecord record = *Look(id);
  record.mutable_more_networks(0)->set_attached(false);
  ASSERT_OK(world_->core().records.Save(record));
  Restart();
  ASSERT_OK(sandboxes_->Connect(ctx_, id, On("n")));
  EXPECT_TRUE(Look(id)->more_networks(0).attached());
  EXPECT_THAT(network_.interfaces(id.str()), ElementsAre("eth0", "eth1"));
}

TEST_F(ConnectTest, TellsTheNamesOfANetwork) {
  const SandboxId one = Make("one");
  NetworkAttachment asked = On("n");
  asked.add_aliases("db");
  asked.add_ips("10.7.0.5");
  ASSERT_OK(sandboxes_->Connect(ctx_, one, asked));
  ASSERT_OK_AND_ASSIGN(const ContainerId app,
                       containers_->Create(ctx_, one, App("web")));
  EXPECT_EQ(Names("n"), "");
  ASSERT_OK(sandboxes_->Start(ctx_, one));
  EXPECT_THAT(Names("n"), HasSubstr("10.7.0.5 web.n-name db.n-name"));
  EXPECT_THAT(Names("n"), HasSubstr(" web db "));
  EXPECT_THAT(Names("n"), HasSubstr(app.str().substr(0, 12)));
  ASSERT_OK(containers_->Rename(ctx_, app, "other"));
  EXPECT_THAT(Names("n"), HasSubstr(" other "));
  EXPECT_THAT(dir_.Read("run/sandboxes/" + one.str() + "/names"),
              HasSubstr("network " + dir_.Path("run/networks/n")));
  ASSERT_OK(sandboxes_->Disconnect(ctx_, one, "n"));
  EXPECT_EQ(Names("n"), "");
  ASSERT_OK(sandboxes_->Connect(ctx_, one, asked));
  EXPECT_THAT(Names("n"), HasSubstr("10.7.0.5"));
  ASSERT_OK(sandboxes_->Remove(ctx_, one));
  EXPECT_EQ(Names("n"), "");
}

TEST_F(ConnectTest, RefusesOneWithoutANetworkOfItsOwn) {
  SandboxConfig config = Pod("host");
  config.set_kind(SANDBOX_KIND_STANDALONE);
  config.mutable_namespaces()->set_network(NAMESPACE_MODE_NODE);
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, config));
  EXPECT_THAT(sandboxes_->Connect(ctx_, id, On("n")),
              StatusIs(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace berth::sandbox
