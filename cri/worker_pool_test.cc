#include "cri/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace berth::cri {
namespace {

TEST(WorkerPoolTest, DoesEverythingBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    WorkerPool pool("test", 3);
    for (int i = 0; i < 100; ++i) pool.Run([&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

// Holds jobs until all that are expected have arrived.
class Gate {
 public:
  void Arrive() {
    MutexLock lock(mutex_);
    ++arrived_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(mutex_);
  }
  void WaitFor(int count) {
    MutexLock lock(mutex_);
    while (arrived_ < count) changed_.Wait(mutex_);
  }
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  int arrived() {
    MutexLock lock(mutex_);
    return arrived_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int arrived_ = 0;
  bool open_ = false;
};

TEST(WorkerPoolTest, RunsUpToItsLimitAtTheSameTime) {
  Gate gate;
  WorkerPool pool("test", 4);
  for (int i = 0; i < 6; ++i) pool.Run([&] { gate.Arrive(); });
  // Would never return if fewer than four ran.
  gate.WaitFor(4);
  EXPECT_EQ(pool.load(), 6u);
  EXPECT_EQ(gate.arrived(), 4);
  gate.Open();
  gate.WaitFor(6);
}

TEST(WorkerPoolTest, ReusesAThreadThatIsFree) {
  std::atomic<int> done = 0;
  WorkerPool pool("test", 1);
  for (int i = 1; i <= 3; ++i) {
    Gate gate;
    pool.Run([&] {
      ++done;
      gate.Arrive();
    });
    gate.WaitFor(1);
    EXPECT_EQ(done, i);
    gate.Open();
    // The gate may go once the job has left it.
    while (pool.load() != 0) std::this_thread::yield();
  }
}

}  // namespace
}  // namespace berth::cri
