#!/usr/bin/python3
"""berthd on a node that systemd manages, with cgroup v2: through both doors.

  BERTH_BIN=folder-with-the-three-programs ./node_suite.py [Class.test ...]

Runs as root in the guest (run.sh); makes units, so nowhere else.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "deploy"))
import first_pod  # noqa: E402

BIN = os.environ["BERTH_BIN"]
TREE = "/sys/fs/cgroup"
PATIENCE = 200


def run(*args, ok=True):
    done = subprocess.run(args, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE)
    if ok and done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(args),
                                         done.stderr.decode()))
    done.text = (done.stdout + done.stderr).decode().strip()
    return done


def read(path):
    with open(path) as f:
        return f.read().strip()


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("timed out: " + what)
        time.sleep(0.05)


def cgroup_of(pid):
    return read("/proc/%s/cgroup" % pid).split("::", 1)[1]


class Node:
    """A berthd of its own, and an image in it."""

    def __init__(self, settings=""):
        self.directory = tempfile.mkdtemp(prefix="node.", dir="/scratch")
        self.docker_socket = "/run/node-docker.sock"
        self.socket = "/run/node-cri.sock"
        config = self.directory + "/berth.conf"
        with open(config, "w") as f:
            f.write('cri_socket: "%s"\ndocker_socket: "%s"\n'
                    'network { write_default: false conf_dir: "%s" }\n%s\n' % (
                        self.socket, self.docker_socket, self.directory,
                        settings))
        self.log = open(self.directory + "/log", "w")
        self.command = [BIN + "/berthd", "--config", config, "--root",
                        self.directory + "/root", "--state", "/run/node"]
        self.start()
        root = self.directory + "/image"
        os.makedirs(root + "/bin")
        for name in ("proc", "sys", "dev", "etc", "mnt"):
            os.mkdir(root + "/" + name)
        run("cp", "/bin/busybox", root + "/bin/busybox")
        for name in run("/bin/busybox", "--list").text.split():
            if name != "busybox":
                os.symlink("busybox", root + "/bin/" + name)
        run("tar", "-C", root, "-cf", self.directory + "/image.tar", ".")
        self.docker("import", self.directory + "/image.tar", "box:1")

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log,
                                        stderr=self.log)
        until(lambda: self.process.poll() is not None or
              self.docker("version", ok=False).returncode == 0, "berthd")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def docker(self, *args, ok=True):
        return run("docker", "-H", "unix://" + self.docker_socket, *args,
                   ok=ok)

    def create(self, *args):
        return self.docker("run", "-d", "--network", "none", *args, "box:1",
                           "sleep", "1000").stdout.decode().strip()

    def pid(self, container):
        return self.docker("inspect", "-f", "{{.State.Pid}}", container).text


class NodeTest(unittest.TestCase):
    SETTINGS = ""

    @classmethod
    def setUpClass(cls):
        cls.node = Node(cls.SETTINGS)

    @classmethod
    def tearDownClass(cls):
        all_of_it = cls.node.docker("ps", "-aq").text.split()
        if all_of_it:
            cls.node.docker("rm", "-f", *all_of_it)
        cls.node.stop()


class Docker(NodeTest):
    def test_info_names_the_driver(self):
        self.assertEqual(
            self.node.docker("info", "-f",
                             "{{.CgroupDriver}} {{.CgroupVersion}}").text,
            "systemd 2")

    def test_limits_outlive_a_reload_and_an_update(self):
        c = self.node.create("-m", "64m", "--cpus", "0.5", "--pids-limit",
                             "50")
        path = cgroup_of(self.node.pid(c))
        self.assertRegex(path, "^/system.slice/berth-%s.scope$" % c)
        files = {"memory.max": str(64 << 20), "cpu.max": "50000 100000",
                 "pids.max": "50"}
        for verb in ("daemon-reload", "daemon-reexec"):
            run("systemctl", verb)
            for name, value in files.items():
                self.assertEqual(read(TREE + path + "/" + name), value)
        self.node.docker("update", "-m", "32m", "--memory-swap", "64m", c)
        run("systemctl", "daemon-reload")
        self.assertEqual(read(TREE + path + "/memory.max"), str(32 << 20))
        self.node.docker("pause", c)
        self.assertEqual(read(TREE + path + "/cgroup.freeze"), "1")
        self.node.docker("unpause", c)
        self.assertIn(c[:12], self.node.docker("stats", "--no-stream").text)
        self.node.docker("rm", "-f", c)
        self.assertFalse(os.path.exists(TREE + path))
        self.assertIn("not-found", run("systemctl", "show", "-pLoadState",
                                       os.path.basename(path)).text)

    def test_a_slice_as_parent(self):
        c = self.node.create("-m", "64m", "--cgroup-parent",
                             "node-deep.slice")
        path = cgroup_of(self.node.pid(c))
        self.assertRegex(path, "^/node.slice/node-deep.slice/berth-")
        run("systemctl", "daemon-reload")
        self.assertEqual(read(TREE + path + "/memory.max"), str(64 << 20))
        self.node.docker("rm", "-f", c)
        self.assertFalse(os.path.exists(TREE + "/node.slice/node-deep.slice"))

    def test_a_plain_parent_is_refused(self):
        done = self.node.docker("run", "--network", "none", "--cgroup-parent",
                                "/plain", "box:1", "true", ok=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("NAME.slice", done.text)

    def test_out_of_memory_is_told(self):
        done = self.node.docker("run", "--name", "oom", "--network", "none",
                                "-m", "16m", "--memory-swap", "16m", "box:1",
                                "dd", "if=/dev/zero", "of=/dev/null",
                                "bs=200M", "count=1", ok=False)
        self.assertEqual(done.returncode, 137, done.text)
        self.assertEqual(self.node.docker("inspect", "-f",
                                          "{{.State.OOMKilled}}", "oom").text,
                         "true")

    def test_cgroup_namespace(self):
        def shown(*args):
            return self.node.docker(
                "run", "--rm", "--network", "none", *args, "box:1", "sh",
                "-c", "cat /proc/self/cgroup; ls /sys/fs/cgroup").text
        for flags in ([], ["--privileged"]):
            text = shown(*flags)
            self.assertTrue(text.startswith("0::/\n"), text)
            self.assertNotIn("system.slice", text)
        text = shown("--cgroupns", "host")
        self.assertIn("0::/system.slice/berth-", text)
        self.assertIn("\nsystem.slice", text)

    def test_what_version_two_lacks_is_a_warning(self):
        done = self.node.docker("run", "--rm", "--network", "none",
                                "--memory-swappiness", "5",
                                "--oom-kill-disable", "-m", "64m", "box:1",
                                "true")
        self.assertIn("swappiness discarded", done.text)
        self.assertIn("OomKillDisable discarded", done.text)

    def test_the_shim_is_not_in_our_own_unit(self):
        c = self.node.create()
        shim = re.search(r"PPid:\s+(\d+)", read(
            "/proc/%s/status" % self.node.pid(c))).group(1)
        path = cgroup_of(shim)
        self.assertRegex(path, "^/berth.slice/berth-shims.slice/berth-shim-")
        self.node.docker("rm", "-f", c)
        until(lambda: not os.path.exists(TREE + path), "the shim's scope")


class Pods(NodeTest):
    def setUp(self):
        self.runtime = first_pod.Runtime(
            self.node.socket,
            type(self).cri)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cri = first_pod.messages(os.path.join(TOP, "api/cri/v1"))

    def config(self, name, parent):
        config = self.cri.PodSandboxConfig(
            metadata=self.cri.PodSandboxMetadata(name=name, uid=name,
                                                 namespace="n"),
            linux=self.cri.LinuxPodSandboxConfig(cgroup_parent=parent))
        options = config.linux.security_context.namespace_options
        options.network = self.cri.NODE
        return config

    def pod(self, name, parent):
        config = self.config(name, parent)
        pod = self.runtime.call(
            "RunPodSandbox", self.cri.RunPodSandboxRequest(config=config),
            PATIENCE).pod_sandbox_id
        wanted = self.cri.ContainerConfig(
            metadata=self.cri.ContainerMetadata(name="c"),
            image=self.cri.ImageSpec(image="docker.io/library/box:1"),
            command=["sleep", "1000"])
        wanted.linux.resources.memory_limit_in_bytes = 64 << 20
        wanted.linux.resources.unified["memory.high"] = str(48 << 20)
        wanted.linux.security_context.namespace_options.network = self.cri.NODE
        container = self.runtime.call(
            "CreateContainer", self.cri.CreateContainerRequest(
                pod_sandbox_id=pod, config=wanted, sandbox_config=config),
            PATIENCE).container_id
        self.runtime.call("StartContainer", self.cri.StartContainerRequest(
            container_id=container), PATIENCE)
        return pod, container

    def remove(self, pod):
        self.runtime.call("StopPodSandbox", self.cri.StopPodSandboxRequest(
            pod_sandbox_id=pod), PATIENCE)
        self.runtime.call("RemovePodSandbox", self.cri.RemovePodSandboxRequest(
            pod_sandbox_id=pod), PATIENCE)

    def test_the_driver_is_told(self):
        answer = self.runtime.call("RuntimeConfig",
                                   self.cri.RuntimeConfigRequest(), PATIENCE)
        self.assertEqual(answer.linux.cgroup_driver, self.cri.SYSTEMD)

    def test_in_a_slice_of_kubelets(self):
        slice_path = "/kubepods.slice/kubepods-pod7.slice"
        pod, container = self.pod("a", slice_path)
        path = "%s%s/berth-%s.scope" % (TREE, slice_path, container)
        for verb in ("daemon-reload", "daemon-reexec"):
            run("systemctl", verb)
            self.assertEqual(read(path + "/memory.max"), str(64 << 20))
            self.assertEqual(read(path + "/memory.high"), str(48 << 20))
        stats = self.runtime.call("ContainerStats",
                                  self.cri.ContainerStatsRequest(
                                      container_id=container), PATIENCE).stats
        self.assertGreater(stats.memory.usage_bytes.value, 0)
        for usage in (stats.cpu, stats.memory, stats.io):
            self.assertTrue(usage.HasField("psi"))
        self.assertTrue(stats.swap.HasField("swap_available_bytes"))
        self.remove(pod)
        self.assertFalse(os.path.exists(TREE + slice_path))

    def test_without_a_parent(self):
        pod, container = self.pod("b", "")
        where = "%s/system.slice/system-berth%s.slice" % (TREE, pod)
        self.assertTrue(os.path.isdir("%s/berth-%s.scope" % (where,
                                                             container)))
        self.remove(pod)
        self.assertFalse(os.path.exists(where))

    def test_a_plain_parent_is_refused(self):
        with self.assertRaises(Exception) as raised:
            self.pod("c", "/kubepods/pod7")
        self.assertIn("NAME.slice", str(raised.exception))


    def test_a_tmpfs_volume_in_a_user_namespace(self):
        # Kernels before 6.3 cannot map its ids.
        folder = self.node.directory + "/memory"
        os.makedirs(folder)
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)
        self.addCleanup(run, "umount", folder)
        config = self.config("mapped", "")
        options = config.linux.security_context.namespace_options
        options.network = self.cri.POD
        options.userns_options.mode = self.cri.POD
        for ids in (options.userns_options.uids, options.userns_options.gids):
            ids.add(container_id=0, host_id=1 << 20, length=1 << 16)
        with open(self.node.directory + "/10-lo.conflist", "w") as f:
            f.write('{"cniVersion": "1.0.0", "name": "lo", "plugins": '
                    '[{"type": "ptp", "ipam": {"type": "host-local", '
                    '"subnet": "10.99.0.0/24"}}]}')
        pod = self.runtime.call(
            "RunPodSandbox", self.cri.RunPodSandboxRequest(config=config),
            PATIENCE).pod_sandbox_id
        wanted = self.cri.ContainerConfig(
            metadata=self.cri.ContainerMetadata(name="c"),
            image=self.cri.ImageSpec(image="docker.io/library/box:1"),
            command=["sleep", "1000"])
        wanted.linux.security_context.namespace_options.CopyFrom(options)
        mount = wanted.mounts.add(container_path="/v", host_path=folder)
        for ids in (mount.uidMappings, mount.gidMappings):
            ids.add(container_id=0, host_id=1 << 20, length=1 << 16)

        def start():
            container = self.runtime.call(
                "CreateContainer", self.cri.CreateContainerRequest(
                    pod_sandbox_id=pod, config=wanted, sandbox_config=config),
                PATIENCE).container_id
            self.runtime.call(
                "StartContainer", self.cri.StartContainerRequest(
                    container_id=container), PATIENCE)
            return self.runtime.call("ExecSync", self.cri.ExecSyncRequest(
                container_id=container, cmd=[
                    "sh", "-c", "echo x >>/v/file; stat -c %u /v /v/file"]),
                PATIENCE).stdout.decode().split()
        # Twice: the second finds files there.
        self.assertEqual(start(), ["0", "0"])
        wanted.metadata.attempt = 1
        self.assertEqual(start(), ["0", "0"])
        self.remove(pod)


class Cgroupfs(NodeTest):
    SETTINGS = "cgroup_driver: CGROUPFS"

    def test_a_slice_is_refused(self):
        done = self.node.docker("run", "--network", "none", "--cgroup-parent",
                                "x.slice", "box:1", "true", ok=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cgroupfs", done.text)

    def test_it_says_so(self):
        self.assertEqual(
            self.node.docker("info", "-f", "{{.CgroupDriver}}").text,
            "cgroupfs")
        c = self.node.create("-m", "64m")
        path = cgroup_of(self.node.pid(c))
        self.assertTrue(path.startswith("/berth/"), path)
        run("systemctl", "daemon-reload")
        self.assertEqual(read(TREE + path + "/memory.max"), str(64 << 20))


if __name__ == "__main__":
    unittest.main(verbosity=1)
