#include "docker/build/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kTarget[] = "127.0.0.1:1/secret/image:latest";

bk::SolveRequest RequestOf(const std::string& type,
                           const std::map<std::string, std::string>& attrs) {
  bk::SolveRequest request;
  bk::Exporter& exporter = *request.add_exporters();
  exporter.set_type(type);
  exporter.mutable_attrs()->insert(attrs.begin(), attrs.end());
  return request;
}

TEST(ExporterTest, PushesWhatWasForTheEngine) {
  bk::SolveRequest request = RequestOf("moby", {{"name", "a,x.test/b:2"},
                                                {"registry.insecure", "true"},
                                                {"oci-mediatypes", "true"}});
  ASSERT_OK_AND_ASSIGN(const EngineExport taken,
                       TakeEngineExport(request, kTarget));
  EXPECT_TRUE(taken.wanted);
  EXPECT_FALSE(taken.pushed);
  ASSERT_EQ(taken.names.size(), 2u);
  EXPECT_EQ(taken.names[0].str(), "docker.io/library/a:latest");
  EXPECT_EQ(taken.names[1].str(), "x.test/b:2");
  ASSERT_EQ(request.exporters_size(), 1);
  EXPECT_EQ(request.exporters(0).type(), "image");
  EXPECT_THAT(request.exporters(0).attrs(),
              UnorderedElementsAre(Pair("name", kTarget), Pair("push", "true"),
                                   Pair("oci-mediatypes", "true")));
}

TEST(ExporterTest, PushesToBothWhenTheClientPushes) {
  bk::SolveRequest request =
      RequestOf("moby", {{"name", "x.test/b"}, {"push", "true"}});
  (*request.mutable_frontendattrs())["attest:provenance"] =
      "mode=min,inline-only=true";
  ASSERT_OK_AND_ASSIGN(const EngineExport taken,
                       TakeEngineExport(request, kTarget));
  EXPECT_TRUE(taken.pushed);
  ASSERT_EQ(request.exporters_size(), 2);
  EXPECT_EQ(request.exporters(0).attrs().at("name"), "x.test/b");
  EXPECT_EQ(request.exporters(0).type(), "image");
  EXPECT_EQ(request.exporters(1).attrs().at("name"), kTarget);
  EXPECT_EQ(request.frontendattrs().size(), 1u);
}

TEST(ExporterTest, UnderstandsClientsThatKnowOneExporter) {
  bk::SolveRequest request;
  request.set_exporterdeprecated("moby");
  (*request.mutable_exporterattrsdeprecated())["name"] = "a";
  (*request.mutable_frontendattrs())["attest:provenance"] =
      "mode=min,inline-only=true";
  (*request.mutable_frontendattrs())["attest:sbom"] = "";
  ASSERT_OK_AND_ASSIGN(const EngineExport taken,
                       TakeEngineExport(request, kTarget));
  EXPECT_TRUE(taken.wanted);
  EXPECT_EQ(request.exporterdeprecated(), "");
  EXPECT_THAT(request.exporterattrsdeprecated(), IsEmpty());
  ASSERT_EQ(request.exporters_size(), 1);
  EXPECT_EQ(request.exporters(0).attrs().at("name"), kTarget);
  // What was asked for is kept, what was added by itself is not.
  EXPECT_THAT(request.frontendattrs(), ElementsAre(Pair("attest:sbom", "")));
}

TEST(ExporterTest, LeavesOthersAlone) {
  bk::SolveRequest request = RequestOf("local", {{"dest", "/x"}});
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(99, 7);
  const std::string before = request.SerializeAsString();
  ASSERT_OK_AND_ASSIGN(const EngineExport taken,
                       TakeEngineExport(request, kTarget));
  EXPECT_FALSE(taken.wanted);
  EXPECT_EQ(request.SerializeAsString(), before);
}

TEST(ExporterTest, RefusesNamesThatAreNone) {
  for (const char* name : {"UPPER", "a b", "a,b:,c",
                           "a@sha256:0000000000000000000000000000000000000000"
                           "000000000000000000000000"}) {
    bk::SolveRequest request = RequestOf("moby", {{"name", name}});
    EXPECT_EQ(TakeEngineExport(request, kTarget).status().code(),
              StatusCode::kInvalidArgument)
        << name;
  }
}

TEST(ExporterTest, TellsTheImage) {
  bk::SolveResponse response;
  EXPECT_EQ(PushedManifest(response).status().code(), StatusCode::kInternal);
  auto& words = *response.mutable_exporterresponse();
  const std::string digest = Digest::Of("manifest").str();
  words["containerimage.digest"] = digest;
  words["image.name"] = kTarget;
  words["other"] = "kept";
  ASSERT_OK_AND_ASSIGN(const Digest pushed, PushedManifest(response));
  EXPECT_EQ(pushed.str(), digest);
  EngineExport taken;
  taken.wanted = true;
  ASSERT_OK_AND_ASSIGN(image::Reference name, image::Reference::Parse("a"));
  taken.names.push_back(name);
  image::Image image;
  image.record.set_id("sha256:1");
  DescribeEngineExport(taken, image, response);
  EXPECT_THAT(words, UnorderedElementsAre(
                         Pair("containerimage.digest", "sha256:1"),
                         Pair("containerimage.config.digest", "sha256:1"),
                         Pair("image.name", "docker.io/library/a:latest"),
                         Pair("other", "kept")));
}

}  // namespace
}  // namespace berth::docker
