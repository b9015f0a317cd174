// Turns config.proto into a configuration file: each setting with its default,
// and the comment that stands before it. The schema is the only place where
// either is written.
#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <sstream>

#include "base/strings.h"
#include "daemon/config.h"

namespace berth::daemon {

// Made by the build from api/config/v1/config.proto: a FileDescriptorSet that
// has kept the comments.
extern const unsigned char kConfigSchema[];
extern const size_t kConfigSchemaSize;

namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::SourceCodeInfo;

using Path = std::vector<int>;

// Numbers of the fields that make up a path in SourceCodeInfo
// (descriptor.proto, message Location).
constexpr int kMessages = FileDescriptorProto::kMessageTypeFieldNumber;
constexpr int kSyntax = FileDescriptorProto::kSyntaxFieldNumber;
constexpr int kFields = DescriptorProto::kFieldFieldNumber;
constexpr int kNestedEnums = DescriptorProto::kEnumTypeFieldNumber;
constexpr int kValues = EnumDescriptorProto::kValueFieldNumber;

class Manual {
 public:
  explicit Manual(const FileDescriptorProto& file) : file_(file) {
    for (const auto& location : file.source_code_info().location()) {
      comments_[Path(location.path().begin(), location.path().end())] =
          location.leading_comments();
    }
  }

  std::string Text() {
    Comment({kSyntax}, "");
    Fields(0, "");
    return out_.str();
  }

 private:
  // A type's own name: ".berth.config.v1.Log.Level" is "Level".
  static std::string Last(const std::string& type) {
    return type.substr(type.rfind('.') + 1);
  }

  int MessageIndex(const std::string& type) const {
    for (int i = 0; i < file_.message_type_size(); ++i) {
      if (file_.message_type(i).name() == Last(type)) return i;
    }
    return -1;
  }

  void Line(const std::string& indent, const std::string& text) {
    out_ << indent << text << "\n";
  }

  void Comment(const Path& path, const std::string& indent) {
    const auto found = comments_.find(path);
    if (found == comments_.end()) return;
    std::vector<std::string> lines = Split(found->second, '\n');
    if (!lines.empty() && lines.back().empty()) lines.pop_back();
    for (const std::string& line : lines) Line(indent, "#" + line);
  }

  void Fields(int message, const std::string& indent) {
    const DescriptorProto& type = file_.message_type(message);
    for (int i = 0; i < type.field_size(); ++i) {
      if (i > 0 || indent.empty()) out_ << "\n";
      const FieldDescriptorProto& field = type.field(i);
      Comment({kMessages, message, kFields, i}, indent);
      const int nested = MessageIndex(field.type_name());
      if (nested >= 0) {
        Group(field, nested, indent);
      } else {
        Value(message, field, indent);
      }
    }
  }

  // A message: braces around its settings. One that may be given many times
  // has no default, so it is shown as a comment.
  void Group(const FieldDescriptorProto& field, int message,
             const std::string& indent) {
    const bool list = field.label() == FieldDescriptorProto::LABEL_REPEATED;
    const std::string lead = list ? "# " : "";
    Comment({kMessages, message}, indent);
    Line(indent, lead + field.name() + " {");
    Fields(message, indent + lead + "  ");
    Line(indent, lead + "}");
  }

  void Value(int message, const FieldDescriptorProto& field,
             const std::string& indent) {
    if (field.label() == FieldDescriptorProto::LABEL_REPEATED) {
      Line(indent, field.name() + ": []");
    } else if (field.has_type() &&
               field.type() == FieldDescriptorProto::TYPE_STRING) {
      Line(indent, field.name() + ": " + Quoted(field.default_value()));
    } else {
      EnumValues(message, field.type_name(), indent);
      Line(indent, field.name() + ": " + field.default_value());
    }
  }

  void EnumValues(int message, const std::string& name,
                  const std::string& indent) {
    const DescriptorProto& type = file_.message_type(message);
    for (int e = 0; e < type.enum_type_size(); ++e) {
      if (type.enum_type(e).name() != Last(name)) continue;
      Line(indent, "# One of:");
      for (int v = 0; v < type.enum_type(e).value_size(); ++v) {
        Line(indent, "#   " + type.enum_type(e).value(v).name());
        Comment({kMessages, message, kNestedEnums, e, kValues, v},
                indent + "#     ");
      }
    }
  }

  const FileDescriptorProto& file_;
  std::map<Path, std::string> comments_;
  std::ostringstream out_;
};

}  // namespace

std::string DefaultConfigText() {
  google::protobuf::FileDescriptorSet schema;
  schema.ParseFromArray(kConfigSchema, static_cast<int>(kConfigSchemaSize));
  return schema.file_size() == 1 ? Manual(schema.file(0)).Text() : "";
}

}  // namespace berth::daemon
