#include "nri/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "nri/validator.h"

namespace berth::nri {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class MergeTest : public ::testing::Test {
 protected:
  MergeTest() { shown_.set_id("c1"); }

  // An answer with an adjustment alone.
  static api::CreateContainerResponse Adjusting(
      const std::function<void(api::ContainerAdjustment&)>& set) {
    api::CreateContainerResponse answer;
    set(*answer.mutable_adjust());
    return answer;
  }

  api::Container shown_;
};

TEST_F(MergeTest, WhatTheNextPluginIsShownHasTheFirstOnesAdjustments) {
  shown_.add_env("A=old");
  shown_.add_env("KEPT=1");
  Merge merge(shown_);
  ASSERT_OK(merge.Add("10-a", Adjusting([](api::ContainerAdjustment& a) {
                        api::KeyValue& env = *a.add_env();
                        env.set_key("A");
                        env.set_value("new");
                        (*a.mutable_annotations())["note"] = "first";
                        a.add_mounts()->set_destination("/data");
                        a.mutable_linux()
                            ->mutable_resources()
                            ->mutable_memory()
                            ->mutable_limit()
                            ->set_value(1 << 20);
                      })));
  EXPECT_THAT(shown_.env(), ElementsAre("KEPT=1", "A=new"));
  EXPECT_EQ(shown_.annotations().at("note"), "first");
  EXPECT_EQ(shown_.mounts(0).destination(), "/data");
  EXPECT_EQ(shown_.linux().resources().memory().limit().value(), 1 << 20);
}

using Adjustment = api::ContainerAdjustment;

api::LinuxContainerAdjustment& Linux(Adjustment& a) {
  return *a.mutable_linux();
}
api::LinuxResources& Limits(Adjustment& a) {
  return *Linux(a).mutable_resources();
}

// What only one plugin may set, as an error names it.
struct Single {
  const char* what;
  std::function<void(Adjustment&)> set;
};
const Single kOfTheProcess[] = {
    {"Env \"A\"", [](auto& a) { a.add_env()->set_key("A"); }},
    {"Mounts \"/d\"", [](auto& a) { a.add_mounts()->set_destination("/d"); }},
    {"Annotations \"k\"",
     [](auto& a) { (*a.mutable_annotations())["k"] = "v"; }},
    {"Args", [](auto& a) { a.add_args("sh"); }},
    {"Rlimits \"CORE\"", [](auto& a) { a.add_rlimits()->set_type("CORE"); }},
    {"CdiDevices \"d\"", [](auto& a) { a.add_cdi_devices()->set_name("d"); }},
};
const Single kLimits[] = {
    {"MemLimit", [](auto& a) { Limits(a).mutable_memory()->mutable_limit(); }},
    {"CPUSetCPUs", [](auto& a) { Limits(a).mutable_cpu()->set_cpus("0"); }},
    {"CgroupsUnified \"high\"",
     [](auto& a) { (*Limits(a).mutable_unified())["high"] = "1"; }},
    {"HugepageLimits \"2MB\"",
     [](auto& a) { Limits(a).add_hugepage_limits()->set_page_size("2MB"); }},
    {"PidsLimit", [](auto& a) { Limits(a).mutable_pids()->set_limit(5); }},
};
const Single kOfLinux[] = {
    {"Devices \"/x\"", [](auto& a) { Linux(a).add_devices()->set_path("/x"); }},
    {"CgroupsPath", [](auto& a) { Linux(a).set_cgroups_path("/x"); }},
    {"OomScoreAdj", [](auto& a) { Linux(a).mutable_oom_score_adj(); }},
    {"SeccompPolicy", [](auto& a) { Linux(a).mutable_seccomp_policy(); }},
    {"Namespace \"pid\"",
     [](auto& a) { Linux(a).add_namespaces()->set_type("pid"); }},
    {"Sysctl \"net.x\"",
     [](auto& a) { (*Linux(a).mutable_sysctl())["net.x"] = "1"; }},
    {"LinuxNetDevices \"eth5\"",
     [](auto& a) { (*Linux(a).mutable_net_devices())["eth5"].set_name("x"); }},
    {"IoPriority", [](auto& a) { Linux(a).mutable_io_priority(); }},
    {"LinuxSched", [](auto& a) { Linux(a).mutable_scheduler(); }},
    {"RdtClosID", [](auto& a) { Linux(a).mutable_rdt()->mutable_clos_id(); }},
    {"MemoryPolicy", [](auto& a) { Linux(a).mutable_memory_policy(); }},
};

TEST_F(MergeTest, TwoPluginsThatSetOneThingAreNamed) {
  std::vector<Single> all(std::begin(kOfTheProcess), std::end(kOfTheProcess));
  all.insert(all.end(), std::begin(kLimits), std::end(kLimits));
  all.insert(all.end(), std::begin(kOfLinux), std::end(kOfLinux));
  for (const Single& one : all) {
    api::Container shown;
    shown.set_id("c1");
    Merge merge(shown);
    EXPECT_OK(merge.Add("10-a", Adjusting(one.set))) << one.what;
    EXPECT_OK(merge.Add("10-a", Adjusting(one.set))) << one.what;
    EXPECT_THAT(merge.Add("20-b", Adjusting(one.set)),
                StatusIs(StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("10-a"), HasSubstr("20-b"),
                               HasSubstr(one.what), HasSubstr("container c1"))))
        << one.what;
  }
}

TEST_F(MergeTest, WhatIsTakenAwayMayBeSetAgain) {
  shown_.add_mounts()->set_destination("/d");
  Merge merge(shown_);
  const auto set = [](const std::string& value) {
    return Adjusting([value](api::ContainerAdjustment& a) {
      (*a.mutable_annotations())["k"] = value;
      api::Mount& mount = *a.add_mounts();
      mount.set_destination("/d");
      mount.set_source(value);
      api::KeyValue& env = *a.add_env();
      env.set_key("E");
      env.set_value(value);
      a.mutable_linux()->add_devices()->set_path("/dev/x");
      (*a.mutable_linux()->mutable_sysctl())["s"] = value;
      (*a.mutable_linux()->mutable_net_devices())["n"].set_name(value);
      a.add_args(value);
    });
  };
  ASSERT_OK(merge.Add("10-a", set("/one")));
  api::CreateContainerResponse second = set("/two");
  api::ContainerAdjustment& a = *second.mutable_adjust();
  (*a.mutable_annotations())["-k"] = "";
  a.add_mounts()->set_destination("-/d");
  a.add_env()->set_key("-E");
  a.mutable_linux()->add_devices()->set_path("-/dev/x");
  (*a.mutable_linux()->mutable_sysctl())["-s"] = "";
  (*a.mutable_linux()->mutable_net_devices())["-n"];
  a.clear_args();
  a.add_args("");
  a.add_args("/two");
  ASSERT_OK(merge.Add("20-b", second));
  EXPECT_EQ(shown_.annotations().at("k"), "/two");
  ASSERT_THAT(shown_.mounts(), SizeIs(1));
  EXPECT_EQ(shown_.mounts(0).source(), "/two");
  EXPECT_THAT(shown_.env(), ElementsAre("E=/two"));
  EXPECT_THAT(shown_.args(), ElementsAre("/two"));
  EXPECT_EQ(merge.adjustment().linux().sysctl().at("s"), "/two");
  EXPECT_EQ(merge.adjustment().linux().net_devices().at("n").name(), "/two");
  EXPECT_EQ(merge.owners()
                .all()
                .owners()
                .at("c1")
                .compound()
                .at(api::Annotations)
                .owners()
                .at("k"),
            "20-b");
}

TEST_F(MergeTest, ARemovalAloneIsHandedOn) {
  shown_.add_mounts()->set_destination("/d");
  (*shown_.mutable_annotations())["k"] = "v";
  Merge merge(shown_);
  ASSERT_OK(merge.Add("10-a", Adjusting([](api::ContainerAdjustment& a) {
                        a.add_mounts()->set_destination("-/d");
                        (*a.mutable_annotations())["-k"] = "";
                      })));
  EXPECT_THAT(shown_.mounts(), SizeIs(0));
  EXPECT_EQ(shown_.annotations().count("k"), 0u);
  EXPECT_EQ(merge.adjustment().mounts(0).destination(), "-/d");
  EXPECT_EQ(merge.adjustment().annotations().count("-k"), 1u);
}

TEST_F(MergeTest, HooksOfAllPluginsAreKeptInTheirOrder) {
  Merge merge(shown_);
  for (const char* plugin : {"10-a", "20-b"}) {
    ASSERT_OK(merge.Add(plugin, Adjusting([&](api::ContainerAdjustment& a) {
                          a.mutable_hooks()->add_prestart()->set_path(plugin);
                        })));
  }
  ASSERT_THAT(merge.adjustment().hooks().prestart(), SizeIs(2));
  EXPECT_EQ(merge.adjustment().hooks().prestart(1).path(), "20-b");
  EXPECT_EQ(merge.owners().all().owners().at("c1").simple().at(api::OciHooks),
            "10-a,20-b");
}

TEST_F(MergeTest, UpdatesOfOthersAreOneForEachContainer) {
  Merge merge(shown_);
  const auto update = [](const std::string& id, int64_t memory,
                         uint64_t shares) {
    api::CreateContainerResponse answer;
    api::ContainerUpdate& one = *answer.add_update();
    one.set_container_id(id);
    auto& resources = *one.mutable_linux()->mutable_resources();
    if (memory > 0) {
      resources.mutable_memory()->mutable_limit()->set_value(memory);
    }
    if (shares > 0)
      resources.mutable_cpu()->mutable_shares()->set_value(shares);
    return answer;
  };
  ASSERT_OK(merge.Add("10-a", update("other", 5, 0)));
  ASSERT_OK(merge.Add("20-b", update("other", 0, 7)));
  EXPECT_THAT(merge.Add("30-c", update("other", 6, 0)),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("MemLimit")));
  EXPECT_THAT(merge.Add("30-c", update("c1", 6, 0)),
              StatusIs(StatusCode::kInvalidArgument));
  ASSERT_THAT(merge.others().updates, SizeIs(1));
  const auto& resources = merge.others().updates[0].linux().resources();
  EXPECT_EQ(resources.memory().limit().value(), 5);
  EXPECT_EQ(resources.cpu().shares().value(), 7u);
}

TEST_F(MergeTest, NewLimitsAreWhatWasAskedForWithThePluginsOver) {
  api::LinuxResources asked;
  asked.mutable_memory()->mutable_limit()->set_value(100);
  asked.mutable_cpu()->mutable_shares()->set_value(20);
  ChangeMerge merge("c1", asked);
  api::UpdateContainerResponse answer;
  answer.add_update()->set_container_id("c1");
  answer.mutable_update(0)
      ->mutable_linux()
      ->mutable_resources()
      ->mutable_memory()
      ->mutable_limit()
      ->set_value(0);
  answer.add_update()->set_container_id("c2");
  ASSERT_OK(merge.Add("10-a", answer.update(), {}));
  EXPECT_EQ(merge.asked().memory().limit().value(), 0);
  EXPECT_EQ(merge.asked().cpu().shares().value(), 20u);
  ASSERT_THAT(merge.others().updates, SizeIs(1));
  EXPECT_EQ(merge.others().updates[0].container_id(), "c2");
}

api::ValidateContainerAdjustmentRequest Result(
    const std::function<void(api::ContainerAdjustment&)>& set) {
  api::Container shown;
  shown.set_id("c1");
  shown.set_name("app");
  api::ValidateContainerAdjustmentRequest request;
  *request.mutable_container() = shown;
  Merge merge(shown);
  api::CreateContainerResponse answer;
  set(*answer.mutable_adjust());
  EXPECT_OK(merge.Add("10-a", answer));
  *request.mutable_adjust() = merge.adjustment();
  *request.mutable_owners() = merge.owners().all();
  request.add_plugins()->set_name("a");
  return request;
}

TEST(ValidatorTest, NothingIsRejectedByItself) {
  EXPECT_OK(Validate({}, Result([](api::ContainerAdjustment& a) {
                       a.mutable_hooks()->add_prestart()->set_path("/x");
                       a.mutable_linux()->mutable_seccomp_policy();
                       a.mutable_linux()->add_namespaces()->set_type("pid");
                       (*a.mutable_linux()->mutable_sysctl())["s"] = "1";
                     })));
}

TEST(ValidatorTest, WhatIsRejectedNamesThePlugin) {
  ValidatorSettings settings;
  settings.reject_hooks = settings.reject_namespaces = true;
  settings.reject_sysctls = settings.reject_custom_seccomp = true;
  const auto rejects = [&](const auto& set) {
    EXPECT_THAT(Validate(settings, Result(set)),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("10-a")));
  };
  rejects([](auto& a) { a.mutable_hooks()->add_prestart()->set_path("/x"); });
  rejects(
      [](auto& a) { a.mutable_linux()->add_namespaces()->set_type("pid"); });
  rejects([](auto& a) { (*a.mutable_linux()->mutable_sysctl())["s"] = "1"; });

  api::ValidateContainerAdjustmentRequest seccomp =
      Result([](auto& a) { a.mutable_linux()->mutable_seccomp_policy(); });
  EXPECT_OK(Validate(settings, seccomp));  // of an unconfined container
  auto& profile =
      *seccomp.mutable_container()->mutable_linux()->mutable_seccomp_profile();
  profile.set_profile_type(api::SecurityProfile::RUNTIME_DEFAULT);
  EXPECT_OK(Validate(settings, seccomp));
  profile.set_profile_type(api::SecurityProfile::LOCALHOST);
  EXPECT_FALSE(Validate(settings, seccomp).ok());
}

TEST(ValidatorTest, RequiredPluginsMustBeThere) {
  ValidatorSettings settings;
  settings.required_plugins = {"a"};
  settings.tolerate_missing_annotation = "tolerate";
  api::ValidateContainerAdjustmentRequest request = Result([](auto&) {});
  EXPECT_OK(Validate(settings, request));
  auto& notes = *request.mutable_pod()->mutable_annotations();
  notes["required-plugins.noderesource.dev"] = "[a, \"b\"]";
  EXPECT_THAT(Validate(settings, request),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("\"b\"")));
  notes["required-plugins.noderesource.dev/container.app"] = "- a\n";
  EXPECT_OK(Validate(settings, request));
  notes["required-plugins.noderesource.dev/container.app"] = "- a\n- c\n";
  EXPECT_FALSE(Validate(settings, request).ok());
  notes["tolerate/container.app"] = "true";
  EXPECT_OK(Validate(settings, request));
}

}  // namespace
}  // namespace berth::nri
