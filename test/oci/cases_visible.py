"""What a process of the container can be seen to hold while it is made.

CVE-2016-9962: who is in a pid namespace and has CAP_SYS_PTRACE takes root,
working directory and descriptors of each process that appears there. thief.c
does, while others come in.
"""
import os
import re
import subprocess

import runtime as rt
from case import RuntimeTest

EXECS = int(os.environ.get("OCI_THIEF_EXECS", "200"))
STARTS = int(os.environ.get("OCI_THIEF_STARTS", "40"))
# By number (capabilities(7)).
NAMES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID "
         "SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN "
         "NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
         "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE "
         "SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
         "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND "
         "AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()


def every_capability():
    """All that the suite itself may hand on."""
    with open("/proc/self/status") as f:
        bounding = int(re.search(r"CapBnd:\s*(\w+)", f.read()).group(1), 16)
    return ["CAP_" + name for i, name in enumerate(NAMES) if bounding >> i & 1]


class Thief(RuntimeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Where the runtime is started, with a file that no container has.
        cls.place = os.path.join(cls.runtime.directory, "place")
        os.mkdir(cls.place)
        with open(os.path.join(cls.place, "treasure"), "w"):
            pass
        cls.program = os.path.join(cls.runtime.directory, "thief")
        rt.compile_static("thief.c", cls.program)

    def start_thief(self, capabilities):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "exec /thief %s/treasure treasure /stop "
                     "> /found" % self.place)
        with open(self.program, "rb") as f, \
                open(os.path.join(b.rootfs, "thief"), "wb") as to:
            to.write(f.read())
        os.chmod(os.path.join(b.rootfs, "thief"), 0o755)
        for names in b.process["capabilities"].values():
            names += [c for c in capabilities if c not in names]
        c = r.start_new(b)
        return b, c

    def must(self, *args):
        return self.runtime.must(*args, cwd=self.place)

    def check(self, thief, least):
        """Ends it; it must have looked at some, and have got nothing."""
        path = os.path.join(thief.rootfs, "found")
        with open(os.path.join(thief.rootfs, "stop"), "w"):
            pass
        rt.wait_until(lambda: os.path.getsize(path) > 0, "the thief's report")
        with open(path) as f:
            said = f.read()
        seen, *prizes = map(int, re.findall(r"\d+", said))
        self.assertGreaterEqual(seen, least, said)
        self.assertEqual(prizes, [0, 0, 0, 0], said)

    def exec_often(self, capabilities):
        thief, c = self.start_thief(capabilities)
        for i in range(EXECS):
            # Long enough to be seen, with a look-up in PATH each second time.
            self.must("exec", c, *(["sleep", "0.002"] if i % 2 else
                                   ["/bin/sh", "-c", "sleep 0.002"]))
        self.check(thief, EXECS // 8)

    def test_exec_shows_nothing_of_the_host(self):
        self.exec_often(["CAP_SYS_PTRACE"])

    def test_exec_into_a_privileged_container(self):
        self.exec_often(every_capability())

    def test_exec_in_the_background_and_as_another_user(self):
        thief, c = self.start_thief(["CAP_SYS_PTRACE"])
        for i in range(EXECS // 4):
            subprocess.run(self.runtime.command + [
                "--root", self.runtime.root, "exec", "--detach", "--user",
                "1000:1000", c, "/bin/true"], check=True, cwd=self.place,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            self.must("exec", c, "/bin/sleep", "0.002")
        self.check(thief, EXECS // 8)

    def neighbour(self, pid, *args):
        """A container in the pid namespace of that process, with hooks."""
        b = self.runtime.bundle(*args)
        for namespace in b.linux["namespaces"]:
            if namespace["type"] == "pid":
                namespace["path"] = "/proc/%d/ns/pid" % pid
        hook = {"path": "/bin/sh", "args": ["sh", "-c", "sleep 0.002"],
                "env": ["PATH=/bin"]}
        b.config["hooks"] = {n: [hook] for n in (
            "prestart", "createRuntime", "createContainer", "startContainer")}
        return b

    def test_start_in_a_shared_pid_namespace(self):
        thief, c = self.start_thief(every_capability())
        pid = self.runtime.state(c)["pid"]
        for _ in range(STARTS):
            b = self.neighbour(pid, "/bin/sleep", "0.002")
            other = self.runtime.save_new(b)
            self.must("create", "--bundle", b.path, other)
            self.must("start", other)
            self.must("delete", "--force", other)
        # The program, the hook inside, and its sleep.
        self.check(thief, STARTS // 4)

    def test_failing_start_in_a_shared_pid_namespace(self):
        thief, c = self.start_thief(every_capability())
        pid = self.runtime.state(c)["pid"]
        for _ in range(STARTS // 2):
            b = self.neighbour(pid, "/no/such/program")
            other = self.runtime.save_new(b)
            self.assertNotEqual(self.runtime.call(
                "create", "--bundle", b.path, other,
                cwd=self.place).returncode, 0)
            self.must("exec", c, "/bin/sleep", "0.002")
        self.check(thief, STARTS // 4)


class SharedPids(RuntimeTest):
    """A pid namespace that another container has made."""

    def pair(self, script):
        r = self.runtime
        first = r.bundle("/bin/sleep", "1000")
        pid = r.state(r.start_new(first))["pid"]
        b = r.bundle("/bin/sh", "-c", script)
        for namespace in b.linux["namespaces"]:
            if namespace["type"] == "pid":
                namespace["path"] = "/proc/%d/ns/pid" % pid
        return b, pid

    def test_proc_shows_those_who_share_it(self):
        b, _ = self.pair("tr '\\0' ' ' < /proc/1/cmdline; echo; "
                         "cat /proc/self/stat; readlink /proc/self/root; echo $$")
        os.symlink("busybox", os.path.join(b.rootfs, "bin/tr"))
        done = self.runtime.run(b)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "/bin/sleep 1000 ", done.stderr)
        self.assertEqual(lines[2], "/")
        # Its pid there, and the session that it leads.
        stat = lines[1].rsplit(")", 1)
        self.assertEqual(stat[1].split()[3], lines[-1])

    def test_pid_of_the_state_is_the_program(self):
        r = self.runtime
        b, first = self.pair("exec sleep 1000")
        c = r.start_new(b)
        pid = r.state(c)["pid"]
        with open("/proc/%d/cmdline" % pid) as f:
            self.assertEqual(f.read().split("\0")[:2], ["sleep", "1000"])
        self.assertEqual(os.readlink("/proc/%d/ns/pid" % pid),
                         os.readlink("/proc/%d/ns/pid" % first))
        self.assertNotEqual(os.readlink("/proc/%d/ns/mnt" % pid),
                            os.readlink("/proc/%d/ns/mnt" % first))

    def test_limits_and_streams_cross_over(self):
        b, _ = self.pair("umask; ulimit -n; cat /proc/self/oom_score_adj; "
                         "id -u; pwd")
        b.process["rlimits"] = [
            {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]
        b.process["oomScoreAdj"] = 321
        b.process["user"] = {"uid": 1000, "gid": 1000, "umask": 0o27}
        b.process["cwd"] = "/tmp"
        done = self.runtime.run(b)
        self.assertEqual(done.stdout.split(),
                         ["0027", "77", "321", "1000", "/tmp"], done.stderr)

    def test_failures_are_told(self):
        r = self.runtime
        b, _ = self.pair("true")
        b.process["args"] = ["/no/such/program"]
        self.assertFails(r.run(b), "no such file")
        b, _ = self.pair("true")
        b.config["hooks"] = {"startContainer": [{"path": "/bin/false"}]}
        self.assertFails(r.run(b), "hook #0")

    def test_killed_runtime_leaves_no_process(self):
        r = self.runtime
        b, pid = self.pair("exec sleep 1000")
        fifo = os.path.join(b.path, "fifo")
        os.mkfifo(fifo)
        b.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "echo > " + fifo],
             "env": ["PATH=/bin"]}]}
        c = r.save_new(b)
        with subprocess.Popen(r.command + [
                "--root", r.root, "create", "--bundle", b.path, c],
                stdin=subprocess.DEVNULL) as creating:
            rt.wait_until(lambda: self.waits(fifo, creating.pid), "the hook")
            creating.kill()
        with open(fifo) as f:
            f.read()
        r.must("delete", "--force", c)
        self.assertEqual(rt.cgroup_directories(c), [])
        self.assertFalse(os.path.exists(os.path.join(r.root, c)))

    @staticmethod
    def waits(fifo, runtime):
        """The hook is blocked on the fifo."""
        done = subprocess.run(["pgrep", "-f", "sh -c echo > " + fifo],
                              stdout=subprocess.DEVNULL)
        return done.returncode == 0


def with_user_namespace(bundle):
    bundle.linux["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        bundle.linux[kind] = [
            {"containerID": 0, "hostID": 100000, "size": 65536}]
    for path, directories, files in os.walk(bundle.rootfs):
        for name in directories + files:
            os.lchown(os.path.join(path, name), 100000, 100000)
    os.chown(bundle.rootfs, 100000, 100000)
    os.chmod(bundle.path, 0o711)


class SharedUserNamespace(RuntimeTest):
    def joined(self, owner_has_user):
        r = self.runtime
        first = r.bundle("/bin/sleep", "1000")
        if owner_has_user:
            with_user_namespace(first)
        pid = r.state(r.start_new(first))["pid"]
        b = r.bundle("/bin/sh", "-c",
                     "id -u; grep -a -c sleep /proc/1/cmdline")
        with_user_namespace(b)
        for namespace in b.linux["namespaces"]:
            if namespace["type"] == "pid" or (
                    owner_has_user and namespace["type"] == "user"):
                namespace["path"] = "/proc/%d/ns/%s" % (pid, namespace["type"])
        return b

    def test_pids_of_the_same_user_namespace(self):
        done = self.runtime.run(self.joined(True))
        self.assertEqual(done.stdout.split(), ["0", "1"], done.stderr)

    def test_create_container_hook_runs_before_it_is_seen(self):
        b = self.joined(True)
        b.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "echo here > made"],
             "env": ["PATH=/bin"]}]}
        b.process["args"] = ["/bin/cat", "/made"]
        done = self.runtime.run(b)
        self.assertEqual(done.stdout, "here\n", done.stderr)
