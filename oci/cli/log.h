// Where berth-oci says what went wrong: in the form that callers of runc read
// (go-runc takes the last error of the JSON log for its message).
#ifndef OCI_CLI_LOG_H_
#define OCI_CLI_LOG_H_

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::oci {

// Single-threaded.
class Log {
 public:
  enum class Format { kText, kJson };

  Log() = default;  // standard error alone
  // Appends to the file as well.
  static StatusOr<Log> Open(const std::string& path, const std::string& format);

  // Both to the file and to standard error.
  void Error(const std::string& message) const { Write("error", message); }
  void Warning(const std::string& message) const { Write("warning", message); }

  // Only if debugging is on.
  void Debug(const std::string& message) const {
    if (debug_) Write("debug", message);
  }
  void set_debug(bool on) { debug_ = on; }

  int fd() const { return file_.get(); }  // of the file; -1: none

 private:
  void Write(const char* level, const std::string& message) const;

  UniqueFd file_;
  Format format_ = Format::kText;
  bool debug_ = false;
};

}  // namespace berth::oci

#endif  // OCI_CLI_LOG_H_
