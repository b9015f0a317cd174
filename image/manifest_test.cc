#include "image/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOciManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kOciIndex[] = "application/vnd.oci.image.index.v1+json";

std::string DigestOf(char digit) { return "sha256:" + std::string(64, digit); }

std::string DescriptorOf(char digit, const std::string& more = "") {
  return R"({"mediaType":"x","size":3,"digest":")" + DigestOf(digit) + "\"" +
         more + "}";
}

std::string ManifestText(const std::string& more = "") {
  return R"({"schemaVersion":2,"mediaType":")" + std::string(kOciManifest) +
         R"(","config":)" + DescriptorOf('a') + R"(,"layers":[)" +
         DescriptorOf('b') + "]" + more + "}";
}

TEST(ParseDocumentTest, ReadsAManifest) {
  ASSERT_OK_AND_ASSIGN(const Document document,
                       ParseDocument(ManifestText(), kOciManifest));
  const auto& manifest = std::get<Manifest>(document);
  EXPECT_EQ(manifest.config.digest.str(), DigestOf('a'));
  ASSERT_EQ(manifest.layers.size(), 1u);
  EXPECT_EQ(manifest.layers[0].size, 3u);
}

TEST(ParseDocumentTest, RefusesWhatCouldBeReadInTwoWays) {
  const std::string both = ManifestText(R"(,"manifests":[])");
  EXPECT_THAT(ParseDocument(both, kOciManifest),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("both")));
  EXPECT_THAT(ParseDocument(ManifestText(), kOciIndex).status(), IsOk());
  const std::string lies = R"({"schemaVersion":2,"mediaType":")" +
                           std::string(kOciIndex) + R"(","config":)" +
                           DescriptorOf('a') + R"(,"layers":[]})";
  EXPECT_THAT(ParseDocument(lies, ""), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseDocument(ManifestText(R"(,"layers":[])"), kOciManifest),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("twice")));
}

TEST(ParseDocumentTest, RefusesBadDigestsSizesAndVersions) {
  const std::string cases[] = {
      "",
      "[]",
      "{}",
      R"({"schemaVersion":1,"config":{},"layers":[]})",
      R"({"schemaVersion":2,"config":{"digest":"md5:aa","size":1}})",
      R"({"schemaVersion":2,"config":{"digest":"sha256:../../x","size":1}})",
      R"({"schemaVersion":2,"config":{"digest":")" + DigestOf('a') +
          R"(","size":-1}})",
      R"({"schemaVersion":2,"config":{"digest":")" + DigestOf('a') + R"("}})",
      R"({"schemaVersion":2,"config":)" + DescriptorOf('a') +
          R"(,"layers":{}})",
      std::string(100'000, '['),
  };
  for (const std::string& text : cases) {
    EXPECT_THAT(ParseDocument(text, kOciManifest),
                StatusIs(StatusCode::kInvalidArgument))
        << text.substr(0, 200);
  }
}

TEST(ParseDocumentTest, ChecksEmbeddedData) {
  const std::string good =
      R"({"schemaVersion":2,"config":{"size":2,"digest":"sha256:44136fa355b3678)"
      R"(a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","data":"e30="}})";
  ASSERT_OK_AND_ASSIGN(const Document document,
                       ParseDocument(good, kOciManifest));
  EXPECT_EQ(std::get<Manifest>(document).config.data, "{}");
  std::string bad = good;
  bad.replace(bad.find("e30="), 4, "e38=");
  EXPECT_THAT(ParseDocument(bad, kOciManifest),
              StatusIs(StatusCode::kDataLoss));
}

TEST(ParseImageSpecTest, ReadsWhatAContainerNeeds) {
  const std::string text = R"({
    "architecture": "arm64", "os": "linux", "variant": "v8",
    "created": "2023-11-14T22:13:20.5+01:00", "author": null,
    "config": {"User": "app", "Env": ["A=1"], "Cmd": ["x", "y z"],
               "Entrypoint": null, "WorkingDir": "/srv",
               "Volumes": {"/b": {}, "/a": {}}, "StopSignal": "SIGUSR1",
               "ExposedPorts": {"80/tcp": {}}, "Labels": {"k": "v"},
               "Healthcheck": {"Test": ["NONE"], "Interval": 5}},
    "rootfs": {"type": "layers", "diff_ids": [")" +
                           DigestOf('a') + R"("]}})";
  ASSERT_OK_AND_ASSIGN(const ImageSpec spec, ParseImageSpec(text));
  EXPECT_EQ(PlatformText(spec.platform), "linux/arm64");
  EXPECT_EQ(spec.created, 1699996400'500'000'000);
  EXPECT_EQ(spec.config.user(), "app");
  EXPECT_THAT(spec.config.cmd(), ElementsAre("x", "y z"));
  EXPECT_EQ(spec.config.entrypoint_size(), 0);
  EXPECT_THAT(spec.config.volumes(), ElementsAre("/a", "/b"));
  EXPECT_EQ(spec.config.labels().at("k"), "v");
  EXPECT_EQ(spec.config.healthcheck().interval(), 5);
  EXPECT_EQ(spec.diff_ids.size(), 1u);
}

TEST(ParseImageSpecTest, RefusesOtherRootFileSystems) {
  EXPECT_THAT(ParseImageSpec(R"({"rootfs":{"type":"blocks","diff_ids":[]}})"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseImageSpec("{}"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseImageSpec(R"({"config":{"Cmd":"sh"},"rootfs":
                                 {"type":"layers","diff_ids":[]}})"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(ChainIdOfTest, HasTheKnownAnswer) {
  const std::vector<Digest> diffs = {*Digest::Parse(DigestOf('a')),
                                     *Digest::Parse(DigestOf('b'))};
  EXPECT_EQ(ChainIdOf(diffs, 0).str(), "");
  EXPECT_EQ(ChainIdOf(diffs, 1).str(), DigestOf('a'));
  EXPECT_EQ(ChainIdOf(diffs, 2).str(),
            "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116"
            "fd146c");
}

Platform PlatformOf(const std::string& architecture,
                    const std::string& variant = "",
                    const std::string& os = "linux") {
  Platform platform;
  platform.set_os(os);
  platform.set_architecture(architecture);
  platform.set_variant(variant);
  return platform;
}

Descriptor EntryFor(char digit, const Platform& platform) {
  Descriptor entry;
  entry.digest = *Digest::Parse(DigestOf(digit));
  entry.platform = platform;
  return entry;
}

TEST(ChooseManifestTest, TakesTheBestAndTheFirstOfEquals) {
  Index index;
  index.manifests = {EntryFor('1', PlatformOf("s390x")),
                     EntryFor('2', PlatformOf("amd64")),
                     EntryFor('3', PlatformOf("amd64", "v3")),
                     EntryFor('4', PlatformOf("amd64", "v4")),
                     EntryFor('5', PlatformOf("x86_64"))};
  EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64", "v3"))->digest.str(),
            DigestOf('3'));
  EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64"))->digest.str(),
            DigestOf('2'));
  EXPECT_THAT(ChooseManifest(index, PlatformOf("arm64")),
              StatusIs(StatusCode::kNotFound, HasSubstr("linux/s390x")));
}

TEST(ChooseManifestTest, PassesOverAttestationsAndFallsBackToTheUnstated) {
  Index index;
  Descriptor attestation = EntryFor('1', PlatformOf("unknown", "", "unknown"));
  attestation.annotations["vnd.docker.reference.type"] = "attestation-manifest";
  index.manifests = {attestation, EntryFor('2', Platform())};
  EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64"))->digest.str(),
            DigestOf('2'));
}

// An entry may say what its configuration's type says.
TEST(ChooseManifestTest, TakesAnImageThatStatesItsKind) {
  for (const char* const type :
       {"application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json"}) {
    Index index;
    Descriptor sbom = EntryFor('1', PlatformOf("amd64"));
    sbom.artifact_type = "application/spdx+json";
    Descriptor image = EntryFor('2', PlatformOf("amd64"));
    image.artifact_type = type;
    index.manifests = {sbom, image};
    EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64"))->digest.str(),
              DigestOf('2'));
    // Better than nothing: its configuration decides.
    index.manifests = {sbom};
    EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64"))->digest.str(),
              DigestOf('1'));
    index.manifests = {sbom, EntryFor('3', Platform())};
    EXPECT_EQ(ChooseManifest(index, PlatformOf("amd64"))->digest.str(),
              DigestOf('3'));
  }
}

TEST(ParseDocumentTest, LeavesOutEntriesOfAnIndexThatCannotBeRead) {
  const auto index_of = [](const std::string& entries) {
    return ParseDocument(R"({"schemaVersion":2,"manifests":[)" + entries + "]}",
                         kOciIndex);
  };
  const std::string good =
      DescriptorOf('a', R"(,"platform":{"os":"linux","architecture":"amd64"})");
  const std::string broken[] = {
      R"({"size":3,"digest":"blake3:00"})",
      R"({"digest":")" + DigestOf('b') + R"("})",
      DescriptorOf('b', R"(,"platform":[])"),
      DescriptorOf('b', R"(,"annotations":{"a":1})"),
      DescriptorOf('b', R"(,"data":"e30=")"),
      "null",
      "7",
  };
  for (const std::string& entry : broken) {
    for (const std::string& text : {entry + "," + good, good + "," + entry}) {
      ASSERT_OK_AND_ASSIGN(const Document document, index_of(text));
      EXPECT_EQ(ChooseManifest(std::get<Index>(document), PlatformOf("amd64"))
                    ->digest.str(),
                DigestOf('a'))
          << text;
    }
    EXPECT_FALSE(index_of(entry).ok()) << entry;
  }
}

TEST(ParseDocumentTest, TakesAnIndexOfManyEntries) {
  std::string text = R"({"schemaVersion":2,"manifests":[)";
  for (int i = 0; i < 20'000; ++i) text += DescriptorOf('b') + ",";
  text += DescriptorOf('a') + "]}";
  ASSERT_LT(text.size(), kMaxManifestBytes);
  ASSERT_OK_AND_ASSIGN(const Document document, ParseDocument(text, kOciIndex));
  EXPECT_EQ(std::get<Index>(document).manifests.size(), 20'001u);
}

TEST(ParseImageSpecTest, OneEmptyStringIsNoEntryPoint) {
  const auto words_of = [](const std::string& entrypoint) {
    const StatusOr<ImageSpec> spec = ParseImageSpec(
        R"({"os":"linux","architecture":"amd64","config":{"Cmd":["sh"],)"
        R"("Entrypoint":)" +
        entrypoint + R"(},"rootfs":{"type":"layers","diff_ids":[]}})");
    return spec.ok() ? spec->config.entrypoint_size() : -1;
  };
  EXPECT_EQ(words_of(R"([""])"), 0);
  EXPECT_EQ(words_of("[]"), 0);
  EXPECT_EQ(words_of("null"), 0);
  EXPECT_EQ(words_of(R"(["",""])"), 2);
  EXPECT_EQ(words_of(R"(["","x"])"), 2);
}

TEST(ParseImageSpecTest, RunsWithoutWhatOnlyInforms) {
  ASSERT_OK_AND_ASSIGN(
      const ImageSpec spec,
      ParseImageSpec(R"({"os":"linux","architecture":"amd64","config":{
        "Cmd":["sh"],"Shell":"sh","Healthcheck":{"Test":"curl"}},
        "rootfs":{"type":"layers","diff_ids":[]}})"));
  EXPECT_THAT(spec.config.cmd(), ElementsAre("sh"));
  EXPECT_FALSE(spec.config.has_healthcheck());
}

TEST(PlatformRankTest, KnowsOlderArmAsCompatible) {
  EXPECT_GT(PlatformRank(PlatformOf("arm", "7"), PlatformOf("arm", "v7")),
            PlatformRank(PlatformOf("arm", "v6"), PlatformOf("arm", "v7")));
  EXPECT_EQ(PlatformRank(PlatformOf("arm", "v7"), PlatformOf("arm", "v6")), 0);
  EXPECT_GT(PlatformRank(PlatformOf("aarch64", "v8"), PlatformOf("arm64")), 0);
}

TEST(PlatformRankTest, TakesThirtyTwoBitsAfterItsOwn) {
  for (const char* variant : {"", "v3"}) {
    const Platform host = PlatformOf("amd64", variant);
    EXPECT_GT(PlatformRank(PlatformOf("386"), host), 0);
    EXPECT_GT(PlatformRank(PlatformOf("amd64"), host),
              PlatformRank(PlatformOf("i386"), host));
    EXPECT_EQ(PlatformRank(PlatformOf("arm", "v7"), host), 0);
  }
  const Platform arm64 = PlatformOf("arm64");
  EXPECT_GT(PlatformRank(arm64, arm64),
            PlatformRank(PlatformOf("arm", "v8"), arm64));
  EXPECT_GT(PlatformRank(PlatformOf("arm", "v8"), arm64),
            PlatformRank(PlatformOf("arm"), arm64));
  EXPECT_GT(PlatformRank(PlatformOf("arm"), arm64),
            PlatformRank(PlatformOf("arm", "v6"), arm64));
  EXPECT_GT(PlatformRank(PlatformOf("arm", "v5"), arm64), 0);
  EXPECT_EQ(PlatformRank(PlatformOf("arm", "v9"), arm64), 0);
  EXPECT_EQ(PlatformRank(PlatformOf("386"), arm64), 0);
  EXPECT_EQ(PlatformRank(PlatformOf("amd64"), PlatformOf("386")), 0);
}

TEST(ParseDocumentTest, SurvivesAnyBytes) {
  const std::string index =
      R"({"schemaVersion":2,"manifests":[)" +
      DescriptorOf('a', R"(,"platform":{"os":"linux","architecture":"arm",)"
                        R"("variant":"v7","os.features":["x"]})") +
      "," + DescriptorOf('b', R"(,"annotations":{"a":"b"},"urls":["u"])") +
      "]}";
  Fuzz({ManifestText(), index},
       {"\"layers\":[]", "\"manifests\":[]", "null", "{}", "[[", "\\u0000",
        "\"data\":\"e30=\",", "\"platform\":{},", kOciIndex},
       [](const std::string& bytes) {
         const auto document = ParseDocument(bytes, "");
         if (!document.ok()) return false;
         if (const auto* all = std::get_if<Index>(&*document)) {
           (void)ChooseManifest(*all, HostPlatform());
         } else {
           for (const auto& layer : std::get<Manifest>(*document).layers) {
             EXPECT_EQ(layer.digest.str().size(), DigestOf('a').size());
           }
         }
         return true;
       });
}

TEST(ParseImageSpecTest, SurvivesAnyBytes) {
  Fuzz({R"({"architecture":"amd64","os":"linux","variant":"v2",)"
        R"("created":"2026-01-02T03:04:05.678Z","author":"me","config":{)"
        R"("User":"1:2","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],)"
        R"("Entrypoint":["/e"],"Cmd":["c"],"Volumes":{"/v":{}},)"
        R"("WorkingDir":"/w","Labels":{"l":"m"},"StopSignal":"SIGQUIT",)"
        R"("Healthcheck":{"Test":["NONE"],"Interval":1}},"rootfs":{)"
        R"("type":"layers","diff_ids":[")" +
        DigestOf('a') + R"("]},"history":[{"created_by":"x"}]})"},
       {"null", "{}", "[]", "\"\"", "-1", "\"diff_ids\":"},
       [](const std::string& bytes) { return ParseImageSpec(bytes).ok(); });
}

}  // namespace
}  // namespace berth::image
