// /etc/passwd and /etc/group, which an image brings along. The first line is
// the user that is asked for; a line of "#" parts the two files.
#include <string>

#include "api/state/v1/state.pb.h"
#include "sandbox/spec/user.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  const std::string text(bytes);
  const size_t line = std::min(text.find('\n'), text.size());
  const size_t half = std::min(text.find("\n#\n", line), text.size());
  const berth::state::v1::ContainerSecurity security;
  return berth::sandbox::ResolveUser(security, text.substr(0, line),
                                     text.substr(line, half - line),
                                     text.substr(half))
      .ok();
}
