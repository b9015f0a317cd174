"""Execs, hooks, bad configurations, and attacks."""
import fcntl
import json
import os
import signal
import subprocess
import tempfile
import threading

import runtime as rt
from case import RuntimeTest, is_alive


def started(pid):
    """When a process was started, in ticks since the machine was."""
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


class Exec(RuntimeTest):
    def setUp(self):
        super().setUp()
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.process["env"].append("OWN=yes")
        self.container = self.runtime.start_new(b)

    def exec(self, *args, **kwargs):
        return self.runtime.call("exec", *args, **kwargs)

    def test_exit_code_and_output(self):
        done = self.exec(self.container, "/bin/sh", "-c", "echo out; exit 5")
        self.assertEqual((done.returncode, done.stdout), (5, "out\n"))

    def test_is_inside(self):
        r = self.runtime
        pid = r.state(self.container)["pid"]
        out = self.exec(self.container, "/bin/sh", "-c",
                        "for n in pid net ipc uts mnt; do readlink "
                        "/proc/self/ns/$n; done; cat /proc/self/cgroup").stdout
        for n, inside in zip(("pid", "net", "ipc", "uts", "mnt"),
                             out.splitlines()):
            self.assertEqual(inside, os.readlink("/proc/%d/ns/%s" % (pid, n)))
        self.assertIn(self.container, out)

    def test_flags(self):
        out = self.exec("--env", "ADDED=1", "--cwd", "/tmp", "--user",
                        "1000:1001", self.container, "/bin/sh", "-c",
                        "echo $OWN $ADDED; pwd; id -u; id -g").stdout
        self.assertEqual(out.split(), ["yes", "1", "/tmp", "1000", "1001"])

    def test_strict_user(self):
        for user, ids in (("1", ["1", "0"]), ("1:2", ["1", "2"])):
            out = self.exec("--user", user, self.container, "/bin/sh", "-c",
                            "id -u; id -g").stdout
            self.assertEqual(out.split(), ids, user)
        for bad in ("1:", " 1", "0x1", "4294967296", "-1", "4294967295", "x"):
            self.assertNotEqual(
                self.exec("--user=" + bad, self.container,
                          "/bin/true").returncode, 0, bad)

    def test_process_file(self):
        r = self.runtime
        process = rt.default_config(["/bin/sh", "-c", "echo $X"])["process"]
        process["env"].append("X=file")
        path = os.path.join(r.directory, "process.json")
        with open(path, "w") as f:
            json.dump(process, f)
        pid_file = os.path.join(r.directory, "exec.pid")
        done = self.exec("--process", path, "--pid-file", pid_file,
                         self.container)
        self.assertEqual((done.returncode, done.stdout), (0, "file\n"))
        with open(pid_file) as f:
            self.assertGreater(int(f.read()), 1)

    def test_detached(self):
        r = self.runtime
        pid_file = os.path.join(r.directory, "detached.pid")
        r.must("exec", "--detach", "--pid-file", pid_file, self.container,
               "/bin/sleep", "1000")
        with open(pid_file) as f:
            pid = int(f.read())
        self.assertIn(pid, json.loads(r.must(
            "ps", "--format", "json", self.container).stdout))

    def test_missing_program(self):
        done = self.exec(self.container, "no-such-program")
        self.assertFails(done, "executable file not found in $path")

    def test_added_capability_is_not_inheritable(self):
        out = self.exec("--cap", "CAP_SYS_PTRACE", self.container, "/bin/sh",
                        "-c", "grep Cap /proc/self/status").stdout
        sets = {l.split(":")[0]: int(l.split()[1], 16)
                for l in out.splitlines()}
        self.assertEqual(sets["CapInh"], 0)
        self.assertTrue(sets["CapEff"] & 1 << 19)

    def test_stopped_container(self):
        r = self.runtime
        r.must("kill", self.container, "KILL")
        r.wait_stopped(self.container)
        self.assertFails(self.exec(self.container, "/bin/true"))
        self.assertFails(self.exec("no-such-container", "/bin/true"),
                         "does not exist")


class Hooks(RuntimeTest):
    def hook(self, path, script, **more):
        program = os.path.join(path, "hook.sh")
        if not os.path.exists(program):
            with open(program, "w") as f:
                f.write("#!/bin/sh\neval \"$1\"\n")
            os.chmod(program, 0o755)
        return dict({"path": program, "args": ["hook.sh", script],
                     "env": ["PATH=/usr/bin:/bin"]}, **more)

    def test_order_and_state(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        log = os.path.join(b.path, "log")
        names = ["prestart", "createRuntime", "createContainer", "poststart",
                 "poststop"]
        b.config["hooks"] = {
            n: [self.hook(b.path, "(echo %s; cat; echo) >> %s" % (n, log))]
            for n in names}
        c = r.start_new(b)
        r.wait_stopped(c)
        r.must("delete", c)
        with open(log) as f:
            lines = [l for l in f.read().splitlines() if l]
        self.assertEqual(lines[::2], names)
        states = [json.loads(l) for l in lines[1::2]]
        for state in states:
            self.assertEqual(state["id"], c)
            self.assertEqual(state["bundle"], b.path)
        self.assertEqual(states[4]["status"], "stopped")

    def test_start_container_runs_inside(self):
        r = self.runtime
        b = r.bundle("/bin/cat", "/seen")
        b.config["hooks"] = {"startContainer": [
            {"path": "/bin/sh",
             "args": ["sh", "-c", "echo hook > /seen; hostname >> /seen"],
             "env": ["PATH=/bin"]}]}
        done = r.run(b)
        self.assertEqual(done.stdout, "hook\nsuite\n", done.stderr)

    def test_create_container_sees_the_mount_namespace(self):
        r = self.runtime
        b = r.bundle("/bin/cat", "/there/x")
        os.mkdir(os.path.join(b.rootfs, "there"))
        b.config["hooks"] = {"createContainer": [self.hook(
            b.path, "mount -t tmpfs t %s/there && echo hi > %s/there/x" %
            (b.rootfs, b.rootfs))]}
        done = r.run(b)
        self.assertEqual(done.stdout, "hi\n", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(b.rootfs, "there/x")))

    def test_failing_hook_undoes_create(self):
        r = self.runtime
        for name in ("prestart", "createRuntime", "createContainer"):
            b = r.bundle("/bin/true")
            stopped = os.path.join(b.path, "stopped")
            b.config["hooks"] = {
                name: [self.hook(b.path, "echo because >&2; exit 3")]}
            b.save()
            c = r.new_id()
            self.assertFails(r.call("create", "--bundle", b.path, c), "hook")
            self.assertFails(r.call("state", c))
            self.assertEqual(rt.cgroup_directories(c), [])

    def test_timeout(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["hooks"] = {"createRuntime": [
            self.hook(b.path, "exec sleep 1000", timeout=1)]}
        self.assertFails(r.run(b))  # which waits for less than 1000 s

    def test_failing_poststart_ends_the_container(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.config["hooks"] = {"poststart": [self.hook(b.path, "exit 1")]}
        c = r.create(b)
        pid = r.state(c)["pid"]
        self.assertFails(r.call("start", c), "hook")
        rt.wait_until(lambda: not is_alive(pid), "the init is gone")
        self.assertFails(r.call("state", c), "does not exist")
        self.assertEqual(rt.cgroup_directories(c), [])

    def test_failing_poststop_does_not_matter(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["hooks"] = {"poststop": [self.hook(b.path, "exit 1")]}
        c = r.start_new(b)
        r.wait_stopped(c)
        r.must("delete", c)
        self.assertFails(r.call("state", c))


class Configuration(RuntimeTest):
    def broken(self, change):
        r = self.runtime
        b = r.bundle("/bin/true")
        change(b.config)
        b.save()
        c = r.new_id()
        done = r.call("create", "--bundle", b.path, c)
        self.assertFails(done)
        self.assertFails(r.call("state", c))
        self.assertEqual(rt.cgroup_directories(c), [])
        return done

    def test_bad_values(self):
        def unknown_namespace(c):
            c["linux"]["namespaces"].append({"type": "nonsense"})

        def twice(c):
            c["linux"]["namespaces"].append({"type": "pid"})

        def relative_cwd(c):
            c["process"]["cwd"] = "tmp"

        def bad_rlimit(c):
            c["process"]["rlimits"] = [
                {"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]

        def host_name_without_uts(c):
            c["linux"]["namespaces"] = [
                n for n in c["linux"]["namespaces"] if n["type"] != "uts"]

        for change in (unknown_namespace, twice, relative_cwd, bad_rlimit,
                       host_name_without_uts):
            with self.subTest(change.__name__):
                self.broken(change)

    def test_not_json(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.save()
        with open(os.path.join(b.path, "config.json"), "w") as f:
            f.write("{")
        self.assertFails(r.call("create", "--bundle", b.path, r.new_id()))

    def test_later_edits_have_no_effect(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "echo first > /out")
        c = r.create(b)
        b.process["args"] = ["/bin/sh", "-c", "echo second > /out"]
        b.save()
        r.must("start", c)
        r.wait_stopped(c)
        with open(os.path.join(b.rootfs, "out")) as f:
            self.assertEqual(f.read(), "first\n")

    def test_json_log(self):
        r = self.runtime
        log = os.path.join(r.directory, "log.json")
        done = r.call("start", "no-such-container", log=log)
        self.assertFails(done)
        with open(log) as f:
            entries = [json.loads(l) for l in f.read().splitlines()]
        self.assertEqual(entries[-1]["level"], "error")
        self.assertIn("does not exist", entries[-1]["msg"])
        self.assertIn("time", entries[-1])

    def test_version_and_features(self):
        r = self.runtime
        first = r.must("--version").stdout.splitlines()[0]
        self.assertIn("version", first)
        if r.name() == "berth-oci":
            features = json.loads(r.must("features").stdout)
            self.assertIn("pid", features["linux"]["namespaces"])
            self.assertIn("rro", features["mountOptions"])

    def test_spec_runs(self):
        r = self.runtime
        b = r.bundle()
        r.must("spec", "--bundle", b.path)
        self.assertFails(r.call("spec", "--bundle", b.path))
        with open(os.path.join(b.path, "config.json")) as f:
            b.config = json.load(f)
        b.process["terminal"] = False
        b.process["args"] = ["true"]
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)


class Security(RuntimeTest):
    def test_links_of_the_image_lead_nowhere_outside(self):
        r = self.runtime
        with tempfile.TemporaryDirectory() as outside:
            b = r.bundle("/bin/true")
            os.symlink(outside, os.path.join(b.rootfs, "link"))
            os.symlink("../" * 20 + outside[1:],
                       os.path.join(b.rootfs, "link2"))
            b.config["mounts"] += [
                rt.mount("/link/made", "tmpfs", "tmpfs"),
                rt.mount("/link2/made", "tmpfs", "tmpfs")]
            b.process["cwd"] = "/link/cwd"
            r.run(b)
            self.assertEqual(os.listdir(outside), [])

    def test_proc_must_not_be_a_link(self):
        r = self.runtime
        volume = tempfile.mkdtemp(dir=r.directory)
        for name in ("proc", "sys"):
            os.mkdir(os.path.join(volume, name))
            # The last leads into a volume that is mounted before it.
            for target in ("tmp", "/tmp", "tmp/../nowhere", "v/" + name):
                b = r.bundle("/bin/true")
                os.rmdir(os.path.join(b.rootfs, name))
                os.symlink(target, os.path.join(b.rootfs, name))
                b.config["mounts"].insert(
                    0, rt.mount("/v", "bind", volume, "rbind"))
                self.assertFails(r.run(b))

    def test_nothing_but_procfs_on_proc(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["mounts"][0] = rt.mount("/proc", "tmpfs", "tmpfs")
        self.assertFails(r.run(b), "proc")
        b = r.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/proc/self/attr", "tmpfs", "tmpfs"))
        self.assertFails(r.run(b), "proc")

    def test_no_host_directory_as_cwd(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        host = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        leaked = fcntl.fcntl(host, fcntl.F_DUPFD, 12)
        os.close(host)
        self.addCleanup(os.close, leaked)
        # Those that a runtime has for itself, and one of its caller's.
        for fd in [*range(3, 21), leaked]:
            path = "/proc/self/fd/%d" % fd
            b = r.bundle("/bin/true")
            b.process["cwd"] = path
            self.assertNotEqual(r.run(b, pass_fds=[leaked]).returncode, 0,
                                path)
            done = r.call("exec", "--cwd", path, c, "/bin/true",
                          pass_fds=[leaked])
            self.assertNotEqual(done.returncode, 0, path)

    def test_null_device_that_is_a_link_masks_nothing(self):
        r = self.runtime
        # Links to files of procfs, to a file of the image, and such a file.
        for target in ("/proc/sys/kernel/core_pattern", "../proc/version",
                       "/etc/forged", None):
            b = r.bundle("/bin/cat", "/proc/meminfo")
            b.config["mounts"] = [m for m in b.config["mounts"]
                                  if m["destination"] == "/proc"]
            b.write("etc/forged", "forged\n")
            if target:
                os.symlink(target, os.path.join(b.rootfs, "dev/null"))
            else:
                b.write("dev/null", "forged\n")
            b.linux["maskedPaths"] = ["/proc/meminfo"]
            done = r.run(b)
            if done.returncode == 0:
                self.assertEqual(done.stdout, "", target)

    def test_dev_that_is_a_link(self):
        r = self.runtime
        with tempfile.TemporaryDirectory() as outside:
            open(os.path.join(outside, "ptmx"), "w").close()
            b = r.bundle("/bin/true")
            b.config["mounts"] = [m for m in b.config["mounts"]
                                  if not m["destination"].startswith("/dev")]
            os.rmdir(os.path.join(b.rootfs, "dev"))
            os.symlink("../" * 20 + outside[1:],
                       os.path.join(b.rootfs, "dev"))
            r.run(b)
            self.assertEqual(os.listdir(outside), ["ptmx"])

    def test_null_as_a_stream_keeps_its_owner(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.process["user"] = {"uid": 1000, "gid": 1000}
        container = r.start_new(r.bundle("/bin/sleep", "1000"))
        command = r.command + ["--root", r.root]
        null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                "stderr": subprocess.DEVNULL}
        before = os.stat("/dev/null")
        try:
            for call in (lambda: r.run(b),
                         lambda: subprocess.run(
                             command + ["run", "--bundle", b.path,
                                        r.save_new(b)], **null),
                         lambda: subprocess.run(
                             command + ["exec", "--user", "1000:1000",
                                        container, "/bin/true"], **null)):
                done = call()
                after = os.stat("/dev/null")
                self.assertEqual((after.st_uid, after.st_gid, after.st_mode),
                                 (before.st_uid, before.st_gid,
                                  before.st_mode))
                self.assertEqual(done.returncode, 0)
        finally:
            os.chown("/dev/null", before.st_uid, before.st_gid)

    def test_session_keyring_is_new(self):
        r = self.runtime
        b = r.bundle("/bin/cat", "/proc/keys")
        done = r.run(b)
        if not done.stdout:
            self.skipTest("no keyrings in this kernel")
        self.assertIn(r.ids[-1] + ":", done.stdout)

    def test_pid_of_another_process_is_not_killed(self):
        r = self.runtime
        if r.name() != "berth-oci":
            self.skipTest("reads the runtime's own state file")
        c = r.create(r.bundle("/bin/sleep", "1000"))
        path = os.path.join(r.root, c, "state.json")
        with open(path) as f:
            state = json.load(f)
        # Of another tick of the clock: two processes of one tick look alike.
        victim = subprocess.Popen(["sleep", "1000"])
        while started(victim.pid) == state["startTime"]:
            victim.kill()
            victim.wait()
            victim = subprocess.Popen(["sleep", "1000"])
        try:
            os.kill(state["pid"], signal.SIGKILL)
            state["pid"] = victim.pid
            with open(path, "w") as f:
                json.dump(state, f)
            self.assertFails(r.call("kill", c, "KILL"), "not running")
            r.must("delete", "--force", c)
            self.assertIsNone(victim.poll())
        finally:
            victim.kill()
            victim.wait()

    def test_swapped_mount_point_reaches_no_host_directory(self):
        # CVE-2021-30465, CVE-2024-45310: what is at the destination changes
        # between directory and link while the runtime looks.
        r = self.runtime
        rounds = int(os.environ.get("OCI_RACE_ROUNDS", "40"))
        with tempfile.TemporaryDirectory() as outside:
            volume = tempfile.mkdtemp(dir=r.directory)
            os.mkdir(os.path.join(volume, "a"))
            os.symlink("../" * 20 + outside[1:], os.path.join(volume, "b"))
            stop = threading.Event()
            thread = threading.Thread(target=swap, args=(volume, stop))
            thread.start()
            try:
                for _ in range(rounds):
                    b = r.bundle("/bin/true")
                    b.config["mounts"] += [
                        rt.mount("/v", "bind", volume, "rbind"),
                        rt.mount("/v/a/made", "tmpfs", "tmpfs")]
                    r.run(b)
                    self.assertEqual(os.listdir(outside), [])
            finally:
                stop.set()
                thread.join()


def swap(volume, stop):
    """Exchanges a and b without end (renameat2, RENAME_EXCHANGE)."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    a = os.path.join(volume, "a").encode()
    b = os.path.join(volume, "b").encode()
    while not stop.is_set():
        libc.renameat2(-100, a, -100, b, 2)
