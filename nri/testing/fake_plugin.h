#ifndef NRI_TESTING_FAKE_PLUGIN_H_
#define NRI_TESTING_FAKE_PLUGIN_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "nri/messages.h"

namespace berth::nri {

// The other end of a line: a plugin that answers as it is told. Without a word
// it registers, takes its configuration, and says nothing to any event.
// Thread-safe; set it up before Connect.
class FakePlugin {
 public:
  FakePlugin(std::string index, std::string name)
      : index_(std::move(index)), name_(std::move(name)) {}
  ~FakePlugin() { Leave(); }

  // Its answer to a method: a payload, or an error.
  using Handler = std::function<StatusOr<std::string>(const std::string&)>;
  void On(const std::string& method, Handler handler) {
    handlers_[method] = std::move(handler);
  }
  template <typename Request, typename Response>
  void On(const std::string& method,
          std::function<StatusOr<Response>(const Request&)> answer) {
    On(method, [answer](const std::string& bytes) -> StatusOr<std::string> {
      Request request;
      request.ParseFromString(bytes);
      ASSIGN_OR_RETURN(const Response response, answer(request));
      return response.SerializeAsString();
    });
  }
  // It never answers this one.
  void Hang(const std::string& method) { hangs_.push_back(method); }
  // Events that it wants; 0: all.
  void set_events(EventMask events) { events_ = events; }

  // Connects and registers, and returns when it has been synchronized, or when
  // the connection has ended: false.
  bool Connect(const std::string& socket);
  // Asks the runtime something.
  StatusOr<std::string> Ask(const std::string& method,
                            const std::string& payload);
  // The calls so far, but for Configure and Synchronize.
  std::vector<std::string> calls();
  // Waits until the runtime has ended the connection.
  void AwaitEnd();
  // Bytes that are no frames, for one.
  void SendRaw(const std::string& bytes);
  void Leave();

 private:
  void Serve();
  void Answer(uint32_t stream, const std::string& method,
              const std::string& payload);

  const std::string index_;
  const std::string name_;
  std::map<std::string, Handler> handlers_;
  std::vector<std::string> hangs_;
  EventMask events_ = 0;
  UniqueFd socket_;
  Thread thread_;
  Mutex mutex_;
  CondVar changed_;
  uint32_t next_stream_ GUARDED_BY(mutex_) = 1;
  std::map<uint32_t, StatusOr<std::string>> answers_ GUARDED_BY(mutex_);
  std::vector<std::string> calls_ GUARDED_BY(mutex_);
  bool synchronized_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::nri

#endif  // NRI_TESTING_FAKE_PLUGIN_H_
