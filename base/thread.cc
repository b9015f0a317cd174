#include "base/thread.h"

#include <cxxabi.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

namespace berth {
namespace {

struct Start {
  std::string name;
  std::function<void()> body;
};

void Report(const std::string& name, const char* what) {
  dprintf(STDERR_FILENO, "thread %s ended by an exception: %s\n", name.c_str(),
          what);
}

void RunBody(const Start& start) {
  try {
    start.body();
  } catch (abi::__forced_unwind&) {
    throw;  // pthread_exit(3): not an error, and it must not be swallowed
  } catch (const std::exception& e) {
    Report(start.name, e.what());
  } catch (...) {
    Report(start.name, "not a std::exception");
  }
}

void* Root(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  RunBody(*start);
  return nullptr;
}

}  // namespace

Thread::Thread(Thread&& other) noexcept
    : id_(std::exchange(other.id_, std::nullopt)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
  if (this == &other) return *this;
  Join();
  id_ = std::exchange(other.id_, std::nullopt);
  return *this;
}

Thread::~Thread() { Join(); }

void Thread::Join() {
  if (id_.has_value()) pthread_join(*id_, nullptr);
  id_.reset();
}

void Thread::Detach() {
  if (id_.has_value()) pthread_detach(*id_);
  id_.reset();
}

StatusOr<Thread> StartThread(const std::string& name,
                             std::function<void()> body, size_t stack_bytes) {
  auto start =
      std::make_unique<Start>(Start{name.substr(0, 15), std::move(body)});
  pthread_t id;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_bytes > 0) pthread_attr_setstacksize(&attributes, stack_bytes);
  const int error = pthread_create(&id, &attributes, &Root, start.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    return ResourceExhausted("start thread " + name + ": " +
                             Message(Errno(error, "pthread_create")));
  }
  (void)start.release();  // Root owns it
  return Thread(id);
}

}  // namespace berth
