#include "image/archive/file_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/archive/image_files.h"
#include "image/layer/layer_reader.h"
#include "image/layer/tar_builder.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Context& Ctx() {
  static const auto& ctx = *new Context(Context::Background());
  return ctx;
}

TEST(FileSinkTest, WhatIsWrittenIsReadAgain) {
  const TempDir dir;
  dir.MakeDirectory("spool");
  const std::string block(512, 'b');
  const std::string large(300'000, 'l');
  for (const std::string name : {"archive.tar", "folder/"}) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(auto sink, OpenFileSink(dir.Path(name)));
    ASSERT_OK(sink->Put(Ctx(), "a/b/c", large));
    ASSERT_OK(sink->Put(Ctx(), "a/b/empty", ""));
    ASSERT_OK(sink->Put(Ctx(), "block", block));
    ASSERT_OK(sink->Finish());
    sink.reset();
    std::unique_ptr<ImageFiles> files;
    if (name == "folder/") {
      ASSERT_OK_AND_ASSIGN(files, DirectoryFiles::Load(dir.Path(name)));
    } else {
      ASSERT_OK_AND_ASSIGN(UniqueFd archive,
                           OpenFile(dir.Path(name), O_RDONLY));
      FileSource source(std::move(archive));
      ASSERT_OK_AND_ASSIGN(
          files, ArchiveFiles::Load(Ctx(), source, dir.Path("spool"), {}));
    }
    EXPECT_THAT(files->Read("a/b/c", 1 << 20), IsOkAndHolds(large));
    EXPECT_THAT(files->Read("a/b/empty", 1 << 20), IsOkAndHolds(""));
    EXPECT_THAT(files->Read("block", 1 << 20), IsOkAndHolds(block));
  }
  EXPECT_THAT(dir.Names(), ElementsAre("archive.tar", "folder", "spool"));
}

TEST(ArchiveFilesTest, TheLastMemberOfANameCounts) {
  const TempDir dir;
  StringSource archive(TarBuilder()
                           .File("a", "a1")
                           .File("a", "a2")
                           .File("b", "b1")
                           .File("c", "c1")
                           .File("d", "d1")
                           .Symlink("c", "d")
                           .HardLink("d", "d")
                           .Symlink("e", "nowhere")
                           .File("e", "e1")
                           .File("b", "b2")
                           .Bytes());
  ASSERT_OK_AND_ASSIGN(const auto files,
                       ArchiveFiles::Load(Ctx(), archive, dir.path(), {}));
  EXPECT_THAT(files->Read("a", 10), IsOkAndHolds("a2"));
  EXPECT_THAT(files->Read("b", 10), IsOkAndHolds("b2"));
  EXPECT_THAT(files->Read("c", 10), IsOkAndHolds("d1"));
  EXPECT_THAT(files->Read("d", 10), IsOkAndHolds("d1"));
  EXPECT_THAT(files->Read("e", 10), IsOkAndHolds("e1"));
}

TEST(ArchiveFilesTest, LimitsTheMembersAndNotTheirNames) {
  const TempDir dir;
  ArchiveFiles::Limits limits;
  limits.members = 3;
  TarBuilder tar;
  tar.File("a", "1").File("a", "2").File("a", "3");
  StringSource three(tar.Bytes());
  EXPECT_OK(ArchiveFiles::Load(Ctx(), three, dir.path(), limits));
  StringSource four(tar.File("a", "4").Bytes());
  EXPECT_THAT(ArchiveFiles::Load(Ctx(), four, dir.path(), limits),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("members")));
  EXPECT_THAT(dir.Names(), ::testing::IsEmpty());
}

TEST(FileSinkTest, AFileThatIsNotFinishedHasNoName) {
  const TempDir dir;
  dir.Write("archive.tar", "before");
  ASSERT_OK_AND_ASSIGN(auto sink, OpenFileSink(dir.Path("archive.tar")));
  ASSERT_OK(sink->Put(Ctx(), "a", "text"));
  EXPECT_EQ(dir.Read("archive.tar"), "before");
  sink.reset();
  EXPECT_THAT(dir.Names(), ElementsAre("archive.tar"));
  EXPECT_EQ(dir.Read("archive.tar"), "before");
}

TEST(FileSinkTest, ADirectoryWithSomethingInItIsRefused) {
  const TempDir dir;
  dir.MakeDirectory("folder");
  dir.Write("folder/mine", "");
  EXPECT_THAT(OpenFileSink(dir.Path("folder")),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("folder")));
  EXPECT_THAT(dir.Names("folder"), ElementsAre("mine"));
}

TEST(FileSinkTest, AFileIsAsLongAsItSaid) {
  std::string bytes;
  TarSink sink([&](std::string_view more) {
    bytes += more;
    return OkStatus();
  });
  StringSource shorter("four"), longer("seven+");
  EXPECT_THAT(sink.Put(Ctx(), "a", 5, shorter),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(sink.Put(Ctx(), "a", 5, longer), StatusIs(StatusCode::kDataLoss));
}

TEST(FileSinkTest, TellsSizesThatOctalDigitsCannotHold) {
  for (const uint64_t size :
       {(uint64_t{1} << 33) - 1, uint64_t{1} << 33, uint64_t{5} << 40}) {
    std::string bytes;
    TarSink sink([&](std::string_view more) {
      bytes += more;
      return OkStatus();
    });
    StringSource none("");
    EXPECT_FALSE(sink.Put(Ctx(), "big", size, none).ok());
    StringSource header(bytes);
    LayerReader reader(header);
    ASSERT_OK_AND_ASSIGN(const auto entry, reader.Next());
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->size, size);
    EXPECT_EQ(entry->path, "big");
  }
}

TEST(FileSinkTest, StopsWhenItsReaderIsGone) {
  TarSink sink([](std::string_view) { return Unavailable("gone"); });
  EXPECT_THAT(sink.Put(Ctx(), "a", "text"), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(sink.Finish(), StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace berth::image
