"""Containers that an ordinary user makes."""
import json
import os
import stat
import unittest

import runtime as rt
import user_runtime as user
from case import RuntimeTest
from user_runtime import GID, UID


class UserTest(RuntimeTest):
    @classmethod
    def setUpClass(cls):
        cls.runtime = user.UserRuntime()


needs_maps = unittest.skipUnless(user.can_map(),
                                 "needs newuidmap (package uidmap)")


class Rootless(UserTest):
    """One id, which the kernel lets everybody map."""

    def shell(self, script, change=lambda b: None):
        b = self.runtime.bundle()
        change(b)
        return self.runtime.shell(b, script)

    def fails(self, change, *words):
        b = self.runtime.bundle("/bin/true")
        change(b)
        self.assertFails(self.runtime.run(b), *words)

    def test_is_root_of_one_id(self):
        out = self.shell("id -u; id -g; cat /proc/self/uid_map "
                         "/proc/self/gid_map /proc/self/setgroups")
        self.assertEqual(out.split(), [
            "0", "0", "0", str(UID), "1", "0", str(GID), "1", "deny"])

    def test_example_configuration(self):
        r = self.runtime
        b = r.bundle()
        os.chown(b.path, UID, GID)
        r.must("spec", "--rootless", "--bundle", b.path)
        with open(os.path.join(b.path, "config.json")) as f:
            b.config = json.load(f)
        b.process["terminal"] = False
        self.assertEqual(r.shell(b, "id -u").strip(), "0")

    def test_default_devices(self):
        out = self.shell("for d in null zero full random urandom tty; do "
                         "test -c /dev/$d && echo $d; done; "
                         "echo x > /dev/null; head -c 3 /dev/zero | wc -c")
        self.assertEqual(out.split(), ["null", "zero", "full", "random",
                                       "urandom", "tty", "3"])

    def test_links_of_dev(self):
        out = self.shell("readlink /dev/fd; readlink /dev/ptmx")
        self.assertEqual(out.split(), ["/proc/self/fd", "pts/ptmx"])

    def test_device_of_the_configuration(self):
        def change(b):
            b.linux["devices"] = [{"path": "/dev/full", "type": "c",
                                   "major": 1, "minor": 7}]
        self.assertEqual(self.shell("test -c /dev/full && echo yes", change),
                         "yes\n")

    def test_device_that_the_host_lacks(self):
        self.fails(lambda b: b.linux.update(devices=[
            {"path": "/dev/no-such", "type": "c", "major": 1, "minor": 7}]))

    def test_files_belong_to_the_user(self):
        r = self.runtime
        b = r.bundle()
        r.shell(b, "touch /tmp/made")
        st = os.stat(os.path.join(b.rootfs, "tmp/made"))
        self.assertEqual((st.st_uid, st.st_gid), (UID, GID))

    def test_has_no_power_over_the_host(self):
        r = self.runtime
        b = r.bundle()
        secret = os.path.join(r.directory, "secret")
        with open(secret, "w") as f:
            f.write("secret")
        os.chmod(secret, 0o600)
        b.config["mounts"].append(rt.mount("/tmp/s", "bind", secret, "bind"))
        out = r.shell(b, "cat /tmp/s || echo denied; "
                         "chown 0 /tmp/s || echo denied")
        self.assertEqual(out.split(), ["denied", "denied"])

    def test_lifecycle(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/sleep", "1000"))
        self.assertEqual(r.status(c), "created")
        r.must("start", c)
        self.assertEqual(r.status(c), "running")
        self.assertIn(c, r.must("list").stdout)
        r.must("kill", c, "KILL")
        r.wait_stopped(c)
        r.must("delete", c)
        self.assertNotIn(c, r.must("list").stdout)

    def test_owner_is_told(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/true"))
        self.assertEqual(r.state(c)["owner"], "suite")

    def test_delete_force(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        r.must("delete", "--force", c)
        self.assertFails(r.call("state", c), "does not exist")

    def test_kill_all(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        r.must("kill", "--all", c, "KILL")
        r.wait_stopped(c)

    def test_exit_code(self):
        self.assertEqual(self.runtime.run(
            self.runtime.bundle("/bin/sh", "-c", "exit 7")).returncode, 7)

    def test_exec(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        done = r.call("exec", "--env", "A=b", "--cwd", "/tmp", c, "/bin/sh",
                      "-c", "id -u; pwd; echo $A; cat /proc/self/uid_map; "
                      "ps | grep -c '[s]leep 1000'; exit 3")
        self.assertEqual((done.returncode, done.stdout.split()), (
            3, ["0", "/tmp", "b", "0", str(UID), "1", "1"]))

    def test_exec_is_in_all_namespaces(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        script = ("for n in user pid net ipc uts mnt; do "
                  "readlink /proc/%s/ns/$n; done")
        done = r.must("exec", c, "/bin/sh", "-c",
                      script % "self" + "; " + script % 1)
        lines = done.stdout.split()
        self.assertEqual(lines[:6], lines[6:])

    def test_exec_with_a_terminal(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        os.chmod(r.directory, 0o777)
        socket = rt.ConsoleSocket(r.directory)
        os.chmod(socket.path, 0o777)
        try:
            r.must("exec", "--tty", "--detach", "--console-socket",
                   socket.path, c, "/bin/sh", "-c", "tty; sleep 1000")
            _, master = socket.receive()
            with os.fdopen(master, "rb", buffering=0) as f:
                self.assertIn(b"/dev/pts/", f.read(64))
        finally:
            socket.close()

    def test_terminal(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "tty; test -c /dev/console && echo yes")
        b.process["terminal"] = True
        os.chmod(r.directory, 0o777)
        socket = rt.ConsoleSocket(r.directory)
        os.chmod(socket.path, 0o777)
        try:
            r.start_new(b, "--console-socket", socket.path)
            _, master = socket.receive()
            text = b""
            while b"yes" not in text:
                text += os.read(master, 64)
            os.close(master)
        finally:
            socket.close()
        self.assertIn(b"/dev/pts/0", text)

    def test_new_network(self):
        out = self.shell("ip link show lo | grep -c UP; "
                         "grep -c '^sysfs /sys' /proc/mounts")
        self.assertEqual(out.split(), ["1", "1"])

    def test_hosts_network(self):
        def change(b):
            b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                     if n["type"] != "network"]
            b.config["mounts"][-1] = rt.mount("/sys", "none", "/sys", "rbind",
                                              *rt.PLAIN, "ro")
        out = self.shell("readlink /proc/self/ns/net; ls /sys/class", change)
        self.assertIn(os.readlink("/proc/self/ns/net"), out)
        self.assertIn("net", out.split())

    def test_sysfs_of_the_hosts_network(self):
        def change(b):
            b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                     if n["type"] != "network"]
        self.assertIn("net", self.shell("ls /sys/class", change).split())

    def test_procfs_of_the_hosts_processes(self):
        def change(b):
            b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                     if n["type"] != "pid"]
        out = self.shell("readlink /proc/self/ns/pid", change)
        self.assertEqual(out.strip(), os.readlink("/proc/self/ns/pid"))

    def test_mqueue_of_the_host(self):
        def change(b):
            b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                     if n["type"] != "ipc"]
            b.config["mounts"].append(
                rt.mount("/dev/mqueue", "mqueue", "mqueue", *rt.PLAIN))
        if not os.path.ismount("/dev/mqueue"):
            self.skipTest("the machine has no /dev/mqueue")
        self.assertIn("mqueue", self.shell("cat /proc/mounts", change))

    def test_cgroups_are_shown(self):
        def change(b):
            b.config["mounts"].append(
                rt.mount("/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN,
                         "ro"))
            b.linux["namespaces"].append({"type": "cgroup"})
        self.assertTrue(self.shell("ls /sys/fs/cgroup", change).split())

    def test_readonly_root(self):
        out = self.shell("touch /made || echo refused",
                         lambda b: b.config["root"].update(readonly=True))
        self.assertEqual(out, "refused\n")

    def test_masked_and_readonly_paths(self):
        def change(b):
            b.linux["maskedPaths"] = ["/proc/keys", "/proc/acpi", "/root"]
            b.linux["readonlyPaths"] = ["/proc/sys", "/etc"]
            b.write("root/seen", "x")
        out = self.shell("cat /proc/keys | wc -c; ls /root | wc -l; "
                         "touch /etc/x || echo refused", change)
        self.assertEqual(out.split(), ["0", "0", "refused"])

    def test_binds(self):
        r = self.runtime
        b = r.bundle()
        shared = os.path.join(b.path, "shared")
        os.mkdir(shared)
        b.config["mounts"] += [
            rt.mount("/mnt/rw", "bind", shared, "rbind"),
            rt.mount("/mnt/ro", "bind", shared, "rbind", "ro")]
        out = r.shell(b, "echo text > /mnt/rw/f; cat /mnt/ro/f; "
                         "touch /mnt/ro/g || echo refused")
        self.assertEqual(out.split(), ["text", "refused"])

    def test_tmpfs_and_copy_up(self):
        def change(b):
            b.write("etc/kept", "kept")
            b.config["mounts"] += [
                rt.mount("/etc", "tmpfs", "tmpfs", "tmpcopyup"),
                rt.mount("/mnt/t", "tmpfs", "tmpfs", "size=64k")]
        self.assertEqual(self.shell("cat /etc/kept; touch /mnt/t/x", change),
                         "kept")

    def test_sysctls(self):
        out = self.shell("cat /proc/sys/net/ipv4/ip_forward", lambda b: (
            b.linux.update(sysctl={"net.ipv4.ip_forward": "1"})))
        self.assertEqual(out, "1\n")

    def test_host_name(self):
        self.assertEqual(self.shell("hostname"), "suite\n")

    def test_capabilities_are_of_the_namespace(self):
        out = self.shell("grep CapEff /proc/self/status; "
                         "mount -t tmpfs x /tmp || echo refused")
        self.assertIn("refused", out)
        self.assertNotEqual(int(out.split()[1], 16), 0)

    def test_no_capabilities(self):
        out = self.shell("grep Cap /proc/self/status", lambda b: (
            b.process.update(capabilities={})))
        self.assertEqual({int(l.split()[1], 16) for l in out.splitlines()},
                         {0})

    def test_filter(self):
        def change(b):
            b.process["noNewPrivileges"] = False
            b.linux["seccomp"] = {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"],
                              "action": "SCMP_ACT_ERRNO"}]}
        self.assertEqual(self.shell("mkdir /tmp/x || echo refused", change),
                         "refused\n")

    def test_limits_of_a_process(self):
        out = self.shell("ulimit -n", lambda b: b.process.update(
            rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]))
        self.assertEqual(out, "100\n")

    def test_out_of_memory_score_goes_up(self):
        out = self.shell("cat /proc/self/oom_score_adj",
                         lambda b: b.process.update(oomScoreAdj=500))
        self.assertEqual(out, "500\n")

    def test_out_of_memory_score_is_not_lowered(self):
        r = self.runtime
        b = r.bundle("/bin/cat", "/proc/self/oom_score_adj")
        b.process["oomScoreAdj"] = -500
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open("/proc/self/oom_score_adj") as f:
            self.assertEqual(done.stdout, f.read())
        self.assertIn("oomScoreAdj", done.stderr)

    def test_score_is_told_by_one_in_a_new_time_namespace(self):
        r = self.runtime
        # It is born by another process, and may be the first to speak.
        for _ in range(15):
            b = r.bundle("/bin/true")
            b.linux["namespaces"].append({"type": "time"})
            b.process["oomScoreAdj"] = -500
            done = r.run(b)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("oomScoreAdj", done.stderr)

    def test_score_of_an_exec(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.process["oomScoreAdj"] = 300
        c = r.start_new(b)
        self.assertEqual(r.must("exec", c, "/bin/cat",
                                "/proc/self/oom_score_adj").stdout, "300\n")

    def test_hooks_are_the_users(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        said = os.path.join(b.path, "said")
        b.config["hooks"] = {n: [{"path": "/bin/sh", "args": [
            "sh", "-c", "id -u >> " + said]}] for n in (
                "prestart", "createRuntime", "poststart", "poststop")}
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(said) as f:
            self.assertEqual(f.read().split(), [str(UID)] * 4)

    def test_additional_groups_are_refused(self):
        self.fails(lambda b: b.process["user"].update(additionalGids=[5]),
                   "cannot set any additional groups")

    def test_user_that_is_not_mapped(self):
        self.fails(lambda b: b.process["user"].update(uid=5))

    def test_ids_of_somebody_else(self):
        self.fails(lambda b: b.linux.update(
            uidMappings=user.ids((0, 0, 1)), gidMappings=user.ids((0, 0, 1))))

    def test_network_devices_are_refused(self):
        self.fails(lambda b: b.linux.update(netDevices={"lo": {}}))

    def test_mapped_mounts_are_refused(self):
        def change(b):
            m = rt.mount("/mnt", "bind", b.rootfs, "bind")
            m.update(uidMappings=user.ids((0, 0, 1)),
                     gidMappings=user.ids((0, 0, 1)))
            b.config["mounts"].append(m)
        self.fails(change)

    def test_root_is_not_mapped(self):
        def change(b):
            b.linux.update(uidMappings=user.ids((1000, UID, 1)),
                           gidMappings=user.ids((1000, GID, 1)))
            b.process["user"] = {"uid": 1000, "gid": 1000}
        self.assertEqual(self.shell("id -u; touch /tmp/x", change), "1000\n")

    def test_new_time_namespace(self):
        def change(b):
            b.linux["namespaces"].append({"type": "time"})
            b.linux["timeOffsets"] = {"boottime": {"secs": 1000000}}
        out = self.shell("cat /proc/uptime", change)
        self.assertGreater(float(out.split()[0]), 1000000)

    def test_namespaces_of_another(self):
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = r.bundle()
        b.linux["namespaces"] = [
            {"type": "mount"},
            {"type": "user", "path": "/proc/%d/ns/user" % pid},
            {"type": "network", "path": "/proc/%d/ns/net" % pid},
            {"type": "ipc", "path": "/proc/%d/ns/ipc" % pid},
            {"type": "uts"}]
        del b.linux["uidMappings"], b.linux["gidMappings"]
        b.config["mounts"] = [m for m in b.config["mounts"]
                              if m["destination"] != "/proc"]
        b.config["mounts"].insert(0, rt.mount("/proc", "none", "/proc",
                                              "rbind"))
        out = r.shell(b, "readlink /proc/self/ns/net; id -u")
        self.assertEqual(out.split(), [
            os.readlink("/proc/%d/ns/net" % pid), "0"])

    def test_processes_of_another(self):
        release = [int(n) for n in os.uname().release.split(".")[:2]]
        if release < [6, 17]:
            self.skipTest("a user gets no procfs of others' processes before "
                          "Linux 6.17 (mount option pidns)")
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = r.bundle()
        for n in b.linux["namespaces"]:
            if n["type"] in ("user", "pid"):
                n["path"] = "/proc/%d/ns/%s" % (pid, n["type"])
        del b.linux["uidMappings"], b.linux["gidMappings"]
        self.assertIn("sleep 1000", r.shell(b, "ps"))


class RootlessRoot(UserTest):
    """Where the state is."""

    def setUp(self):
        super().setUp()
        self.runtime.root = None

    def tearDown(self):
        super().tearDown()
        self.runtime.root = os.path.join(self.runtime.directory, "root")

    def test_is_below_the_users_directory(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/true"))
        self.assertEqual(os.listdir(r.own), [r.name()])
        made = os.path.join(r.own, r.name())
        self.assertIn(c, os.listdir(made))
        st = os.stat(made)
        self.assertEqual((st.st_uid, stat.S_IMODE(st.st_mode) & 0o777),
                         (UID, 0o700))

    def test_is_the_users_for_root_of_a_user_namespace(self):
        r = self.runtime
        before = r.prefix
        r.inside_user_namespace()
        try:
            self.assertEqual(r.call("list").returncode, 0)
        finally:
            r.prefix = before

    def test_no_such_directory(self):
        r = self.runtime
        done = r.call("list", env=r.environment(
            XDG_RUNTIME_DIR=os.path.join(r.own, "none")))
        self.assertIn(done.returncode, (0, 1))
        self.assertNotIn("suite-", done.stdout)


class RootlessCgroup(UserTest):
    """Without the right to make one. Limits must not be lost in silence."""

    def setUp(self):
        super().setUp()
        if rt.cgroup_v2():
            self.skipTest("the suite's own cgroup may be the user's")

    def fails(self, change, *words):
        b = self.runtime.bundle("/bin/true")
        change(b)
        self.assertFails(self.runtime.run(b), *words)

    def test_limits_are_refused(self):
        for limits in ({"memory": {"limit": 64 << 20}},
                       {"pids": {"limit": 10}}, {"cpu": {"shares": 100}}):
            with self.subTest(limits):
                self.fails(lambda b: b.linux.update(resources=limits),
                           "could not join or create cgroup")

    def test_rules_of_devices_are_no_limits(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
        done = r.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_path_must_be_had(self):
        self.fails(lambda b: b.linux.update(cgroupsPath="/suite-user"),
                   "permission denied")

    def test_what_needs_one_is_refused(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        for verb in (["pause", c], ["ps", c], ["events", "--stats", c],
                     ["update", "--pids-limit", "5", c]):
            with self.subTest(verb):
                self.assertFails(r.call(*verb))
        self.assertEqual(r.status(c), "running")

    def test_is_the_makers(self):
        r = self.runtime
        out = r.shell(r.bundle(), "cat /proc/self/cgroup")
        self.assertNotIn("suite", out)
