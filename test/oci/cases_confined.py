"""From the filter to execve, and what a program may be found by."""
import os

import runtime as rt
from case import RuntimeTest, is_alive

X86 = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
BOTH = (True, False)


def refuse(*names, action="SCMP_ACT_ERRNO"):
    rule = {"names": list(names), "action": action}
    if action == "SCMP_ACT_ERRNO":
        rule["errnoRet"] = 1
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": X86,
            "syscalls": [rule]}


def allow_only(*names, action="SCMP_ACT_ERRNO"):
    return {"defaultAction": action, "architectures": X86,
            "syscalls": [{"names": list(names),
                          "action": "SCMP_ACT_ALLOW"}]}


class Filter(RuntimeTest):
    """Between loading the filter and execve there is next to nothing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = os.path.join(cls.runtime.directory, "quiet")
        rt.compile_static("quiet.c", cls.program, "-nostdlib")

    def quiet(self, profile, no_new_privileges, uid=0):
        """A bundle that runs quiet, found in PATH."""
        b = self.runtime.bundle("quiet")
        os.link(self.program, os.path.join(b.rootfs, "bin/quiet"))
        b.process["noNewPrivileges"] = no_new_privileges
        b.process["user"] = {"uid": uid, "gid": uid}
        b.linux["seccomp"] = profile
        return b

    def check_runs(self, profile, uid=0):
        for no_new_privileges in BOTH:
            done = self.runtime.run(
                self.quiet(profile, no_new_privileges, uid))
            self.assertEqual(done.returncode, 7, (
                no_new_privileges, profile["syscalls"][0]["names"],
                done.stderr))

    def check_execs(self, profile):
        for no_new_privileges in BOTH:
            b = self.quiet(profile, no_new_privileges)
            b.process["args"] = ["/bin/sleep", "1000"]
            c = self.runtime.start_new(b)
            done = self.runtime.call("exec", c, "quiet")
            self.assertEqual(done.returncode, 7, done.stderr)

    def test_profiles_older_than_a_system_call(self):
        for name in ("close_range", "faccessat2", "statx", "clone3", "openat2",
                     "pidfd_open", "pidfd_send_signal"):
            self.check_runs(refuse(name))
            self.check_runs(refuse(name), uid=1000)

    def test_exec_with_profiles_older_than_a_system_call(self):
        for name in ("close_range", "faccessat2", "clone3"):
            self.check_execs(refuse(name))

    def test_program_is_found_without_looking_at_files(self):
        self.check_runs(refuse("newfstatat", "fstatat64", "stat", "lstat",
                               "statx", "faccessat2", "faccessat", "access"))

    def test_program_that_is_missing_is_told_as_ever(self):
        for no_new_privileges in BOTH:
            b = self.quiet(refuse("newfstatat", "faccessat2"),
                           no_new_privileges)
            b.process["args"] = ["no-such-program"]
            self.assertFails(self.runtime.run(b),
                             "executable file not found in $PATH")

    def test_next_to_nothing_is_needed(self):
        for action in ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"):
            profile = allow_only("execve", "exit", action=action)
            done = self.runtime.run(self.quiet(profile, True))
            self.assertEqual(done.returncode, 7, done.stderr)
            profile = allow_only("execve", "exit", "capset", "read", "write",
                                 action=action)
            self.check_runs(profile)
            self.check_runs(profile, uid=1000)

    def test_capabilities_are_what_was_asked_for(self):
        for uid in (0, 1000):
            for no_new_privileges in BOTH:
                b = self.quiet(refuse("mount"), no_new_privileges, uid)
                b.process["capabilities"] = {
                    s: ["CAP_CHOWN", "CAP_KILL"] for s in
                    ("bounding", "effective", "permitted", "inheritable",
                     "ambient")}
                out = self.runtime.shell(b, "grep Cap /proc/self/status")
                self.assertEqual({line.split()[1] for line in
                                  out.splitlines()}, {"%016x" % 0x21}, out)

    def test_hooks_inside_are_filtered(self):
        for no_new_privileges in BOTH:
            b = self.quiet(refuse("mkdir", "mkdirat"), no_new_privileges)
            b.config["hooks"] = {"startContainer": [
                {"path": "/bin/sh", "env": ["PATH=/bin"], "args": [
                    "sh", "-c", "mkdir /escaped; echo ran > /ran; "
                    "grep CapEff /proc/self/status >> /ran"]}]}
            done = self.runtime.run(b)
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertFalse(os.path.exists(
                os.path.join(b.rootfs, "escaped")))
            with open(os.path.join(b.rootfs, "ran")) as f:
                said = f.read().split()
            self.assertEqual(said[0], "ran")
            # CAP_SYS_ADMIN, which loading a filter may take, is not left.
            self.assertEqual(int(said[2], 16) & 1 << 21, 0)


class Descriptors(RuntimeTest):
    """What the caller left open is closed before anything is looked up."""

    def setUp(self):
        super().setUp()
        self.leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, self.leaked)

    def paths(self):
        yield "/proc/self/fd/%d%s" % (self.leaked, rt.BUSYBOX)
        yield "/proc/self/fd/%d/proc/self/exe" % self.leaked
        yield "/proc/thread-self/fd/%d/../%s" % (self.leaked, rt.BUSYBOX)

    def scripts(self, bundle):
        """As an interpreter, and as the interpreter of a script of one."""
        for i, path in enumerate(self.paths()):
            name = "bin/script%d" % i
            bundle.write(name, "#!%s\n" % path, 0o755)
            yield "/" + name

    def test_program_by_a_leaked_descriptor(self):
        r = self.runtime
        b = r.bundle()
        for path in list(self.paths()) + list(self.scripts(b)):
            b.process["args"] = [path, "true"]
            done = r.run(b, pass_fds=[self.leaked])
            self.assertNotEqual(done.returncode, 0, path)

    def test_exec_by_a_leaked_descriptor(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        scripts = list(self.scripts(b))
        c = r.start_new(b)
        for path in list(self.paths()) + scripts:
            done = r.call("exec", c, path, "true", pass_fds=[self.leaked])
            self.assertNotEqual(done.returncode, 0, path)

    def test_waiting_init_holds_none(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        c = r.create(b, pass_fds=[self.leaked])
        directory = "/proc/%d/fd" % r.state(c)["pid"]
        held = {fd: os.readlink(os.path.join(directory, fd))
                for fd in os.listdir(directory)}
        for fd, target in held.items():
            if int(fd) > 2:
                self.assertNotRegex(target, r"^/$|^socket:|event|signalfd")

    def test_preserved_ones_stay(self):
        r = self.runtime
        if self.leaked != 3:
            self.addCleanup(os.close, os.dup2(self.leaked, 3))
        b = r.bundle()
        b.process["args"] = ["/bin/sh", "-c", "ls /proc/self/fd"]
        done = r.run(b, "--preserve-fds", "1", pass_fds=[3])
        self.assertIn("3", done.stdout.split(), done.stderr)


class Refused(RuntimeTest):
    def test_ids_that_mean_none(self):
        r = self.runtime
        for user in ({"uid": 4294967295, "gid": 0},
                     {"uid": 0, "gid": 4294967295},
                     {"uid": 0, "gid": 0, "additionalGids": [4294967295]}):
            b = r.bundle("/bin/id", "-u")
            b.process["user"] = user
            self.assertNotEqual(r.run(b).returncode, 0, user)
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        for flags in (["--user", "4294967295"], ["--user", "0:4294967295"],
                      ["--additional-gids", "4294967295"]):
            done = r.call("exec", *flags, c, "/bin/id", "-u")
            self.assertNotEqual(done.returncode, 0, flags)

    def test_exec_makes_no_directory(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        shared = os.path.join(b.path, "shared")
        os.mkdir(shared)
        b.config["mounts"].append(rt.mount("/shared", "bind", shared, "bind"))
        c = r.start_new(b)
        for path in ("/made/up", "/shared/made/up"):
            self.assertFails(r.call("exec", "--cwd", path, c, "/bin/true"),
                             "no such file or directory")
        self.assertFalse(os.path.exists(os.path.join(b.rootfs, "made")))
        self.assertEqual(os.listdir(shared), [])


    def test_without_a_pivot_no_other_procfs_is_left(self):
        b = self.runtime.bundle()
        b.linux["maskedPaths"] = ["/proc/meminfo"]
        for flags in ([], ["--no-pivot"]):
            b.process["args"] = ["/bin/busybox", "unshare", "-Urmpf", "mount",
                                 "-t", "proc", "proc", "/tmp"]
            done = self.runtime.run(b, *flags)
            self.assertNotEqual(done.returncode, 0, flags)
            self.assertIn("permission denied", done.stderr)


class KilledWhole(RuntimeTest):
    """KILL reaches all that belongs to the container."""

    def host_pids(self, *args):
        b = self.runtime.bundle(*args)
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "pid"]
        return b

    def test_those_that_the_init_left_behind(self):
        r = self.runtime
        b = self.host_pids("/bin/sh", "-c",
                           "sleep 1000 & echo $! > /child; exit 0")
        c = r.start_new(b)
        r.wait_stopped(c)
        with open(os.path.join(b.rootfs, "child")) as f:
            child = int(f.read())
        self.assertTrue(is_alive(child))
        r.must("kill", c, "KILL")
        rt.wait_until(lambda: not is_alive(child), "the child's end")

    def test_those_that_it_left_in_anothers_pid_namespace(self):
        r = self.runtime
        owner = r.start_new(r.bundle("/bin/sleep", "1000"))
        b = r.bundle("/bin/sh", "-c", "sleep 1000 & exit 0")
        for namespace in b.linux["namespaces"]:
            if namespace["type"] == "pid":
                namespace["path"] = "/proc/%d/ns/pid" % r.state(owner)["pid"]
        c = r.start_new(b)
        r.wait_stopped(c)

        def left():
            return rt.cgroup_file(c, "pids", "cgroup.procs").split()

        self.assertEqual(len(left()), 1)
        r.must("kill", c, "KILL")
        rt.wait_until(lambda: not left(), "the child's end")
        self.assertEqual(r.status(owner), "running")

    def test_an_init_that_left_its_cgroup(self):
        r = self.runtime
        for verb in (["kill"], ["delete", "--force"]):
            c = r.start_new(self.host_pids("/bin/sleep", "1000"))
            pid = r.state(c)["pid"]
            for directory in rt.cgroup_directories(c):
                place = os.path.dirname(directory)
                if os.path.exists(directory + "/cgroup.controllers"):
                    # On v2 a group of groups holds no processes.
                    place += "/left-" + c
                    os.mkdir(place)
                    self.addCleanup(os.rmdir, place)
                with open(place + "/cgroup.procs", "w") as f:
                    f.write(str(pid))
            r.must(*verb, c, *(["KILL"] if verb == ["kill"] else []))
            rt.wait_until(lambda: not is_alive(pid), "the init's end")


class Surroundings(RuntimeTest):
    def test_exec_has_the_personality(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["personality"] = {"domain": "LINUX32"}
        c = r.start_new(b)
        done = r.call("exec", c, "/bin/busybox", "uname", "-m")
        self.assertNotEqual(done.stdout.strip(), os.uname().machine)

    def test_hooks_without_an_environment(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        program = os.path.join(b.path, "hook.sh")
        with open(program, "w") as f:
            f.write("#!/bin/sh\n(echo $1 $MINE; pwd) >> %s/said\n" % b.path)
        os.chmod(program, 0o755)
        names = ["prestart", "createRuntime", "poststart", "poststop"]
        b.config["hooks"] = {n: [{"path": program, "args": ["hook", n]}]
                             for n in names}
        b.config["hooks"]["startContainer"] = [{
            "path": "/bin/sh",
            "args": ["sh", "-c", "echo $OWN > /inside; pwd >> /inside"]}]
        b.process["env"].append("OWN=yes")
        b.process["cwd"] = "/tmp"
        env = dict(os.environ, MINE="here")
        done = r.run(b, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(b.path, "said")) as f:
            said = f.read().splitlines()
        self.assertEqual(said[::2], [n + " here" for n in names])
        self.assertEqual(set(said[1::2]), {b.path})
        with open(os.path.join(b.rootfs, "inside")) as f:
            self.assertEqual(f.read().split(), ["yes", "/tmp"])

    def test_what_is_passed_over_is_told(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.process["capabilities"]["bounding"].append("CAP_NONSENSE")
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("CAP_NONSENSE", done.stderr)
        b = r.bundle("/bin/true")
        b.config["hooks"] = {"poststop": [{"path": "/bin/false"}]}
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hook", done.stderr)
