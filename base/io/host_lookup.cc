#include "base/io/host_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <utility>

#include "base/contain.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace berth {
namespace {

constexpr Duration kLimit = std::chrono::seconds(20);
// At work, their callers gone or not.
constexpr int kMostThreads = 64;
constexpr size_t kMostAddresses = 256;

StatusOr<std::vector<std::string>> Resolve(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;  // else each comes once a type
  addrinfo* found = nullptr;
  int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(
      found, [](addrinfo* list) {
        if (list != nullptr) freeaddrinfo(list);
      });
  std::vector<std::string> addresses;
  for (const addrinfo* one = all.get();
       failed == 0 && one != nullptr && addresses.size() < kMostAddresses;
       one = one->ai_next) {
    char ip[NI_MAXHOST];
    failed = getnameinfo(one->ai_addr, one->ai_addrlen, ip, sizeof(ip), nullptr,
                         0, NI_NUMERICHOST);
    if (failed == 0) addresses.push_back(ip);
  }
  if (failed == 0 && !addresses.empty()) return addresses;
  return FailedPrecondition(gai_strerror(failed == 0 ? EAI_NONAME : failed));
}

// One look-up, owned by who waits and by the thread.
struct LookUp {
  Mutex mutex;
  CondVar done;
  std::optional<StatusOr<std::vector<std::string>>> answer GUARDED_BY(mutex);
};

// How many threads there are. Never destroyed: they may outlive main.
struct Threads {
  Mutex mutex;
  int count GUARDED_BY(mutex) = 0;

  bool Enter() {
    MutexLock lock(mutex);
    if (count >= kMostThreads) return false;
    ++count;
    return true;
  }
  void Leave() {
    MutexLock lock(mutex);
    --count;
  }
};

Threads& AllThreads() {
  static auto& threads = *new Threads();
  return threads;
}

StatusOr<std::vector<std::string>> Await(const Context& ctx,
                                         const std::string& host,
                                         const Resolver& resolver,
                                         Duration limit) {
  if (host.find('\0') != std::string::npos) {
    return InvalidArgument("not the name of a host");
  }
  if (!AllThreads().Enter()) {
    return Unavailable("too many look-ups wait for an answer");
  }
  const auto look_up = std::make_shared<LookUp>();
  StatusOr<Thread> thread = StartThread("look-up", [look_up, host, resolver] {
    StatusOr<std::vector<std::string>> answer =
        Contain([&] { return resolver(host); });
    {
      MutexLock lock(look_up->mutex);
      look_up->answer = std::move(answer);
      look_up->done.SignalAll();
    }
    AllThreads().Leave();
  });
  if (!thread.ok()) {
    AllThreads().Leave();
    return thread.status();
  }
  thread->Detach();
  MutexLock lock(look_up->mutex);
  const Status waited = ctx.WithTimeout(limit).Await(
      look_up->mutex, look_up->done,
      [&]() NO_THREAD_SAFETY_ANALYSIS { return look_up->answer.has_value(); });
  if (waited.ok()) return *std::move(look_up->answer);
  RETURN_IF_ERROR(ctx.Check());
  return DeadlineExceeded("the name servers do not answer");
}

}  // namespace

StatusOr<std::vector<std::string>> LookUpHost(const Context& ctx,
                                              const std::string& host) {
  return LookUpHostBy(ctx, host, Resolve, kLimit);
}

StatusOr<std::vector<std::string>> LookUpHostBy(const Context& ctx,
                                                const std::string& host,
                                                const Resolver& resolver,
                                                Duration limit) {
  ASSIGN_OR_RETURN_AS(std::vector<std::string> addresses,
                      Await(ctx, host, resolver, limit), "lookup " + host);
  return addresses;
}

}  // namespace berth
