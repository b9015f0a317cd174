"""A part of the cgroup tree that is an ordinary user's (cgroup v2)."""
import json
import os

import runtime as rt
import user_runtime as user
from cases_rootless import UserTest

PART = "/sys/fs/cgroup/suite-user-%d" % os.getpid()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read().strip()


class Delegated(UserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not rt.cgroup_v2():
            return
        write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu")
        os.makedirs(PART + "/self")
        for path in (PART, PART + "/self"):
            os.chown(path, user.UID, user.GID)
            for name in ("cgroup.procs", "cgroup.subtree_control",
                         "cgroup.threads"):
                os.chown(os.path.join(path, name), user.UID, user.GID)
        cls.runtime.prefix = [
            "sh", "-c", "echo $$ >%s/self/cgroup.procs; exec \"$@\"" % PART,
            "sh"] + cls.runtime.prefix

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if rt.cgroup_v2():
            for path in (PART + "/self", PART):
                os.rmdir(path)

    def setUp(self):
        super().setUp()
        if not rt.cgroup_v2():
            self.skipTest("needs cgroup v2")

    def started(self, **limits):
        b = self.runtime.bundle("/bin/sleep", "1000")
        if limits:
            b.linux["resources"] = limits
        return self.runtime.start_new(b)

    def test_is_beside_the_callers(self):
        r = self.runtime
        c = self.started()
        self.assertTrue(os.path.isdir(os.path.join(PART, c)))
        pid = r.state(c)["pid"]
        self.assertIn(str(pid), read(os.path.join(
            PART, c, "cgroup.procs")).split())
        r.must("delete", "--force", c)
        self.assertFalse(os.path.isdir(os.path.join(PART, c)))

    def test_limits(self):
        c = self.started(memory={"limit": 64 << 20}, pids={"limit": 20},
                         cpu={"shares": 512})
        for name, value in (("memory.max", str(64 << 20)),
                            ("pids.max", "20")):
            self.assertEqual(read(os.path.join(PART, c, name)), value)

    def test_rules_of_devices_are_passed_over(self):
        c = self.started(devices=[{"allow": False, "access": "rwm"}],
                         pids={"limit": 20})
        self.assertEqual(read(os.path.join(PART, c, "pids.max")), "20")

    def test_pause_ps_and_update(self):
        r = self.runtime
        c = self.started(pids={"limit": 20})
        r.must("pause", c)
        self.assertEqual(r.status(c), "paused")
        r.must("resume", c)
        self.assertEqual(json.loads(r.must("ps", "--format", "json",
                                           c).stdout),
                         [r.state(c)["pid"]])
        r.must("update", "--pids-limit", "30", c)
        self.assertEqual(read(os.path.join(PART, c, "pids.max")), "30")

    def test_exec_is_in_it(self):
        r = self.runtime
        c = self.started()
        self.assertIn(c, r.must("exec", c, "/bin/cat",
                                "/proc/self/cgroup").stdout)

    def test_kill_all(self):
        r = self.runtime
        c = self.started()
        r.must("kill", "--all", c, "KILL")
        r.wait_stopped(c)
        r.must("delete", c)

    def test_own_namespace_shows_it_as_the_root(self):
        r = self.runtime
        b = r.bundle()
        b.linux["namespaces"].append({"type": "cgroup"})
        b.config["mounts"].append(rt.mount(
            "/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN, "ro"))
        out = r.shell(b, "cat /proc/self/cgroup; "
                         "test -e /sys/fs/cgroup/cgroup.procs && echo yes")
        self.assertEqual(out.split(), ["0::/", "yes"])
