#include "image/layer/decompressor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "image/layer/tar_builder.h"

namespace berth::image {
namespace {

std::string Gzip(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(
      ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

StatusOr<std::string> Unpack(const std::string& bytes, size_t piece) {
  StringSource source(bytes, piece);
  ASSIGN_OR_RETURN(const auto plain, Decompressor::Open(source));
  std::string all;
  while (true) {
    ASSIGN_OR_RETURN(const std::string_view part, plain->Next());
    if (part.empty()) return all;
    all += part;
  }
}

std::string Text() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i * 7919) + "\n";
  return text;
}

TEST(DecompressorTest, UnpacksEveryFormatInPiecesOfAnySize) {
  const std::string text = Text();
  for (const size_t piece : {1000u, 4096u, 1'000'000u}) {
    EXPECT_EQ(*Unpack(text, piece), text);
    EXPECT_EQ(*Unpack(Gzip(text), piece), text);
    EXPECT_EQ(*Unpack(Zstd(text), piece), text);
  }
  EXPECT_EQ(*Unpack(Gzip("short"), 1), "short");
  EXPECT_EQ(*Unpack(Zstd("short"), 1), "short");
  EXPECT_EQ(*Unpack("", 1), "");
}

TEST(DecompressorTest, JoinsMembersAndFrames) {
  for (const size_t piece : {1u, 7u, 4096u}) {
    EXPECT_EQ(*Unpack(Gzip("one") + Gzip("") + Gzip("two"), piece), "onetwo");
    EXPECT_EQ(*Unpack(Gzip("one") + std::string(600, '\0'), piece), "one");
    const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
    EXPECT_EQ(*Unpack(skippable + Zstd("one") + skippable + Zstd("two"), piece),
              "onetwo");
  }
}

TEST(DecompressorTest, RefusesDamage) {
  const std::string good = Gzip(Text());
  const std::string zstd = Zstd(Text());
  std::string crc = good;
  crc[crc.size() - 8] ^= 1;
  std::string middle = good;
  middle[middle.size() / 2] ^= 0x55;
  for (const std::string& bytes :
       {good.substr(0, good.size() - 9), good.substr(0, good.size() - 1), crc,
        middle, good + "rubbish", zstd.substr(0, zstd.size() - 1),
        zstd + "rubbish", std::string("\x1f\x8b", 2)}) {
    EXPECT_THAT(Unpack(bytes, 4096), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(DecompressorTest, RefusesAWindowThatTakesTooMuchMemory) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 28);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(1 << 20, '\0');
  ZSTD_inBuffer in = {"text", 4, 0};
  ZSTD_outBuffer to = {out.data(), out.size(), 0};
  // Of unknown length, or the window would shrink to fit.
  ZSTD_compressStream2(context, &to, &in, ZSTD_e_continue);
  ASSERT_EQ(ZSTD_compressStream2(context, &to, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  EXPECT_THAT(Unpack(out, 4096), StatusIs(StatusCode::kInvalidArgument));
}

TEST(HashingSourceTest, EndsAtItsLimit) {
  StringSource source(std::string(100, 'x'), 60);
  HashingSource limited(source, 99);
  EXPECT_OK(limited.Next());
  EXPECT_THAT(limited.Next(), StatusIs(StatusCode::kFailedPrecondition));
}

TEST(DecompressorTest, SurvivesAnyBytes) {
  const std::string text = Text().substr(0, 3000);
  Fuzz({Gzip(text), Zstd(text), Gzip("a") + Gzip("b"), Zstd("a") + Zstd("b"),
        std::string("\x50\x2a\x4d\x18\x02\0\0\0xx", 10) + Zstd("c"), text},
       {"\x1f\x8b\x08", "\x28\xb5\x2f\xfd", std::string(64, '\0')},
       [](const std::string& bytes) {
         StringSource source(bytes, 100);
         const auto plain = Decompressor::Open(source);
         if (!plain.ok()) return false;
         // What it gives out is bounded by who reads it: here at 16 MiB.
         for (size_t all = 0; all < 16 << 20;) {
           const auto part = (*plain)->Next();
           if (!part.ok()) return false;
           if (part->empty()) return true;
           all += part->size();
         }
         return false;
       });
}

}  // namespace
}  // namespace berth::image
