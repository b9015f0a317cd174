#include "base/digest.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <utility>

#include "base/strings.h"

namespace berth {
namespace {
constexpr std::string_view kPrefix = "sha256:";
constexpr size_t kHexDigits = 64;
}  // namespace

StatusOr<Digest> Digest::Parse(std::string_view text) {
  if (!StartsWith(text, kPrefix)) {
    return InvalidArgument("digest " + Quoted(text) + " is not a sha256");
  }
  const std::string_view hex = text.substr(kPrefix.size());
  if (hex.size() != kHexDigits ||
      hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return InvalidArgument("digest " + Quoted(text) +
                           " is not 64 lower-case hexadecimal digits");
  }
  return Digest(std::string(text));
}

Digest Digest::Of(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Value();
}

std::string Digest::hex() const {
  return empty() ? "" : text_.substr(kPrefix.size());
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

// The three calls below fail only when memory is exhausted.
Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) abort();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::string_view bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
    abort();
  }
}

Digest Sha256::Value() const {
  State copy;
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_MD_CTX_copy_ex(copy.context, state_->context) != 1 ||
      EVP_DigestFinal_ex(copy.context, bytes, &size) != 1) {
    abort();
  }
  return Digest(
      std::string(kPrefix) +
      HexEncode(std::string_view(reinterpret_cast<char*>(bytes), size)));
}

}  // namespace berth
