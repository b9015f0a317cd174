#include "sandbox/recovery/recovery_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "glog/logging.h"

namespace berth::sandbox {
namespace {

constexpr size_t kStackSize = 512 << 10;

}  // namespace

RecoveryQueue::RecoveryQueue(std::string name, Options options)
    : name_(std::move(name)),
      options_(options),
      until_(Context::Background(name_).WithCancel()) {}

RecoveryQueue::~RecoveryQueue() { Stop(); }

void RecoveryQueue::Add(std::string what, Job job) {
  MutexLock lock(mutex_);
  waiting_.emplace(std::chrono::steady_clock::now(),
                   Entry{std::move(what), std::move(job), {}, {}});
  StartThreads();
  changed_.SignalAll();
}

Status RecoveryQueue::CheckThreads() {
  MutexLock lock(mutex_);
  StartThreads();
  if (working_ > 0 || waiting_.empty()) return OkStatus();
  return ResourceExhausted(name_ + ": no thread can be had");
}

// As many as there are jobs to do now, and one that waits for the time of the
// next. Without a single one the next Add tries again.
void RecoveryQueue::StartThreads() {
  if (until_.cancelled()) return;
  if (working_ == 0) threads_.clear();
  const auto later = waiting_.upper_bound(std::chrono::steady_clock::now());
  const auto due = std::distance(waiting_.begin(), later);
  const size_t wanted =
      busy_ + static_cast<size_t>(due) + (later != waiting_.end() ? 1 : 0);
  while (working_ < std::min(options_.threads, wanted)) {
    StatusOr<Thread> thread = StartThread(
        name_, [this] { Work(); }, kStackSize);
    if (!thread.ok()) {
      LOG_IF(WARNING, working_ == 0) << name_ << ": " << thread.status();
      return;
    }
    threads_.push_back(*std::move(thread));
    ++working_;
  }
}

void RecoveryQueue::Work() {
  Entry entry;
  while (Take(entry)) Try(std::exchange(entry, Entry()));
}

bool RecoveryQueue::Take(Entry& entry) {
  MutexLock lock(mutex_);
  while (!until_.cancelled() && !waiting_.empty()) {
    const auto first = waiting_.begin();
    const SteadyTime due = first->first;
    if (due <= std::chrono::steady_clock::now()) {
      entry = std::move(first->second);
      waiting_.erase(first);
      ++busy_;
      StartThreads();
      return true;
    }
    if (sleeping_) break;  // one is enough
    sleeping_ = true;
    // An earlier one, or the end, or its time.
    until_.WithDeadline(due)
        .Await(mutex_, changed_,
               [&]() NO_THREAD_SAFETY_ANALYSIS {
                 return waiting_.empty() || waiting_.begin()->first < due;
               })
        .IgnoreError();
    sleeping_ = false;
  }
  --working_;
  changed_.SignalAll();
  return false;
}

void RecoveryQueue::Try(Entry entry) {
  const Status status = entry.job(until_);
  MutexLock lock(mutex_);
  --busy_;
  changed_.SignalAll();
  if (status.ok() || until_.cancelled()) return;
  const std::string said = Message(status);
  if (said != entry.said) LOG(WARNING) << entry.what << ": " << said;
  entry.said = said;
  entry.pause = entry.pause == Duration::zero()
                    ? options_.first_pause
                    : std::min(2 * entry.pause, options_.longest_pause);
  const auto pause =
      std::chrono::duration_cast<SteadyTime::duration>(entry.pause);
  waiting_.emplace(std::chrono::steady_clock::now() + pause, std::move(entry));
  StartThreads();
}

Status RecoveryQueue::AwaitDone(const Context& ctx) {
  MutexLock lock(mutex_);
  return ctx.Await(mutex_, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS {
    return waiting_.empty() && busy_ == 0;
  });
}

void RecoveryQueue::Stop() {
  until_.Cancel();
  std::vector<Thread> threads;
  {
    MutexLock lock(mutex_);
    threads.swap(threads_);
    changed_.SignalAll();
  }
  for (Thread& thread : threads) thread.Join();
  // What is left lets go of what it holds.
  MutexLock lock(mutex_);
  waiting_.clear();
}

}  // namespace berth::sandbox
