#include "api/testing/proto_table.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <vector>

namespace berth::testing {
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

Rows ReadTable(const std::string& path) {
  Rows rows;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // headings
  while (std::getline(file, line)) rows.insert(line);
  return rows;
}

using Naming = std::function<std::string(const std::string&)>;

std::string ValueType(const FieldDescriptor& field, const Naming& naming) {
  if (field.message_type() != nullptr) {
    return naming(field.message_type()->full_name());
  }
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

std::string TypeOf(const FieldDescriptor& field, const Naming& naming) {
  if (!field.is_map()) return ValueType(field, naming);
  const Descriptor& entry = *field.message_type();
  return "map<" + ValueType(*entry.map_key(), naming) + "," +
         ValueType(*entry.map_value(), naming) + ">";
}

std::string CardinalityOf(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  if (field.is_repeated()) return "repeated";
  return field.has_optional_keyword() ? "optional" : "single";
}

// A name within its package: "Outer.Inner".
template <typename Descriptor>
std::string LocalName(const Descriptor& type) {
  const std::string& package = type.file()->package();
  return package.empty() ? type.full_name()
                         : type.full_name().substr(package.size() + 1);
}

// The rows of one file.
class FileRows {
 public:
  FileRows(const std::string& name, const FileDescriptor& file,
           const Naming& naming, Rows& rows)
      : name_(name), package_(file.package()), naming_(naming), rows_(rows) {
    for (int m = 0; m < file.message_type_count(); ++m) {
      Add(*file.message_type(m));
    }
    for (int e = 0; e < file.enum_type_count(); ++e) Add(*file.enum_type(e));
    for (int s = 0; s < file.service_count(); ++s) Add(*file.service(s));
  }

 private:
  void Row(const std::vector<std::string>& columns) {
    std::string row = name_ + "\t" + package_;
    for (const std::string& column : columns) row += "\t" + column;
    rows_.insert(row);
  }

  void Add(const Descriptor& message) {
    if (message.options().map_entry()) return;
    if (message.field_count() == 0) {
      Row({"message", LocalName(message), "", "", "", ""});
    }
    for (int f = 0; f < message.field_count(); ++f) {
      const FieldDescriptor& field = *message.field(f);
      Row({"field", LocalName(message), field.name(),
           std::to_string(field.number()), TypeOf(field, naming_),
           CardinalityOf(field)});
    }
    for (int e = 0; e < message.enum_type_count(); ++e) {
      Add(*message.enum_type(e));
    }
    for (int m = 0; m < message.nested_type_count(); ++m) {
      Add(*message.nested_type(m));
    }
  }

  void Add(const EnumDescriptor& type) {
    for (int v = 0; v < type.value_count(); ++v) {
      Row({"enum", LocalName(type), naming_(type.value(v)->name()),
           std::to_string(type.value(v)->number()), "", ""});
    }
  }

  void Add(const ServiceDescriptor& service) {
    for (int m = 0; m < service.method_count(); ++m) {
      const MethodDescriptor& method = *service.method(m);
      const bool stream =
          method.client_streaming() || method.server_streaming();
      Row({"rpc", service.name(), method.name(), "",
           naming_(method.input_type()->full_name()) + " -> " +
               naming_(method.output_type()->full_name()),
           stream ? "stream" : "unary"});
    }
  }

  const std::string name_;
  const std::string package_;
  const Naming& naming_;
  Rows& rows_;
};

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

}  // namespace

void ExpectMatchesTable(const std::string& folder, const std::string& table,
                        const Naming& table_name) {
  const Rows rows = ReadTable(folder + "testdata/" + table);
  ASSERT_GT(rows.size(), 100u);
  std::set<std::string> files;
  for (const std::string& row : rows) {
    files.insert(folder + row.substr(0, row.find('\t')));
  }

  const FileDescriptorSet set = Compile(files);
  DescriptorPool pool;
  Rows ours;
  for (const auto& proto : set.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    ASSERT_NE(file, nullptr) << proto.name();
    if (files.count(proto.name()) == 0) continue;
    FileRows(proto.name().substr(folder.size()), *file, table_name, ours);
  }

  for (const std::string& row : rows) {
    EXPECT_EQ(ours.count(row), 1u) << "not in our files: " << row;
  }
  for (const std::string& row : ours) {
    EXPECT_EQ(rows.count(row), 1u) << "not in the table: " << row;
  }
}

}  // namespace berth::testing
