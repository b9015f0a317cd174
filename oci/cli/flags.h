// Command lines as runc takes them: "-x", "--x", "--x=v" and "--x v".
#ifndef OCI_CLI_FLAGS_H_
#define OCI_CLI_FLAGS_H_

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace berth::oci {

struct FlagSpec {
  const char* name;   // "pid-file"
  const char* alias;  // "p", or empty
  bool takes_value;
  const char* help = "";
};

// What one list of arguments said. A value; thread-compatible.
class Flags {
 public:
  // Reads from args[*next] on, and moves *next past what it read: all flags
  // and, unless `interspersed`, up to the first argument that is none.
  // "--" ends the flags. INVALID_ARGUMENT for an unknown flag; "help" and "h"
  // are known everywhere.
  static StatusOr<Flags> Parse(const std::vector<std::string>& args,
                               size_t* next, const std::vector<FlagSpec>& known,
                               bool interspersed);

  bool Has(const std::string& name) const { return values_.count(name) > 0; }
  // Set, and not to "false".
  bool On(const std::string& name) const;
  // The last value; `otherwise` if there is none.
  std::string Get(const std::string& name,
                  const std::string& otherwise = "") const;
  std::vector<std::string> All(const std::string& name) const;
  // A decimal number, 0 if absent.
  StatusOr<int64_t> Number(const std::string& name) const;

  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positional_;
};

}  // namespace berth::oci

#endif  // OCI_CLI_FLAGS_H_
