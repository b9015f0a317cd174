#include "sandbox/spec/cdi_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "oci/spec/validate.h"
#include "sandbox/cdi/cdi_file.h"

namespace berth::sandbox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

oci::MountSpec Bind(const std::string& source, const std::string& target) {
  return {target, "bind", source, {"rbind", "ro"}, {}, {}};
}

CdiNode Node(const std::string& path, char type, int64_t minor) {
  CdiNode node;
  node.node.path = node.host_path = path;
  node.node.type = type;
  node.node.major = 10;
  node.node.minor = minor;
  return node;
}

class CdiStepTest : public ::testing::Test {
 protected:
  CdiStepTest() {
    container_.add_argv("/bin/app");
    container_.set_cgroup("/parent/c");
    sandbox_.mutable_namespaces()->set_pid("/proc/9/ns/pid");
    sandbox_.mutable_directory()->set_root_path("/root-of-pod");
  }

  // All steps, so that what the others write is there and stays.
  StatusOr<oci::Spec> Build(const std::vector<CdiEdits>& edits) {
    SpecInputs in{sandbox_, container_, image_, host_, "/root", {}, {}, {}};
    ASSIGN_OR_RETURN(oci::Spec spec, PlanSpec(in));
    in.cdi = edits;
    in.devices.nodes = {Node("/dev/own", 'c', 1).node};
    in.mounts.mounts = {Bind("/own", "/in/own")};
    RETURN_IF_ERROR(BindSpec(in, spec));
    RETURN_IF_ERROR(oci::Validate(spec));
    return spec;
  }

  state::v1::SandboxRecord sandbox_;
  state::v1::ContainerRecord container_;
  state::v1::ImageConfig image_;
  HostFacts host_;
};

std::vector<std::string> Rules(const oci::Spec& spec) {
  std::vector<std::string> rules;
  for (const oci::DeviceRule& rule : spec.linux.resources->devices) {
    if (!rule.allow) continue;
    rules.push_back(std::string(1, rule.type) + std::to_string(*rule.major) +
                    ":" + std::to_string(*rule.minor) + rule.access);
  }
  return rules;
}

TEST_F(CdiStepTest, WithoutDevicesNothingChanges) {
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({}));
  EXPECT_EQ(spec.linux.devices.size(), 1u);
  EXPECT_EQ(spec.hooks, oci::Hooks());
  EXPECT_THAT(Rules(spec), IsEmpty());
}

TEST_F(CdiStepTest, AVariableReplacesTheRequests) {
  auto& own = *container_.mutable_config()->add_env();
  own.set_name("A");
  own.set_value("request");
  CdiEdits first, second;
  first.env = {"A=first", "B=first"};
  second.env = {"B=second"};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({first, second}));
  EXPECT_THAT(spec.process->env, Contains("A=first"));
  EXPECT_THAT(spec.process->env, Contains("B=second"));
  EXPECT_THAT(spec.process->env, Contains("A=request").Times(0));
  EXPECT_THAT(spec.process->env, Contains("B=first").Times(0));
}

TEST_F(CdiStepTest, NodesComeWithTheirRules) {
  container_.mutable_user()->set_uid(1000);
  container_.mutable_user()->set_gid(1001);
  CdiEdits edits;
  edits.nodes = {Node("/dev/a", 'c', 2), Node("/dev/own", 'b', 3),
                 Node("/dev/none", 'c', 4), Node("/dev/fifo", 'p', 0)};
  edits.nodes[1].access = "r";
  edits.nodes[1].node.uid = 0;
  edits.nodes[2].access = "";
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({edits}));
  EXPECT_THAT(Rules(spec), ElementsAre("c10:2rwm", "b10:3r"));
  ASSERT_EQ(spec.linux.devices.size(), 4u);
  EXPECT_EQ(spec.linux.devices[0].path, "/dev/a");
  EXPECT_EQ(spec.linux.devices[0].uid, 1000u);
  EXPECT_EQ(spec.linux.devices[0].gid, 1001u);
  // Instead of the request's.
  EXPECT_EQ(spec.linux.devices[1].path, "/dev/own");
  EXPECT_EQ(spec.linux.devices[1].type, 'b');
  EXPECT_EQ(spec.linux.devices[1].uid, 0u);
}

TEST_F(CdiStepTest, ANodeOfRootsContainerHasNoOwnerOfOurChoice) {
  CdiEdits edits;
  edits.nodes = {Node("/dev/a", 'c', 2)};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({edits}));
  EXPECT_EQ(spec.linux.devices.back().uid, std::nullopt);
}

TEST_F(CdiStepTest, AMountReplacesAnEarlierOneParentsFirst) {
  CdiEdits first, second;
  first.mounts = {Bind("/deep", "/in/own/deep"), Bind("/1", "/in/own")};
  second.mounts = {Bind("/2", "/in/own"), Bind("/proc2", "/proc")};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({first, second}));
  std::vector<std::string> seen;
  for (const oci::MountSpec& mount : spec.mounts) {
    if (mount.options == Bind("", "").options) seen.push_back(mount.source);
  }
  EXPECT_THAT(seen, ElementsAre("/proc2", "/2", "/deep"));
}

TEST_F(CdiStepTest, BindMountsAreMappedToAUserNamespace) {
  CdiEdits edits;
  edits.mounts = {Bind("/a", "/a"), Bind("/b", "/b")};
  edits.mounts[1].options.push_back("ridmap");
  edits.nodes = {Node("/dev/a", 'c', 2)};
  sandbox_.mutable_namespaces()->set_user("/run/x/userns");
  auto& options = *sandbox_.mutable_config()->mutable_namespaces();
  for (auto* maps :
       {options.mutable_uid_mappings(), options.mutable_gid_mappings()}) {
    maps->Add()->set_size(65536);
  }
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({edits}));
  for (const oci::MountSpec& mount : spec.mounts) {
    if (mount.source == "/a") {
      EXPECT_THAT(mount.options, ElementsAre("rbind", "ro", "idmap"));
    } else if (mount.source == "/b") {
      EXPECT_THAT(mount.options, ElementsAre("rbind", "ro", "ridmap"));
    }
  }
}

TEST_F(CdiStepTest, ANodeThatIsElsewhereIsBoundInAUserNamespace) {
  CdiEdits edits;
  edits.nodes = {Node("/dev/a", 'c', 2)};
  edits.nodes[0].host_path = "/dev/b";
  const auto has_node = [](const oci::Spec& spec) {
    return std::any_of(
        spec.linux.devices.begin(), spec.linux.devices.end(),
        [](const oci::DeviceNode& node) { return node.path == "/dev/a"; });
  };
  ASSERT_OK_AND_ASSIGN(const oci::Spec made, Build({edits}));
  EXPECT_TRUE(has_node(made));
  sandbox_.mutable_namespaces()->set_user("/run/x/userns");
  auto& options = *sandbox_.mutable_config()->mutable_namespaces();
  for (auto* maps :
       {options.mutable_uid_mappings(), options.mutable_gid_mappings()}) {
    maps->Add()->set_size(65536);
  }
  ASSERT_OK_AND_ASSIGN(const oci::Spec bound, Build({edits}));
  EXPECT_FALSE(has_node(bound));
  const auto mount = std::find_if(
      bound.mounts.begin(), bound.mounts.end(),
      [](const oci::MountSpec& one) { return one.destination == "/dev/a"; });
  ASSERT_NE(mount, bound.mounts.end());
  EXPECT_EQ(mount->source, "/dev/b");
  EXPECT_EQ(bound.linux.resources->devices.back().minor, 2);
}

TEST_F(CdiStepTest, HooksAreAppended) {
  CdiEdits first, second;
  first.hooks.create_runtime = {{"/1", {}, {}, {}}};
  first.hooks.prestart = first.hooks.create_container =
      first.hooks.start_container = first.hooks.poststart =
          first.hooks.poststop = {{"/x", {}, {}, {}}};
  second.hooks.create_runtime = {{"/2", {}, {}, {}}};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({first, second}));
  oci::Hooks want = first.hooks;
  want.create_runtime.push_back({"/2", {}, {}, {}});
  EXPECT_EQ(spec.hooks, want);
}

TEST_F(CdiStepTest, GroupsAreAddedOnceAndNeverRoots) {
  container_.mutable_user()->add_supplemental_groups(5);
  CdiEdits first, second;
  first.groups = {0, 5, 6};
  second.groups = {6, 7};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({first, second}));
  EXPECT_THAT(spec.process->user.additional_gids, ElementsAre(5, 6, 7));
}

TEST_F(CdiStepTest, OneSaysWhatPartOfTheCacheItHas) {
  sandbox_.mutable_namespaces()->set_network("/run/netns/pod");
  CdiEdits first, second;
  first.intel_rdt = {.clos_id = "x"};
  first.net_devices = {{"eno1", "net0"}};
  second.net_devices = {{"eno2", "net1"}};
  ASSERT_OK_AND_ASSIGN(const oci::Spec spec, Build({first, second}));
  EXPECT_EQ(spec.linux.intel_rdt, first.intel_rdt);
  EXPECT_EQ(spec.linux.net_devices, (std::map<std::string, std::string>{
                                        {"eno1", "net0"}, {"eno2", "net1"}}));
  second.intel_rdt.emplace();
  EXPECT_THAT(Build({first, second}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("intelRdt")));
}

}  // namespace
}  // namespace berth::sandbox
