// Calls of a gRPC client, through the proxy, to a gRPC server.
#include "door/grpc/proxy.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth::door {
namespace {

using grpc::ByteBuffer;

std::string ToText(const ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  (void)buffer.Dump(&slices);
  for (const auto& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

ByteBuffer ToBuffer(const std::string& text) {
  const grpc::Slice slice(text);
  return ByteBuffer(&slice, 1);
}

// Answers each message with itself. "fail" ends the call with details, "end"
// with OK, while the client still may send; "/x/Hang" ends when it is
// cancelled.
class EchoServer : public grpc::CallbackGenericService {
 public:
  explicit EchoServer(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket,
                             grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~EchoServer() override { server_->Shutdown(); }

  int cancelled() {
    MutexLock lock(mutex_);
    return cancelled_;
  }

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Call(*this, *context);
  }

 private:
  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call(EchoServer& owner, grpc::GenericCallbackServerContext& context)
        : owner_(owner), hangs_(context.method() == "/x/Hang") {
      const auto name = context.client_metadata().find("name");
      if (name != context.client_metadata().end()) {
        context.AddTrailingMetadata(
            "hello", std::string(name->second.data(), name->second.size()));
      }
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      const std::string text = ok ? ToText(message_) : "";
      if (hangs_ && !ok) return;
      if (!ok || text == "end") return Finish(grpc::Status::OK);
      if (text == "fail") {
        return Finish(grpc::Status(grpc::StatusCode::ABORTED, "no",
                                   std::string(100000, 'd')));
      }
      StartWrite(&message_);
    }
    void OnWriteDone(bool) override { StartRead(&message_); }
    void OnCancel() override {
      {
        MutexLock lock(owner_.mutex_);
        ++owner_.cancelled_;
      }
      if (hangs_) Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    EchoServer& owner_;
    const bool hangs_;
    ByteBuffer message_;
  };

  Mutex mutex_;
  int cancelled_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A call as a client that waits sees it.
class ClientCall {
 public:
  ClientCall(grpc::GenericStub& stub, const std::string& method) {
    context.AddMetadata("name", "Ann");
    stream_ = stub.PrepareCall(&context, method, &queue_);
    stream_->StartCall(this);
    Next();
  }
  ~ClientCall() {
    context.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  bool Write(const std::string& text) {
    stream_->Write(ToBuffer(text), this);
    return Next();
  }
  std::string Read() {
    ByteBuffer buffer;
    stream_->Read(&buffer, this);
    return Next() ? ToText(buffer) : "(end)";
  }
  bool CloseInput() {
    stream_->WritesDone(this);
    return Next();
  }
  grpc::Status Finish() {
    grpc::Status status;
    stream_->Finish(&status, this);
    Next();
    return status;
  }

  grpc::ClientContext context;

 private:
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class Upper : public CallRewriter {
 public:
  StatusOr<std::string> Request(std::string message) override {
    if (message == "bad") return InvalidArgument("a bad request");
    return message + "?";
  }
  StatusOr<std::string> Response(std::string message) override {
    if (message == "worse?") return DataLoss("a bad response");
    return message + "!";
  }
};

class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() : socket_(dir_.Path("echo.sock")), server_(socket_) {}
  ~ProxyTest() override { Leave(); }

  void Start(StatusOr<std::string> target) {
    GrpcProxyOptions options{std::move(target), nullptr, nullptr};
    options.rewriter =
        [](const std::string& method) -> std::unique_ptr<CallRewriter> {
      if (method != "/x/Change") return nullptr;
      return std::make_unique<Upper>();
    };
    options.run = [this](std::function<void()> work) {
      StatusOr<Thread> thread = StartThread("work", std::move(work));
      ASSERT_OK(thread);
      MutexLock lock(mutex_);
      workers_.push_back(*std::move(thread));
    };
    ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
    near_ = std::move(pair.second);
    ASSERT_OK(SetNonBlocking(near_.get()));
    ASSERT_OK_AND_ASSIGN(
        serving_, StartThread("serve", [this, options] {
          GrpcProxy proxy(options);
          UpgradedConnection client(near_.get(), "");
          EXPECT_OK(proxy.Serve(Context::Background(), client));
        }));
    ASSERT_OK(SetNonBlocking(pair.first.get()));
    client_socket_ = UniqueFd(dup(pair.first.get()));
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomInsecureChannelFromFd("x", pair.first.release(),
                                                arguments));
  }
  // The client's connection ends; so must all else.
  void Leave() {
    if (client_socket_.valid()) shutdown(client_socket_.get(), SHUT_RDWR);
    serving_.Join();
    stub_.reset();
  }

  const TempDir dir_;
  const std::string socket_;
  EchoServer server_;
  UniqueFd near_;
  UniqueFd client_socket_;
  Thread serving_;
  Mutex mutex_;
  std::vector<Thread> workers_ GUARDED_BY(mutex_);
  std::unique_ptr<grpc::GenericStub> stub_;
};

TEST_F(ProxyTest, PassesMessagesBothWays) {
  Start(socket_);
  ClientCall call(*stub_, "/x/Echo");
  const std::string large(3 << 20, 'x');
  for (const std::string& text : {std::string("a"), std::string(), large}) {
    EXPECT_TRUE(call.Write(text));
    EXPECT_EQ(call.Read(), text);
  }
  EXPECT_TRUE(call.CloseInput());
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_EQ(call.context.GetServerTrailingMetadata().find("hello")->second,
            "Ann");
}

TEST_F(ProxyTest, PassesTheStatusWithItsDetails) {
  Start(socket_);
  ClientCall call(*stub_, "/x/Echo");
  EXPECT_TRUE(call.Write("fail"));
  EXPECT_EQ(call.Read(), "(end)");
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "no");
  EXPECT_EQ(status.error_details(), std::string(100000, 'd'));
}

TEST_F(ProxyTest, EndsACallWhoseClientCouldGoOn) {
  Start(socket_);
  ClientCall call(*stub_, "/x/Echo");
  EXPECT_TRUE(call.Write("end"));
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(ProxyTest, ChangesTheMessagesOfOneMethod) {
  Start(socket_);
  ClientCall call(*stub_, "/x/Change");
  EXPECT_TRUE(call.Write("a"));
  EXPECT_EQ(call.Read(), "a?!");
  ClientCall bad(*stub_, "/x/Change");
  EXPECT_TRUE(bad.Write("bad"));
  EXPECT_EQ(bad.Read(), "(end)");
  EXPECT_EQ(bad.Finish().error_message(), "a bad request");
  ClientCall worse(*stub_, "/x/Change");
  EXPECT_TRUE(worse.Write("worse"));
  EXPECT_EQ(worse.Read(), "(end)");
  EXPECT_EQ(worse.Finish().error_code(), grpc::StatusCode::DATA_LOSS);
}

TEST_F(ProxyTest, AnswersEveryCallWithoutATarget) {
  Start(Unavailable("no server here"));
  ClientCall call(*stub_, "/x/Echo");
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_EQ(call.Finish().error_message(), "no server here");
}

TEST_F(ProxyTest, CancelsCallsWhoseClientLeaves) {
  Start(socket_);
  {
    ClientCall call(*stub_, "/x/Hang");
    EXPECT_TRUE(call.Write("a"));
    EXPECT_EQ(call.Read(), "a");
    call.context.TryCancel();
    EXPECT_FALSE(call.Finish().ok());
    while (server_.cancelled() < 1) {
    }
  }
  ClientCall call(*stub_, "/x/Hang");
  EXPECT_TRUE(call.Write("a"));
  EXPECT_EQ(call.Read(), "a");
  Leave();
  while (server_.cancelled() < 2) {
  }
}

TEST_F(ProxyTest, EndsAConnectionThatDoesNotSpeakHttp2) {
  Start(socket_);
  const std::string junk(100000, '\xff');
  (void)send(client_socket_.get(), junk.data(), junk.size(), MSG_NOSIGNAL);
  Leave();
}

}  // namespace
}  // namespace berth::door
