// Gives every file of a target's corpus to the target.
//
//   ok-*        real inputs, which have to be accepted
//   bad-*       wrong inputs, which have to be refused
//   anything    inputs that once ended the program or broke a check
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test/fuzz/driver/fuzz_target.h"

namespace berth::fuzz {
namespace {

std::vector<std::filesystem::path> Corpus() {
  std::vector<std::filesystem::path> files;
  const char* const folder = getenv("FUZZ_CORPUS");
  if (folder == nullptr) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(ReplayTest, TreatsItsCorpusAsBefore) {
  bool any_accepted = false;
  for (const std::filesystem::path& file : Corpus()) {
    SCOPED_TRACE(file.filename());
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
    ASSERT_TRUE(stream.good() || stream.eof());
    // Of exactly this size, so that a sanitizer sees a read behind its end.
    const std::unique_ptr<char[]> exact(new char[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), exact.get());
    const bool accepted = RunTarget({exact.get(), bytes.size()});
    const std::string name = file.filename();
    if (name.rfind("ok-", 0) == 0) {
      EXPECT_TRUE(accepted);
      any_accepted = true;
    }
    if (name.rfind("bad-", 0) == 0) {
      EXPECT_FALSE(accepted);
    }
  }
  EXPECT_TRUE(any_accepted) << "the corpus of a target has inputs that are ok";
}

TEST(ReplayTest, TakesNothingAtAll) { (void)RunTarget({}); }

}  // namespace
}  // namespace berth::fuzz
