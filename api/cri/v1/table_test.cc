// Holds the .proto files to the table of the interface, testdata/cri-v1.tsv,
// row by row: a number, a label or a name that differs is a client that cannot
// talk to us. The columns are explained in the table's first line.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "api/cri/v1/api.pb.h"
#include "api/cri/v1/image_api.pb.h"
#include "base/strings.h"

namespace runtime::v1 {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

struct Row {
  std::string kind, owner, name, number, type, type_name, label, flow, options;
};

std::vector<Row> ReadTable() {
  std::vector<Row> rows;
  std::ifstream file("api/cri/v1/testdata/cri-v1.tsv");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> c = berth::Split(line, '\t');
    EXPECT_EQ(c.size(), 10u) << line;
    if (c.size() != 10) continue;
    rows.push_back({c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]});
  }
  return rows;
}

std::vector<Row> RowsOf(const std::string& kind) {
  std::vector<Row> rows;
  for (const Row& row : ReadTable()) {
    if (row.kind == kind) rows.push_back(row);
  }
  return rows;
}

std::string FullName(const std::string& name) { return "runtime.v1." + name; }

const DescriptorPool& Pool() {
  // A generated file is linked in, and registers itself, only if it is used.
  VersionRequest::descriptor();
  PullImageRequest::descriptor();
  return *DescriptorPool::generated_pool();
}

// The name as the table gives it: without the package, "-" for a scalar.
std::string Short(const std::string& full) {
  return full.substr(std::string("runtime.v1.").size());
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor* entry = field.message_type();
    return std::string("map<") + entry->field(0)->type_name() + "," +
           entry->field(1)->type_name() + ">";
  }
  if (field.message_type() != nullptr) {
    return Short(field.message_type()->full_name());
  }
  if (field.enum_type() != nullptr) {
    return Short(field.enum_type()->full_name());
  }
  return field.type_name();
}

std::string Label(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  return field.is_repeated() ? "repeated" : "singular";
}

TEST(CriTableTest, IsComplete) {
  EXPECT_EQ(RowsOf("rpc").size(), 46u);
  EXPECT_EQ(RowsOf("message").size(), 185u);
  EXPECT_EQ(RowsOf("field").size(), 500u);
  EXPECT_EQ(RowsOf("enum").size(), 103u);
}

TEST(CriTableTest, ServicesHaveTheseMethodsAndNoOthers) {
  std::map<std::string, int> methods;
  for (const Row& row : RowsOf("rpc")) {
    SCOPED_TRACE(row.owner + "." + row.name);
    const ServiceDescriptor* service =
        Pool().FindServiceByName(FullName(row.owner));
    ASSERT_NE(service, nullptr);
    const MethodDescriptor* method = service->FindMethodByName(row.name);
    ASSERT_NE(method, nullptr);
    EXPECT_EQ(std::to_string(method->index()), row.number);
    EXPECT_EQ(Short(method->input_type()->full_name()), row.type);
    EXPECT_EQ(Short(method->output_type()->full_name()), row.type_name);
    EXPECT_EQ(method->client_streaming(), row.label == "client_stream");
    EXPECT_EQ(method->server_streaming(), row.flow == "server_stream");
    ++methods[row.owner];
  }
  EXPECT_EQ(methods.size(), 2u);
  for (const auto& [service, count] : methods) {
    EXPECT_EQ(Pool().FindServiceByName(FullName(service))->method_count(),
              count);
  }
}

TEST(CriTableTest, MessagesHaveThatManyFields) {
  for (const Row& row : RowsOf("message")) {
    SCOPED_TRACE(row.owner);
    const Descriptor* message =
        Pool().FindMessageTypeByName(FullName(row.owner));
    ASSERT_NE(message, nullptr);
    EXPECT_EQ(std::to_string(message->field_count()), row.options);
    EXPECT_EQ(message->oneof_decl_count(), 0);
  }
}

TEST(CriTableTest, FieldsHaveTheseNumbersTypesAndLabels) {
  for (const Row& row : RowsOf("field")) {
    SCOPED_TRACE(row.owner + "." + row.name);
    const Descriptor* message =
        Pool().FindMessageTypeByName(FullName(row.owner));
    ASSERT_NE(message, nullptr);
    const FieldDescriptor* field = message->FindFieldByName(row.name);
    ASSERT_NE(field, nullptr);
    EXPECT_EQ(std::to_string(field->number()), row.number);
    EXPECT_EQ(field->is_map() ? "map" : field->type_name(), row.type);
    EXPECT_EQ(TypeName(*field), row.type_name);
    EXPECT_EQ(Label(*field), row.label);
    EXPECT_EQ(field->options().deprecated(), row.options == "deprecated");
  }
}

TEST(CriTableTest, EnumsHaveTheseValuesAndNoOthers) {
  std::map<std::string, int> values;
  for (const Row& row : RowsOf("enum")) {
    SCOPED_TRACE(row.owner + "." + row.name);
    const EnumDescriptor* type = Pool().FindEnumTypeByName(FullName(row.owner));
    ASSERT_NE(type, nullptr);
    const EnumValueDescriptor* value = type->FindValueByName(row.name);
    ASSERT_NE(value, nullptr);
    EXPECT_EQ(std::to_string(value->number()), row.number);
    ++values[row.owner];
  }
  EXPECT_EQ(values.size(), 14u);
  for (const auto& [name, count] : values) {
    EXPECT_EQ(Pool().FindEnumTypeByName(FullName(name))->value_count(), count);
  }
}

// No file of ours declares a message that the table does not know.
TEST(CriTableTest, DeclaresNothingElse) {
  int messages = 0, enums = 0;
  for (const char* name : {"api", "common", "container", "image", "image_api",
                           "pod", "stats", "windows"}) {
    const google::protobuf::FileDescriptor* file =
        Pool().FindFileByName(std::string("api/cri/v1/") + name + ".proto");
    ASSERT_NE(file, nullptr) << name;
    messages += file->message_type_count();
    enums += file->enum_type_count();
    for (int i = 0; i < file->message_type_count(); ++i) {
      enums += file->message_type(i)->enum_type_count();
    }
  }
  EXPECT_EQ(messages, 185);
  EXPECT_EQ(enums, 14);
}

}  // namespace
}  // namespace runtime::v1
