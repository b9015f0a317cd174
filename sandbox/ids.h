#ifndef SANDBOX_IDS_H_
#define SANDBOX_IDS_H_

#include <compare>
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

}  // namespace berth::sandbox

#endif  // SANDBOX_IDS_H_
