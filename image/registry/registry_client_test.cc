// Which host is asked when: registries and mirrors on loopback that answer,
// refuse, are silent, lie or are not there.
#include "image/registry/registry_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kManifest[] = R"({"schemaVersion":2})";

class RegistryClientTest : public ::testing::Test {
 protected:
  RegistryClientTest() : blob_(3 << 20, 'b') {
    descriptor_.digest = Digest::Of(blob_);
    descriptor_.size = blob_.size();
    // A pause would not end before the test's own limit.
    policy_.first_delay = hours(1);
    policy_.max_delay = hours(1);
  }
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, ContentStore::Open(dir_.path()));
  }

  using Handler = std::function<std::string(const std::string&)>;
  // The handler answers; nothing: the right answer.
  std::unique_ptr<ScriptedServer> Serve(const Handler& instead) {
    return std::make_unique<ScriptedServer>([=, this](const std::string& text) {
      const std::string other = instead ? instead(text) : "";
      if (!other.empty()) return other;
      if (text.find("/manifests/") != std::string::npos) {
        return HttpReply(200, kManifest);
      }
      const std::string range = RequestHeader(text, "Range");
      if (range.empty()) return HttpReply(200, blob_);
      const size_t from = std::stoul(range.substr(6));
      return HttpReply(206, blob_.substr(from),
                       {"Content-Range: bytes " + std::to_string(from) + "-" +
                        std::to_string(blob_.size() - 1) + "/" +
                        std::to_string(blob_.size())});
    });
  }
  static Handler Says(int status) {
    return [status](const std::string&) { return HttpReply(status, "{}"); };
  }
  // What is not there any more.
  static std::string DeadUrl() { return "http://127.0.0.1:1/v2"; }

  // The last is the registry itself.
  StatusOr<std::string> Resolve(const std::vector<std::string>& urls) {
    RegistryClient client = Client(urls);
    ASSIGN_OR_RETURN(const ImageSource::Fetched fetched, client.Resolve(ctx_));
    return fetched.bytes;
  }
  Status FetchBlob(const std::vector<std::string>& urls) {
    RegistryClient client = Client(urls);
    RETURN_IF_ERROR(
        client.FetchBlob(ctx_, descriptor_, *store_, [](uint64_t) {}));
    return store_->Read(descriptor_.digest, 100 << 20).status();
  }
  RegistryClient Client(const std::vector<std::string>& urls) {
    std::vector<RegistryHost> hosts;
    for (const std::string& url : urls) {
      hosts.emplace_back();
      hosts.back().api = url;
      hosts.back().is_upstream = false;
    }
    hosts.back().is_upstream = true;
    return RegistryClient(http_, *Reference::Parse("r.test/a:1"), hosts,
                          policy_);
  }

  const std::string blob_;
  Descriptor descriptor_;
  RetryPolicy policy_;
  TempDir dir_;
  std::unique_ptr<ContentStore> store_;
  const HttpClient http_{"test", TransferLimits{milliseconds(300), 1024}};
  const Context ctx_ =
      Context::Background().WithTimeout(std::chrono::seconds(50));
};

TEST_F(RegistryClientTest, AsksTheNextHostAtOnce) {
  const auto good = Serve(nullptr);
  const auto silent = Serve(nullptr);
  silent->Pace(0, milliseconds(0));
  const auto dribbles = Serve(nullptr);
  dribbles->Pace(1, milliseconds(50));
  const auto busy = Serve(Says(503));
  const auto lacks = Serve(Says(404));
  for (const std::string& mirror :
       {DeadUrl(), std::string("http://nowhere.invalid/v2"), silent->Url("/v2"),
        dribbles->Url("/v2"), busy->Url("/v2"), lacks->Url("/v2")}) {
    EXPECT_THAT(Resolve({mirror, good->Url("/v2")}), IsOkAndHolds(kManifest))
        << mirror;
    EXPECT_OK(FetchBlob({mirror, good->Url("/v2")})) << mirror;
    EXPECT_OK(store_->Remove(descriptor_.digest));
  }
  EXPECT_THAT(busy->requests(), SizeIs(2));
}

TEST_F(RegistryClientTest, AsksByHeadForATagWhoseDocumentIsHere) {
  const std::string digest = "Docker-Content-Digest: ";
  const std::string right = digest + Digest::Of(kManifest).str();
  const std::string other = digest + Digest::Of("another").str();
  const std::string not_here = digest + Digest::Of("not here").str();
  const auto resolve = [&](const std::string& reply) {
    const auto host = Serve([&](const std::string& text) {
      return text.find("HEAD ") == 0 ? reply : std::string();
    });
    RegistryClient client = Client({host->Url("/v2")});
    client.set_known([&](const Digest& wanted) -> StatusOr<std::string> {
      if (wanted == Digest::Of("not here")) return NotFound("it");
      return std::string(kManifest);
    });
    const auto fetched = client.Resolve(ctx_);
    EXPECT_OK(fetched);
    EXPECT_EQ(fetched->bytes, kManifest);
    EXPECT_EQ(fetched->descriptor.digest, Digest::Of(kManifest));
    return host->requests().size();
  };
  EXPECT_EQ(resolve("HTTP/1.1 200 X\r\nContent-Length: 19\r\n" + right +
                    "\r\nConnection: close\r\n\r\n"),
            1u);
  // One that refuses, says no digest, means another document.
  EXPECT_EQ(resolve(HttpReply(405, "")), 2u);
  EXPECT_EQ(resolve(HttpReply(404, "")), 2u);
  EXPECT_EQ(resolve(HttpReply(200, "")), 2u);
  EXPECT_EQ(resolve(HttpReply(200, "", {digest + "md5:1"})), 2u);
  EXPECT_EQ(resolve(HttpReply(200, "", {not_here})), 2u);
  EXPECT_EQ(resolve(HttpReply(200, "", {other})), 2u);
}

TEST_F(RegistryClientTest, ListsTagsPageByPage) {
  const auto pages = Serve([](const std::string& text) {
    if (text.find("token=7%2F") == std::string::npos) {
      return HttpReply(
          200, R"({"tags": ["c", "b"]})",
          {"Link: <http://x/v2/a/tags/list?token=7%2F&n=2>; rel=\"next\""});
    }
    return HttpReply(200, R"({"tags": ["a"]})");
  });
  RegistryClient client = Client({DeadUrl(), pages->Url("/v2")});
  ASSERT_OK_AND_ASSIGN(const auto tags, client.ListTags(ctx_));
  EXPECT_THAT(tags, ::testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(pages->requests()[1],
              HasSubstr("/a/tags/list?token=7%2F&n=2 HTTP"));
  // One that never ends, and none.
  const auto endless = Serve([](const std::string&) {
    return HttpReply(200,
                     R"({"tags": ["a", "a", "a", "a", "a", "a", "a", "a"]})",
                     {"Link: <x>; rel=\"next\""});
  });
  EXPECT_THAT(Client({endless->Url("/v2")}).ListTags(ctx_),
              StatusIs(StatusCode::kResourceExhausted));
  for (const std::string body : {"{}", "7", R"({"tags": 7})"}) {
    const auto odd =
        Serve([&](const std::string&) { return HttpReply(200, body); });
    const auto listed = Client({odd->Url("/v2")}).ListTags(ctx_);
    EXPECT_TRUE(!listed.ok() || listed->empty()) << body;
  }
}

TEST_F(RegistryClientTest, ALoneUnknownHostFailsAtOnce) {
  EXPECT_THAT(Resolve({"http://nowhere.invalid/v2"}),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(FetchBlob({"http://nowhere.invalid/v2"}),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(RegistryClientTest, PausesOnlyAfterAWholeRound) {
  policy_.first_delay = policy_.max_delay = milliseconds(1);
  policy_.tries = 3;
  std::atomic<int> asked{0};
  std::string order;
  const auto host = [&](char name) {
    return Serve([&, name](const std::string&) {
      order += name;
      return ++asked < 5 ? HttpReply(503, "") : std::string();
    });
  };
  const auto a = host('a');
  const auto b = host('b');
  EXPECT_OK(Resolve({a->Url("/v2"), b->Url("/v2")}));
  EXPECT_EQ(order, "ababa");
  // None is asked more often than the policy says.
  asked = -100;
  order.clear();
  EXPECT_THAT(Resolve({a->Url("/v2"), b->Url("/v2")}),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(order, "ababab");
}

TEST_F(RegistryClientTest, TheRegistrysOwnWordIsFinal) {
  const auto busy = Serve(Says(503));
  const auto lacks = Serve(Says(404));
  EXPECT_THAT(Resolve({busy->Url("/v2"), lacks->Url("/v2")}),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(FetchBlob({busy->Url("/v2"), lacks->Url("/v2")}),
              StatusIs(StatusCode::kNotFound));
  // A mirror's is not.
  policy_.tries = 1;
  EXPECT_THAT(Resolve({lacks->Url("/v2"), busy->Url("/v2")}),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(RegistryClientTest, TooManyRequestsMayPass) {
  policy_.tries = 1;
  const auto busy = Serve(Says(429));
  EXPECT_THAT(Resolve({busy->Url("/v2")}),
              StatusIs(StatusCode::kUnavailable, HasSubstr("toomanyrequests")));
}

TEST_F(RegistryClientTest, TheNextHostGoesOnWhereOneBrokeOff) {
  const auto breaks = Serve([this](const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " +
           std::to_string(blob_.size()) + "\r\n\r\n" + blob_.substr(0, 2 << 20);
  });
  const auto good = Serve(nullptr);
  EXPECT_OK(FetchBlob({breaks->Url("/v2"), good->Url("/v2")}));
  EXPECT_EQ(RequestHeader(good->requests()[0], "Range"), "bytes=2097152-");
}

TEST_F(RegistryClientTest, ARefusalTakesNothingOfWhatIsThere) {
  const auto breaks = [this](const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " +
           std::to_string(blob_.size()) + "\r\n\r\n" + blob_.substr(0, 2 << 20);
  };
  for (const int status : {400, 405, 410, 451, 416}) {
    const auto first = Serve(breaks);
    const auto refuses = Serve(Says(status));
    const auto good = Serve(nullptr);
    EXPECT_OK(
        FetchBlob({first->Url("/v2"), refuses->Url("/v2"), good->Url("/v2")}));
    // 416 says that what is there fits to nothing that this host has.
    EXPECT_EQ(RequestHeader(good->requests()[0], "Range"),
              status == 416 ? "" : "bytes=2097152-")
        << status;
    EXPECT_OK(store_->Remove(descriptor_.digest));
  }
}

TEST_F(RegistryClientTest, BeginsAnewAfterBytesThatWereWrong) {
  // Half of a lie, then its whole: neither must spoil what the next one says.
  const std::string lie(blob_.size(), 'x');
  for (const size_t length : {lie.size() / 2, lie.size(), lie.size() + 1}) {
    const auto liar = Serve([&](const std::string&) {
      return "HTTP/1.1 200 OK\r\nContent-Length: " +
             std::to_string(lie.size() + 1) + "\r\n\r\n" +
             std::string(length, 'x');
    });
    const auto good = Serve(nullptr);
    EXPECT_OK(FetchBlob({liar->Url("/v2"), good->Url("/v2")})) << length;
    EXPECT_OK(store_->Remove(descriptor_.digest));
  }
  policy_.tries = 1;
  const auto liar =
      Serve([&](const std::string&) { return HttpReply(200, lie); });
  EXPECT_THAT(FetchBlob({liar->Url("/v2")}), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(*store_->ListPartial(), IsEmpty());
}

TEST_F(RegistryClientTest, ProgressIsPatience) {
  policy_.first_delay = policy_.max_delay = milliseconds(1);
  policy_.tries = 2;
  // A megabyte a try.
  const auto breaks = Serve([this](const std::string& request) {
    const std::string range = RequestHeader(request, "Range");
    const size_t from = range.empty() ? 0 : std::stoul(range.substr(6));
    return "HTTP/1.1 " + std::string(from == 0 ? "200" : "206") +
           " X\r\nContent-Range: bytes " + std::to_string(from) +
           "-\r\nContent-Length: " + std::to_string(blob_.size() - from) +
           "\r\n\r\n" + blob_.substr(from, 1 << 20);
  });
  EXPECT_OK(FetchBlob({breaks->Url("/v2")}));
  EXPECT_THAT(breaks->requests(), SizeIs(3));
}

TEST_F(RegistryClientTest, EndsWithItsContext) {
  const auto busy = Serve(Says(503));
  RegistryClient client = Client({busy->Url("/v2")});
  EXPECT_THAT(client.Resolve(ctx_.WithTimeout(milliseconds(50))),
              StatusIs(StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace berth::image
