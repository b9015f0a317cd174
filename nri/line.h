#ifndef NRI_LINE_H_
#define NRI_LINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/io/event_loop.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "nri/loop_thread.h"
#include "nri/mux.h"
#include "shim/wire/ttrpc.h"

namespace berth::nri {

// What a plugin asks of us.
struct Question {
  uint32_t stream = 0;  // for the answer
  std::string service;
  std::string method;
  std::string payload;
};

// How a call went.
struct Reply {
  // False: the connection is lost, or the caller's time was over.
  bool answered = false;
  // The answer's payload, or the error that is the plugin's answer; of an
  // unanswered call, why.
  StatusOr<std::string> payload{std::string()};
};

// The connection to one plugin: calls to it, and its own to us, over one
// socket. Bytes that are no frames, and a plugin that does not read, end it.
//
// Thread-safe. Reading is the loop's; a call and an answer are written by
// whoever makes them.
class Line : public std::enable_shared_from_this<Line> {
 public:
  // Both on the loop's thread, and must not wait. `lost` is told once, after
  // the last question.
  struct Events {
    std::function<void(Question question)> asked;
    std::function<void(const Status& why)> lost;
  };

  // A stream socket, non-blocking.
  explicit Line(UniqueFd socket) : socket_(std::move(socket)) {}
  ~Line();
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // From now on the plugin is heard. `events` may hold this line: they are
  // dropped when it is lost.
  void Open(LoopThread& loop, Events events);

  // Waits for the answer.
  Reply Call(const Context& ctx, const std::string& method,
             const std::string& payload) EXCLUDES(write_mutex_, mutex_);
  // Of a question; an answer that nobody reads ends the line.
  void Answer(const Context& ctx, uint32_t stream,
              const StatusOr<std::string>& payload) EXCLUDES(write_mutex_);

  // Every call ends at once, and `lost` is told. The first reason counts.
  void Close(const Status& why) EXCLUDES(mutex_);
  bool closed() const EXCLUDES(mutex_);

 private:
  struct Waiter {
    bool answered = false;
    StatusOr<std::string> payload{std::string()};
  };

  StatusOr<uint32_t> Register(Waiter* waiter) EXCLUDES(mutex_);
  Status SendRequest(const Context& ctx, const std::string& method,
                     const std::string& payload, Waiter* waiter,
                     uint32_t& stream) EXCLUDES(write_mutex_, mutex_);
  Status Send(const Context& ctx, uint32_t connection,
              const std::string& ttrpc_frame) REQUIRES(write_mutex_);
  void Hear(EventLoop& loop);
  // All that has come; an error at the end of the line.
  Status ReadSome();
  Status Take(const MuxFrame& frame);
  void Deliver(shim::Frame frame) EXCLUDES(mutex_);
  Status Ask(const shim::Frame& frame);

  const UniqueFd socket_;
  // Of the loop's thread alone.
  Events events_;
  MuxParser frames_;
  shim::FrameParser answers_;
  shim::FrameParser questions_;

  Mutex write_mutex_;  // one frame at a time; taken before mutex_
  mutable Mutex mutex_;
  CondVar changed_;
  Status why_ GUARDED_BY(mutex_);  // it was closed; OK: it is open
  uint32_t next_stream_ GUARDED_BY(mutex_) = 1;
  std::map<uint32_t, Waiter*> waiters_ GUARDED_BY(mutex_);
};

}  // namespace berth::nri

#endif  // NRI_LINE_H_
