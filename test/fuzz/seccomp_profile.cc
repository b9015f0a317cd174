// A seccomp profile, of docker's --security-opt or of a node's folder.
#include "sandbox/spec/security.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  return berth::sandbox::ParseSeccompProfile(bytes, {"CAP_SYS_ADMIN"}).ok();
}
