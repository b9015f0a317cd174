#include "cri/info/go_json.h"

#include <gtest/gtest.h>

#include "api/cri/v1/container.pb.h"
#include "api/cri/v1/pod.pb.h"

namespace berth::cri {
namespace {

namespace v1 = ::runtime::v1;

TEST(GoJsonTest, WritesWhatGoWrites) {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("p");
  config.mutable_metadata()->set_attempt(0);
  config.set_log_directory("/logs");
  (*config.mutable_labels())["a.b/c"] = "d";
  config.add_port_mappings()->set_container_port(80);
  config.mutable_dns_config()->add_servers("10.0.0.1");
  auto& context = *config.mutable_linux()->mutable_security_context();
  context.mutable_namespace_options()->set_pid(v1::CONTAINER);
  context.mutable_run_as_user()->set_value(1000);
  EXPECT_EQ(
      DumpJson(ToGoJson(config)),
      R"({"dns_config":{"servers":["10.0.0.1"]},"labels":{"a.b/c":"d"},)"
      R"("linux":{"security_context":{"namespace_options":{"pid":1},)"
      R"("run_as_user":{"value":1000}}},"log_directory":"/logs",)"
      R"("metadata":{"name":"p"},"port_mappings":[{"container_port":80}]})");
}

TEST(GoJsonTest, NumbersOf64BitsAreNumbers) {
  v1::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(int64_t{1} << 40);
  resources.set_cpu_quota(-1);
  EXPECT_EQ(DumpJson(ToGoJson(resources)),
            R"({"cpu_quota":-1,"memory_limit_in_bytes":1099511627776})");
}

TEST(GoJsonTest, AMessageWithNothingSetIsAnEmptyObject) {
  EXPECT_EQ(DumpJson(ToGoJson(v1::PodSandboxConfig())), "{}");
  v1::PodSandboxConfig config;
  config.mutable_linux();
  EXPECT_EQ(DumpJson(ToGoJson(config)), R"({"linux":{}})");
}

}  // namespace
}  // namespace berth::cri
