#include "shim/wire/ttrpc.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/io/event_loop.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"
#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/wire/ttrpc_client.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Header(uint32_t length, uint32_t stream, uint8_t type) {
  std::string header;
  for (const uint32_t value : {length, stream}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      header.push_back(static_cast<char>(value >> shift & 0xff));
    }
  }
  return header + static_cast<char>(type) + '\0';
}

TEST(FrameParserTest, TakesFramesApartHoweverTheyArrive) {
  const std::string bytes = EncodeFrame(1, kRequestFrame, "one") +
                            EncodeFrame(3, kResponseFrame, "") +
                            EncodeFrame(5, kRequestFrame, "three");
  FrameParser parser;
  std::vector<std::string> seen;
  for (const char byte : bytes) {
    parser.Feed({&byte, 1});
    while (auto frame = parser.Next()) {
      seen.push_back(std::to_string(frame->stream) + ":" + frame->data);
    }
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"1:one", "3:", "5:three"}));
}

TEST(FrameParserTest, DropsWhatIsTooLongAndGoesOn) {
  FrameParser parser;
  const uint32_t length = kMaxFrameData + 1;
  parser.Feed(Header(length, 1, kRequestFrame));
  auto frame = parser.Next();
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->oversized);
  EXPECT_EQ(frame->stream, 1u);
  std::string rest(length, 'x');
  rest += EncodeFrame(3, kRequestFrame, "next");
  for (size_t at = 0; at < rest.size(); at += 100'000) {
    parser.Feed(std::string_view(rest).substr(at, 100'000));
    frame = parser.Next();
    if (frame) break;
  }
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->data, "next");
}

TEST(FrameParserTest, ReservesNothingForAPromise) {
  FrameParser parser;
  parser.Feed(Header(0xffffffff, 1, kRequestFrame));
  EXPECT_TRUE(parser.Next()->oversized);
  parser.Feed("some bytes of it");
  EXPECT_FALSE(parser.Next());
}

TEST(TtrpcMessageTest, KeepsTheCodeAndTextOfAnError) {
  const std::string frame = EncodeResponse(7, NotFound("no such task"));
  const StatusOr<std::string> answer =
      DecodeResponse(frame.substr(kFrameHeaderSize));
  EXPECT_THAT(answer, StatusIs(StatusCode::kNotFound, "no such task"));
  EXPECT_THAT(DecodeResponse("\xff\xff"), StatusIs(StatusCode::kDataLoss));
}

TEST(TtrpcMessageTest, RefusesWhatDoesNotFitAFrame) {
  const std::string huge(kMaxFrameData + 1, 'x');
  EXPECT_THAT(EncodeRequest(1, "S", "M", huge, {}),
              StatusIs(StatusCode::kResourceExhausted));
  const std::string frame = EncodeResponse(1, huge);
  EXPECT_LT(frame.size(), 1000u);
  EXPECT_THAT(DecodeResponse(frame.substr(kFrameHeaderSize)),
              StatusIs(StatusCode::kResourceExhausted));
}

// A server on a thread of its own, with a service "Test" whose method "Echo"
// answers and whose "Never" does not.
class TtrpcServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(dir_.Path("s"), 0600));
    stop_.reset(eventfd(0, EFD_CLOEXEC));
    ASSERT_OK(loop_->Add(stop_.get(), 1, [this](uint32_t) { loop_->Stop(); }));
    server_ = std::make_unique<TtrpcServer>(*loop_, std::move(listener));
    server_->Add("Test", [this](const TtrpcCall& call, const Responder& reply) {
      if (call.method == "Never") return kept_.push_back(reply);
      wire::Status message;
      message.set_message(call.payload);
      reply.Send(message);
    });
    ASSERT_OK(server_->Listen());
    thread_ = std::thread([this] { EXPECT_OK(loop_->Run()); });
  }

  void TearDown() override { StopServer(); }

  void StopServer() {
    if (!thread_.joinable()) return;
    eventfd_write(stop_.get(), 1);
    thread_.join();
    server_.reset();
  }

  std::unique_ptr<TtrpcClient> Connect() {
    auto client =
        TtrpcClient::Connect(Context::Background(), dir_.Path("s"), "ns");
    EXPECT_OK(client);
    return *std::move(client);
  }

  // The next answer on a bare connection.
  static StatusOr<std::string> Answer(int socket, uint32_t stream) {
    FrameParser parser;
    char byte;
    while (read(socket, &byte, 1) == 1) {
      parser.Feed({&byte, 1});
      if (auto frame = parser.Next()) {
        EXPECT_EQ(frame->stream, stream);
        return DecodeResponse(frame->data);
      }
    }
    return Unavailable("closed");
  }

  static void Write(int socket, const std::string& bytes) {
    ASSERT_EQ(send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  static std::string Request(uint32_t stream, const std::string& method) {
    return *EncodeRequest(stream, "Test", method, "hi", {});
  }

  TempDir dir_;
  const Context ctx_ = Context::Background().WithTimeout(seconds(30));
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TtrpcServer> server_;
  std::vector<Responder> kept_;
  UniqueFd stop_;
  std::thread thread_;
};

TEST_F(TtrpcServerTest, AnswersWhileAnotherCallWaits) {
  const auto client = Connect();
  StatusOr<std::string> never = std::string();
  std::thread waiter([&] {
    never =
        client->Call(ctx_.WithTimeout(milliseconds(300)), "Test", "Never", "");
  });
  for (int i = 0; i < 100; ++i) {
    wire::Status request;
    request.set_code(i);
    ASSERT_OK_AND_ASSIGN(
        const auto response,
        client->Call<wire::Status>(ctx_, "Test", "Echo", request));
    EXPECT_EQ(response.message(), request.SerializeAsString());
  }
  waiter.join();
  EXPECT_THAT(never, StatusIs(StatusCode::kDeadlineExceeded));
  // The connection is as good as before.
  EXPECT_OK(client->Call(ctx_, "Test", "Echo", "again"));
}

TEST_F(TtrpcServerTest, EndsACallThatIsCancelled) {
  const auto client = Connect();
  const Context cancelled = ctx_.WithCancel();
  StatusOr<std::string> never = std::string();
  std::thread waiter(
      [&] { never = client->Call(cancelled, "Test", "Never", ""); });
  cancelled.Cancel();
  waiter.join();
  EXPECT_THAT(never, StatusIs(StatusCode::kCancelled));
}

TEST_F(TtrpcServerTest, TellsEveryWaiterWhenTheConnectionIsLost) {
  const auto client = Connect();
  std::vector<StatusOr<std::string>> answers(5, std::string());
  std::vector<std::thread> waiters;
  for (auto& answer : answers) {
    waiters.emplace_back(
        [&] { answer = client->Call(ctx_, "Test", "Never", ""); });
  }
  ASSERT_OK(client->Call(ctx_, "Test", "Echo", ""));
  StopServer();
  for (std::thread& waiter : waiters) waiter.join();
  for (const auto& answer : answers) {
    EXPECT_THAT(answer, StatusIs(StatusCode::kUnavailable));
  }
  EXPECT_THAT(client->Call(ctx_, "Test", "Echo", ""),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(TtrpcServerTest, TellsThoseWhoDoNotWait) {
  auto client = Connect();
  std::atomic<int> answered{0}, failed{0}, lost{0};
  const auto count = [&](const StatusOr<std::string>& answer) {
    ++(answer.ok() ? answered : failed);
  };
  client->CallLater("Test", "Echo", "", count);
  client->CallLater("Test", "Never", "", count);
  client->WhenLost([&](const Status& why) {
    EXPECT_THAT(why, StatusIs(StatusCode::kUnavailable));
    ++lost;
  });
  // An own end is no loss.
  auto other = Connect();
  other->CallLater("Test", "Never", "", count);
  other->WhenLost([&](const Status&) { ++lost; });
  ASSERT_OK(other->Call(ctx_, "Test", "Echo", ""));
  other.reset();
  ASSERT_OK(client->Call(ctx_, "Test", "Echo", ""));
  EXPECT_EQ(answered.load(), 1);
  EXPECT_EQ(failed + lost, 0);
  StopServer();
  client->CallLater("Test", "Never", "", count);
  while (lost == 0) std::this_thread::yield();
  EXPECT_EQ(failed.load(), 2);
  // And at once for those who come late.
  client->WhenLost([&](const Status&) { ++lost; });
  EXPECT_EQ(lost.load(), 2);
}

// A shim that dies may leave its end of the connection to a child that it was
// just making: no end of file comes.
TEST(TtrpcClientTest, ALostProcessIsALostConnection) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(dir.Path("s"), 0600));
  const pid_t server = fork();
  if (server == 0) {
    setpgid(0, 0);
    const int connection = accept(listener.get(), nullptr, nullptr);
    char request[64];
    (void)!read(connection, request, sizeof(request));
    if (fork() == 0) sleep(60);  // the heir
    pause();
    _exit(0);
  }
  ASSERT_OK_AND_ASSIGN(UniqueFd process, OpenPidfd(server));
  const Context ctx = Context::Background().WithTimeout(seconds(30));
  ASSERT_OK_AND_ASSIGN(const auto client,
                       TtrpcClient::Connect(ctx, dir.Path("s"), "ns"));
  ASSERT_OK(client->LoseWith(process.get()));
  std::atomic<int> lost = 0;
  client->WhenLost([&](const Status&) { ++lost; });
  std::thread killer([&] {
    usleep(100'000);  // the call is to be on its way; later is harmless
    kill(server, SIGKILL);
  });
  EXPECT_THAT(client->Call(ctx, "Test", "Never", ""),
              StatusIs(StatusCode::kUnavailable));
  killer.join();
  while (lost == 0) std::this_thread::yield();
  EXPECT_THAT(client->Call(ctx, "Test", "Late", ""),
              StatusIs(StatusCode::kUnavailable));
  kill(-server, SIGKILL);  // the heir
  waitpid(server, nullptr, 0);
}

TEST(TtrpcClientTest, DoesNotWaitLongerThanAskedForABusyServer) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(dir.Path("s"), 0600));
  // Nobody accepts; the queue is full sooner or later.
  std::vector<UniqueFd> queued;
  while (true) {
    StatusOr<UniqueFd> one = ConnectUnix(dir.Path("s"));
    if (!one.ok()) {
      EXPECT_THAT(one, StatusIs(StatusCode::kUnavailable));
      break;
    }
    queued.push_back(*std::move(one));
  }
  const Context ctx = Context::Background().WithTimeout(milliseconds(100));
  EXPECT_THAT(TtrpcClient::Connect(ctx, dir.Path("s"), "ns"),
              StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(TtrpcServerTest, SaysWhatItDoesNotKnow) {
  const auto client = Connect();
  EXPECT_THAT(client->Call(ctx_, "Other", "Echo", ""),
              StatusIs(StatusCode::kUnimplemented));
}

TEST_F(TtrpcServerTest, RefusesEvenAndReusedStreamIds) {
  ASSERT_OK_AND_ASSIGN(UniqueFd socket, ConnectUnix(dir_.Path("s")));
  Write(socket.get(), Request(2, "Echo"));
  EXPECT_THAT(Answer(socket.get(), 2), StatusIs(StatusCode::kInvalidArgument));
  Write(socket.get(), Request(5, "Echo"));
  EXPECT_OK(Answer(socket.get(), 5));
  for (const uint32_t used : {5u, 3u}) {
    Write(socket.get(), Request(used, "Echo"));
    EXPECT_THAT(Answer(socket.get(), used),
                StatusIs(StatusCode::kInvalidArgument));
  }
  Write(socket.get(), Request(7, "Echo"));
  EXPECT_OK(Answer(socket.get(), 7));
}

TEST_F(TtrpcServerTest, OutlivesHostileFrames) {
  ASSERT_OK_AND_ASSIGN(UniqueFd socket, ConnectUnix(dir_.Path("s")));
  Write(socket.get(), EncodeFrame(1, kRequestFrame, "\xff\xff\xff"));
  EXPECT_THAT(Answer(socket.get(), 1), StatusIs(StatusCode::kInvalidArgument));
  // An unknown type is passed over; an oversized frame is dropped.
  Write(socket.get(), Header(4, 3, 9) + "data");
  Write(socket.get(), Header(kMaxFrameData + 1, 5, kRequestFrame));
  EXPECT_THAT(Answer(socket.get(), 5),
              StatusIs(StatusCode::kResourceExhausted));
  Write(socket.get(), std::string(kMaxFrameData + 1, 'x'));
  Write(socket.get(), Request(7, "Echo"));
  EXPECT_OK(Answer(socket.get(), 7));
  // A peer that leaves in the middle of a frame harms nobody.
  Write(socket.get(), Header(100, 9, kRequestFrame) + "half");
  socket.reset();
  EXPECT_OK(Connect()->Call(ctx_, "Test", "Echo", ""));
}

TEST(FrameParserTest, SurvivesAnyBytes) {
  const auto request = EncodeRequest(1, "containerd.task.v3.Task", "State",
                                     "payload", {"k8s.io", seconds(1)});
  ASSERT_OK(request);
  Fuzz({*request, EncodeResponse(1, NotFound("no such task")),
        EncodeResponse(3, std::string("payload")) +
            EncodeFrame(5, kRequestFrame, "")},
       {std::string("\0\x40\0\0", 4), std::string("\0\x40\0\1", 4),
        "\xff\xff\xff\xff"},
       [](const std::string& bytes) {
         FrameParser parser;
         size_t frames = 0;
         size_t size = 0;
         for (size_t at = 0; at < bytes.size(); at += 7) {
           parser.Feed(std::string_view(bytes).substr(at, 7));
           while (const auto frame = parser.Next()) {
             ++frames;
             size += kFrameHeaderSize + frame->data.size();
             (void)DecodeResponse(frame->data);
             ttrpc::Request message;
             (void)message.ParseFromString(frame->data);
           }
         }
         EXPECT_LE(size, bytes.size());
         return frames > 0;
       });
}

}  // namespace
}  // namespace berth::shim
