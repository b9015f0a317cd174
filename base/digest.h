#ifndef BASE_DIGEST_H_
#define BASE_DIGEST_H_

#include <compare>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth {

// "sha256:<64 lower-case hex digits>": the name of some bytes (OCI image
// specification, descriptor.md, "Digests"). Only sha256 is accepted.
class Digest {
 public:
  Digest() = default;  // empty: names nothing
  static StatusOr<Digest> Parse(std::string_view text);
  // Of bytes in memory.
  static Digest Of(std::string_view bytes);

  const std::string& str() const { return text_; }  // with "sha256:"
  std::string hex() const;                          // the digits alone
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Digest&) const = default;

 private:
  friend class Sha256;
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// A running hash. Single-threaded.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // Of all bytes so far; more may follow.
  Digest Value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth

#endif  // BASE_DIGEST_H_
