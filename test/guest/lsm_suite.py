#!/usr/bin/python3
"""AppArmor and SELinux, through both doors, in the guest.

  BERTH_BIN=folder-with-the-three-programs ./lsm_suite.py AppArmor...
  BERTH_BIN=... ./lsm_suite.py Selinux...      (lsm= without apparmor)

Runs as root in the guest (run.sh): it loads profiles and a policy.
"""
import os
import re
import subprocess
import sys
import unittest

import node_suite
from node_suite import PATIENCE, NodeTest, Pods, read, run

SELINUXFS = "/sys/fs/selinux"
POLICY = os.path.join(node_suite.TOP, "test/support/selinux.cil")
LABEL = "cat /proc/self/attr/current"

PROFILE = """
profile guest-test flags=(attach_disconnected, mediate_deleted) {
  file,
  network,
  capability,
  signal,
  deny /etc/secret r,
}
"""


def error_of(done):
    if done.returncode == 0:
        raise AssertionError("it worked: " + done.text)
    return done.text


def label_of(path):
    return os.getxattr(path, "security.selinux",
                       follow_symlinks=False).decode().rstrip("\0")


class AppArmorDocker(NodeTest):
    @classmethod
    def setUpClass(cls):
        if read("/sys/module/apparmor/parameters/enabled") != "Y":
            raise unittest.SkipTest("no AppArmor")
        subprocess.run(["apparmor_parser", "-Kr"], input=PROFILE.encode(),
                       check=True, timeout=PATIENCE)
        super().setUpClass()

    def shell(self, script, *args, ok=True):
        return self.node.docker("run", "--rm", "--network", "none", *args,
                                "box:1", "sh", "-c", script, ok=ok)

    def profile(self, *args):
        return self.shell(LABEL, *args).text.rstrip("\0")

    def test_who_has_which_profile(self):
        for args, profile in (
                ([], "berth-default (enforce)"),
                (["--security-opt", "apparmor=unconfined"], "unconfined"),
                (["--security-opt", "apparmor=guest-test"],
                 "guest-test (enforce)"),
                (["--privileged"], "unconfined"),
                (["--privileged", "--security-opt", "apparmor=guest-test"],
                 "guest-test (enforce)"),
                (["--user", "1000"], "berth-default (enforce)")):
            self.assertEqual(self.profile(*args), profile, args)

    def test_inspect_and_info_tell(self):
        for args, profile in (([], "berth-default"),
                              (["--privileged"], "unconfined"),
                              (["--security-opt", "apparmor=guest-test"],
                               "guest-test")):
            c = self.node.create(*args)
            self.assertEqual(self.node.docker(
                "inspect", "-f", "{{.AppArmorProfile}}", c).text, profile)
            self.node.docker("rm", "-f", c)
        self.assertIn("name=apparmor", self.node.docker(
            "info", "-f", "{{.SecurityOptions}}").text)

    def test_a_profile_that_is_missing(self):
        self.assertIn('"no-such-profile": not loaded', error_of(self.shell(
            "true", "--security-opt", "apparmor=no-such-profile", ok=False)))

    def test_the_default_denies(self):
        # What neither capabilities nor seccomp nor masked paths deny here.
        free = ["--cap-add", "SYS_ADMIN", "--security-opt",
                "seccomp=unconfined", "--security-opt",
                "systempaths=unconfined"]
        scripts = {
            "mount -t tmpfs none /mnt": True,
            "echo x >/proc/sys/kernel/domainname": True,
            "cat /proc/kcore >/dev/null </dev/null & "
            "head -c 1 /proc/kcore": True,
            "echo 0 >/proc/sys/kernel/shm_rmid_forced": False,
            "ls /sys/kernel/security/apparmor": True,
            "touch /root-is-mine && ln -s a /b && mkdir /c": False,
        }
        for script, denied in scripts.items():
            done = self.shell(script, *free, ok=False)
            self.assertEqual(done.returncode != 0, denied,
                             "%s: %s" % (script, done.text))
        unconfined = free + ["--security-opt", "apparmor=unconfined"]
        self.shell("mount -t tmpfs none /mnt", *unconfined)
        self.shell("echo x >/proc/sys/kernel/domainname", *unconfined)

    def test_a_profile_of_the_node_denies_what_it_says(self):
        script = "echo s >/etc/secret; cat /etc/secret"
        self.assertEqual(self.shell(script).text, "s")
        self.assertIn("ermission denied", error_of(self.shell(
            script, "--security-opt", "apparmor=guest-test", ok=False)))

    def test_an_exec_is_confined_and_signals_pass(self):
        c = self.node.create("--stop-timeout", "100")
        self.assertEqual(self.node.docker("exec", c, "sh", "-c", LABEL).text
                         .rstrip("\0"), "berth-default (enforce)")
        self.node.docker("exec", c, "sh", "-c", "sleep 100 & kill $!; wait")
        self.node.docker("kill", "-s", "TERM", c)
        self.node.docker("kill", c)
        self.assertEqual(self.node.docker("wait", c).text, "137")
        self.node.docker("rm", "-f", c)

    def test_a_restart_loads_nothing_again(self):
        mark = "/run/node/apparmor-default"
        before = os.stat(mark).st_mtime_ns
        self.node.stop()
        self.node.start()
        self.assertEqual(os.stat(mark).st_mtime_ns, before)
        self.assertEqual(self.profile(), "berth-default (enforce)")


class AppArmorPods(Pods):
    """The tests of Pods are node_suite's."""

    def profile(self, change):
        """The label of a container whose security context `change` changes."""
        config = self.config("aa", "")
        config.linux.security_context.privileged = True
        pod = self.runtime.call(
            "RunPodSandbox", self.cri.RunPodSandboxRequest(config=config),
            PATIENCE).pod_sandbox_id
        try:
            wanted = self.cri.ContainerConfig(
                metadata=self.cri.ContainerMetadata(name="c"),
                image=self.cri.ImageSpec(image="docker.io/library/box:1"),
                command=["sleep", "1000"])
            context = wanted.linux.security_context
            context.namespace_options.network = self.cri.NODE
            change(context)
            container = self.runtime.call(
                "CreateContainer", self.cri.CreateContainerRequest(
                    pod_sandbox_id=pod, config=wanted, sandbox_config=config),
                PATIENCE).container_id
            self.runtime.call(
                "StartContainer", self.cri.StartContainerRequest(
                    container_id=container), PATIENCE)
            return self.runtime.call(
                "ExecSync", self.cri.ExecSyncRequest(
                    container_id=container,
                    cmd=["cat", "/proc/self/attr/current"]),
                PATIENCE).stdout.decode().strip().rstrip("\0")
        finally:
            self.remove(pod)

    def test_profiles(self):
        kinds = self.cri.SecurityProfile

        def with_type(kind, reference="", privileged=False):
            def change(context):
                context.apparmor.profile_type = kind
                context.apparmor.localhost_ref = reference
                context.privileged = privileged
            return change

        def deprecated(text):
            def change(context):
                context.apparmor_profile = text
            return change

        ours, theirs = "berth-default (enforce)", "guest-test (enforce)"
        for change, profile in (
                (lambda context: None, ours),
                (with_type(kinds.RuntimeDefault), ours),
                (with_type(kinds.Unconfined), "unconfined"),
                (with_type(kinds.Localhost, "guest-test"), theirs),
                (with_type(kinds.Localhost, "localhost/guest-test"), theirs),
                (with_type(kinds.Localhost, "guest-test", True), theirs),
                (with_type(kinds.RuntimeDefault, "", True), "unconfined"),
                (deprecated("runtime/default"), ours),
                (deprecated("localhost/guest-test"), theirs),
                (deprecated("unconfined"), "unconfined")):
            self.assertEqual(self.profile(change), profile)
        with self.assertRaises(Exception) as raised:
            self.profile(with_type(kinds.Localhost, "no-such-profile"))
        self.assertIn("not loaded", str(raised.exception))

    def test_status_tells(self):
        status = self.runtime.call("Status", self.cri.StatusRequest(
            verbose=True), PATIENCE)
        self.assertIn('"apparmorProfile":"berth-default"',
                      status.info["config"].replace(" ", ""))


def load_policy():
    """SELinux on and enforcing, with the policy of test/support."""
    if os.path.exists(SELINUXFS + "/enforce"):
        return
    if run("mount", "-t", "selinuxfs", "selinuxfs", SELINUXFS,
           ok=False).returncode != 0:
        raise unittest.SkipTest("no SELinux")
    with open(POLICY) as f:
        text = "".join(line for line in f if not line.startswith(";"))
    names = ["c%d" % i for i in range(1024)]
    text = text.replace("@CATEGORIES@", "".join(
        "(category %s)" % name for name in names))
    text = text.replace("@ORDER@", " ".join(names))
    with open("/tmp/policy.cil", "w") as f:
        f.write(text)
    run("secilc", "-M", "true", "-c", "33", "-o", "/tmp/policy", "-f",
        "/dev/null", "/tmp/policy.cil")
    with open("/tmp/policy", "rb") as f:
        policy = f.read()
    load = os.open(SELINUXFS + "/load", os.O_WRONLY)
    os.write(load, policy)
    os.close(load)
    os.makedirs("/etc/selinux/mini/contexts", exist_ok=True)
    with open("/etc/selinux/config", "w") as f:
        f.write("SELINUX=enforcing\nSELINUXTYPE=mini\n")
    with open("/etc/selinux/mini/contexts/lxc_contexts", "w") as f:
        f.write('process = "system_u:system_r:container_t:s0"\n'
                'file = "system_u:object_r:container_file_t:s0"\n')
    with open(SELINUXFS + "/enforce", "w") as f:
        f.write("1")


class SelinuxDocker(NodeTest):
    @classmethod
    def setUpClass(cls):
        load_policy()
        super().setUpClass()

    def shell(self, script, *args, ok=True):
        return self.node.docker("run", "--rm", "--network", "none", *args,
                                "box:1", "sh", "-c", script, ok=ok)

    def labels(self, container):
        return self.node.docker("inspect", "-f",
                                "{{.ProcessLabel}} {{.MountLabel}}",
                                container).text.split(" ")

    def volume(self, name):
        folder = "%s/%s" % (self.node.directory, name)
        os.mkdir(folder)
        with open(folder + "/file", "w") as f:
            f.write("content")
        return folder

    def test_process_and_files(self):
        c = self.node.create("--tmpfs", "/t")
        process, mount = self.labels(c)
        level = re.fullmatch("system_u:system_r:container_t:(s0:c[0-9]+,"
                             "c[0-9]+)", process).group(1)
        self.assertEqual(mount, "system_u:object_r:container_file_t:" + level)
        pid = self.node.pid(c)
        self.assertEqual(read("/proc/%s/attr/current" % pid).rstrip("\0"),
                         process)
        for path in ("/", "/bin/busybox", "/dev", "/dev/shm", "/dev/mqueue",
                     "/t", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
            self.assertEqual(label_of("/proc/%s/root%s" % (pid, path)), mount,
                             path)
        self.assertEqual(self.node.docker("exec", c, "sh", "-c", LABEL).text
                         .rstrip("\0"), process)
        self.node.docker("rm", "-f", c)
        self.assertIn("name=selinux", self.node.docker(
            "info", "-f", "{{.SecurityOptions}}").text)

    def test_each_has_its_own_level_and_keeps_it(self):
        all_of_them = [self.node.create() for _ in range(3)]
        labels = [self.labels(c)[0] for c in all_of_them]
        self.assertEqual(len(set(labels)), 3, labels)
        self.node.stop()
        self.node.start()
        self.assertEqual([self.labels(c)[0] for c in all_of_them], labels)
        self.node.docker("restart", "-t", "0", all_of_them[0])
        self.assertEqual(read("/proc/%s/attr/current" % self.node.pid(
            all_of_them[0])).rstrip("\0"), labels[0])
        self.node.docker("rm", "-f", *all_of_them)

    def test_volumes(self):
        folder = self.volume("v1")
        reading = "cat /v/file"
        self.assertIn("ermission denied", error_of(self.shell(
            reading, "-v", folder + ":/v", ok=False)))
        # Private: the next container gets it by a label of its own.
        c = self.node.create("-v", folder + ":/v:Z")
        self.assertEqual(label_of(folder + "/file"), self.labels(c)[1])
        self.assertEqual(self.node.docker("exec", c, "cat", "/v/file").text,
                         "content")
        self.assertIn("ermission denied", error_of(self.shell(
            reading, "-v", folder + ":/v", ok=False)))
        # Shared: both may.
        self.assertEqual(self.shell(reading, "-v", folder + ":/v:z").text,
                         "content")
        self.assertEqual(label_of(folder + "/file"),
                         "system_u:object_r:container_file_t:s0")
        self.assertEqual(self.shell(reading, "-v", folder + ":/v").text,
                         "content")
        self.node.docker("rm", "-f", c)

    def test_named_volumes_are_shared(self):
        self.shell("echo x >/v/file", "-v", "named:/v")
        self.assertEqual(self.shell("cat /v/file", "-v", "named:/v").text, "x")
        self.node.docker("volume", "rm", "named")

    def test_what_is_asked_for(self):
        for args, label in (
                (["label=level:s0:c7,c8"],
                 "system_u:system_r:container_t:s0:c7,c8"),
                (["label=type:other_t", "label=level:s0"],
                 "system_u:system_r:other_t:s0")):
            options = [w for a in args for w in ("--security-opt", a)]
            self.assertEqual(self.shell(LABEL, *options).text.rstrip("\0"),
                             label)
        runtime = read("/proc/self/attr/current").rstrip("\0")
        for args in (["--security-opt", "label=disable"], ["--privileged"],
                     ["--pid", "host"]):
            self.assertEqual(self.shell(LABEL, *args).text.rstrip("\0"),
                             runtime, args)

    def test_what_the_policy_does_not_know(self):
        self.assertIn("does not know it", error_of(self.shell(
            "true", "--security-opt", "label=type:no_such_t", ok=False)))

    def test_folders_of_the_system_are_left_alone(self):
        before = label_of("/scratch")
        for folder in ("/usr", "/home", "/etc"):
            self.assertIn("folder of the system", error_of(self.shell(
                "true", "-v", folder + ":/v:z", ok=False)))
        self.assertEqual(label_of("/scratch"), before)


class SelinuxPods(Pods):
    @classmethod
    def setUpClass(cls):
        load_policy()
        super().setUpClass()

    def start(self, pod, config, name, **options):
        wanted = self.cri.ContainerConfig(
            metadata=self.cri.ContainerMetadata(name=name),
            image=self.cri.ImageSpec(image="docker.io/library/box:1"),
            command=["sleep", "1000"])
        wanted.linux.security_context.namespace_options.network = self.cri.NODE
        for key, value in options.items():
            setattr(wanted.linux.security_context.selinux_options, key, value)
        if self.folder:
            mount = wanted.mounts.add()
            mount.container_path = "/v"
            mount.host_path = self.folder
            mount.selinux_relabel = True
        container = self.runtime.call(
            "CreateContainer", self.cri.CreateContainerRequest(
                pod_sandbox_id=pod, config=wanted, sandbox_config=config),
            PATIENCE).container_id
        self.runtime.call("StartContainer", self.cri.StartContainerRequest(
            container_id=container), PATIENCE)
        return container

    def ask(self, container, *command):
        answer = self.runtime.call("ExecSync", self.cri.ExecSyncRequest(
            container_id=container, cmd=command), PATIENCE)
        return (answer.stdout + answer.stderr).decode().strip().rstrip("\0")

    def test_one_level_a_pod(self):
        self.folder = self.node.directory + "/relabel"
        os.mkdir(self.folder)
        with open(self.folder + "/file", "w") as f:
            f.write("content")
        pods, labels = [], []
        for name in ("a", "b"):
            config = self.config(name, "")
            pod = self.runtime.call(
                "RunPodSandbox", self.cri.RunPodSandboxRequest(config=config),
                PATIENCE).pod_sandbox_id
            pods.append(pod)
            of_pod = []
            for container in ("one", "two"):
                c = self.start(pod, config, container)
                of_pod.append(self.ask(c, "cat", "/proc/self/attr/current"))
                self.assertEqual(self.ask(c, "cat", "/v/file"), "content")
            self.assertEqual(of_pod[0], of_pod[1])
            labels.append(of_pod[0])
        self.assertNotEqual(labels[0], labels[1])
        for pod in pods:
            self.remove(pod)

    def test_a_level_that_is_given(self):
        self.folder = None
        config = self.config("given", "")
        config.linux.security_context.selinux_options.level = "s0:c10,c20"
        pod = self.runtime.call(
            "RunPodSandbox", self.cri.RunPodSandboxRequest(config=config),
            PATIENCE).pod_sandbox_id
        c = self.start(pod, config, "one")
        self.assertEqual(self.ask(c, "cat", "/proc/self/attr/current"),
                         "system_u:system_r:container_t:s0:c10,c20")
        c = self.start(pod, config, "two", type="other_t")
        self.assertEqual(self.ask(c, "cat", "/proc/self/attr/current"),
                         "system_u:system_r:other_t:s0:c10,c20")
        self.remove(pod)


# node_suite runs those that they inherit.
for inherited in [name for name in dir(Pods) if name.startswith("test_")]:
    for case in (AppArmorPods, SelinuxPods):
        setattr(case, inherited, None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
