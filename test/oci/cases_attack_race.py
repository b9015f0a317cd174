"""Attackers who change a shared volume while the runtime makes a container.

Each is tried OCI_RACE_ROUNDS times; a runtime that looks at a path first and
uses it later is caught after some ten.
"""
import contextlib
import ctypes
import os
import signal
import stat
import tempfile

import runtime as rt
from case import RuntimeTest

ROUNDS = int(os.environ.get("OCI_RACE_ROUNDS", "40"))
PATTERN = "/proc/sys/kernel/core_pattern"
EXCHANGE = 2  # RENAME_EXCHANGE, renameat2(2)


@contextlib.contextmanager
def exchanging(*pairs):
    """Exchanges the two paths of each pair, in a process of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        while True:
            for one, other in pairs:
                if libc.renameat2(-100, one.encode(), -100, other.encode(),
                                  EXCHANGE) != 0:
                    os._exit(1)
    try:
        yield
        died, _ = os.waitpid(child, os.WNOHANG)
        assert died == 0, "what exchanges the paths has failed"
    finally:
        with contextlib.suppress(ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def mounts_of(pid):
    """(mount point, what of its file system, type) of a process."""
    with open("/proc/%d/mountinfo" % pid) as f:
        lines = [line.split() for line in f]
    return [(line[4], line[3], line[line.index("-") + 1]) for line in lines]


def hang_up(console):
    """On all who have called the console's socket, whatever they sent."""
    console.listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            console.listener.accept()[0].close()


class Races(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.refusal = ""
        self.volume = tempfile.mkdtemp(dir=self.runtime.directory)
        with open(PATTERN) as f:
            self.pattern = f.read()

    def tearDown(self):
        super().tearDown()
        with open(PATTERN) as f:
            self.assertEqual(f.read(), self.pattern)

    def inside(self, name):
        return os.path.join(self.volume, name)

    def fill_dev(self):
        """The volume becomes what a /dev has to be."""
        for name, minor in (("null", 3), ("zero", 5), ("full", 7),
                            ("random", 8), ("urandom", 9)):
            os.mknod(self.inside(name), 0o666 | stat.S_IFCHR,
                     os.makedev(1, minor))
        os.mknod(self.inside("tty"), 0o666 | stat.S_IFCHR, os.makedev(5, 0))
        os.symlink("pts/ptmx", self.inside("ptmx"))
        os.mkdir(self.inside("pts"))

    def bundle_with_dev(self):
        """The volume is the container's /dev."""
        b = self.runtime.bundle("/bin/sleep", "1000")
        for mount in b.config["mounts"]:
            if mount["destination"] == "/dev":
                mount.update(rt.mount("/dev", "bind", self.volume, "rbind"))
        b.config["mounts"] = [m for m in b.config["mounts"]
                              if m["destination"] != "/dev/shm"]
        return b

    def try_create(self, bundle, *flags):
        """The first process of a container, or None if it was refused or, as
        runc's may, has died."""
        container = self.runtime.save_new(bundle)
        done = self.runtime.call("create", *flags, "--bundle", bundle.path,
                                 container)
        if done.returncode != 0:
            self.refusal = done.stderr
            return None
        self.refusal = "the first process has died"
        return self.runtime.state(container)["pid"] or None

    def check_proc(self, pid, allowed=()):
        for point, root, kind in mounts_of(pid):
            if point.startswith("/proc/") and point not in allowed:
                self.fail("%s %s is mounted on %s" % (kind, root, point))
            if kind == "proc" and point != "/proc" and point not in allowed:
                self.fail("%s of procfs is mounted on %s" % (root, point))

    def test_console_that_changes(self):
        # CVE-2025-52565: the console's terminal is looked up by its name in
        # /dev/pts, or mounted on what a link at /dev/console leads to.
        self.fill_dev()
        os.mkdir(self.inside("other"))
        for number in range(8):
            os.symlink(PATTERN, self.inside("other/%d" % number))
        with open(self.inside("console"), "w"):
            pass
        os.symlink(PATTERN, self.inside("link"))
        sock = rt.ConsoleSocket(self.runtime.directory)
        made = 0
        pairs = ((self.inside("pts"), self.inside("other")),
                 (self.inside("console"), self.inside("link")))
        try:
            with exchanging(*pairs):
                for _ in range(ROUNDS):
                    b = self.bundle_with_dev()
                    b.process["terminal"] = True
                    pid = self.try_create(b, "--console-socket", sock.path)
                    hang_up(sock)
                    if pid is not None:
                        made += 1
                        self.check_proc(pid)
                    self.runtime.clean()
        finally:
            sock.close()
        self.assertGreater(made, 0, "refused every time: " + self.refusal)

    def test_null_device_that_changes(self):
        # CVE-2025-31133: the container's /dev/null is what masked paths are
        # covered with, and may be a link to what was to be masked.
        self.fill_dev()
        os.symlink(PATTERN, self.inside("link"))
        masked = ["/proc/keys", "/proc/timer_list", "/proc/sched_debug"]
        masked = [path for path in masked if os.path.exists(path)]
        made = 0
        with exchanging((self.inside("null"), self.inside("link"))):
            for _ in range(ROUNDS):
                b = self.bundle_with_dev()
                b.linux["maskedPaths"] = masked
                pid = self.try_create(b)
                if pid is None:
                    continue
                made += 1
                self.check_proc(pid, masked)
                for path in masked:
                    seen = os.stat("/proc/%d/root%s" % (pid, path))
                    self.assertEqual((stat.S_IFMT(seen.st_mode), seen.st_rdev),
                                     (stat.S_IFCHR, os.makedev(1, 3)), path)
                self.runtime.clean()
        self.assertGreater(made, 0, "refused every time: " + self.refusal)

    def test_bind_of_a_file_makes_none_outside(self):
        # CVE-2024-45310, with a file: the mount point is made where the
        # destination's directory leads at that moment.
        outside = tempfile.mkdtemp(dir=self.runtime.directory)
        os.mkdir(self.inside("a"))
        os.symlink("../" * 20 + outside[1:], self.inside("b"))
        with exchanging((self.inside("a"), self.inside("b"))):
            for _ in range(ROUNDS):
                b = self.runtime.bundle("/bin/true")
                b.config["mounts"] += [
                    rt.mount("/v", "bind", self.volume, "rbind"),
                    rt.mount("/v/a/sub/made", "bind", "/etc/passwd", "bind")]
                self.runtime.run(b)
                self.runtime.clean()
                self.assertEqual(os.listdir(outside), [])

    def test_mount_point_that_changes_is_no_source(self):
        # CVE-2021-30465: what is mounted where the link leads, on the host, is
        # what a later mount takes for its source.
        outside = tempfile.mkdtemp(dir=self.runtime.directory)
        os.makedirs(os.path.join(outside, "made", "of-the-host"))
        os.makedirs(self.inside("a/made"))
        os.symlink("../" * 20 + outside[1:], self.inside("b"))
        made = 0
        with exchanging((self.inside("a"), self.inside("b"))):
            for _ in range(ROUNDS):
                b = self.runtime.bundle("/bin/ls", "/seen")
                b.config["mounts"] += [
                    rt.mount("/v", "bind", self.volume, "rbind"),
                    rt.mount("/v/a/made", "tmpfs", "tmpfs"),
                    rt.mount("/seen", "bind", outside + "/made", "rbind")]
                done = self.runtime.run(b)
                self.refusal = done.stderr
                self.runtime.clean()
                if done.returncode == 0:
                    made += 1
                    self.assertEqual(done.stdout, "of-the-host\n")
        self.assertNotIn(outside, str(mounts_of(os.getpid())))
        self.assertGreater(made, 0, "refused every time: " + self.refusal)

    def test_proc_that_changes(self):
        # CVE-2019-19921: procfs is mounted where a link leads at that moment,
        # and what is masked is somewhere else. The directory itself may have
        # another name when it is looked at.
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.linux["maskedPaths"] = ["/proc/keys", "/proc/timer_list"]
        os.symlink("tmp", os.path.join(b.rootfs, "other"))
        pair = (os.path.join(b.rootfs, "proc"),
                os.path.join(b.rootfs, "other"))
        made = 0
        with exchanging(pair):
            for _ in range(ROUNDS):
                pid = self.try_create(b)
                if pid is not None:
                    made += 1
                    mounts = mounts_of(pid)
                    self.assertIn("proc", [kind for _, _, kind in mounts])
                    self.assertEqual([point for point, _, _ in mounts
                                      if point.startswith("/tmp")], [])
                self.runtime.clean()
        self.assertGreater(made, 0, "refused every time: " + self.refusal)

    def test_device_that_changes(self):
        # CVE-2026-41579 as a race: devices are made in what /dev leads to.
        outside = tempfile.mkdtemp(dir=self.runtime.directory)
        b = self.runtime.bundle("/bin/true")
        os.symlink("../" * 20 + outside[1:], os.path.join(b.rootfs, "other"))
        b.config["mounts"] = [m for m in b.config["mounts"]
                              if not m["destination"].startswith("/dev")]
        pair = (os.path.join(b.rootfs, "dev"), os.path.join(b.rootfs, "other"))
        with exchanging(pair):
            for _ in range(ROUNDS):
                self.runtime.run(b)
                self.runtime.clean()
                self.assertEqual(os.listdir(outside), [])

    def test_working_directory_that_changes(self):
        # The directory to start in is made if it is missing: not outside.
        outside = tempfile.mkdtemp(dir=self.runtime.directory)
        os.mkdir(self.inside("a"))
        os.symlink("../" * 20 + outside[1:], self.inside("b"))
        with exchanging((self.inside("a"), self.inside("b"))):
            for _ in range(ROUNDS):
                b = self.runtime.bundle("/bin/true")
                b.config["mounts"].append(
                    rt.mount("/v", "bind", self.volume, "rbind"))
                b.process["cwd"] = "/v/a/made/here"
                self.runtime.run(b)
                self.runtime.clean()
                self.assertEqual(os.listdir(outside), [])

    def test_devices_while_limits_change(self):
        # Between two filters of devices there is always one.
        b = self.runtime.bundle(
            "/bin/sh", "-c", "mknod /tmp/kmsg c 1 11 && while :; do "
            "(: < /tmp/kmsg) 2> /dev/null && echo opened > /tmp/verdict; "
            "echo x > /tmp/alive; done")
        b.process["noNewPrivileges"] = False
        container = self.runtime.start_new(b)
        alive = os.path.join(b.rootfs, "tmp/alive")
        rt.wait_until(lambda: os.path.exists(alive), "it tries")
        for number in range(ROUNDS):
            self.runtime.must("update", "--cpu-share", str(500 + number % 9),
                              container)
        os.unlink(alive)
        rt.wait_until(lambda: os.path.exists(alive), "it tries until the end")
        self.assertFalse(
            os.path.exists(os.path.join(b.rootfs, "tmp/verdict")))
