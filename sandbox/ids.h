#ifndef SANDBOX_IDS_H_
#define SANDBOX_IDS_H_

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

namespace berth::sandbox {

// A full id: 64 lower-case hexadecimal digits (RandomId). The tag keeps
// sandboxes and containers apart at compile time. What a person typed is a
// plain string and goes through Inventory first.
template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string text_;
};

using SandboxId = Id<struct SandboxTag>;
using ContainerId = Id<struct ContainerTag>;

// One run of a container, from a start to the exit that follows it. What is
// done to it later must not hit the next one.
struct ContainerRun {
  ContainerId id;
  uint64_t number = 0;  // ContainerRecord.run

  auto operator<=>(const ContainerRun&) const = default;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_IDS_H_
