#include "base/error/word.h"

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace berth {
namespace {

constexpr char kWordPayload[] = "berth/word";

}  // namespace

Status WithWord(const Status& status, const std::string& word) {
  Status marked = status;
  if (WordOf(status).empty()) {
    marked.SetPayload(kWordPayload, absl::Cord(word));  // nothing if OK
  }
  return marked;
}

std::string WordOf(const Status& status) {
  const absl::optional<absl::Cord> word = status.GetPayload(kWordPayload);
  return word.has_value() ? std::string(*word) : "";
}

}  // namespace berth
