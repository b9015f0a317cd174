"""Attacks that go around what a container was given: other doors to the
kernel, the terminal of whoever started it, lengths, labels, cgroups."""
import os
import platform
import pty
import unittest

import runtime as rt
from case import RuntimeTest


def output_on_terminal(command):
    """What a command writes to a terminal that is its session's own."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.execv(command[0], command)
        finally:
            os._exit(127)
    said = b""
    while True:
        try:
            read = os.read(master, 4096)
        except OSError:  # everybody has closed the other side
            break
        if not read:
            break
        said += read
    os.close(master)
    os.waitpid(pid, 0)
    return said.decode(errors="replace")


class OtherDoors(RuntimeTest):
    def program(self, bundle, source):
        path = os.path.join(bundle.rootfs, "bin", source[:-2])
        rt.compile_static(source, path)
        return "/bin/" + source[:-2]

    @unittest.skipUnless(platform.machine() == "x86_64", "calls of x86")
    def test_calls_of_other_architectures_end_the_program(self):
        for door in ("x32", "i386"):
            for architectures, status in ((["SCMP_ARCH_X86_64"], 128 + 31),
                                          (None, 7)):
                b = self.runtime.bundle()
                b.process["args"] = [self.program(b, "foreign_call.c"), door]
                if architectures:
                    b.linux["seccomp"] = {
                        "defaultAction": "SCMP_ACT_ALLOW",
                        "architectures": architectures,
                        "syscalls": [{"names": ["mkdir"],
                                      "action": "SCMP_ACT_ERRNO"}]}
                done = self.runtime.run(b)
                self.assertEqual(done.returncode, status,
                                 (door, architectures, done.stderr))

    def test_nothing_is_typed_into_the_callers_terminal(self):
        b = self.runtime.bundle()
        b.process["args"] = [self.program(b, "inject.c")]
        b.process["terminal"] = False
        on_host = output_on_terminal(
            [os.path.join(b.rootfs, "bin/inject")])
        if "injected: yes" not in on_host:
            self.skipTest("this kernel has no TIOCSTI: " + on_host.strip())
        command = self.runtime.command + ["--root", self.runtime.root]
        container = self.runtime.save_new(b)
        sleeps = self.runtime.bundle("/bin/sleep", "1000")
        self.program(sleeps, "inject.c")
        for words in (["run", "--bundle", b.path, container],
                      ["exec", self.runtime.start_new(sleeps), "/bin/inject"]):
            said = output_on_terminal(command + words)
            self.assertIn("injected: ", said, words)
            self.assertNotIn("injected: yes", said, words)


class Lengths(RuntimeTest):
    """CVE-2021-43784: lengths that do not fit into a message's field."""

    def test_environment_of_more_than_64_kib(self):
        b = self.runtime.bundle()
        b.process["env"] += ["V%d=%s" % (n, "x" * 100) for n in range(2000)]
        self.assertEqual(
            self.runtime.shell(b, "env | grep -c ^V[0-9]").strip(), "2000")

    def test_paths_of_more_than_64_kib(self):
        for change in (
                lambda b: b.linux["namespaces"].append(
                    {"type": "uts", "path": "/proc/self/ns" + "/." * 40000}),
                lambda b: b.process.update(cwd="/" + "./" * 40000),
                lambda b: b.config["mounts"].append(
                    {"destination": "/" + "d" * 70000, "type": "tmpfs",
                     "source": "tmpfs"})):
            b = self.runtime.bundle("/bin/true")
            b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                     if n["type"] != "uts"]
            change(b)
            self.assertFails(self.runtime.run(b))


class Asked(RuntimeTest):
    """What was asked for is there, or the container is not."""

    def test_profile_that_cannot_be_applied(self):
        for user_namespace in (False, True):
            b = self.runtime.bundle("/bin/true")
            b.process["apparmorProfile"] = "no-such-profile"
            if user_namespace:
                b.linux["namespaces"].append({"type": "user"})
                ids = [{"containerID": 0, "hostID": 0, "size": 1}]
                b.linux["uidMappings"] = b.linux["gidMappings"] = ids
            self.assertFails(self.runtime.run(b), "apparmor")

    def test_label_that_cannot_be_applied(self):
        if os.path.isdir("/sys/fs/selinux"):
            self.skipTest("the machine has SELinux")
        b = self.runtime.bundle("/bin/true")
        b.process["selinuxLabel"] = "system_u:system_r:no_such_t:s0"
        self.assertFails(self.runtime.run(b), "selinux")

    def test_cgroup_of_exec_stays_below_the_containers(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        directories = rt.cgroup_directories(c)
        for directory in directories:
            below = os.path.join(directory, "below")
            os.mkdir(below)
            for name in ("cpuset.cpus", "cpuset.mems"):  # empty, with v1
                if os.path.exists(os.path.join(below, name)):
                    with open(os.path.join(directory, name)) as f:
                        value = f.read()
                    with open(os.path.join(below, name), "w") as f:
                        f.write(value)
        if r.name() != "crun":  # looks for a group of the v2 tree alone
            out = r.must("exec", "--cgroup", "below", c, "/bin/cat",
                         "/proc/self/cgroup").stdout
            self.assertIn("/below\n", out)
        for path in ("../", "../../x", "a/../../b", "below/../../"):
            done = r.call("exec", "--cgroup", path, c, "/bin/true")
            self.assertFails(done)
