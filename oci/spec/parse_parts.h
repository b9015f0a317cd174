// The parts of parse.h, a file for each: private to this library.
#ifndef OCI_SPEC_PARSE_PARTS_H_
#define OCI_SPEC_PARSE_PARTS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

StatusOr<Linux> LinuxFromJson(const Json& json, const std::string& path);
StatusOr<Resources> ResourcesFromJson(const Json& json,
                                      const std::string& path);
StatusOr<Seccomp> SeccompFromJson(const Json& json, const std::string& path);
StatusOr<Scheduler> SchedulerFromJson(const Json& json,
                                      const std::string& path);
StatusOr<IoPriority> IoPriorityFromJson(const Json& json,
                                        const std::string& path);
StatusOr<CpuAffinity> CpuAffinityFromJson(const Json& json,
                                          const std::string& path);
StatusOr<MemoryPolicy> MemoryPolicyFromJson(const Json& json,
                                            const std::string& path);
StatusOr<IdMapping> IdMappingFromJson(const Json& json,
                                      const std::string& path);

// The elements of an array member, each through `parse`.
template <typename T>
StatusOr<std::vector<T>> ParseList(
    JsonReader& reader, const char* member,
    StatusOr<T> (*parse)(const Json& json, const std::string& path)) {
  const Json::Array& elements = reader.Array(member);
  RETURN_IF_ERROR(reader.status());
  std::vector<T> list;
  list.reserve(elements.size());
  for (const Json& element : elements) {
    const std::string path =
        reader.PathOf(member) + "[" + std::to_string(list.size()) + "]";
    ASSIGN_OR_RETURN(T value, parse(element, path));
    list.push_back(std::move(value));
  }
  return list;
}

// An object member through `parse`; the default value if it is missing.
template <typename T>
StatusOr<T> ParseMember(const JsonReader& reader, const char* member,
                        StatusOr<T> (*parse)(const Json& json,
                                             const std::string& path)) {
  const Json* const found = reader.Find(member);
  if (found == nullptr) return T{};
  return parse(*found, reader.PathOf(member));
}

// The same for what may be left out: nothing if it is missing.
template <typename T>
Status ParseOptional(const JsonReader& reader, const char* member,
                     StatusOr<T> (*parse)(const Json& json,
                                          const std::string& path),
                     std::optional<T>& target) {
  const Json* const found = reader.Find(member);
  if (found == nullptr) return OkStatus();
  ASSIGN_OR_RETURN(target, parse(*found, reader.PathOf(member)));
  return OkStatus();
}

}  // namespace berth::oci

#endif  // OCI_SPEC_PARSE_PARTS_H_
