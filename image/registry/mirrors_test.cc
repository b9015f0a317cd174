#include "image/registry/mirrors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MirrorsTest, NeedsNoConfiguration) {
  ASSERT_OK_AND_ASSIGN(const auto hosts, Mirrors("").HostsFor("docker.io"));
  ASSERT_EQ(hosts.size(), 1u);
  EXPECT_EQ(hosts[0].api, "https://registry-1.docker.io/v2");
  EXPECT_FALSE(hosts[0].try_plain_http);
  EXPECT_TRUE(Mirrors("").HostsFor("localhost:5000")->at(0).try_plain_http);
}

TEST(MirrorsTest, KeepsTheOrderOfTheFile) {
  ASSERT_OK_AND_ASSIGN(const auto hosts, Mirrors::Parse(R"(
server = "https://up.test"
ca = "up.crt"
[host."https://z.test"]
  capabilities = ["pull"]
  ca = ["/abs.crt", "rel.crt"]
  client = [["c.cert", "c.key"]]
  skip_verify = true
  dial_timeout = "1m30s"
  [host."https://z.test".header]
    X-A = ["1", "2"]
[host."http://a.test:5000/sub"]
[host."https://b.test/api/v9"]
  override_path = true
)",
                                                        "/d", "r.test"));
  ASSERT_EQ(hosts.size(), 4u);
  EXPECT_EQ(hosts[0].api, "https://z.test/v2");
  EXPECT_TRUE(hosts[0].can_pull);
  EXPECT_FALSE(hosts[0].can_resolve);
  EXPECT_FALSE(hosts[0].is_upstream);
  EXPECT_THAT(hosts[0].tls.ca_files, ElementsAre("/abs.crt", "/d/rel.crt"));
  EXPECT_EQ(hosts[0].tls.client_certificate, "/d/c.cert");
  EXPECT_EQ(hosts[0].tls.client_key, "/d/c.key");
  EXPECT_TRUE(hosts[0].tls.skip_verify);
  EXPECT_EQ(hosts[0].dial_timeout, std::chrono::seconds(90));
  EXPECT_EQ(hosts[0].headers.size(), 2u);
  EXPECT_EQ(hosts[1].api, "http://a.test:5000/sub/v2");
  EXPECT_TRUE(hosts[1].can_resolve);
  EXPECT_FALSE(hosts[1].can_push);
  EXPECT_EQ(hosts[2].api, "https://b.test/api/v9");
  EXPECT_EQ(hosts[3].api, "https://up.test/v2");
  EXPECT_TRUE(hosts[3].is_upstream);
  EXPECT_THAT(hosts[3].tls.ca_files, ElementsAre("/d/up.crt"));
}

TEST(MirrorsTest, NamesTheLineOfAMistake) {
  const std::pair<const char*, const char*> cases[] = {
      {"server = [\n", "line"},
      {"\nskip_verify = \"yes\"\n", "line 2"},
      {"\n\ncapabilities = [\"fly\"]\n", "line 3"},
      {"[host.\"ftp://x\"]\n", "line 1"},
      {"dial_timeout = \"soon\"\n", "line 1"},
      {"ca = [1]\n", "line 1"},
  };
  for (const auto& [text, where] : cases) {
    EXPECT_THAT(Mirrors::Parse(text, "/d", "r.test"),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(where)))
        << text;
  }
}

TEST(MirrorsTest, KnowsWhereCharactersBeyondAsciiMayBe) {
  for (const char* text :
       {"# grün\n", "ca = \"grün\"\n", "ca = 'grün'\n", "ca = ['''a\nü''''']\n",
        "ca = \"\"\"a\\\"\"ü\"\"\"\n", "ca = \"\\\\\"  # ü\n",
        "[host.\"https://grün.test\"]\n", "\xef\xbb\xbf# ü\n"}) {
    EXPECT_OK(Mirrors::Parse(text, "/d", "r.test")) << text;
  }
  for (const char* text :
       {"grün = 1\n", "a.ü = 1\n", "ca = ü\n", "ca\u2003= 1\n", "[host.grün]\n",
        "ca = \"\" ü \"\"\n", "ca = 4\"ü\"\n", "ca = \"a\" \"ü\"\n",
        "a.7=-/1[\"/.cü\n", "ca = \"\\\" ü\n", "ca = 'a\nü'\n", "ca = \"\"\"ü",
        "ca\u2028= 1\n", "ca\xc2\x85= 1\n", "# a\rü = 1\n", "# a\vü = 1\n"}) {
    EXPECT_THAT(Mirrors::Parse(text, "/d", "r.test"),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("line 1")))
        << text;
  }
}

TEST(MirrorsTest, TakesEveryTextAsItWasWritten) {
  for (const std::string text :
       {"ü", "~", "~~41", "~c3~bc", "%7e~", "\xff\x80", "a~4", "a~"}) {
    const auto hosts =
        Mirrors::Parse("ca = ['/" + text + "']\n# " + text + "\n" +
                           "[header]\n'X" + text + "' = 'v" + text + "'\n",
                       "/d", "r.test");
    ASSERT_OK(hosts) << text;
    EXPECT_THAT((*hosts)[0].tls.ca_files, ElementsAre("/" + text));
    EXPECT_THAT((*hosts)[0].headers,
                ElementsAre(std::make_pair("X" + text, "v" + text)));
  }
}

// A section about the registry itself describes it, wherever it stands.
TEST(MirrorsTest, KnowsTheRegistryItselfInASection) {
  const auto hosts_of = [](const std::string& text, const std::string& domain) {
    return *Mirrors::Parse(text, "/d", domain);
  };
  const std::string same = R"(
server = "https://r.test:5000"
[host."https://r.test:5000"]
  ca = "ca.crt"
  client = [["c.cert", "c.key"]]
  dial_timeout = "7s"
  [host."https://r.test:5000".header]
    X-A = "1"
)";
  const auto one = hosts_of(same, "r.test:5000");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_TRUE(one[0].is_upstream);
  EXPECT_THAT(one[0].tls.ca_files, ElementsAre("/d/ca.crt"));

  // It may not be asked for tags there: the registry is, in the same way.
  std::string pull_only = same;
  pull_only.replace(pull_only.find("  ca ="), 0, "  capabilities = \"pull\"\n");
  const auto two = hosts_of(pull_only, "r.test:5000");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_TRUE(two[0].is_upstream);
  EXPECT_TRUE(two[1].can_resolve);
  EXPECT_EQ(two[1].tls, two[0].tls);
  EXPECT_EQ(two[1].headers, two[0].headers);
  EXPECT_EQ(two[1].dial_timeout, std::chrono::seconds(7));

  struct {
    const char* text;
    const char* domain;
    bool is_registry;
  } const cases[] = {
      {"[host.\"https://docker.io\"]", "docker.io", true},
      {"[host.\"https://registry-1.docker.io\"]", "docker.io", true},
      {"[host.\"https://index.docker.io\"]", "docker.io", true},
      {"[host.\"https://r.test\"]", "r.test", true},
      {"[host.\"https://R.test:443\"]", "r.test", true},
      {"[host.\"https://r.test:444\"]", "r.test", false},
      {"[host.\"http://r.test\"]", "r.test", false},
      {"[host.\"http://r.test:5000\"]", "r.test:5000", true},
      {"server = \"https://r.test:5000\"\n[host.\"http://r.test:5000\"]",
       "r.test:5000", false},
      {"server = \"https://up.test\"\n[host.\"https://r.test\"]", "r.test",
       true},
      {"server = \"http://up.test\"\n[host.\"http://up.test\"]", "r.test",
       true},
      {"[host.\"https://m.test\"]", "r.test", false},
      {"[host.\"https://r.test.evil\"]", "r.test", false},
  };
  for (const auto& [text, domain, is_registry] : cases) {
    const auto hosts = hosts_of(text, domain);
    EXPECT_EQ(hosts[0].is_upstream, is_registry) << text;
    EXPECT_TRUE(hosts.back().is_upstream) << text;
  }
  EXPECT_EQ(hosts_of(cases[9].text, "r.test").back().api, "https://up.test/v2");
}

TEST(CredentialForTest, GivesAMirrorOnlyWhatNamesIt) {
  RegistryHost registry;
  registry.api = "https://r.test/v2";
  RegistryHost mirror;
  mirror.api = "https://m.test:5000/v2";
  mirror.is_upstream = false;
  const Reference image = *Reference::Parse("r.test/a/b:1");
  const auto user = [&](const RegistryHost& host, const RegistryAuth& auth,
                        const CredentialFile& file) {
    return CredentialFor(host, image, auth, file)->username;
  };
  RegistryAuth auth;
  auth.username = "asked";
  EXPECT_EQ(user(registry, auth, {}), "asked");
  EXPECT_EQ(user(mirror, auth, {}), "");
  auth.server_address = "https://m.test:5000";
  EXPECT_EQ(user(registry, auth, {}), "");
  EXPECT_EQ(user(mirror, auth, {}), "asked");
  ASSERT_OK_AND_ASSIGN(const CredentialFile file,
                       CredentialFile::Parse(R"({"auths":{
        "r.test": {"username": "registry"},
        "m.test:5000/a": {"username": "mirror"}}})"));
  EXPECT_EQ(user(registry, {}, file), "registry");
  EXPECT_EQ(user(mirror, {}, file), "mirror");
  mirror.api = "https://n.test/v2";
  EXPECT_EQ(user(mirror, {}, file), "");
}

TEST(MirrorsTest, FindsTheFolderOfAHost) {
  TempDir dir;
  const auto add = [&](const std::string& folder) {
    dir.MakeDirectory(folder);
    dir.Write(folder + "/hosts.toml",
              "server = \"https://" + folder + ".found\"\n");
  };
  const Mirrors mirrors(dir.path());
  add("_default");
  EXPECT_EQ(mirrors.HostsFor("x.test:5")->back().api,
            "https://_default.found/v2");
  add("x.test_5_");
  EXPECT_EQ(mirrors.HostsFor("x.test:5")->back().api,
            "https://x.test_5_.found/v2");
  dir.MakeDirectory("certs.test");
  dir.Write("certs.test/a.crt", "");
  dir.Write("certs.test/me.cert", "");
  ASSERT_OK_AND_ASSIGN(const auto hosts, mirrors.HostsFor("certs.test"));
  EXPECT_THAT(hosts[0].tls.ca_files,
              ElementsAre(dir.path() + "/certs.test/a.crt"));
  EXPECT_EQ(hosts[0].tls.client_key, dir.path() + "/certs.test/me.key");
}

TEST(MirrorsTest, SurvivesAnyFile) {
  Fuzz(
      {R"(
server = "https://up.test"
ca = "up.crt"
[host."https://z.test"]
  capabilities = ["pull"]
  ca = ["/abs.crt", "rel.crt"]
  client = [["c.cert", "c.key"], "d.pem"]
  skip_verify = true
  override_path = true
  dial_timeout = "1m30s"
  [host."https://z.test".header]
    X-A = ["1", "2"]
    X-B = "3"
)",
       "[host.\"http://a.test:5000/sub\"]\n"},
      {"[[host]]", "host = 3\n", "\"\"\"", "[", "'", "client = []\n", "= {}",
       "1979-05-27T07:32:00Z", "https://", "\\U0010FFFF", "999999999h"},
      [](const std::string& text) {
        return Mirrors::Parse(text, "/d", "r.test").ok();
      },
      5'000);
}

}  // namespace
}  // namespace berth::image
