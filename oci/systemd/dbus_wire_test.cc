#include "oci/systemd/dbus_wire.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

std::string PropertyBytes(const UnitProperty::Value& value) {
  DbusWriter writer;
  writer.Property({.name = "N", .value = value});
  return writer.bytes();
}

// The name "N" and its end take six bytes, the signature begins at the sixth.
TEST(DbusWriterTest, AlignsEachValueAsItsTypeDoes) {
  EXPECT_EQ(PropertyBytes(true),
            Bytes({1, 0, 0, 0, 'N', 0, 1, 'b', 0, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(PropertyBytes(uint64_t{258}),
            Bytes({1, 0, 0, 0, 'N', 0, 1, 't', 0, 0, 0, 0,
                   0, 0, 0, 0, 2,   1, 0, 0,   0, 0, 0, 0}));
  EXPECT_EQ(
      PropertyBytes(std::vector<uint8_t>{3, 4}),
      Bytes({1, 0, 0, 0, 'N', 0, 2, 'a', 'y', 0, 0, 0, 2, 0, 0, 0, 3, 4}));
}

TEST(DbusWriterTest, DoesNotCountTheGapBeforeTheElementsOfAnArray) {
  DbusWriter writer;
  writer.Array(8, [&] { writer.Uint64(5); });
  EXPECT_EQ(writer.bytes(),
            Bytes({8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0}));
  DbusWriter none;
  none.Array(8, [] {});
  EXPECT_EQ(none.bytes(), Bytes({0, 0, 0, 0, 0, 0, 0, 0}));
}

std::string Call(const std::string& signature, const DbusWriter& body) {
  return SerializeCall({.destination = "a.b",
                        .path = "/a",
                        .interface = "a.i",
                        .member = "Do",
                        .signature = signature,
                        .body = body.bytes()},
                       77)
      .value();
}

TEST(DbusMessageTest, ReadsBackWhatItWrites) {
  DbusWriter body;
  body.String("one");
  body.Uint32(4);
  body.String("/two");
  body.Uint64(1);
  const std::string bytes = Call("suot", body);
  EXPECT_THAT(DbusMessageSize(bytes + "more"), IsOkAndHolds(bytes.size()));
  ASSERT_OK_AND_ASSIGN(const DbusMessage message, ParseDbusMessage(bytes));
  EXPECT_EQ(message.type, DbusMessage::kCall);
  EXPECT_EQ(message.interface, "a.i");
  EXPECT_EQ(message.member, "Do");
  EXPECT_THAT(message.words, ElementsAre("one", "/two"));
}

TEST(DbusMessageTest, WaitsForTheWholeHeader) {
  const std::string bytes = Call("", DbusWriter());
  EXPECT_THAT(DbusMessageSize(bytes.substr(0, 15)), IsOkAndHolds(0u));
  EXPECT_THAT(ParseDbusMessage(bytes.substr(0, 40)),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not complete")));
}

TEST(DbusMessageTest, RefusesLengthsThatLie) {
  DbusWriter body;
  body.String("text");
  const std::string good = Call("s", body);
  // Each byte of every length and of the header, set to the largest.
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = '\xff';
    (void)ParseDbusMessage(bad).ok();  // must not read beyond (asan)
  }
  std::string big = good;
  big[7] = '\x10';
  EXPECT_THAT(DbusMessageSize(big),
              StatusIs(StatusCode::kDataLoss, HasSubstr("bytes")));
  std::string text = good;
  text[text.size() - 9] = 100;  // the length of the body's text
  EXPECT_THAT(ParseDbusMessage(text),
              StatusIs(StatusCode::kDataLoss, HasSubstr("shorter")));
  std::string fields = good;
  fields[12] = static_cast<char>(fields[12] + 20);
  EXPECT_THAT(ParseDbusMessage(fields),
              StatusIs(StatusCode::kDataLoss, HasSubstr("not complete")));
}

TEST(DbusMessageTest, RefusesAnotherByteOrderOrVersion) {
  std::string bytes = Call("", DbusWriter());
  bytes[0] = 'B';
  EXPECT_THAT(DbusMessageSize(bytes), StatusIs(StatusCode::kDataLoss));
  bytes[0] = 'l';
  bytes[3] = 2;
  EXPECT_THAT(DbusMessageSize(bytes), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace berth::oci
