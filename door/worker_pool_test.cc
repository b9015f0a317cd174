#include "door/worker_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "base/testing/status_matchers.h"

namespace berth::door {
namespace {

// Jobs that live as long as the test.
class Jobs {
 public:
  WorkerPool::Job* Make(std::function<void()> body) {
    return &jobs_.emplace_back(std::move(body));
  }

 private:
  class One final : public WorkerPool::Job {
   public:
    explicit One(std::function<void()> body) : body_(std::move(body)) {}
    void Work() override { body_(); }

   private:
    const std::function<void()> body_;
  };
  std::deque<One> jobs_;
};

// Holds jobs until it is opened.
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

size_t All(const WorkerPool& pool) {
  const WorkerPool::Load load = pool.load();
  return load.at_work + load.waiting;
}

// Runs `body` in a child whose user may have no more threads once it has
// called the function that it is given; true lets it have them again. The first
// tests, as long as this process has one thread (ThreadSanitizer).
void WithoutThreads(
    const std::function<bool(std::function<bool(bool)>)>& body) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change its user id";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto allow = [](bool yes) {
      rlimit limit;
      if (yes && setresuid(0, 0, 0) != 0) return false;
      if (getrlimit(RLIMIT_NPROC, &limit) != 0) return false;
      limit.rlim_cur = yes ? limit.rlim_max : 0;
      if (setrlimit(RLIMIT_NPROC, &limit) != 0) return false;
      return yes || setresuid(54322, 54322, 0) == 0;
    };
    _exit(body(allow) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(WorkerPoolTest, RefusesWhatThereIsNoThreadForAndGoesOnLater) {
  WithoutThreads([](const std::function<bool(bool)>& allow) {
    Jobs jobs;
    std::atomic<int> done = 0;
    bool refused = allow(false);
    {
      WorkerPool pool({"test", 4, 0, 0});
      for (int i = 0; i < 10; ++i) {
        const Status status = pool.Run(jobs.Make([&] { done += 100; }));
        refused &= status.code() == StatusCode::kResourceExhausted;
      }
      refused &= All(pool) == 0;
      if (!allow(true)) return false;
      for (int i = 0; i < 10; ++i) {
        refused &= pool.Run(jobs.Make([&] { done += 1; })).ok();
      }
    }
    return refused && done == 10;
  });
}

TEST(WorkerPoolTest, ResidentThreadsDoWhatNoNewThreadCanDo) {
  WithoutThreads([](const std::function<bool(bool)>& allow) {
    Jobs jobs;
    Gate gate;
    std::atomic<int> done = 0;
    bool well = true;
    {
      WorkerPool pool({"test", 8, 0, 2});
      well = allow(false);
      well &= pool.Run(jobs.Make([&] { gate.Arrive(); })).ok();
      for (int i = 0; i < 50; ++i) {
        well &= pool.Run(jobs.Make([&] { ++done; })).ok();
      }
      gate.WaitFor(1);
      while (done < 50) usleep(100);
      gate.Open();
    }
    return well && done == 50;
  });
}

TEST(WorkerPoolTest, DoesEverythingBeforeItEnds) {
  Jobs jobs;
  std::atomic<int> done = 0;
  {
    WorkerPool pool({"test", 3, 0, 0});
    for (int i = 0; i < 100; ++i) {
      EXPECT_OK(pool.Run(jobs.Make([&] { ++done; })));
    }
  }
  EXPECT_EQ(done, 100);
}

TEST(WorkerPoolTest, RunsUpToItsLimitAtTheSameTime) {
  Jobs jobs;
  Gate gate;
  WorkerPool pool({"test", 4, 0, 0});
  for (int i = 0; i < 6; ++i) {
    EXPECT_OK(pool.Run(jobs.Make([&] { gate.Arrive(); })));
  }
  // Would never return if fewer than four ran.
  gate.WaitFor(4);
  EXPECT_EQ(pool.load().pool, "test");
  EXPECT_EQ(pool.load().at_work, 4u);
  EXPECT_EQ(pool.load().waiting, 2u);
  EXPECT_EQ(gate.arrived(), 4);
  gate.Open();
  gate.WaitFor(6);
}

TEST(WorkerPoolTest, ReusesAThreadThatIsFree) {
  Jobs jobs;
  std::atomic<int> done = 0;
  WorkerPool pool({"test", 1, 0, 0});
  for (int i = 1; i <= 3; ++i) {
    Gate gate;
    EXPECT_OK(pool.Run(jobs.Make([&] {
      ++done;
      gate.Arrive();
    })));
    gate.WaitFor(1);
    EXPECT_EQ(done, i);
    gate.Open();
    // The gate may go once the job has left it.
    while (All(pool) != 0) usleep(100);
  }
}

TEST(WorkerPoolTest, OneKeyTakesNoMoreThanItsShare) {
  Jobs jobs;
  Gate greedy;
  Gate others;
  WorkerPool pool({"test", 8, 3, 0});
  for (int i = 0; i < 40; ++i) {
    EXPECT_OK(pool.Run(jobs.Make([&] { greedy.Arrive(); }), "greedy"));
  }
  greedy.WaitFor(3);
  // Behind forty others, and at once.
  for (const char* key : {"a", "a", "b", "", ""}) {
    EXPECT_OK(pool.Run(jobs.Make([&] { others.Arrive(); }), key));
  }
  others.WaitFor(5);
  EXPECT_EQ(greedy.arrived(), 3);
  others.Open();
  greedy.Open();
  greedy.WaitFor(40);
}

TEST(WorkerPoolTest, AJobThatWaitsInLineCanBeWithdrawn) {
  Jobs jobs;
  Gate gate;
  std::atomic<int> done = 0;
  {
    WorkerPool pool({"test", 1, 0, 0});
    WorkerPool::Job* const first = jobs.Make([&] { gate.Arrive(); });
    EXPECT_OK(pool.Run(first));
    gate.WaitFor(1);
    WorkerPool::Job* const second = jobs.Make([&] { done += 1; });
    EXPECT_OK(pool.Run(second));
    EXPECT_OK(pool.Run(jobs.Make([&] { done += 10; })));
    EXPECT_FALSE(pool.Withdraw(first));
    EXPECT_TRUE(pool.Withdraw(second));
    EXPECT_FALSE(pool.Withdraw(second));
    EXPECT_EQ(All(pool), 2u);
    gate.Open();
  }
  EXPECT_EQ(done, 10);
}

}  // namespace
}  // namespace berth::door
