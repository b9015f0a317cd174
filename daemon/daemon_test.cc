// The whole daemon in this process, without pods: that its parts fit, what the
// socket answers at once, and how calls end that cannot wait for an answer.
#include "daemon/daemon.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <future>

#include "api/cri/v1/api.grpc.pb.h"
#include "api/cri/v1/image_api.grpc.pb.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "door/http/test_client.h"

namespace berth::daemon {
namespace {

namespace v1 = ::runtime::v1;

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr char kNobody[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() {
    config_.set_root(dir_.Path("root"));
    config_.set_state(dir_.Path("state"));
    config_.mutable_network()->set_conf_dir(dir_.Path("cni"));
    config_.mutable_limits()->set_event_streams(1);
  }

  void SetUp() override {
    StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(config_);
    ASSERT_OK(daemon);
    daemon_ = *std::move(daemon);
    channel_ = grpc::CreateChannel("unix:" + CriSocket(config_),
                                   grpc::InsecureChannelCredentials());
    runtime_ = v1::RuntimeService::NewStub(channel_);
    images_ = v1::ImageService::NewStub(channel_);
  }

  // Calls one method; the answer's status.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::RuntimeService::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    return (runtime_.get()->*method)(&context, request, &response);
  }

  TempDir dir_;
  Config config_;
  std::unique_ptr<Daemon> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<v1::ImageService::Stub> images_;
};

TEST_F(DaemonTest, AnswersWhatClientsAskFirst) {
  v1::VersionResponse version;
  ASSERT_TRUE(
      Call(&v1::RuntimeService::Stub::Version, v1::VersionRequest(), version)
          .ok());
  EXPECT_EQ(version.version(), "0.1.0");
  EXPECT_EQ(version.runtime_name(), "berth");
  EXPECT_EQ(version.runtime_api_version(), "v1");

  grpc::ClientContext context;
  v1::ImageFsInfoResponse info;
  ASSERT_TRUE(
      images_->ImageFsInfo(&context, v1::ImageFsInfoRequest(), &info).ok());
  EXPECT_EQ(info.image_filesystems(0).fs_id().mountpoint(), config_.root());
  EXPECT_GT(info.image_filesystems(0).timestamp(), 0);
}

TEST_F(DaemonTest, SaysThatItIsReady) {
  v1::StatusRequest request;
  request.set_verbose(true);
  v1::StatusResponse response;
  ASSERT_TRUE(Call(&v1::RuntimeService::Stub::Status, request, response).ok());
  ASSERT_EQ(response.status().conditions_size(), 2);
  EXPECT_EQ(response.status().conditions(0).type(), "RuntimeReady");
  EXPECT_TRUE(response.status().conditions(0).status());
  EXPECT_EQ(response.status().conditions(1).type(), "NetworkReady");
  EXPECT_EQ(response.runtime_handlers(0).name(), "");
  EXPECT_THAT(response.info().at("config"), HasSubstr("stateDir"));
  EXPECT_EQ(response.info().at("recordsSetAside"), "[]");
}

TEST_F(DaemonTest, OpensTheSocketForItsGroupOnly) {
  struct stat info;
  ASSERT_EQ(stat(CriSocket(config_).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
}

std::string AskAdmin(const Config& config, const std::string& path) {
  door::Client client(AdminSocket(config));
  client.Send("GET " + path +
              " HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n");
  return client.ReceiveAll();
}

TEST_F(DaemonTest, HasADoorForWhoeverRunsTheNode) {
  struct stat info;
  ASSERT_EQ(stat(dir_.Path("state/admin.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_THAT(AskAdmin(config_, "/healthz"), EndsWith("\r\n\r\nok\n"));
  EXPECT_THAT(AskAdmin(config_, "/config"),
              HasSubstr("state: \"" + config_.state() + "\"\n"));
  v1::VersionResponse version;
  ASSERT_TRUE(
      Call(&v1::RuntimeService::Stub::Version, v1::VersionRequest(), version)
          .ok());
  const std::string metrics = AskAdmin(config_, "/metrics");
  EXPECT_THAT(metrics, HasSubstr("berth_sandboxes{phase=\"ready\"} 0\n"));
  EXPECT_THAT(metrics,
              HasSubstr("berth_request_duration_seconds_count{door="
                        "\"cri\",method=\"Version\",code=\"OK\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("berth_pool_waiting{pool=\"cri-pull\"} 0\n"));
}

TEST_F(DaemonTest, TellsOfADoorThatNobodyFinds) {
  ASSERT_EQ(unlink(CriSocket(config_).c_str()), 0);
  EXPECT_THAT(AskAdmin(config_, "/healthz"),
              AllOf(HasSubstr(" 503 "), HasSubstr("door cri: ")));
}

TEST_F(DaemonTest, TellsStoppingFromAskingForAnUnknownId) {
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(kNobody);
  v1::StopPodSandboxResponse stopped;
  EXPECT_TRUE(
      Call(&v1::RuntimeService::Stub::StopPodSandbox, stop, stopped).ok());
  v1::RemoveContainerRequest remove;
  remove.set_container_id("abc");
  v1::RemoveContainerResponse removed;
  EXPECT_TRUE(
      Call(&v1::RuntimeService::Stub::RemoveContainer, remove, removed).ok());
  v1::ContainerStatusRequest ask;
  ask.set_container_id(kNobody);
  v1::ContainerStatusResponse answer;
  EXPECT_EQ(Call(&v1::RuntimeService::Stub::ContainerStatus, ask, answer)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
  ask.clear_container_id();
  EXPECT_EQ(Call(&v1::RuntimeService::Stub::ContainerStatus, ask, answer)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(DaemonTest, RefusesByName) {
  v1::RunPodSandboxRequest run;
  v1::RunPodSandboxResponse response;
  grpc::Status status =
      Call(&v1::RuntimeService::Stub::RunPodSandbox, run, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("config.metadata.name"));
  run.set_runtime_handler("nobody");
  status = Call(&v1::RuntimeService::Stub::RunPodSandbox, run, response);
  EXPECT_THAT(status.error_message(), HasSubstr("runtime_handler"));

  v1::CheckpointContainerResponse checkpoint;
  EXPECT_EQ(Call(&v1::RuntimeService::Stub::CheckpointContainer,
                 v1::CheckpointContainerRequest(), checkpoint)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(DaemonTest, KnowsNoImage) {
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("busybox");
  v1::ImageStatusResponse response;
  grpc::ClientContext context;
  EXPECT_TRUE(images_->ImageStatus(&context, request, &response).ok());
  EXPECT_FALSE(response.has_image());
  grpc::ClientContext again;
  v1::RemoveImageRequest remove;
  *remove.mutable_image() = request.image();
  v1::RemoveImageResponse removed;
  EXPECT_TRUE(images_->RemoveImage(&again, remove, &removed).ok());
}

TEST_F(DaemonTest, StreamsNothingForNothing) {
  grpc::ClientContext context;
  const auto stream =
      runtime_->StreamContainers(&context, v1::StreamContainersRequest());
  v1::StreamContainersResponse message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
}

// A client that leaks its streams keeps no other client out.
TEST_F(DaemonTest, ANewEventStreamTakesThePlaceOfTheOldest) {
  // Which of the two comes first is not told.
  grpc::ClientContext contexts[2];
  std::future<grpc::StatusCode> ends[2];
  for (int i = 0; i < 2; ++i) {
    ends[i] = std::async(std::launch::async, [this, &context = contexts[i]] {
      const auto stream =
          runtime_->GetContainerEvents(&context, v1::GetEventsRequest());
      v1::ContainerEventResponse event;
      EXPECT_FALSE(stream->Read(&event));
      return stream->Finish().error_code();
    });
  }
  const auto ended = [&](int i) {
    return ends[i].wait_for(std::chrono::milliseconds(1)) ==
           std::future_status::ready;
  };
  int oldest = 0;
  while (!ended(oldest)) oldest = 1 - oldest;
  EXPECT_EQ(ends[oldest].get(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  contexts[1 - oldest].TryCancel();
  EXPECT_EQ(ends[1 - oldest].get(), grpc::StatusCode::CANCELLED);
}

// Stop ends a stream that would last forever, and does not wait for it.
TEST_F(DaemonTest, StopsInSpiteOfAStream) {
  grpc::ClientContext context;
  const auto stream =
      runtime_->GetContainerEvents(&context, v1::GetEventsRequest());
  daemon_->Stop();
  v1::ContainerEventResponse event;
  EXPECT_FALSE(stream->Read(&event));
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(DaemonTest, HasItsFoldersForItself) {
  const StatusOr<std::unique_ptr<Daemon>> second = Daemon::Start(config_);
  EXPECT_THAT(second.status(), StatusIs(StatusCode::kUnavailable));
}

TEST(DaemonStartTest, ServesDockerOnTcpBesidesASocketOnly) {
  Config config;
  config.mutable_docker_tcp()->set_address("127.0.0.1:2375");
  EXPECT_THAT(Daemon::Start(config).status(),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::daemon
