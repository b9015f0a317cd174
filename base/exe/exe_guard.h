// A program whose file nobody can write through /proc/PID/exe.
//
// A process of ours that comes to a container becomes the container's program
// by execve. "#!/proc/self/exe" in that program's place makes the kernel run
// our own file there, and who then opens it as /proc/PID/exe can write to the
// host's file later on, as root (CVE-2019-5736).
//
// So a guarded program, before anything else, runs itself again from a copy of
// the mount that its file is on: read-only, attached nowhere, and so out of
// everybody's reach but by this process. Where the kernel has no such mounts
// (before 5.12) or does not let us, the copy is one of the bytes, sealed, in
// memory. The work is done before the C library starts, which makes it cost
// little more than one execve.
//
// To guard a program: depend on :exe_guard, define kGuardedWords beside main,
// and call CheckExeGuard before a container is entered.
//
// Source: open_tree(2), mount_setattr(2), execveat(2), memfd_create(2).
#ifndef BASE_EXE_EXE_GUARD_H_
#define BASE_EXE_EXE_GUARD_H_

#include "base/status.h"

namespace berth {

// Arguments that ask for the guard, ended by nullptr: without one of these
// words on the command line the program runs as it is. Defined by the program.
extern const char* const kGuardedWords[];

// Names the process again: an execve by descriptor calls it by a number.
// FAILED_PRECONDITION if this process' file could be written to.
Status CheckExeGuard(const char* name);

}  // namespace berth

#endif  // BASE_EXE_EXE_GUARD_H_
