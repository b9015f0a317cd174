#ifndef NRI_OWNERS_H_
#define NRI_OWNERS_H_

#include <string>

#include "base/status.h"
#include "nri/messages.h"

namespace berth::nri {

// Which plugin has set what of which container. Thread-compatible.
class Owners {
 public:
  // For `plugin`, the field of the container, or of a field with many parts
  // the one with that key. FAILED_PRECONDITION, naming both, if another plugin
  // has it.
  Status Claim(const std::string& container, api::Field field,
               const std::string& plugin, const std::string& key = "");
  // Of a field that grows by what each plugin adds: a list of names.
  void Join(const std::string& container, api::Field field,
            const std::string& plugin);
  // What is taken away may be set again, by anybody.
  void Clear(const std::string& container, api::Field field,
             const std::string& key = "");

  const api::OwningPlugins& all() const { return all_; }

 private:
  std::string& OwnerOf(const std::string& container, api::Field field,
                       const std::string& key);

  api::OwningPlugins all_;
};

}  // namespace berth::nri

#endif  // NRI_OWNERS_H_
