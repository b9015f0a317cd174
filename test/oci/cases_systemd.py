"""The systemd driver: what it asks of systemd, and what systemd then keeps.

Where systemd manages the machine and the runtime under test has
--systemd-cgroup; skipped elsewhere. The peer is runc.
"""
import os
import subprocess

import runtime as rt
from case import RuntimeTest

LIMITS = {"memory": {"limit": 64 << 20, "reservation": 32 << 20,
                     "swap": 96 << 20},
          "cpu": {"shares": 512, "quota": 30000, "period": 200000,
                  "cpus": "0", "mems": "0"},
          "pids": {"limit": 40}}
# 512 shares are a weight of 20 before runc 1.3.2, and of 59 since.
FILES = {"memory.max": str(64 << 20), "memory.low": str(32 << 20),
         "memory.swap.max": str(32 << 20), "cpu.max": "30000 200000",
         "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "40"}
PROPERTIES = {"MemoryMax": str(64 << 20), "MemoryLow": str(32 << 20),
              "MemorySwapMax": str(32 << 20), "TasksMax": "40",
              "CPUQuotaPerSecUSec": "150ms", "CPUQuotaPeriodUSec": "200ms",
              "AllowedCPUs": "0", "AllowedMemoryNodes": "0",
              "Delegate": "yes", "DevicePolicy": "strict",
              "ActiveState": "active"}


def systemctl(*args):
    return subprocess.run(["systemctl", *args], check=True,
                          stdout=subprocess.PIPE, timeout=6 * rt.DEADLINE
                          ).stdout.decode()


def shown(unit, *names):
    lines = systemctl("show", unit, *("-p" + name for name in names))
    return dict(line.split("=", 1) for line in lines.splitlines())


class SystemdTest(RuntimeTest):
    def setUp(self):
        if not rt.SYSTEMD:
            self.skipTest("the runtime's driver is cgroupfs")
        if not os.path.isdir("/run/systemd/system"):
            self.skipTest("systemd does not manage this machine")
        if not rt.cgroup_v2():
            self.skipTest("cgroup v1: systemd has other words")
        super().setUp()

    def sleeper(self, **resources):
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(resources)
        return self.runtime.start_new(b)

    def assertFiles(self, container, files):
        for name, value in files.items():
            self.assertEqual(rt.cgroup_file(container, "", name), value, name)

    def assertGone(self, container):
        self.assertEqual(rt.cgroup_directories(container), [])
        unit = rt.unit_of(container)
        self.assertEqual(shown(unit, "LoadState")["LoadState"], "not-found")


class Scope(SystemdTest):
    def test_limits_are_properties_of_the_unit(self):
        c = self.sleeper(**LIMITS)
        self.assertFiles(c, FILES)
        self.assertEqual(shown(rt.unit_of(c), *PROPERTIES), PROPERTIES)
        self.assertIn(c, systemctl("status", rt.unit_of(c)))
        self.assertIn("sleep 1000", systemctl("status", rt.unit_of(c)))

    def test_only_the_container_is_in_it(self):
        c = self.sleeper()
        with open("/sys/fs/cgroup/%s/cgroup.procs" % rt.cgroup_name(c)) as f:
            pids = f.read().split()
        self.assertEqual(pids, [str(self.runtime.state(c)["pid"])])

    def test_limits_outlive_a_reload(self):
        c = self.sleeper(**LIMITS)
        for verb in ("daemon-reload", "daemon-reexec"):
            systemctl(verb)
            self.assertFiles(c, FILES)
            self.assertEqual(shown(rt.unit_of(c), *PROPERTIES), PROPERTIES)

    def test_what_systemd_has_no_word_for_outlives_a_reload(self):
        with open("/sys/fs/cgroup/cgroup.controllers") as f:
            if "hugetlb" not in f.read():
                self.skipTest("no hugetlb controller")
        c = self.sleeper(hugepageLimits=[{"pageSize": "2MB",
                                          "limit": 4 << 20}])
        files = {"hugetlb.2MB.max": str(4 << 20)}
        self.assertFiles(c, files)
        for verb in ("daemon-reload", "daemon-reexec"):
            systemctl(verb)
            self.assertFiles(c, files)

    def test_killing_all_on_oom_outlives_a_reload(self):
        version = subprocess.run(["systemctl", "show", "-pVersion", "--value"],
                                 check=True, stdout=subprocess.PIPE)
        if int(version.stdout.split(b".")[0].split()[0]) < 253:
            self.skipTest("systemd before 253 has no word for it")
        c = self.sleeper(unified={"memory.oom.group": "1"})
        for verb in ("daemon-reload", "daemon-reexec"):
            systemctl(verb)
            self.assertFiles(c, {"memory.oom.group": "1"})

    def test_devices_outlive_a_reload(self):
        names = sorted(os.listdir("/sys/block"))
        if len(names) < 2:
            self.skipTest("needs two block devices")
        devices = []
        for name in names[:2]:
            with open("/sys/block/%s/dev" % name) as f:
                devices.append(f.read().strip().split(":"))
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.linux["resources"]["devices"].append(
            {"allow": True, "type": "b", "major": int(devices[0][0]),
             "minor": int(devices[0][1]), "access": "r"})
        c = self.runtime.start_new(b)
        # All may be made; the first may be read, the second not opened.
        script = ("mknod /tmp/a b %s; mknod /tmp/b b %s; "
                  "(: </tmp/a) && echo a; (: >>/tmp/a) || echo ro; "
                  "(: </tmp/b) || echo no; : </dev/zero && echo zero; "
                  "rm /tmp/a /tmp/b" % tuple(" ".join(d) for d in devices))
        for verb in ("daemon-reload", "daemon-reexec", None):
            done = self.runtime.must("exec", c, "/bin/sh", "-c", script)
            self.assertEqual(done.stdout.split(), ["a", "ro", "no", "zero"])
            if verb:
                systemctl(verb)

    def test_a_privileged_one_keeps_its_devices(self):
        with open("/sys/block/%s/dev" % os.listdir("/sys/block")[0]) as f:
            device = f.read().strip().replace(":", " ")
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        c = self.runtime.start_new(b)
        systemctl("daemon-reload")
        self.runtime.must("exec", c, "/bin/sh", "-c",
                          "mknod /tmp/k b %s; : </tmp/k; rm /tmp/k" % device)

    def test_an_update_reaches_it(self):
        c = self.sleeper(**LIMITS)
        self.runtime.must("update", "--memory", str(48 << 20),
                          "--memory-swap", str(64 << 20), "--pids-limit", "30",
                          "--cpu-quota", "20000", c)
        files = {"memory.max": str(48 << 20), "memory.swap.max": str(16 << 20),
                 "pids.max": "30", "cpu.max": "20000 200000"}
        self.assertFiles(c, files)
        for verb in ("daemon-reload", "daemon-reexec"):
            systemctl(verb)
            self.assertFiles(c, files)

    def test_a_quota_that_systemd_rounds_is_exact(self):
        c = self.sleeper(cpu={"quota": 33333, "period": 100000})
        self.assertFiles(c, {"cpu.max": "33333 100000"})
        self.runtime.must("update", "--cpu-quota", "44444", c)
        self.assertFiles(c, {"cpu.max": "44444 100000"})

    def test_description_and_slice(self):
        c = self.sleeper()
        unit = shown(rt.unit_of(c), "Slice", "Description")
        self.assertEqual(unit["Slice"], rt.SLICE)
        self.assertIn(c, unit["Description"])


class ScopeEnds(SystemdTest):
    def test_by_delete(self):
        c = self.sleeper()
        self.runtime.kill_and_delete(c)
        self.assertGone(c)

    def test_by_a_forced_delete(self):
        c = self.sleeper()
        self.runtime.must("delete", "--force", c)
        self.assertGone(c)

    def test_of_one_that_ran_out_of_memory(self):
        b = self.runtime.bundle("/bin/dd", "if=/dev/zero", "of=/dev/null",
                                "bs=200M", "count=1")
        b.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
        c = self.runtime.start_new(b)
        self.runtime.wait_stopped(c)
        self.runtime.must("delete", c)
        self.assertGone(c)

    def test_of_one_that_cannot_start(self):
        b = self.runtime.bundle("/bin/nothing")
        c = self.runtime.save_new(b)
        self.assertFails(self.runtime.call("run", "--bundle", b.path, c))
        self.assertGone(c)

    def test_the_name_can_be_used_again_at_once(self):
        b = self.runtime.bundle("/bin/true")
        c = self.runtime.save_new(b)
        for _ in range(5):
            self.runtime.must("run", "--bundle", b.path, c)
        self.assertGone(c)

    def test_freeze_ps_and_kill(self):
        c = self.sleeper()
        self.runtime.must("pause", c)
        self.assertEqual(self.runtime.status(c), "paused")
        self.assertFiles(c, {"cgroup.freeze": "1"})
        self.runtime.must("resume", c)
        pid = self.runtime.state(c)["pid"]
        self.assertIn(str(pid), self.runtime.must("ps", c).stdout)
        self.runtime.kill_and_delete(c)
        self.assertGone(c)


class ScopeName(SystemdTest):
    def test_without_a_path(self):
        b = self.runtime.bundle("/bin/cat", "/proc/self/cgroup")
        b.linux["cgroupsPath"] = ""
        done = self.runtime.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        container = self.runtime.ids[-1]
        self.assertRegex(done.stdout, "/system.slice/[a-z]+-%s.scope" %
                         container)

    def test_without_a_slice(self):
        b = self.runtime.bundle("/bin/cat", "/proc/self/cgroup")
        b.linux["cgroupsPath"] = ":suite:a"
        self.assertIn("/system.slice/suite-a.scope",
                      self.runtime.run(b).stdout)

    def test_a_plain_path_is_refused(self):
        b = self.runtime.bundle("/bin/true")
        b.linux["cgroupsPath"] = "/suite/plain"
        self.assertFails(self.runtime.run(b),
                         "slice:prefix:name", "/suite/plain")

    def test_a_slice_that_is_none_is_refused(self):
        b = self.runtime.bundle("/bin/true")
        b.linux["cgroupsPath"] = "suite:suite:a"
        self.assertFails(self.runtime.run(b), "slice")

    def test_properties_by_annotation(self):
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.config["annotations"] = {
            "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
            "org.systemd.property.CollectMode": "'inactive'"}
        c = self.runtime.start_new(b)
        self.assertEqual(
            shown(rt.unit_of(c), "TimeoutStopUSec", "CollectMode"),
            {"TimeoutStopUSec": "2min 3s", "CollectMode": "inactive"})
