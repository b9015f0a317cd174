#include "docker/build/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "docker/build/classic_lines.h"
#include "docker/build/context_beginning.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

StatusOr<BuildOrder> Read(const QueryValues& query) {
  return ReadBuildOrder(query, "10.0.0.1");
}

TEST(OrderTest, IsAnImageOfTheBodyUnlessItSaysOtherwise) {
  ASSERT_OK_AND_ASSIGN(const BuildOrder order, Read({}));
  EXPECT_TRUE(order.has_body);
  EXPECT_EQ(order.request.frontend(), "dockerfile.v0");
  EXPECT_THAT(order.request.frontendattrs(),
              UnorderedElementsAre(Pair("filename", "Dockerfile"),
                                   Pair("image-resolve-mode", "default")));
  ASSERT_EQ(order.request.exporters_size(), 1);
  EXPECT_EQ(order.request.exporters(0).type(), "moby");
  EXPECT_THAT(order.request.exporters(0).attrs(), IsEmpty());
}

TEST(OrderTest, TakesEveryParameter) {
  ASSERT_OK_AND_ASSIGN(
      const BuildOrder order,
      Read({{"dockerfile", {"d/File"}},
            {"t", {"a", "x.test/b:2"}},
            {"buildargs", {R"({"A":"1","B":null})"}},
            {"labels", {R"({"l":"2"})"}},
            {"target", {"t"}},
            {"platform", {"linux/amd64"}},
            {"nocache", {"1"}},
            {"pull", {"1"}},
            {"networkmode", {"host"}},
            {"extrahosts", {"a:1.2.3.4", "b:host-gateway"}},
            {"shmsize", {"67108864"}},
            {"ulimits", {R"([{"Name":"nofile","Hard":6,"Soft":5}])"}},
            {"cachefrom", {R"(["c1"])"}},
            {"q", {"1"}},
            {"buildid", {"me"}},
            {"memory", {"0"}},
            {"rm", {"0"}}}));
  EXPECT_THAT(order.request.frontendattrs(),
              UnorderedElementsAre(
                  Pair("filename", "d/File"), Pair("build-arg:A", "1"),
                  Pair("label:l", "2"), Pair("target", "t"),
                  Pair("platform", "linux/amd64"), Pair("no-cache", ""),
                  Pair("image-resolve-mode", "pull"),
                  Pair("force-network-mode", "host"),
                  Pair("add-hosts", "a=1.2.3.4,b=10.0.0.1"),
                  Pair("shm-size", "67108864"), Pair("ulimit", "nofile=5:6")));
  EXPECT_THAT(order.request.entitlements(), ElementsAre("network.host"));
  EXPECT_EQ(order.request.exporters(0).attrs().at("name"),
            "a:latest,x.test/b:2");
  EXPECT_EQ(order.request.cache().imports(0).attrs().at("ref"), "c1");
  EXPECT_THAT(order.tags, ElementsAre("a:latest", "x.test/b:2"));
  EXPECT_TRUE(order.quiet);
  EXPECT_EQ(order.id, "me");
}

TEST(OrderTest, KnowsWhereTheContextIs) {
  ASSERT_OK_AND_ASSIGN(const BuildOrder session,
                       Read({{"remote", {"client-session"}},
                             {"session", {"s"}},
                             {"version", {"2"}}}));
  EXPECT_FALSE(session.has_body);
  EXPECT_TRUE(session.traced);
  EXPECT_EQ(session.request.session(), "s");
  EXPECT_EQ(session.request.frontendattrs().count("context"), 0u);
  ASSERT_OK_AND_ASSIGN(const BuildOrder git,
                       Read({{"remote", {"https://x.test/y.git"}}}));
  EXPECT_FALSE(git.has_body);
  EXPECT_EQ(git.request.frontendattrs().at("context"), "https://x.test/y.git");
}

TEST(OrderTest, TakesOtherOutputs) {
  ASSERT_OK_AND_ASSIGN(
      const BuildOrder order,
      Read({{"outputs", {R"([{"Type":"local","Attrs":{"dest":"/x"}}])"}}}));
  ASSERT_EQ(order.request.exporters_size(), 1);
  EXPECT_EQ(order.request.exporters(0).type(), "local");
  EXPECT_EQ(order.request.exporters(0).attrs().at("dest"), "/x");
  ASSERT_OK_AND_ASSIGN(const BuildOrder cache,
                       Read({{"outputs", {R"([{"Type":"cacheonly"}])"}}}));
  EXPECT_EQ(cache.request.exporters_size(), 0);
}

TEST(OrderTest, RefusesWhatItCannotDo) {
  for (const auto& [name, value] :
       {std::pair("t", "UPPER"), std::pair("buildargs", "[1]"),
        std::pair("buildargs", R"({"A":1})"), std::pair("labels", "{"),
        std::pair("networkmode", "container:x"), std::pair("extrahosts", "x"),
        std::pair("ulimits", R"([{"Name":"x"}])")}) {
    EXPECT_EQ(Read({{name, {value}}}).status().code(),
              StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_EQ(Read({{"memory", {"1000"}}}).status().code(),
            StatusCode::kUnimplemented);
}

TEST(ContextBeginningTest, IsAnEntryOfTheRoot) {
  const std::string header = ContextBeginning("anything");
  ASSERT_EQ(header.size(), 512u);
  EXPECT_EQ(header.substr(0, 3), std::string("./\0", 3));
  EXPECT_EQ(header.substr(257, 8), std::string("ustar\00000", 8));
  // As tar(1) writes it for the same fields.
  EXPECT_EQ(header.substr(148, 7), std::string("006102\0", 7));
  EXPECT_EQ(ContextBeginning("\x1f\x8b..."), "");
  EXPECT_EQ(ContextBeginning("\x28\xb5\x2f\xfd..."), "");
  EXPECT_EQ(ContextBeginning("").size(), 512u);
}

bk::Vertex VertexOf(const std::string& digest, const std::string& name,
                    bool cached) {
  bk::Vertex vertex;
  vertex.set_digest(digest);
  vertex.set_name(name);
  vertex.set_cached(cached);
  vertex.mutable_started();
  return vertex;
}

std::string Texts(const std::vector<Json>& lines) {
  std::string all;
  for (const Json& line : lines) all += line.Text("stream");
  return all;
}

TEST(ClassicLinesTest, SaysEachStepOnce) {
  ClassicLines lines;
  bk::StatusResponse news;
  *news.add_vertexes() = VertexOf("0", "[internal] load metadata", false);
  *news.add_vertexes() = VertexOf("1", "[1/3] FROM busybox", true);
  *news.add_vertexes() = VertexOf("2", "[stage-0 2/3] RUN a", false);
  news.mutable_vertexes(2)->clear_started();
  EXPECT_EQ(Texts(lines.Follow(news)),
            "Step 1/3 : FROM busybox\n ---> Using cache\n");
  news.mutable_vertexes(2)->mutable_started();
  bk::VertexLog& log = *news.add_logs();
  log.set_vertex("2");
  log.set_msg("out\n");
  news.add_logs()->set_vertex("0");
  EXPECT_EQ(Texts(lines.Follow(news)), "Step 2/3 : RUN a\nout\n");
  for (const char* odd : {"", "[", "[]", "[] x", "[1/] x", "[a/b] x", "x"}) {
    bk::StatusResponse other;
    *other.add_vertexes() = VertexOf(odd, odd, true);
    EXPECT_THAT(lines.Follow(other), IsEmpty()) << odd;
  }
}

TEST(ClassicLinesTest, TellsTheCodeOfTheCommandThatFailed) {
  const Json failed = ClassicLines::Failure(InvalidArgument(
      "failed to solve: process \"/bin/sh -c exit 3\" did not complete "
      "successfully: exit code: 3: ok"));
  EXPECT_EQ(failed.Text("error"),
            "The command '/bin/sh -c exit 3' returned a non-zero code: 3");
  EXPECT_EQ(failed.Find("errorDetail")->Find("code")->AsInt(), 3);
  for (const char* odd :
       {"other", "process \"", "\" did not complete successfully: exit code: ",
        "\" did not complete successfully: exit code: 1 process \"x"}) {
    const Json other = ClassicLines::Failure(Internal(odd));
    EXPECT_EQ(other.Text("error"), odd);
    EXPECT_EQ(other.Find("errorDetail")->Find("code"), nullptr);
  }
}

}  // namespace
}  // namespace berth::docker
