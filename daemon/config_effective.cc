// Writes a configuration with every setting, also those that no file has.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include "daemon/config.h"

namespace berth::daemon {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Writes the default where there is no value. Of the types that config.proto
// has, each needs its own call.
void SetDefault(Message& message, const FieldDescriptor* field) {
  const Reflection* const access = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      access->SetString(&message, field, access->GetString(message, field));
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      access->SetUInt32(&message, field, access->GetUInt32(message, field));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      access->SetUInt64(&message, field, access->GetUInt64(message, field));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      access->SetDouble(&message, field, access->GetDouble(message, field));
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      access->SetBool(&message, field, access->GetBool(message, field));
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      access->SetEnum(&message, field, access->GetEnum(message, field));
      break;
    default:
      break;
  }
}

// Messages nest as deep as the schema does: three levels.
void SetDefaults(Message& message) {  // NOLINT(misc-no-recursion)
  const Reflection* const access = message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* const field = message.GetDescriptor()->field(i);
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (nested && field->is_repeated()) {
      for (int at = 0; at < access->FieldSize(message, field); ++at) {
        SetDefaults(*access->MutableRepeatedMessage(&message, field, at));
      }
    } else if (nested) {
      SetDefaults(*access->MutableMessage(&message, field));
    } else if (!field->is_repeated()) {
      SetDefault(message, field);
    }
  }
}

template <typename List>
void Replace(List& list, const std::vector<std::string>& values) {
  list.Assign(values.begin(), values.end());
}

}  // namespace

std::string EffectiveConfigText(const Config& config) {
  Config all = config;
  SetDefaults(all);
  all.set_cri_socket(CriSocket(config));
  all.set_admin_socket(AdminSocket(config));
  all.set_shim(ShimPath(config));
  all.set_cgroup_parent(CgroupParent(config));
  all.set_cgroup_driver(UsesSystemd(config) ? Config::SYSTEMD
                                            : Config::CGROUPFS);
  Replace(*all.mutable_network()->mutable_bin_dirs(), PluginFolders(config));
  Replace(*all.mutable_pods()->mutable_cdi_spec_dirs(), CdiFolders(config));
  std::string text;
  google::protobuf::TextFormat::PrintToString(all, &text);
  return text;
}

}  // namespace berth::daemon
