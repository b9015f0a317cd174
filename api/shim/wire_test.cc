// Compares what protoc makes of our files with the table of containerd's
// protocol, row by row and both ways.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// The table's columns, tab-separated, as one text each.
using Rows = std::set<std::string>;

const char kFolder[] = "api/shim/";

Rows ReadTable(const std::string& path) {
  Rows rows;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // headings
  while (std::getline(file, line)) rows.insert(line);
  return rows;
}

// Google's types, which our files replace by equals.
std::string TableName(const std::string& full_name) {
  const std::string ours = "berth.wire.";
  if (full_name.rfind(ours, 0) != 0) return full_name;
  const std::string name = full_name.substr(ours.size());
  return (name == "Status" ? "google.rpc." : "google.protobuf.") + name;
}

std::string ValueType(const FieldDescriptor& field) {
  if (field.message_type() != nullptr) {
    return TableName(field.message_type()->full_name());
  }
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

std::string TypeOf(const FieldDescriptor& field) {
  if (!field.is_map()) return ValueType(field);
  const Descriptor& entry = *field.message_type();
  return "map<" + ValueType(*entry.map_key()) + "," +
         ValueType(*entry.map_value()) + ">";
}

std::string CardinalityOf(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  if (field.is_repeated()) return "repeated";
  return field.has_optional_keyword() ? "optional" : "single";
}

std::string Row(const std::vector<std::string>& columns) {
  std::string row;
  for (const std::string& column : columns) {
    row += (&column == &columns[0] ? "" : "\t") + column;
  }
  return row;
}

void AddFile(const FileDescriptor& file, Rows& rows) {
  const std::string name = file.name().substr(sizeof(kFolder) - 1);
  const std::string package = file.package();
  for (int m = 0; m < file.message_type_count(); ++m) {
    const Descriptor& message = *file.message_type(m);
    if (message.field_count() == 0) {
      rows.insert(
          Row({name, package, "message", message.name(), "", "", "", ""}));
    }
    for (int f = 0; f < message.field_count(); ++f) {
      const FieldDescriptor& field = *message.field(f);
      rows.insert(Row({name, package, "field", message.name(), field.name(),
                       std::to_string(field.number()), TypeOf(field),
                       CardinalityOf(field)}));
    }
  }
  for (int e = 0; e < file.enum_type_count(); ++e) {
    const EnumDescriptor& type = *file.enum_type(e);
    for (int v = 0; v < type.value_count(); ++v) {
      rows.insert(
          Row({name, package, "enum", type.name(), type.value(v)->name(),
               std::to_string(type.value(v)->number()), "", ""}));
    }
  }
  for (int s = 0; s < file.service_count(); ++s) {
    const ServiceDescriptor& service = *file.service(s);
    for (int m = 0; m < service.method_count(); ++m) {
      const MethodDescriptor& method = *service.method(m);
      const bool stream =
          method.client_streaming() || method.server_streaming();
      rows.insert(Row({name, package, "rpc", service.name(), method.name(), "",
                       TableName(method.input_type()->full_name()) + " -> " +
                           TableName(method.output_type()->full_name()),
                       stream ? "stream" : "unary"}));
    }
  }
}

FileDescriptorSet Compile(const std::set<std::string>& files) {
  const std::string output =
      std::string(getenv("TEST_TMPDIR")) + "/descriptors";
  std::string command =
      "protoc --proto_path=. --include_imports --descriptor_set_out=" + output;
  for (const std::string& file : files) command += " " + file;
  EXPECT_EQ(system(command.c_str()), 0) << command;
  std::ifstream in(output, std::ios::binary);
  FileDescriptorSet set;
  EXPECT_TRUE(set.ParseFromIstream(&in));
  return set;
}

TEST(ShimWireTest, MatchesTheTableOfTheProtocolBothWays) {
  const Rows table = ReadTable(std::string(kFolder) + "testdata/shim-task.tsv");
  ASSERT_GT(table.size(), 500u);
  std::set<std::string> files;
  for (const std::string& row : table) {
    files.insert(kFolder + row.substr(0, row.find('\t')));
  }

  const FileDescriptorSet set = Compile(files);
  DescriptorPool pool;
  Rows ours;
  for (const auto& proto : set.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    ASSERT_NE(file, nullptr) << proto.name();
    if (files.count(proto.name()) != 0) AddFile(*file, ours);
  }

  for (const std::string& row : table) {
    EXPECT_EQ(ours.count(row), 1u) << "not in our files: " << row;
  }
  for (const std::string& row : ours) {
    EXPECT_EQ(table.count(row), 1u) << "not in the table: " << row;
  }
}

}  // namespace
