#include "docker/exec_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<Exec> ExecOf(const std::string& id, const std::string& in) {
  auto exec = std::make_shared<Exec>();
  exec->id = id;
  exec->container_id = in;
  return exec;
}

TEST(ExecTableTest, FindsAndForgets) {
  ExecTable table;
  table.Add(ExecOf("1", "a"));
  table.Add(ExecOf("2", "b"));
  table.Add(ExecOf("3", "a"));
  EXPECT_EQ((*table.Find("2"))->container_id, "b");
  EXPECT_THAT(table.Of("a"), ElementsAre("1", "3"));
  EXPECT_THAT(table.Of("none"), IsEmpty());
  {
    const auto ended = *table.Find("1");
    MutexLock lock(ended->mutex);
    ended->exit_code = 0;
  }
  EXPECT_THAT(table.Of("a"), ElementsAre("3"));
  EXPECT_OK(table.Find("1"));
  table.Forget("a");
  EXPECT_THAT(table.Of("a"), IsEmpty());
  EXPECT_THAT(table.Find("1"), StatusIs(StatusCode::kNotFound,
                                        HasSubstr("No such exec instance: 1")));
  EXPECT_OK(table.Find("2"));
}

TEST(ExecTest, BeginsOnceUnlessItIsTakenBack) {
  const auto exec = ExecOf("1", "a");
  EXPECT_OK(exec->Begin());
  EXPECT_THAT(exec->Begin(),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("Exec command 1 has already run")));
  exec->TakeBack();
  EXPECT_OK(exec->Begin());
}

TEST(ExecTableTest, WhatRunsStaysWhenThereAreTooMany) {
  constexpr int kMost = 4096;
  ExecTable table;
  for (int i = 0; i < kMost; ++i) {
    const auto exec = ExecOf(std::to_string(i), "a");
    MutexLock lock(exec->mutex);
    exec->running = i == 0;
    table.Add(exec);
  }
  table.Add(ExecOf("new", "b"));
  EXPECT_OK(table.Find("0"));
  EXPECT_THAT(table.Find("1"), StatusIs(StatusCode::kNotFound));
  EXPECT_OK(table.Find("2"));
  EXPECT_OK(table.Find("new"));
}

}  // namespace
}  // namespace berth::docker
