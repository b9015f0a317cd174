#include "image/layer/layer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "image/layer/tar_builder.h"
#include "image/layer/tar_fields.h"

namespace berth::image {
namespace {

struct Item {
  LayerEntry entry;
  std::string data;
};

StatusOr<std::vector<Item>> ReadTar(const std::string& bytes,
                                    size_t piece = 700) {
  StringSource source(bytes, piece);
  LayerReader reader(source);
  std::vector<Item> items;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<LayerEntry> entry, reader.Next());
    if (!entry) break;
    Item item{*std::move(entry), ""};
    while (true) {
      ASSIGN_OR_RETURN(const std::string_view part, reader.Data());
      if (part.empty()) break;
      item.data += part;
    }
    items.push_back(std::move(item));
  }
  RETURN_IF_ERROR(reader.Drain());
  return items;
}

TEST(LayerReaderTest, ReadsEntriesInPiecesOfAnySize) {
  const std::string tar = TarBuilder()
                              .Directory("./d/", 0750, 7, 8)
                              .File("/d//f", std::string(1500, 'x'), 04755)
                              .Symlink("d/s", "../../etc")
                              .HardLink("d/h", "/d/f")
                              .Bytes();
  for (const size_t piece : {1u, 511u, 512u, 100'000u}) {
    ASSERT_OK_AND_ASSIGN(const auto items, ReadTar(tar, piece));
    ASSERT_EQ(items.size(), 4u);
    EXPECT_EQ(items[0].entry.path, "d");
    EXPECT_EQ(items[0].entry.kind, EntryKind::kDirectory);
    EXPECT_EQ(items[0].entry.uid, 7u);
    EXPECT_EQ(items[1].entry.path, "d/f");
    EXPECT_EQ(items[1].entry.mode, 04755u);
    EXPECT_EQ(items[1].entry.mtime.tv_sec, 1'700'000'000);
    EXPECT_EQ(items[1].data, std::string(1500, 'x'));
    EXPECT_EQ(items[2].entry.link, "../../etc");
    EXPECT_EQ(items[3].entry.link, "d/f");
  }
}

TEST(LayerReaderTest, PaxWinsOverGnuOverTheHeader) {
  const std::string name = std::string(180, 'n') + "/x";
  ASSERT_OK_AND_ASSIGN(
      const auto items,
      ReadTar(
          TarBuilder()
              .Raw(TarBuilder::Header("././@LongLink", 'L', name.size() + 1) +
                   TarBuilder::Padded(name + std::string(1, '\0')))
              .File("short", "1")
              .Pax("path", "from-pax")
              .File("short", "2")
              .Pax("mtime", "-1.25")
              .File("third", "3")
              .Pax("SCHILY.xattr.user.a", std::string("b\0c", 3))
              .File("fourth", "4")
              .Bytes()));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].entry.path, name);
  EXPECT_EQ(items[1].entry.path, "from-pax");
  EXPECT_EQ(items[2].entry.path, "third");
  EXPECT_EQ(items[2].entry.mtime.tv_sec, -2);
  EXPECT_EQ(items[2].entry.mtime.tv_nsec, 750'000'000);
  EXPECT_EQ(items[3].entry.xattrs.at("user.a"), std::string("b\0c", 3));
}

TEST(LayerReaderTest, AcceptsAMissingEndAndDataBehindIt) {
  const TarBuilder one = TarBuilder().File("a", "1");
  EXPECT_EQ(ReadTar(one.Unended())->size(), 1u);
  EXPECT_EQ(ReadTar(one.Unended() + std::string(512, '\0'))->size(), 1u);
  EXPECT_EQ(ReadTar(one.Bytes() + std::string(5000, 'Z'))->size(), 1u);
  EXPECT_EQ(ReadTar("")->size(), 0u);
}

TEST(LayerReaderTest, AcceptsALastFileThatIsNotFilledUpToABlock) {
  const std::string tar = TarBuilder().File("f", "x\n").Bytes();
  ASSERT_OK_AND_ASSIGN(const auto items, ReadTar(tar.substr(0, 514)));
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].data, "x\n");
  EXPECT_FALSE(ReadTar(tar.substr(0, 513)).ok());
}

TEST(LayerReaderTest, RefusesWhatIsMalformed) {
  std::string wrong_sum = TarBuilder::Header("a", '0', 0);
  wrong_sum[0] = 'b';
  std::string negative = TarBuilder::Header("a", '0', 0);
  negative.replace(124, 12, std::string(12, '\xff'));
  std::string letters = TarBuilder::Header("a", '0', 0);
  letters.replace(100, 7, "rw-r--r");
  const std::string zeros(1024, '\0');
  const std::string cases[] = {
      wrong_sum + zeros,
      TarBuilder::WithChecksum(negative) + zeros,
      TarBuilder::WithChecksum(letters) + zeros,
      TarBuilder::Header("a", '0', 5),                // ends in the file
      TarBuilder::Header("a", '0', 0).substr(0, 99),  // ends in the header
      TarBuilder::Header("a", 'Z', 0) + zeros,
      TarBuilder().File("a/../../b", "").Bytes(),
      TarBuilder().File(std::string(90, 'a') + "/..", "").Bytes(),
      TarBuilder().HardLink("h", "../etc/passwd").Bytes(),
      TarBuilder().Pax("path", std::string("a\0b", 3)).File("x", "").Bytes(),
      TarBuilder().Pax("path", std::string(256, 'x')).File("x", "").Bytes(),
      TarBuilder().Pax("size", "-5").File("x", "").Bytes(),
      TarBuilder().Pax("uid", "4294967295").File("x", "").Bytes(),
      TarBuilder().Pax("uid", "many").File("x", "").Bytes(),
      TarBuilder().Pax("path", "y").Unended(),
      TarBuilder::Header("x", 'x', 6) + TarBuilder::Padded("99 a=b") + zeros,
      std::string(512, '\0') + TarBuilder().File("a", "").Bytes(),
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_THAT(ReadTar(cases[i]), StatusIs(StatusCode::kInvalidArgument)) << i;
  }
}

TEST(LayerReaderTest, RefusesWhatIsTooBigBeforeReadingIt) {
  EXPECT_THAT(
      ReadTar(TarBuilder::Header("x", 'x', uint64_t{1} << 32) + "start"),
      StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(ReadTar(TarBuilder()
                          .Pax("path", std::string(5000, 'x'))
                          .File("x", "")
                          .Bytes()),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST(LayerReaderTest, ReadsSparseFiles) {
  const std::string map = TarBuilder::Padded("2\n1000\n3\n5000\n0\n");
  ASSERT_OK_AND_ASSIGN(
      const auto items,
      ReadTar(TarBuilder()
                  .Pax("GNU.sparse.major", "1")
                  .Pax("GNU.sparse.realsize", "5000")
                  .Raw(TarBuilder::Header("s", '0', map.size() + 3) + map +
                       TarBuilder::Padded("abc"))
                  .File("next", "n")
                  .Bytes()));
  ASSERT_EQ(items.size(), 2u);
}

TEST(LayerReaderTest, KeepsRecordsOfSeveralExtendedHeadersTogether) {
  const std::string map = TarBuilder::Padded("1\n1000\n3\n");
  ASSERT_OK_AND_ASSIGN(
      const auto items,
      ReadTar(TarBuilder()
                  .Pax("GNU.sparse.major", "1")
                  .Pax("GNU.sparse.name", "real")
                  .Pax("GNU.sparse.realsize", "5000")
                  .Raw(TarBuilder::Header("s", '0', map.size() + 3) + map +
                       TarBuilder::Padded("abc"))
                  .Bytes()));
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].entry.path, "real");
  EXPECT_EQ(items[0].entry.size, 5000u);
  EXPECT_EQ(items[0].data, "abc");
  ASSERT_EQ(items[0].entry.segments.size(), 1u);
  EXPECT_EQ(items[0].entry.segments[0].offset, 1000u);
}

TEST(LayerReaderTest, RefusesSparseMapsThatLie) {
  for (const char* numbers : {"2\n10\n3\n5\n1\n", "1\n4999\n3\n", "1\n0\n4\n",
                              "99999999\n", "x\n", "1\n1\n"}) {
    const std::string map = TarBuilder::Padded(numbers);
    const auto items =
        ReadTar(TarBuilder()
                    .Pax("GNU.sparse.major", "1")
                    .Pax("GNU.sparse.realsize", "5000")
                    .Raw(TarBuilder::Header("s", '0', map.size() + 3) + map +
                         TarBuilder::Padded("abc"))
                    .Bytes());
    EXPECT_FALSE(items.ok()) << numbers;
  }
}

TEST(TarNumberTest, ReadsOctalAndBase256) {
  EXPECT_EQ(TarNumber(std::string_view(" 0000644\0", 9)), 0644);
  EXPECT_EQ(TarNumber("        "), 0);
  EXPECT_EQ(TarNumber(std::string_view("\x80\0\0\0\0\0\0\x05", 8)), 5);
  EXPECT_EQ(TarNumber(std::string(12, '\xff')), -1);
  EXPECT_EQ(TarNumber(std::string("\x80") + std::string(11, '\xff')),
            std::nullopt);
  EXPECT_EQ(TarNumber("0009"), std::nullopt);
  EXPECT_EQ(TarNumber("-1"), std::nullopt);
}

// Headers that were changed get the checksum that they need to be read.
std::string WithChecksums(std::string tar) {
  for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at, 512, TarBuilder::WithChecksum(tar.substr(at, 512)));
  }
  return tar;
}

TEST(LayerReaderTest, SurvivesAnyBytes) {
  const std::string map = TarBuilder::Padded("2\n1000\n3\n5000\n0\n");
  const std::string sparse = TarBuilder::Header("s", '0', map.size() + 3) +
                             map + TarBuilder::Padded("abc");
  const std::string name = std::string(180, 'n') + "/x";
  Fuzz({TarBuilder()
            .Directory("d")
            .File("d/f", "some text")
            .Symlink("l", "../d")
            .HardLink("h", "d/f")
            .File(".wh.x", "")
            .Raw(TarBuilder::Header("null", '3', 0))
            .Bytes(),
        TarBuilder()
            .Raw(TarBuilder::Header("././@LongLink", 'L', name.size() + 1) +
                 TarBuilder::Padded(name + std::string(1, '\0')))
            .File("short", "1")
            .Bytes(),
        TarBuilder()
            .Pax("path", "from-pax")
            .Pax("mtime", "-1.25")
            .Pax("SCHILY.xattr.user.a", "b")
            .File("f", "2")
            .Bytes(),
        TarBuilder()
            .Pax("GNU.sparse.major", "1")
            .Pax("GNU.sparse.realsize", "5000")
            .Raw(sparse)
            .Bytes(),
        TarBuilder()
            .Pax("GNU.sparse.size", "100")
            .Pax("GNU.sparse.map", "0,1,50,2")
            .File("old", "abc")
            .Bytes()},
       {"../", "/", "GNU.sparse.map=", "size=", "uid=", "ustar", "\n", "0,0,"},
       [](const std::string& bytes) {
         const auto items = ReadTar(WithChecksums(bytes), 300);
         if (!items.ok()) return false;
         for (const Item& item : *items) {
           const std::string path = "/" + item.entry.path + "/";
           EXPECT_EQ(path.find("/../"), std::string::npos) << path;
           EXPECT_EQ(path.find('\0'), std::string::npos) << path;
           uint64_t end = 0;
           for (const auto& segment : item.entry.segments) {
             EXPECT_GE(segment.offset, end);
             end = segment.offset + segment.length;
             EXPECT_LE(end, item.entry.size);
           }
         }
         return true;
       });
}

}  // namespace
}  // namespace berth::image
