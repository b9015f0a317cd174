#include "nri/owners.h"

#include "base/strings.h"

namespace berth::nri {

std::string& Owners::OwnerOf(const std::string& container, api::Field field,
                             const std::string& key) {
  api::FieldOwners& fields = (*all_.mutable_owners())[container];
  return key.empty()
             ? (*fields.mutable_simple())[field]
             : (*(*fields.mutable_compound())[field].mutable_owners())[key];
}

Status Owners::Claim(const std::string& container, api::Field field,
                     const std::string& plugin, const std::string& key) {
  std::string& owner = OwnerOf(container, field, key);
  if (!owner.empty() && owner != plugin) {
    return FailedPrecondition(
        "plugins " + Quoted(owner) + " and " + Quoted(plugin) + " both set " +
        api::Field_Name(field) + (key.empty() ? "" : " " + Quoted(key)) +
        " of container " + container);
  }
  owner = plugin;
  return OkStatus();
}

void Owners::Join(const std::string& container, api::Field field,
                  const std::string& plugin) {
  std::string& owner = OwnerOf(container, field, "");
  owner += (owner.empty() ? "" : ",") + plugin;
}

void Owners::Clear(const std::string& container, api::Field field,
                   const std::string& key) {
  api::FieldOwners& fields = (*all_.mutable_owners())[container];
  if (key.empty()) {
    fields.mutable_simple()->erase(field);
  } else {
    (*fields.mutable_compound())[field].mutable_owners()->erase(key);
  }
}

}  // namespace berth::nri
