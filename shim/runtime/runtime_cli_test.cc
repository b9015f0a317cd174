#include "shim/runtime/runtime_cli.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/io/event_loop.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/process/reaper.h"

namespace berth::shim {
namespace {

// A shim may outlive the folder that it was started in.
TEST(RuntimeCliTest, RunsVerbsWhereverItsFolderIs) {
  const TempDir dir;
  dir.Write("program", "#!/bin/sh\npwd >>" + dir.Path("places") + "\n");
  ASSERT_EQ(chmod(dir.Path("program").c_str(), 0755), 0);
  ASSERT_OK_AND_ASSIGN(const auto loop, EventLoop::Create());
  Reaper reaper(*loop);
  ASSERT_OK(reaper.Start());
  RuntimeOptions options;
  options.program = dir.Path("program");
  RuntimeCli runtime(*loop, reaper, options, dir.Path("scratch"));
  const auto killed = [&] {
    Status status = Internal("none");
    runtime.Kill("c1", 9, false, [&](const Status& told) {
      status = told;
      loop->Stop();
    });
    EXPECT_OK(loop->Run());
    return status;
  };
  EXPECT_OK(killed());
  EXPECT_EQ(rmdir(dir.Path("scratch").c_str()), 0) << "a run left something";
  EXPECT_OK(killed());
  EXPECT_EQ(dir.Read("places"), "/\n/\n");
}

}  // namespace
}  // namespace berth::shim
