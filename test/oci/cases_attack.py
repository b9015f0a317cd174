"""Attacks on the host from within a container that somebody has taken over."""
import os

import runtime as rt
from case import RuntimeTest, is_alive

# Runs the runtime's own file in place of a program; blocked on the fifo until
# the attacker has got hold of the file.
RUNS_THE_RUNTIME = "#!/proc/self/exe --log=/tmp/fifo\n"

# Opens the program file of that process, lets it end, and then tries to write
# to the file until it gets an answer other than "busy".
WRITES_TO_IT = r"""
until found=$(grep -l '[-]-log=/tmp/fif[o]' /proc/[0-9]*/cmdline); do :; done
exec 3< ${found%cmdline}exe
cat /tmp/fifo > /dev/null
until
  if (: >> /proc/self/fd/3) 2> /tmp/why; then echo WRITABLE > /tmp/why; fi
  ! grep -qi busy /tmp/why
do sleep 0.1; done
mv /tmp/why /tmp/verdict
"""


def is_blocked(pid):
    """The runtime's file runs, and waits; or the process is dead: None."""
    if not is_alive(pid):
        return None
    with open("/proc/%d/cmdline" % pid) as f:
        runs = f.read().startswith("/proc/self/exe")
    with open("/proc/%d/stat" % pid) as f:
        return runs and f.read().rsplit(")", 1)[1].split()[0] == "S"


class ProgramFile(RuntimeTest):
    """CVE-2019-5736: the host's runtime, overwritten through /proc."""

    def prepare(self, *args):
        b = self.runtime.bundle(*args)
        b.write("bin/evil", RUNS_THE_RUNTIME, 0o755)
        b.write("attack", WRITES_TO_IT)
        os.mkfifo(os.path.join(b.rootfs, "tmp/fifo"))
        os.symlink("busybox", os.path.join(b.rootfs, "bin/mv"))
        return b

    def attack(self, bundle, container, pid):
        r = self.runtime
        rt.wait_until(lambda: is_blocked(pid) in (True, None), "the bait")
        if is_blocked(pid) is None:
            self.assertNotEqual(r.name(), "berth-oci", "the bait is dead")
            self.skipTest("%s cannot run in this root" % r.name())
        r.must("exec", "--detach", container, "/bin/sh", "/attack")
        path = os.path.join(bundle.rootfs, "tmp/verdict")
        rt.wait_until(lambda: os.path.exists(path), "the attack ends")
        with open(path) as f:
            self.assertNotIn("WRITABLE", f.read())

    def test_exec_of_our_own_file_cannot_write_to_it(self):
        r = self.runtime
        b = self.prepare("/bin/sleep", "1000")
        c = r.start_new(b)
        pid_file = os.path.join(r.directory, "bait.pid")
        r.must("exec", "--detach", "--pid-file", pid_file, c, "/bin/evil")
        with open(pid_file) as f:
            self.attack(b, c, int(f.read()))

    def test_start_of_our_own_file_cannot_write_to_it(self):
        r = self.runtime
        b = self.prepare("/bin/evil")
        # The attacker outlives the container's first process.
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "pid"]
        c = r.create(b)
        pid = r.state(c)["pid"]
        r.must("start", c)
        self.attack(b, c, pid)
