#ifndef OCI_SPEC_ANNOTATIONS_H_
#define OCI_SPEC_ANNOTATIONS_H_

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// For a configuration whose annotations are the caller's own: those of a pod
// are of whoever made that, and must have no power over the host
// (CVE-2024-3154).
//
// What annotations ask for that config.json has no member for, set in the
// members of ours that have no name there. Of crun's:
//
//   run.oci.keep_original_groups     "1": User::keep_groups
//   run.oci.mount_context_type       the option that takes linux.mountLabel:
//                                    context, fscontext, defcontext,
//                                    rootcontext
//   run.oci.hooks.stdout, .stderr    Hooks::output, Hooks::errors: absolute
//   run.oci.seccomp.receiver         linux.seccomp.listenerPath
//
// All others of run.oci are passed over. A container is not nested below its
// scope, which is what an empty run.oci.systemd.subgroup asks of crun.
// INVALID_ARGUMENT with the annotation's name. Source: crun(1).
Status ApplyAnnotations(Spec& spec);

}  // namespace berth::oci

#endif  // OCI_SPEC_ANNOTATIONS_H_
