// What is sent to whom: a registry on loopback that has blobs, lacks them,
// sends them elsewhere or refuses.
#include "image/registry/registry_pusher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/strings.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string_view bytes) : bytes_(bytes) {}
  StatusOr<std::string_view> Next() override {
    const std::string_view next = bytes_.substr(0, 1 << 20);
    bytes_.remove_prefix(next.size());
    return next;
  }

 private:
  std::string_view bytes_;
};

class RegistryPusherTest : public ::testing::Test {
 protected:
  Status Push(const ScriptedServer& server, const std::string& bytes,
              const std::vector<std::string>& sources = {}) {
    RegistryHost host;
    host.api = server.Url("/v2");
    host.credential.username = "me";
    host.credential.password = "hidden";
    const StatusOr<Reference> name = Reference::Parse("x.test/repo:1");
    RegistryPusher pusher(http_, *name, host, sources,
                          [this](const PushProgress& progress) {
                            states_.push_back(static_cast<int>(progress.state));
                          });
    Descriptor blob;
    blob.digest = Digest::Of(bytes);
    blob.size = bytes.size();
    TextSource source(bytes);
    return pusher.PutBlob(Context::Background(), blob, source);
  }

  // Method and path of each request.
  static std::vector<std::string> Asked(const ScriptedServer& server) {
    std::vector<std::string> lines;
    for (const std::string& request : server.requests()) {
      const std::string line = request.substr(0, request.find(" HTTP/"));
      lines.push_back(line.substr(0, line.find('?')));
    }
    return lines;
  }

  const HttpClient http_{"test"};
  std::vector<int> states_;
};

std::string Missing(const std::string& request) {
  return StartsWith(request, "HEAD") ? HttpReply(404, "") : "";
}

TEST_F(RegistryPusherTest, WhatIsThereIsNotSent) {
  const ScriptedServer server(
      [](const std::string&) { return HttpReply(200, ""); });
  EXPECT_OK(Push(server, "blob"));
  EXPECT_THAT(Asked(server),
              ElementsAre("HEAD /v2/repo/blobs/" + Digest::Of("blob").str()));
  EXPECT_EQ(states_.back(), static_cast<int>(PushProgress::State::kExists));
}

TEST_F(RegistryPusherTest, ASmallBlobGoesInOne) {
  const ScriptedServer server([](const std::string& request) {
    if (!Missing(request).empty()) return Missing(request);
    return StartsWith(request, "POST")
               ? HttpReply(202, "", {"Location: /v2/up?state=1"})
               : HttpReply(201, "");
  });
  EXPECT_OK(Push(server, "blob"));
  EXPECT_THAT(Asked(server),
              ElementsAre(HasSubstr("HEAD"), "POST /v2/repo/blobs/uploads/",
                          "PUT /v2/up"));
  const std::string put = server.requests().back();
  EXPECT_THAT(put, HasSubstr("state=1&digest=sha256%3A"));
  EXPECT_THAT(put, HasSubstr("blob"));
}

TEST_F(RegistryPusherTest, ALargeBlobGoesInPieces) {
  const ScriptedServer server([](const std::string& request) {
    if (!Missing(request).empty()) return Missing(request);
    return StartsWith(request, "PUT")
               ? HttpReply(201, "")
               : HttpReply(202, "", {"Location: /v2/up"});
  });
  EXPECT_OK(Push(server, std::string(17 << 20, 'b')));
  std::vector<std::string> ranges;
  for (const std::string& request : server.requests()) {
    const std::string range = RequestHeader(request, "Content-Range");
    if (!range.empty()) ranges.push_back(range);
  }
  EXPECT_THAT(ranges, ElementsAre("0-16777215", "16777216-17825791"));
  EXPECT_EQ(states_.back(), static_cast<int>(PushProgress::State::kPushed));
}

TEST_F(RegistryPusherTest, AnotherServerGetsNoSecret) {
  const ScriptedServer other(
      [](const std::string&) { return HttpReply(201, ""); });
  const std::string place = "Location: " + other.Url("/elsewhere");
  const ScriptedServer server([&](const std::string& request) {
    if (RequestHeader(request, "Authorization").empty()) {
      return HttpReply(401, "", {"WWW-Authenticate: Basic realm=\"x\""});
    }
    if (!Missing(request).empty()) return Missing(request);
    return HttpReply(202, "", {place});
  });
  EXPECT_OK(Push(server, "blob"));
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_THAT(RequestHeader(other.requests()[0], "Authorization"), IsEmpty());
  EXPECT_THAT(other.requests()[0], HasSubstr("blob"));
}

TEST_F(RegistryPusherTest, ABlobIsMountedFromWhereItIs) {
  const ScriptedServer server([](const std::string& request) {
    if (!Missing(request).empty()) return Missing(request);
    return request.find("from=second") != std::string::npos
               ? HttpReply(201, "")
               : HttpReply(403, "");
  });
  EXPECT_OK(Push(server, "blob",
                 {"x.test/first", "y.test/not-this", "x.test/second"}));
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(states_.back(), static_cast<int>(PushProgress::State::kMounted));
}

TEST_F(RegistryPusherTest, ARefusalIsToldInTheRegistrysWords) {
  const ScriptedServer server([](const std::string& request) {
    if (!Missing(request).empty()) return Missing(request);
    return HttpReply(403, R"({"errors":[{"code":"DENIED","message":"no"}]})");
  });
  EXPECT_THAT(Push(server, "blob"),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("DENIED: no")));
  const ScriptedServer nowhere([](const std::string& request) {
    if (!Missing(request).empty()) return Missing(request);
    return HttpReply(202, "");
  });
  EXPECT_THAT(Push(nowhere, "blob"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("no place")));
}

}  // namespace
}  // namespace berth::image
