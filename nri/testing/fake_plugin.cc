#include "nri/testing/fake_plugin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/sys/socket.h"
#include "nri/mux.h"
#include "shim/wire/ttrpc.h"

namespace berth::nri {

bool FakePlugin::Connect(const std::string& socket) {
  StatusOr<UniqueFd> connected = ConnectUnix(socket);
  if (!connected.ok()) return false;
  socket_ = *std::move(connected);
  thread_ = *StartThread("plugin", [this] { Serve(); });
  api::RegisterPluginRequest request;
  request.set_plugin_idx(index_);
  request.set_plugin_name(name_);
  if (!Ask("RegisterPlugin", request.SerializeAsString()).ok()) return false;
  MutexLock lock(mutex_);
  while (!synchronized_ && !ended_) changed_.Wait(mutex_);
  return synchronized_ && !ended_;
}

StatusOr<std::string> FakePlugin::Ask(const std::string& method,
                                      const std::string& payload) {
  uint32_t stream = 0;
  {
    MutexLock lock(mutex_);
    stream = next_stream_;
    next_stream_ += 2;
  }
  SendRaw(EncodeMux(kRuntimeConnection,
                    *shim::EncodeRequest(stream, "nri.pkg.api.v1alpha1.Runtime",
                                         method, payload, {})));
  MutexLock lock(mutex_);
  while (answers_.count(stream) == 0) {
    if (ended_) return Unavailable("the connection has ended");
    changed_.Wait(mutex_);
  }
  return answers_[stream];
}

std::vector<std::string> FakePlugin::calls() {
  MutexLock lock(mutex_);
  return calls_;
}

void FakePlugin::AwaitEnd() {
  MutexLock lock(mutex_);
  while (!ended_) changed_.Wait(mutex_);
}

void FakePlugin::SendRaw(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = send(socket_.get(), bytes.data() + sent,
                           bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
}

void FakePlugin::Leave() {
  if (!socket_.valid()) return;
  shutdown(socket_.get(), SHUT_RDWR);
  thread_.Join();
}

void FakePlugin::Serve() {
  MuxParser mux;
  shim::FrameParser calls, answers;
  char bytes[65536];
  while (true) {
    const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
    if (n <= 0) break;
    mux.Feed({bytes, static_cast<size_t>(n)});
    while (const std::optional<MuxFrame> frame = *mux.Next()) {
      (frame->connection == kPluginConnection ? calls : answers)
          .Feed(frame->payload);
    }
    while (const auto answer = answers.Next()) {
      MutexLock lock(mutex_);
      answers_[answer->stream] = shim::DecodeResponse(answer->data);
      changed_.SignalAll();
    }
    while (const auto call = calls.Next()) {
      ttrpc::Request request;
      request.ParseFromString(call->data);
      Answer(call->stream, request.method(), request.payload());
    }
  }
  MutexLock lock(mutex_);
  ended_ = true;
  changed_.SignalAll();
}

void FakePlugin::Answer(uint32_t stream, const std::string& method,
                        const std::string& payload) {
  if (method != "Configure" && method != "Synchronize") {
    MutexLock lock(mutex_);
    calls_.push_back(method);
  }
  if (std::find(hangs_.begin(), hangs_.end(), method) != hangs_.end()) return;
  StatusOr<std::string> answer{std::string()};
  const auto handler = handlers_.find(method);
  if (handler != handlers_.end()) {
    answer = handler->second(payload);
  } else if (method == "Configure") {
    api::ConfigureResponse response;
    response.set_events(static_cast<int32_t>(events_));
    answer = response.SerializeAsString();
  } else if (method == "Synchronize") {
    api::SynchronizeRequest request;
    request.ParseFromString(payload);
    api::SynchronizeResponse response;
    response.set_more(request.more());
    answer = response.SerializeAsString();
  }
  SendRaw(EncodeMux(kPluginConnection, shim::EncodeResponse(stream, answer)));
  if (method != "Synchronize") return;
  api::SynchronizeRequest request;
  request.ParseFromString(payload);
  MutexLock lock(mutex_);
  synchronized_ = !request.more();
  changed_.SignalAll();
}

}  // namespace berth::nri
