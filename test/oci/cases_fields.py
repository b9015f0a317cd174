"""Fields of config.json that say when, where and with what a process runs:
each row is set, and looked at from the host, for the init and for exec."""
import ctypes
import os

import runtime as rt
from case import RuntimeTest

SYS_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}.get(os.uname().machine)
SCHED_DEADLINE = 6


def io_priority(pid):
    """The class and the priority that ionice(1) would show."""
    libc = ctypes.CDLL(None, use_errno=True)
    value = libc.syscall(SYS_IOPRIO_GET, 1, pid)
    return value >> 13, value & 0x1fff


def scheduler(pid):
    return (os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid))


def memory_policies(pid):
    with open("/proc/%d/numa_maps" % pid) as f:
        return {line.split()[1] for line in f}


class Scheduling(RuntimeTest):
    # What is set, and what the host sees then.
    SCHEDULERS = [
        ({"policy": "SCHED_BATCH", "nice": 5}, (os.SCHED_BATCH, 5)),
        ({"policy": "SCHED_OTHER", "nice": -7}, (os.SCHED_OTHER, -7)),
        ({"policy": "SCHED_OTHER", "nice": 19,
          "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
         (os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 19)),
        ({"policy": "SCHED_IDLE"}, (os.SCHED_IDLE, 0)),
    ]

    def set_up(self, process=None, linux=None):
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.process.update(process or {})
        b.linux.update(linux or {})
        return b

    def exec_pid(self, container, process):
        """The pid of one more process, made from a file."""
        r = self.runtime
        path = os.path.join(r.directory, container + ".json")
        with open(path, "w") as f:
            f.write(rt.json.dumps(dict(process, args=["/bin/sleep", "1000"])))
        r.must("exec", "--detach", "--process", path, "--pid-file",
               path + ".pid", container)
        with open(path + ".pid") as f:
            return int(f.read())

    def both(self, **kwargs):
        """The pids of an init and of an exec'd process that ask for this."""
        b = self.set_up(**kwargs)
        container = self.runtime.start_new(b)
        return (self.runtime.state(container)["pid"],
                self.exec_pid(container, b.process))

    def test_schedulers(self):
        for wanted, seen in self.SCHEDULERS:
            with self.subTest(wanted):
                for pid in self.both(process={"scheduler": wanted}):
                    self.assertEqual(scheduler(pid), seen)

    def test_scheduler_without_capabilities(self):
        wanted = {"policy": "SCHED_OTHER", "nice": -3,
                  "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
        pids = self.both(process={"scheduler": wanted, "capabilities": {},
                                  "user": {"uid": 1000, "gid": 1000}})
        for pid in pids:
            self.assertEqual(
                scheduler(pid),
                (os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, -3))
            with open("/proc/%d/status" % pid) as f:
                status = f.read()
            self.assertIn("CapEff:\t0000000000000000", status)
            self.assertIn("CapPrm:\t0000000000000000", status)

    def test_deadline(self):
        wanted = {"policy": "SCHED_DEADLINE", "runtime": 1000000,
                  "deadline": 50000000, "period": 100000000}
        for pid in self.both(process={"scheduler": wanted}):
            self.assertEqual(scheduler(pid)[0], SCHED_DEADLINE)

    def test_bad_schedulers_are_refused(self):
        for bad in ({"policy": "SCHED_NONE"}, {"policy": ""},
                    {"policy": "SCHED_OTHER", "nice": 20},
                    {"policy": "SCHED_OTHER", "priority": 5},
                    {"policy": "SCHED_BATCH", "runtime": 5},
                    {"policy": "SCHED_DEADLINE", "runtime": 10,
                     "deadline": 5, "period": 1},
                    {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}):
            with self.subTest(bad):
                b = self.set_up({"scheduler": bad})
                self.assertFails(self.runtime.run(b, "--detach"), "schedul")

    def test_io_priorities(self):
        for wanted, seen in (("RT", 1), ("BE", 2), ("IDLE", 3)):
            with self.subTest(wanted):
                pids = self.both(process={"ioPriority": {
                    "class": "IOPRIO_CLASS_" + wanted, "priority": 6}})
                for pid in pids:
                    self.assertEqual(io_priority(pid), (seen, 6))

    def test_bad_io_priorities_are_refused(self):
        for bad in ({"class": "IOPRIO_CLASS_NONE"}, {"class": "BE"},
                    {"class": "IOPRIO_CLASS_BE", "priority": 8},
                    {"class": "IOPRIO_CLASS_BE", "priority": -1}):
            with self.subTest(bad):
                b = self.set_up({"ioPriority": bad})
                self.assertFails(self.runtime.run(b, "--detach"), "priority")

    def test_affinity_of_exec(self):
        cpus = os.sched_getaffinity(0)
        first, last = min(cpus), max(cpus)
        for wanted, seen in (({"initial": "%d" % first}, {first}),
                             ({"final": "%d" % last}, {last}),
                             ({"initial": "%d" % first,
                               "final": "%d-%d" % (last, last)}, {last}),
                             ({"final": "%d, %d,8000" % (first, last)},
                              {first, last})):
            with self.subTest(wanted):
                init, exec_ = self.both(process={"execCPUAffinity": wanted})
                self.assertEqual(os.sched_getaffinity(init), cpus)
                self.assertEqual(os.sched_getaffinity(exec_), seen)

    def test_bad_affinities_are_refused(self):
        for bad in ("x", "1-", "2-1", "-1", "99999999999999999999"):
            for member in ("initial", "final"):
                with self.subTest(bad, member=member):
                    b = self.set_up({"execCPUAffinity": {member: bad}})
                    self.assertFails(self.runtime.run(b, "--detach"))

    def test_memory_policies(self):
        for wanted, seen in (
                ({"mode": "MPOL_BIND", "nodes": "0"}, "bind:0"),
                ({"mode": "MPOL_PREFERRED", "nodes": "0"}, "prefer:0"),
                ({"mode": "MPOL_PREFERRED"}, "local"),
                ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
                ({"mode": "MPOL_LOCAL"}, "local"),
                ({"mode": "MPOL_DEFAULT"}, "default"),
                ({"mode": "MPOL_BIND", "nodes": "0",
                  "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0")):
            with self.subTest(wanted):
                for pid in self.both(linux={"memoryPolicy": wanted}):
                    self.assertEqual(memory_policies(pid), {seen})

    def test_bad_memory_policies_are_refused(self):
        for bad in ({"mode": "MPOL_NONE"}, {},
                    {"mode": "MPOL_BIND"}, {"mode": "MPOL_BIND", "nodes": "x"},
                    {"mode": "MPOL_LOCAL", "nodes": "0"},
                    {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F"]}):
            with self.subTest(bad):
                b = self.set_up(linux={"memoryPolicy": bad})
                self.assertFails(self.runtime.run(b, "--detach"))

    def test_personality_flags_are_told_and_ignored(self):
        b = self.runtime.bundle("/bin/true")
        b.linux["personality"] = {"domain": "LINUX", "flags": ["SHORT_INODE"]}
        done = self.runtime.run(b)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("SHORT_INODE", done.stderr)


class Huge(RuntimeTest):
    """Lists of 20,000 entries are gone through once, not once for each."""
    COUNT = 20000

    def test_lists(self):
        r = self.runtime
        for process, linux, good in (
                ({"env": ["PATH=/bin"] + [
                    "V%d=x" % i for i in range(self.COUNT)]}, {}, True),
                ({"user": {"uid": 0, "gid": 0, "additionalGids": list(
                    range(self.COUNT))}}, {}, True),
                ({"scheduler": {"policy": "SCHED_OTHER", "flags": [
                    "SCHED_FLAG_RESET_ON_FORK"] * self.COUNT}}, {}, True),
                ({"execCPUAffinity": {"initial": "0," * self.COUNT}}, {},
                 True),
                ({}, {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0",
                                       "flags": ["MPOL_F_STATIC_NODES"] *
                                       self.COUNT}}, True),
                ({}, {"personality": {"domain": "LINUX", "flags": [
                    "F%d" % i for i in range(self.COUNT)]}}, True),
                ({}, {"netDevices": {"none%d" % i: {} for i in
                                     range(self.COUNT)}}, False),
                ({}, {"seccomp": {
                    "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}
                    ] * self.COUNT}}, True)):
            with self.subTest(list(process) + list(linux)):
                b = r.bundle("/bin/true")
                b.process.update(process)
                b.linux.update(linux)
                done = r.run(b)
                self.assertEqual(done.returncode == 0, good,
                                 done.stderr[-200:])
                self.assertLess(len(done.stderr), 10000)
