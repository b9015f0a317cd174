#ifndef IMAGE_REFERENCE_H_
#define IMAGE_REFERENCE_H_

#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"

namespace berth::image {

// The name of an image in full: "docker.io/library/busybox:latest". Made from
// what people type by the rules that Docker set: no domain means docker.io, one
// component there means library/, neither tag nor digest means :latest.
// Grammar: the OCI distribution specification and its reference library.
//
// A value. Thread-compatible.
class Reference {
 public:
  // INVALID_ARGUMENT for what no registry could hold, and for 64 hexadecimal
  // digits, which would be taken for an id.
  static StatusOr<Reference> Parse(std::string_view text);

  const std::string& domain() const { return domain_; }  // "host[:port]"
  const std::string& path() const { return path_; }
  const std::string& tag() const { return tag_; }  // empty if there is none
  const Digest& digest() const { return digest_; }
  bool has_digest() const { return !digest_.empty(); }

  // "domain/path"
  std::string name() const { return domain_ + "/" + path_; }
  // All of it. With a digest the tag says nothing and is left out.
  std::string str() const;
  // As people know it: without docker.io/ and library/.
  std::string Familiar() const;
  // What a registry is asked for: the digest, or else the tag.
  std::string Selector() const;
  // "name@digest", whatever this reference has.
  std::string WithDigest(const Digest& digest) const;

  bool operator==(const Reference&) const = default;

 private:
  std::string domain_;
  std::string path_;
  std::string tag_;
  Digest digest_;
};

// The id that a text is: 64 lower-case hexadecimal digits, with or without
// "sha256:". Empty: it is none.
Digest ParseImageId(std::string_view text);

}  // namespace berth::image

#endif  // IMAGE_REFERENCE_H_
