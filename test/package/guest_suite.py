#!/usr/bin/python3
"""The Debian package on a machine with systemd, in the guest: run.sh.

The tests go on from each other, in the order of their names.
"""
import os
import shutil
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "deploy"))
import first_pod  # noqa: E402

SHARE = "/mnt"
PATIENCE = 300
DROP_IN = "/etc/systemd/system/berthd.service.d"
# Snapshots on ext4: the image's own root is one.
CRI = "/run/berth/berthd.sock"


def run(*command, ok=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE)
    text = done.stdout.decode().strip()
    if ok and done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(command), text))
    return text


def docker(*arguments, ok=True):
    return run(SHARE + "/docker", "-H", "unix:///run/docker.sock", *arguments,
               ok=ok)


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("timed out: " + what)
        time.sleep(0.1)


def prop(unit, name):
    return run("systemctl", "show", "-p", name, "--value", unit)


def started(pid):
    """When the process began: with the pid, its name for all time."""
    with open("/proc/%s/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[19]


def state():
    """What a machine has that berth could leave behind."""
    found = set()
    for folder in ("/etc", "/usr/bin", "/usr/lib/systemd", "/usr/share/man",
                   "/run", "/var/lib", "/usr/share/bash-completion",
                   "/usr/lib/tmpfiles.d"):
        for at, folders, names in os.walk(folder):
            folders[:] = [f for f in folders if os.path.join(at, f) not in (
                "/run/systemd", "/run/udev", "/var/lib/dpkg", "/run/guest",
                "/run/guest-ctl", "/run/log", "/run/credentials", "/run/lock",
                "/var/lib/systemd", "/run/user")]
            found.update("file " + os.path.join(at, n) for n in folders + names)
    for at, folders, _ in os.walk("/sys/fs/cgroup"):
        found.update("cgroup " + os.path.join(at, f) for f in folders)
    with open("/proc/self/mountinfo") as f:
        found.update("mount " + line.split()[4] for line in f)
    found.update("link " + name for name in os.listdir("/sys/class/net"))
    for program in filter(shutil.which, ("iptables-save", "ip6tables-save")):
        rules = subprocess.run([program], stdout=subprocess.PIPE, text=True)
        found.update(program + " " + line.split(" [")[0]
                     for line in rules.stdout.splitlines()
                     if line.startswith((":", "-A")))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % pid) as f:
                name = f.read().strip()
            if os.path.exists("/proc/%s/exe" % pid):
                found.add("process " + name)
        except OSError:
            pass
    try:
        with open("/sys/kernel/security/apparmor/profiles") as f:
            found.update("profile " + line.split()[0] for line in f)
    except OSError:
        pass
    return {one for one in found if not one.startswith((
        "file /etc/group", "file /etc/gshadow", "file /etc/passwd",
        "file /etc/shadow", "file /etc/.pwd"))}


class Guest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = state()
        cls.cri = first_pod.messages(os.path.join(TOP, "api/cri/v1"))

    def install(self, name):
        return run("dpkg", "--force-confold", "--force-downgrade", "-i",
                   "%s/%s.deb" % (SHARE, name))

    def runtime(self):
        return first_pod.Runtime(CRI, self.cri)

    def facts(self):
        """Of the container and the pod: who they are, and since when."""
        pid = docker("inspect", "-f", "{{.State.Pid}}", "keeps")
        status = self.runtime().call(
            "ContainerStatus", self.cri.ContainerStatusRequest(
                container_id=type(self).container), PATIENCE).status
        return (pid, started(pid), status.state, status.started_at,
                docker("inspect", "-f", "{{.RestartCount}}", "keeps"))

    def test_1_installed_it_serves(self):
        self.install("berth")
        for unit in ("berthd.service", "berthd.socket"):
            self.assertEqual(run("systemctl", "is-active", unit), "active")
            self.assertEqual(run("systemctl", "is-enabled", unit), "enabled")
        self.assertIn("systemd", docker("info", "-f", "{{.CgroupDriver}}"))
        info = self.runtime().call(
            "Status", self.cri.StatusRequest(verbose=True), PATIENCE)
        self.assertTrue(info.status.conditions[0].status)
        self.assertEqual(run("stat", "-c", "%G %a", "/run/docker.sock"),
                         "docker 660")
        for name, value in (("Slice", "berth.slice"), ("Type", "notify"),
                            ("KillMode", "process"), ("Delegate", "yes"),
                            ("OOMScoreAdjust", "-999"),
                            ("WatchdogUSec", "3min"),
                            ("TasksMax", "infinity")):
            self.assertEqual(prop("berthd.service", name), value, name)
        until(lambda: prop("berthd.service",
                           "WatchdogTimestampMonotonic") != "0", "a sign")
        print("systemd-analyze security:", run(
            "systemd-analyze", "security", "berthd.service", "--no-pager",
            ok=False).splitlines()[-1])

    def test_2_a_pod_and_a_container_run(self):
        root = "/tmp/image"
        os.makedirs(root + "/bin")
        run("cp", "/bin/busybox", root + "/bin/busybox")
        for name in ("sh", "sleep", "cat", "true", "date", "echo"):
            os.symlink("busybox", root + "/bin/" + name)
        run("tar", "-C", root, "-cf", "/tmp/image.tar", ".")
        docker("import", "/tmp/image.tar", "box:1")
        docker("run", "-d", "--name", "keeps", "--network", "none", "box:1",
               "sh", "-c", "i=0; while sleep 1; do echo $((i += 1)); done")
        config = self.cri.PodSandboxConfig(
            metadata=self.cri.PodSandboxMetadata(name="p", uid="p",
                                                 namespace="n"))
        options = config.linux.security_context.namespace_options
        options.network = self.cri.NODE
        runtime = self.runtime()
        pod = runtime.call("RunPodSandbox", self.cri.RunPodSandboxRequest(
            config=config), PATIENCE).pod_sandbox_id
        wanted = self.cri.ContainerConfig(
            metadata=self.cri.ContainerMetadata(name="c"),
            image=self.cri.ImageSpec(image="docker.io/library/box:1"),
            command=["sleep", "100000"])
        wanted.linux.security_context.namespace_options.network = self.cri.NODE
        type(self).container = runtime.call(
            "CreateContainer", self.cri.CreateContainerRequest(
                pod_sandbox_id=pod, config=wanted, sandbox_config=config),
            PATIENCE).container_id
        runtime.call("StartContainer", self.cri.StartContainerRequest(
            container_id=type(self).container), PATIENCE)
        type(self).of_start = self.facts()

    def test_3_pods_go_on_while_it_is_upgraded(self):
        for version in ("later", "earlier", "berth"):
            before = prop("berthd.service", "MainPID")
            self.install(version)
            self.assertEqual(run("systemctl", "is-active", "berthd.service"),
                             "active")
            self.assertNotEqual(prop("berthd.service", "MainPID"), before)
            self.assertEqual(self.facts(), self.of_start)
            self.assertEqual(docker("exec", "keeps", "echo", "hears"),
                             "hears")
        # No line of the log is missing.
        lines = docker("logs", "keeps").split()
        self.assertEqual(lines, [str(i + 1) for i in range(len(lines))])
        self.assertGreater(len(lines), 3)

    def test_4_it_comes_back(self):
        # Killed; and called for by a client while it is stopped.
        before = prop("berthd.service", "MainPID")
        os.kill(int(before), 9)
        until(lambda: prop("berthd.service", "MainPID") not in ("0", before),
              "a restart")
        until(lambda: prop("berthd.service", "ActiveState") == "active",
              "an active unit")
        self.assertEqual(self.facts(), self.of_start)
        run("systemctl", "stop", "berthd.service")
        self.assertEqual(run("systemctl", "is-active", "berthd.service",
                             ok=False), "inactive")
        docker("version")
        self.assertEqual(run("systemctl", "is-active", "berthd.service"),
                         "active")
        self.assertEqual(self.facts(), self.of_start)

    def test_5_one_that_hangs_is_started_anew(self):
        os.makedirs(DROP_IN)
        with open(DROP_IN + "/test.conf", "w") as f:
            f.write("[Service]\nWatchdogSec=15\nTimeoutAbortSec=5\n")
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", "berthd.service")
        before = prop("berthd.service", "MainPID")
        os.kill(int(before), 19)
        until(lambda: prop("berthd.service", "MainPID") not in ("0", before),
              "a restart")
        until(lambda: prop("berthd.service", "ActiveState") == "active",
              "an active unit")
        self.assertEqual(self.facts(), self.of_start)
        os.remove(DROP_IN + "/test.conf")
        os.rmdir(DROP_IN)
        run("systemctl", "daemon-reload")

    def test_6_removed_its_pods_have_ended(self):
        pid = self.of_start[0]
        run("dpkg", "-r", "berth")
        self.assertFalse(os.path.exists("/proc/" + pid))
        self.assertNotIn("process berth-shim", state())
        self.assertTrue(os.path.exists("/var/lib/berth/meta.db"))
        # Back again, it knows them.
        self.install("berth")
        self.assertIn("keeps", docker("ps", "-a", "--format", "{{.Names}}"))
        docker("start", "keeps")
        docker("run", "--rm", "--network", "none", "box:1", "true")

    def test_7_purged_it_leaves_nothing(self):
        run("dpkg", "-P", "berth")
        run("systemctl", "reset-failed")
        left = state() - self.before
        self.assertEqual(sorted(left), [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
