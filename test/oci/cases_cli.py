"""The command line: what callers of runc give, and read of its answers."""
import json
import os
import subprocess
import tempfile

import runtime as rt
from case import RuntimeTest

VERBS = ("create delete events exec features kill list pause ps resume run "
         "spec start state update").split()


class CommandLine(RuntimeTest):
    def test_help_of_each_verb(self):
        r = self.runtime
        for verb in VERBS:
            for words in ((verb, "--help"), (verb, "-h")):
                with self.subTest(words):
                    done = r.call(*words)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn(verb, done.stdout)
                    self.assertIn("usage", done.stdout.lower())

    def test_help_names_the_flags(self):
        r = self.runtime
        for verb, flags in (
                ("create", "bundle console-socket pid-file no-pivot "
                           "no-new-keyring preserve-fds"),
                ("run", "bundle detach keep no-subreaper"),
                ("exec", "cwd env tty user additional-gids process detach "
                         "pid-file process-label apparmor no-new-privs cap "
                         "preserve-fds cgroup ignore-paused"),
                ("update", "resources cpu-quota memory-swap pids-limit"),
                ("events", "interval stats"), ("list", "format quiet"),
                ("ps", "format"), ("delete", "force")):
            with self.subTest(verb):
                out = r.must(verb, "--help").stdout
                for flag in flags.split():
                    self.assertIn("--" + flag, out)

    def test_help_of_the_program(self):
        r = self.runtime
        for words in ((), ("--help",), ("-h",), ("help",)):
            with self.subTest(words):
                done = subprocess.run(r.command + list(words),
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0)
                for verb in VERBS:
                    self.assertIn(verb, done.stdout)

    def test_wrong_usage(self):
        r = self.runtime
        for words, code, told, shown in (
                (("start",), 1, "requires exactly 1 argument", "Incorrect"),
                (("start", "a", "b"), 1, "exactly 1 argument", "Incorrect"),
                (("state",), 1, "requires exactly 1 argument", "Incorrect"),
                (("kill",), 1, "a minimum of 1 argument", "Incorrect"),
                (("exec",), None, "a minimum of 1 argument", "Incorrect"),
                (("ps",), 1, "a minimum of 1 argument", "Incorrect"),
                (("create", "--nope"), 1, "not defined: -nope", "Incorrect"),
                (("create", "--bundle"), 1, "needs an argument", "Incorrect"),
                (("nonsense",), 3, "No help topic for 'nonsense'", "")):
            with self.subTest(words):
                done = r.call(*words)
                if code is not None:
                    self.assertEqual(done.returncode, code)
                self.assertNotEqual(done.returncode, 0)
                # As callers read it, quotes escaped.
                self.assertIn(told, done.stderr)
                self.assertIn(shown, done.stdout)

    def test_version(self):
        r = self.runtime
        for flag in ("--version", "-v"):
            done = subprocess.run(r.command + [flag], capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 0)
            lines = done.stdout.splitlines()
            self.assertRegex(lines[0], r"^\S+ version \S+")
            self.assertTrue(any(l.startswith("spec: 1.") for l in lines))

    def test_debug_says_more(self):
        r = self.runtime
        for extra, wanted in (([], False), (["--debug"], True)):
            log = os.path.join(r.directory, "debug.log")
            b = r.bundle("/bin/true")
            command = r.command + extra + [
                "--log", log, "--log-format", "json", "--root", r.root,
                "run", "--bundle", b.path, r.save_new(b)]
            subprocess.run(command, check=True, capture_output=True)
            text = ""
            if os.path.exists(log):
                with open(log) as f:
                    text = f.read()
                os.unlink(log)
            levels = [json.loads(line)["level"] for line in text.splitlines()]
            self.assertEqual("debug" in levels, wanted)

    def test_rootless_takes_three_words(self):
        r = self.runtime
        for word, good in (("true", True), ("false", True), ("auto", True),
                           ("maybe", False)):
            with self.subTest(word):
                b = r.bundle("/bin/true")
                done = subprocess.run(
                    r.command + ["--rootless", word, "--root", r.root, "run",
                                 "--bundle", b.path, r.save_new(b)],
                    capture_output=True)
                self.assertEqual(done.returncode == 0, good, done.stderr)

    def test_spec(self):
        r = self.runtime
        for flags, user in (([], False), (["--rootless"], True)):
            with self.subTest(flags), tempfile.TemporaryDirectory() as folder:
                r.must("spec", "--bundle", folder, *flags)
                with open(os.path.join(folder, "config.json")) as f:
                    spec = json.load(f)
                self.assertEqual(spec["process"]["args"], ["sh"])
                types = {n["type"] for n in spec["linux"]["namespaces"]}
                self.assertEqual("user" in types, user)
                self.assertEqual("network" in types, not user)
                if user:
                    self.assertEqual(
                        spec["linux"]["uidMappings"],
                        [{"containerID": 0, "hostID": 0, "size": 1}])
                    self.assertNotIn("resources", spec["linux"])
                # Never over what somebody wrote.
                self.assertNotEqual(
                    r.call("spec", "--bundle", folder).returncode, 0)

    def test_rootless_spec_runs(self):
        r = self.runtime
        b = r.bundle()
        with tempfile.TemporaryDirectory() as folder:
            r.must("spec", "--rootless", "--bundle", folder)
            with open(os.path.join(folder, "config.json")) as f:
                b.config = json.load(f)
        b.process.update(terminal=False, args=["/bin/sh", "-c", "id -u"])
        b.config["root"]["readonly"] = False
        done = r.run(b)
        self.assertEqual((done.returncode, done.stdout), (0, "0\n"),
                         done.stderr)


class Texts(RuntimeTest):
    """What callers look for in errors."""

    def assertSays(self, text, *args, **kwargs):
        done = self.runtime.call(*args, **kwargs)
        self.assertNotEqual(done.returncode, 0, args)
        self.assertIn(text, done.stderr)

    def test_of_a_container_that_is_not_there(self):
        for verb in ("start", "state", "delete", "kill", "pause", "resume",
                     "ps", "update", "events"):
            with self.subTest(verb):
                self.assertSays("does not exist", verb, "nobody")
        self.assertSays("does not exist", "exec", "nobody", "/bin/true")

    def test_through_a_life(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        c = r.create(b)
        self.assertSays("container with given ID already exists", "create",
                        "--bundle", b.path, c)
        self.assertSays("container not paused", "resume", c)
        r.must("start", c)
        self.assertSays("cannot start an already running container",
                        "start", c)
        self.assertSays("that is not stopped: running", "delete", c)
        r.must("pause", c)
        self.assertSays(
            "cannot exec in a paused container (use --ignore-paused to "
            "override)", "exec", c, "/bin/true")
        r.must("resume", c)
        r.must("kill", c, "KILL")
        r.wait_stopped(c)
        self.assertSays("cannot start a container that has stopped",
                        "start", c)
        self.assertSays("cannot exec in a stopped container", "exec", c,
                        "/bin/true")
        self.assertSays("container not running", "kill", c)
        self.assertSays("container not running", "pause", c)

    def test_of_bad_arguments(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.save()
        self.assertSays("invalid container ID format", "create", "--bundle",
                        b.path, "a/b")
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        self.assertSays("Intel RDT/CAT: l3 cache schema is not enabled",
                        "update", "--l3-cache-schema", "L3:0=f", c)
        self.assertSays("Intel RDT/MBA: memory bandwidth schema is not "
                        "enabled", "update", "--mem-bw-schema", "MB:0=9", c)


class Events(RuntimeTest):
    def test_statistics_once(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        event = json.loads(r.must("events", "--stats", c).stdout)
        self.assertEqual((event["type"], event["id"]), ("stats", c))
        data = event["data"]
        self.assertGreater(data["cpu"]["usage"]["total"], 0)
        self.assertIn("throttling", data["cpu"])
        for key in ("limit", "usage", "max", "failcnt"):
            self.assertIn(key, data["memory"]["usage"])
        self.assertGreater(data["memory"]["usage"]["usage"], 0)
        self.assertIn("raw", data["memory"])
        self.assertEqual(data["pids"]["current"], 1)
        for key in ("blkio", "hugetlb", "intel_rdt"):
            self.assertIn(key, data)

    def test_limits_are_shown(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(memory={"limit": 64 << 20},
                                    pids={"limit": 77})
        c = r.start_new(b)
        data = json.loads(r.must("events", "--stats", c).stdout)["data"]
        self.assertEqual(data["memory"]["usage"]["limit"], 64 << 20)
        self.assertEqual(data["pids"]["limit"], 77)

    def test_again_and_again_until_the_end(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        child = subprocess.Popen(
            r.command + ["--root", r.root, "events", "--interval", "50ms", c],
            stdout=subprocess.PIPE, text=True)
        with child:
            for _ in range(3):
                self.assertEqual(json.loads(child.stdout.readline())["id"], c)
            r.must("delete", "--force", c)
            child.stdout.read()
            self.assertEqual(child.wait(rt.DEADLINE), 0)

    def test_out_of_memory(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c",
                     "while [ ! -e /go ]; do sleep 0.05; done; "
                     "head -c 200m /dev/zero | tail -c 150m; sleep 1000")
        os.symlink("busybox", os.path.join(b.rootfs, "bin", "tail"))
        b.linux["resources"]["memory"] = {"limit": 20 << 20, "swap": 20 << 20}
        c = r.start_new(b)
        child = subprocess.Popen(
            r.command + ["--root", r.root, "events", "--interval", "50ms", c],
            stdout=subprocess.PIPE, text=True)
        with child:
            child.stdout.readline()  # it watches from now on
            b.write("go", "")
            types = (json.loads(line)["type"] for line in child.stdout)
            told = "oom" in types
            r.must("delete", "--force", c)
            child.stdout.read()
        self.assertTrue(told)

    def test_bad_calls(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        for interval in ("0s", "-1s", "x", "5"):
            with self.subTest(interval):
                self.assertNotEqual(
                    r.call("events", "--interval=" + interval, c).returncode,
                    0)
        r.must("kill", c, "KILL")
        r.wait_stopped(c)
        self.assertFails(r.call("events", "--stats", c), "not running")
        self.assertFails(r.call("events", "--stats", "nobody"),
                         "does not exist")


class HandedOver(RuntimeTest):
    """Descriptors that go in and out beside the streams."""

    def test_pidfd_sockets(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        socket_ = rt.ConsoleSocket(r.directory)
        self.addCleanup(socket_.close)

        def pid_of_received():
            _, fd = socket_.receive()
            try:
                with open("/proc/self/fdinfo/%d" % fd) as f:
                    return int(f.read().split("Pid:")[1].split()[0])
            finally:
                os.close(fd)

        c = r.create(b, "--pidfd-socket", socket_.path)
        self.assertEqual(pid_of_received(), r.state(c)["pid"])
        pid_file = os.path.join(r.directory, "exec.pid")
        r.must("start", c)
        r.must("exec", "--detach", "--pid-file", pid_file, "--pidfd-socket",
               socket_.path, c, "/bin/sleep", "1000")
        with open(pid_file) as f:
            self.assertEqual(pid_of_received(), int(f.read()))

    def test_nobody_at_the_pidfd_socket(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        done = r.run(b, "--detach", "--pidfd-socket", "/no/such/socket")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotEqual(r.call("state", r.ids[-1]).returncode, 0)
        self.assertEqual(rt.cgroup_directories(r.ids[-1]), [])

    def test_listening_sockets(self):
        r = self.runtime
        script = "echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd"
        for extra, fds in (([], 1), (["--preserve-fds", "1"], 2)):
            with self.subTest(extra):
                b = r.bundle("/bin/sh", "-c", script)
                container = r.save_new(b)
                command = r.command + ["--root", r.root, "run", *extra,
                                       "--bundle", b.path, container]
                out = self.with_descriptors(command, fds)
                self.assertTrue(out.startswith("1 1\n"), out)
                # Those passed on, and the one that ls has open.
                self.assertEqual(
                    [int(n) for n in out.split()[2:]],
                    list(range(3 + fds)) + [3 + fds])

    def with_descriptors(self, command, count):
        """The output of a command that has so many beside its streams."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(write, 1)
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                null = os.open("/dev/null", os.O_RDONLY)
                for fd in range(3, 3 + count):
                    os.dup2(null, fd)
                    os.set_inheritable(fd, True)
                os.closerange(3 + count, 200)
                os.environ["LISTEN_FDS"] = "1"
                os.environ["LISTEN_PID"] = str(os.getpid())
                os.execvp(command[0], command)
            finally:
                os._exit(127)
        os.close(write)
        with open(read) as f:
            out = f.read()
        _, status = os.waitpid(child, 0)
        self.assertEqual(status, 0, out)
        return out
