#!/usr/bin/env python3
"""What any OCI runtime with runc's command line must do.

  OCI_RUNTIME=/usr/sbin/runc ./oci_suite.py [TestClass.test_name ...]

Needs root, busybox-static and cgroups. The same suite passes on Debian's runc
and crun: what a peer does otherwise is named in PEERS, with the reason.
"""
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import runtime as rt

# Tests that a peer is known not to pass: not what we are to copy.
PEERS = {
    "runc": {
        # Debian 12's 1.1.5 is older than the fixes.
        "Security.test_no_host_directory_as_cwd": "CVE-2024-21626",
        "Security.test_null_device_that_is_a_link_masks_nothing":
            "CVE-2025-31133",
        "Security.test_null_on_stdin_keeps_its_owner": "chowns /dev/null",
        "Process.test_start_reports_what_cannot_be_executed":
            "start returns before execve",
        "Hooks.test_failing_poststart_ends_the_container": "1.1 goes on",
        "Security.test_dev_that_is_a_link": "CVE-2026-41579",
        "Exec.test_strict_user": "looks names up",
        "Security.test_nothing_but_procfs_on_proc": "takes tmpfs on /proc",
        "Security.test_swapped_mount_point_reaches_no_host_directory":
            "CVE-2024-45310",
        "UserNamespace.test_joined_by_path": "1.1 wants mappings as well",
        "UserNamespace.test_mappings_without_the_namespace_are_refused":
            "1.1 ignores them",
    },
    "crun": {
        "Security.test_no_host_directory_as_cwd": "CVE-2024-21626",
        "Security.test_null_on_stdin_keeps_its_owner": "chowns /dev/null",
        "Security.test_null_device_that_is_a_link_masks_nothing":
            "CVE-2025-31133",
        "Process.test_start_reports_what_cannot_be_executed":
            "start returns before execve",
        "Hooks.test_failing_poststart_ends_the_container": "1.8 goes on",
        "Security.test_dev_that_is_a_link": "CVE-2026-47766",
        "Exec.test_strict_user": "CVE-2026-30892",
        "Lifecycle.test_bad_ids": "1.8 takes them",
        "Configuration.test_bad_values": "1.8 takes some",
        "Configuration.test_json_log": "has words of its own",
        "Exec.test_flags": "1.8 drops the environment and the group",
        "Hooks.test_failing_poststop_does_not_matter": "1.8 dies by SIGPIPE",
        "Process.test_home_of_the_user": "1.8 leaves HOME out",
        "Security.test_nothing_but_procfs_on_proc": "takes tmpfs on /proc",
        "Terminal.test_console_socket_without_terminal_is_an_error":
            "1.8 ignores it",
        "UserNamespace.test_mappings_without_the_namespace_are_refused":
            "1.8 ignores them",
    },
}


class RuntimeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runtime = rt.Runtime()

    @classmethod
    def tearDownClass(cls):
        cls.runtime.close()

    def setUp(self):
        test = type(self).__name__ + "." + self._testMethodName
        reason = PEERS.get(self.runtime.name(), {}).get(test)
        if reason and not os.environ.get("OCI_ALL"):
            self.skipTest("known of %s: %s" % (self.runtime.name(), reason))

    def tearDown(self):
        self.runtime.clean()

    def assertFails(self, done, *words):
        self.assertNotEqual(done.returncode, 0, done.stdout)
        if self.runtime.name() == "crun":
            return  # has words of its own
        for word in words:
            self.assertIn(word.lower(), done.stderr.lower())


class Lifecycle(RuntimeTest):
    def test_run_returns_the_exit_code(self):
        r = self.runtime
        self.assertEqual(r.run(r.bundle("/bin/true")).returncode, 0)
        self.assertEqual(r.run(r.bundle("/bin/sh", "-c", "exit 37")).returncode,
                         37)
        b = r.bundle("/bin/sh", "-c", "kill -9 $$")
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "pid"]
        self.assertEqual(r.run(b).returncode, 137)

    def test_create_start_kill_delete(self):
        r = self.runtime
        pid_file = os.path.join(r.directory, "pid")
        c = r.create(r.bundle("/bin/sleep", "1000"), "--pid-file", pid_file)
        state = r.state(c)
        self.assertEqual(state["status"], "created")
        self.assertEqual(state["id"], c)
        with open(pid_file) as f:
            self.assertEqual(int(f.read()), state["pid"])
        os.kill(state["pid"], 0)
        r.must("start", c)
        self.assertEqual(r.status(c), "running")
        r.must("kill", c, "KILL")
        r.wait_stopped(c)
        self.assertEqual(r.state(c).get("pid", 0), 0)
        r.must("delete", c)
        self.assertFails(r.call("state", c), "does not exist")
        self.assertEqual(rt.cgroup_directories(c), [])
        self.assertFalse(os.path.exists(os.path.join(r.root, c)))

    def test_program_does_not_run_before_start(self):
        r = self.runtime
        b = r.bundle("/bin/touch", "/ran")
        c = r.create(b)
        marker = os.path.join(b.rootfs, "ran")
        self.assertFalse(os.path.exists(marker))
        r.must("start", c)
        r.wait_stopped(c)
        self.assertTrue(os.path.exists(marker))

    def test_id_is_taken_once(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        c = r.create(b)
        self.assertFails(r.call("create", "--bundle", b.path, c), "exist")
        self.assertEqual(r.status(c), "created")

    def test_bad_ids(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.save()
        for bad in ("", "..", "a/b", "a b"):
            self.assertFails(r.call("create", "--bundle", b.path, bad))

    def test_start_only_once(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        self.assertFails(r.call("start", c))
        self.assertEqual(r.status(c), "running")
        self.assertFails(r.call("start", "no-such-container"),
                         "does not exist")

    def test_delete_needs_a_stopped_container(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        self.assertFails(r.call("delete", c))
        self.assertEqual(r.status(c), "running")
        r.must("delete", "--force", c)
        self.assertFails(r.call("state", c))

    def test_created_container_can_be_deleted(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/sleep", "1000"))
        pid = r.state(c)["pid"]
        r.must("delete", "--force", c)
        rt.wait_until(lambda: not is_alive(pid), "the init is gone")
        self.assertEqual(rt.cgroup_directories(c), [])

    def test_force_delete_of_unknown_succeeds(self):
        self.runtime.must("delete", "--force", "no-such-container")
        self.assertFails(self.runtime.call("delete", "no-such-container"),
                         "does not exist")

    def test_kill_of_stopped_fails(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/true"))
        r.wait_stopped(c)
        self.assertFails(r.call("kill", c, "KILL"), "not running")

    def test_kill_takes_names_and_numbers(self):
        r = self.runtime
        for text in ("TERM", "SIGTERM", "15"):
            b = r.bundle("/bin/sh", "-c",
                         "trap 'exit 3' TERM; touch /ready; "
                         "while true; do sleep 0.01; done")
            c = r.start_new(b)
            rt.wait_until(
                lambda: os.path.exists(os.path.join(b.rootfs, "ready")),
                "trap is set")
            r.must("kill", c, text)
            r.wait_stopped(c)
        self.assertFails(r.call("kill", c, "NOSUCH"))

    def test_dead_init_is_stopped(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/sleep", "1000"))
        os.kill(r.state(c)["pid"], signal.SIGKILL)
        r.wait_stopped(c)
        self.assertFails(r.call("start", c))

    def test_list(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/sleep", "1000"))
        quiet = r.must("list", "--quiet").stdout.split()
        self.assertIn(c, quiet)
        table = r.must("list").stdout.splitlines()
        self.assertEqual(table[0].split()[:3], ["ID", "PID", "STATUS"]
                         if self.runtime.name() != "crun"
                         else ["NAME", "PID", "STATUS"])

    def test_list_json(self):
        r = self.runtime
        c = r.create(r.bundle("/bin/sleep", "1000"))
        entries = json.loads(r.must("list", "--format", "json").stdout)
        entry = [e for e in entries if e["id"] == c][0]
        self.assertEqual(entry["status"], "created")
        self.assertEqual(entry["pid"], r.state(c)["pid"])

    def test_pause_and_resume(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        r.must("pause", c)
        self.assertEqual(r.status(c), "paused")
        self.assertFails(r.call("exec", c, "/bin/true"))
        r.must("resume", c)
        self.assertEqual(r.status(c), "running")
        r.must("exec", c, "/bin/true")

    def test_killed_while_paused(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        r.must("pause", c)
        r.must("delete", "--force", c)
        self.assertEqual(rt.cgroup_directories(c), [])

    def test_ps(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        pids = json.loads(r.must("ps", "--format", "json", c).stdout)
        self.assertEqual(pids, [r.state(c)["pid"]])

    def test_without_pid_namespace_kill_reaches_all(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "sleep 1000 & wait")
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "pid"]
        c = r.start_new(b)
        rt.wait_until(
            lambda: len(json.loads(
                r.must("ps", "--format", "json", c).stdout)) == 2,
            "two processes")
        pids = json.loads(r.must("ps", "--format", "json", c).stdout)
        r.must("delete", "--force", c)
        for pid in pids:
            rt.wait_until(lambda: not is_alive(pid), "pid %d is gone" % pid)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Process(RuntimeTest):
    def test_environment_directory_and_home(self):
        r = self.runtime
        b = r.bundle()
        b.process["env"] += ["A=1", "A=2"]
        b.process["cwd"] = "/made/for/us"
        out = r.shell(b, "echo $A $HOME; pwd")
        self.assertEqual(out, "2 /root\n/made/for/us\n")

    def test_home_of_the_user(self):
        r = self.runtime
        b = r.bundle()
        b.process["user"] = {"uid": 1000, "gid": 1000}
        self.assertEqual(r.shell(b, "echo $HOME"), "/home/user\n")
        b = r.bundle()
        b.process["user"] = {"uid": 4321, "gid": 1000}
        self.assertEqual(r.shell(b, "echo $HOME"), "/\n")

    def test_ids_and_groups(self):
        r = self.runtime
        b = r.bundle()
        b.process["user"] = {"uid": 1000, "gid": 1001,
                             "additionalGids": [7, 99]}
        out = r.shell(b, "grep -E '^(Uid|Gid|Groups):' /proc/self/status")
        fields = {l.split(":")[0]: l.split(":")[1].split()
                  for l in out.splitlines()}
        self.assertEqual(fields["Uid"], ["1000"] * 4)
        self.assertEqual(fields["Gid"], ["1001"] * 4)
        self.assertEqual(set(fields["Groups"]), {"7", "99"})

    def test_umask(self):
        r = self.runtime
        b = r.bundle()
        self.assertEqual(r.shell(b, "umask"), "0022\n")
        b = r.bundle()
        b.process["user"]["umask"] = 0o077
        self.assertEqual(r.shell(b, "umask"), "0077\n")

    def test_capabilities(self):
        r = self.runtime
        b = r.bundle()
        b.process["capabilities"] = {
            s: ["CAP_CHOWN", "CAP_KILL"]
            for s in ("bounding", "effective", "permitted")}
        out = r.shell(b, "grep Cap /proc/self/status")
        sets = {l.split(":")[0]: int(l.split()[1], 16)
                for l in out.splitlines()}
        wanted = 1 << 0 | 1 << 5
        self.assertEqual(sets, {"CapInh": 0, "CapPrm": wanted,
                                "CapEff": wanted, "CapBnd": wanted,
                                "CapAmb": 0})

    def test_ambient_capabilities_of_a_user(self):
        r = self.runtime
        b = r.bundle()
        b.process["user"] = {"uid": 1000, "gid": 1000}
        b.process["capabilities"] = {
            s: ["CAP_NET_BIND_SERVICE"]
            for s in ("bounding", "effective", "permitted", "inheritable",
                      "ambient")}
        out = r.shell(b, "grep CapEff /proc/self/status")
        self.assertEqual(int(out.split()[1], 16), 1 << 10)

    def test_no_new_privileges(self):
        r = self.runtime
        b = r.bundle()
        b.process["noNewPrivileges"] = True
        out = r.shell(b, "grep NoNewPrivs /proc/self/status")
        self.assertEqual(out.split()[1], "1")
        b = r.bundle()
        b.process["noNewPrivileges"] = False
        out = r.shell(b, "grep NoNewPrivs /proc/self/status")
        self.assertEqual(out.split()[1], "0")

    def test_rlimits(self):
        r = self.runtime
        b = r.bundle()
        b.process["rlimits"] = [
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
        out = r.shell(b, "grep 'open files' /proc/self/limits")
        self.assertEqual(out.split()[3:5], ["100", "200"])

    def test_oom_score(self):
        r = self.runtime
        b = r.bundle()
        b.process["oomScoreAdj"] = 500
        self.assertEqual(r.shell(b, "cat /proc/self/oom_score_adj"), "500\n")

    def test_missing_program_is_a_create_error(self):
        r = self.runtime
        b = r.bundle("no-such-program")
        b.save()
        c = r.new_id()
        self.assertFails(r.call("create", "--bundle", b.path, c),
                         "executable file not found in $path")
        self.assertEqual(rt.cgroup_directories(c), [])
        self.assertFalse(os.path.exists(os.path.join(r.root, c)))
        self.assertFails(r.run(r.bundle("/no/such")), "no such file")

    def test_program_that_may_not_be_executed(self):
        r = self.runtime
        b = r.bundle("/etc/passwd")
        self.assertFails(r.run(b), "permission denied")

    def test_start_reports_what_cannot_be_executed(self):
        r = self.runtime
        b = r.bundle("/bin/garbage")
        b.write("bin/garbage", "\x01\x02\x03", 0o755)
        c = r.create(b)
        self.assertFails(r.call("start", c), "exec format error")
        r.wait_stopped(c)

    def test_streams(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "cat; echo err >&2")
        done = r.run(b, input=b"in\n")
        self.assertEqual((done.stdout, done.stderr), ("in\n", "err\n"))

    def test_only_standard_streams_are_open(self):
        r = self.runtime
        with open("/etc/hostname") as leaked:
            os.set_inheritable(leaked.fileno(), True)
            b = r.bundle("/bin/ls", "/proc/self/fd")
            done = r.run(b, pass_fds=(leaked.fileno(),))
        # One more: ls looks at the directory.
        self.assertEqual(done.stdout.split(), ["0", "1", "2", "3"])

    def test_preserved_fds(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "cat <&3")
        b.save()
        read_end, write_end = os.pipe()
        os.write(write_end, b"through\n")
        os.close(write_end)
        command = " ".join(
            ["exec"] + r.command + ["--root", r.root, "run", "--preserve-fds",
                                    "1", "--bundle", b.path, r.new_id(),
                                    "3<&%d" % read_end])
        done = subprocess.run(["bash", "-c", command], pass_fds=(read_end,),
                              capture_output=True, text=True)
        os.close(read_end)
        self.assertEqual(done.stdout, "through\n", done.stderr)

    def test_signals_are_passed_on_and_not_blocked(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c",
                     "trap 'exit 9' TERM; touch /ready; "
                     "while true; do sleep 0.01; done")
        b.save()
        run = subprocess.Popen(r.command + ["--root", r.root, "run",
                                            "--bundle", b.path, r.new_id()])
        rt.wait_until(lambda: os.path.exists(os.path.join(b.rootfs, "ready")),
                      "trap is set")
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(timeout=rt.DEADLINE), 9)
        done = r.run(r.bundle("/bin/grep", "-E", "SigBlk|SigIgn",
                              "/proc/self/status"))
        self.assertEqual([l.split()[1] for l in done.stdout.splitlines()],
                         ["0" * 16, "0" * 16])


class Terminal(RuntimeTest):
    def read_all(self, master):
        text = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # EIO: the other side is closed
                return text.decode().replace("\r\n", "\n")
            if not chunk:
                return text.decode().replace("\r\n", "\n")
            text += chunk

    def test_console_socket(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c",
                     "tty; stty size; stat -c %t:%T /dev/console; "
                     "stat -c %u /dev/console")
        b.process["terminal"] = True
        b.process["consoleSize"] = {"width": 91, "height": 37}
        s = rt.ConsoleSocket(r.directory)
        c = r.create(b, "--console-socket", s.path)
        text, master = s.receive()
        s.close()
        self.assertGreater(len(text), 0)
        r.must("start", c)
        lines = self.read_all(master).split()
        os.close(master)
        self.assertIn(lines[0], ("/dev/pts/0", "/dev/console"))
        self.assertEqual(lines[1:3], ["37", "91"])
        self.assertEqual(lines[3], "88:0")
        r.wait_stopped(c)

    def test_exec_with_console_socket(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        s = rt.ConsoleSocket(r.directory)
        done = {}
        thread = threading.Thread(target=lambda: done.update(
            result=r.call("exec", "--tty", "--detach", "--console-socket",
                          s.path, c, "/bin/sh", "-c", "tty; echo done")))
        thread.start()
        _, master = s.receive()
        thread.join()
        s.close()
        self.assertEqual(done["result"].returncode, 0, done["result"].stderr)
        self.assertIn("done", self.read_all(master))
        os.close(master)

    def test_console_socket_without_terminal_is_an_error(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.save()
        s = rt.ConsoleSocket(r.directory)
        done = r.call("create", "--console-socket", s.path,
                      "--bundle", b.path, r.new_id())
        s.close()
        self.assertFails(done)

    def test_terminal_needs_a_socket_when_detached(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.process["terminal"] = True
        b.save()
        c = r.new_id()
        self.assertFails(r.call("create", "--bundle", b.path, c))
        self.assertFails(r.call("state", c))


class Root(RuntimeTest):
    def test_read_only_root(self):
        r = self.runtime
        b = r.bundle()
        b.config["root"]["readonly"] = True
        out = r.shell(b, "touch /x 2>&1; touch /dev/shm/x && echo writable")
        self.assertIn("Read-only file system", out)
        self.assertIn("writable", out)

    def test_root_must_be_a_directory(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["root"]["path"] = "nothing"
        self.assertFails(r.run(b))

    def test_host_is_out_of_sight(self):
        r = self.runtime
        out = r.shell(r.bundle(), "cat /proc/self/mountinfo; ls /")
        self.assertNotIn(r.directory + "/b", "".join(
            l.split()[4] + "\n" for l in out.splitlines() if l[:1].isdigit()))

    def test_default_devices(self):
        r = self.runtime
        out = r.shell(r.bundle(), "for d in null zero full random urandom tty;"
                                  "do stat -c '%t:%T %a' /dev/$d; done;"
                                  "for l in ptmx fd stdin; do readlink /dev/$l; done;"
                                  "echo x > /dev/null")
        self.assertEqual(out.split("\n")[:6],
                         ["1:3 666", "1:5 666", "1:7 666", "1:8 666",
                          "1:9 666", "5:0 666"])
        self.assertIn("/proc/self/fd", out)

    def test_requested_device(self):
        r = self.runtime
        b = r.bundle()
        b.linux["devices"] = [{"path": "/dev/sub/mine", "type": "c",
                               "major": 1, "minor": 5, "fileMode": 0o640,
                               "uid": 5, "gid": 6}]
        b.linux["resources"]["devices"] += [
            {"allow": True, "type": "c", "major": 1, "minor": 5,
             "access": "rwm"}]
        out = r.shell(b, "stat -c '%t:%T %a %u %g' /dev/sub/mine")
        self.assertEqual(out, "1:5 640 5 6\n")

    def test_other_devices_are_denied(self):
        r = self.runtime
        out = r.shell(r.bundle(), "mknod /dev/kmsg c 1 11; "
                                  "head -c1 /dev/kmsg 2>&1; true")
        self.assertIn("Operation not permitted", out)

    def test_bind_mounts(self):
        r = self.runtime
        b = r.bundle()
        source = os.path.join(b.path, "data")
        os.mkdir(source)
        with open(os.path.join(source, "file"), "w") as f:
            f.write("from the host\n")
        b.config["mounts"] += [
            rt.mount("/made/rw", "bind", source, "rbind", "rw"),
            rt.mount("/ro", "bind", source, "rbind", "ro", "nosuid"),
            rt.mount("/a/file", "bind", source + "/file", "bind", "ro"),
            rt.mount("/relative", "bind", "data", "bind")]
        out = r.shell(b, "cat /made/rw/file /a/file /relative/file;"
                         "touch /made/rw/new && echo written;"
                         "touch /ro/x 2>&1; grep ' /ro ' /proc/mounts")
        self.assertEqual(out.count("from the host"), 3)
        self.assertIn("written", out)
        self.assertIn("Read-only", out)
        self.assertIn("nosuid", out.splitlines()[-1])
        self.assertTrue(os.path.exists(os.path.join(source, "new")))

    def test_missing_bind_source_is_an_error(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/x", "bind", "/no/such/source", "bind"))
        self.assertFails(r.run(b), "no such file")

    def test_tmpfs(self):
        r = self.runtime
        b = r.bundle()
        b.config["mounts"].append(
            rt.mount("/t", "tmpfs", "tmpfs", "size=1m", "mode=1770", "noexec"))
        out = r.shell(b, "grep ' /t ' /proc/mounts; stat -c %a /t")
        self.assertIn("size=1024k", out)
        self.assertIn("noexec", out)
        self.assertIn("1770", out)

    def test_read_only_tmpfs_is_filled_first(self):
        r = self.runtime
        b = r.bundle()
        b.config["mounts"][1]["options"].append("ro")
        out = r.shell(b, "stat -c %t:%T /dev/null; touch /dev/x 2>&1; true")
        self.assertIn("1:3", out)
        self.assertIn("Read-only", out)

    def test_masked_and_read_only_paths(self):
        r = self.runtime
        b = r.bundle()
        b.linux["maskedPaths"] = ["/proc/timer_list", "/sys/firmware",
                                  "/no/such/path"]
        b.linux["readonlyPaths"] = ["/proc/sys", "/no/such/path"]
        b.config["mounts"][4]["options"].remove("ro")
        out = r.shell(b, "wc -c < /proc/timer_list; ls /sys/firmware | wc -l;"
                         "touch /sys/firmware/x 2>&1;"
                         "echo 1 > /proc/sys/net/ipv4/ip_forward; true 2>&1")
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["0", "0"])

    def test_read_only_proc_sys(self):
        r = self.runtime
        b = r.bundle()
        b.linux["readonlyPaths"] = ["/proc/sys"]
        out = r.shell(b, "(echo 1 > /proc/sys/net/ipv4/ip_forward) 2>&1; true")
        self.assertIn("Read-only", out)

    def test_mounts_of_the_container_stay_in_it(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        source = os.path.join(b.path, "data")
        os.mkdir(source)
        b.config["mounts"].append(
            rt.mount("/data", "bind", source, "rbind", "rw"))
        r.start_new(b)
        with open("/proc/self/mountinfo") as f:
            self.assertNotIn(b.path, f.read())

    def test_shared_propagation(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        shared = os.path.join(b.path, "shared")
        os.mkdir(shared)
        subprocess.run(["mount", "--bind", shared, shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        try:
            b.config["mounts"].append(
                rt.mount("/shared", "bind", shared, "rbind", "rshared"))
            b.linux["rootfsPropagation"] = "rshared"
            for s in ("bounding", "effective", "permitted"):
                b.process["capabilities"][s].append("CAP_SYS_ADMIN")
            c = r.start_new(b)
            r.must("exec", c, "/bin/sh", "-c",
                   "mkdir /shared/m && mount -t tmpfs t /shared/m")
            with open("/proc/self/mountinfo") as f:
                self.assertIn(shared + "/m", f.read())
            r.must("exec", c, "/bin/umount", "/shared/m")
            with open("/proc/self/mountinfo") as f:
                self.assertNotIn(shared + "/m", f.read())
        finally:
            r.clean()
            subprocess.run(["umount", "-R", shared], check=False)
        self.assertTrue(os.path.exists("/proc/self/mountinfo"))

    def test_slave_propagation(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        shared = os.path.join(b.path, "shared")
        os.makedirs(os.path.join(shared, "m"))
        subprocess.run(["mount", "--bind", shared, shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        try:
            b.config["mounts"].append(
                rt.mount("/slave", "bind", shared, "rbind", "rslave"))
            b.linux["rootfsPropagation"] = "rslave"
            c = r.start_new(b)
            subprocess.run(["mount", "-t", "tmpfs", "t", shared + "/m"],
                           check=True)
            out = r.must("exec", c, "/bin/cat", "/proc/mounts").stdout
            self.assertIn(" /slave/m ", out)
        finally:
            r.clean()
            subprocess.run(["umount", "-R", shared], check=False)

    def test_cgroup_mount_shows_the_own_group(self):
        r = self.runtime
        b = r.bundle()
        b.linux["namespaces"].append({"type": "cgroup"})
        b.config["mounts"].append(
            rt.mount("/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN, "ro"))
        b.linux["resources"]["memory"] = {"limit": 64 << 20}
        name = ("/sys/fs/cgroup/memory.max" if rt.cgroup_v2() else
                "/sys/fs/cgroup/memory/memory.limit_in_bytes")
        out = r.shell(b, "cat %s; mkdir %s/x 2>&1; cat /proc/self/cgroup" %
                      (name, os.path.dirname(name)))
        self.assertEqual(out.splitlines()[0], str(64 << 20))
        self.assertIn("Read-only", out)
        self.assertNotIn("suite-", out)


class Namespaces(RuntimeTest):
    def test_new_ones_differ_from_the_host(self):
        r = self.runtime
        out = r.shell(r.bundle(), "for n in pid net ipc uts mnt; do "
                                  "readlink /proc/self/ns/$n; done; hostname")
        lines = out.splitlines()
        for n, inside in zip(("pid", "net", "ipc", "uts", "mnt"), lines):
            self.assertNotEqual(inside, os.readlink("/proc/self/ns/" + n))
        self.assertEqual(lines[5], "suite")
        with open("/proc/sys/kernel/hostname") as f:
            self.assertNotEqual(f.read().strip(), "suite")

    def test_loopback_is_up(self):
        r = self.runtime
        self.assertIn("LOOPBACK,UP", r.shell(r.bundle(), "ip link show lo"))

    def test_joins_by_path(self):
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = r.bundle()
        del b.config["hostname"]
        names = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}
        for n in b.linux["namespaces"]:
            if n["type"] in names:
                n["path"] = "/proc/%d/ns/%s" % (pid, names[n["type"]])
        out = r.shell(b, "for n in net ipc uts pid; do "
                         "readlink /proc/self/ns/$n; done; hostname; ps")
        lines = out.splitlines()
        for n, inside in zip(("net", "ipc", "uts", "pid"), lines):
            self.assertEqual(inside, os.readlink("/proc/%d/ns/%s" % (pid, n)))
        self.assertEqual(lines[4], "suite")
        self.assertIn("sleep 1000", out)

    def test_wrong_namespace_file(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        for n in b.linux["namespaces"]:
            if n["type"] == "network":
                n["path"] = "/proc/self/ns/uts"
        self.assertFails(r.run(b))

    def test_host_network(self):
        r = self.runtime
        b = r.bundle()
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "network"]
        out = r.shell(b, "readlink /proc/self/ns/net")
        self.assertEqual(out.strip(), os.readlink("/proc/self/ns/net"))

    def test_sysctl(self):
        r = self.runtime
        b = r.bundle()
        b.linux["sysctl"] = {"net.ipv4.ip_forward": "1",
                             "kernel.msgmax": "4321"}
        out = r.shell(b, "cat /proc/sys/net/ipv4/ip_forward "
                         "/proc/sys/kernel/msgmax")
        self.assertEqual(out, "1\n4321\n")

    def test_sysctl_of_the_host_is_refused(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.linux["sysctl"] = {"kernel.panic": "1"}
        self.assertFails(r.run(b))
        b = r.bundle("/bin/true")
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "network"]
        b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.assertFails(r.run(b))


class UserNamespace(RuntimeTest):
    def bundle(self, *args):
        b = self.runtime.bundle(*args)
        b.linux["namespaces"].append({"type": "user"})
        b.linux["uidMappings"] = [
            {"containerID": 0, "hostID": 200000, "size": 65536}]
        b.linux["gidMappings"] = [
            {"containerID": 0, "hostID": 300000, "size": 65536}]
        for directory, names, files in os.walk(b.rootfs):
            os.chown(directory, 200000, 300000)
            for name in files:
                os.lchown(os.path.join(directory, name), 200000, 300000)
        os.chmod(b.path, 0o711)
        return b

    def test_ids_are_mapped(self):
        r = self.runtime
        b = self.bundle()
        out = r.shell(b, "id -u; id -g; cat /proc/self/uid_map; touch /x;"
                         "stat -c %u:%g /dev/shm /x; echo x > /dev/null;"
                         "stat -c %t:%T /dev/null")
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["0", "0"])
        self.assertEqual(lines[2].split(), ["0", "200000", "65536"])
        self.assertEqual(lines[3:5], ["0:0", "0:0"])
        st = os.stat(os.path.join(b.rootfs, "x"))
        self.assertEqual((st.st_uid, st.st_gid), (200000, 300000))

    def test_exec(self):
        r = self.runtime
        c = r.start_new(self.bundle("/bin/sleep", "1000"))
        out = r.must("exec", c, "/bin/sh", "-c",
                     "id -u; readlink /proc/self/ns/user").stdout.split()
        self.assertEqual(out[0], "0")
        self.assertEqual(out[1], os.readlink(
            "/proc/%d/ns/user" % r.state(c)["pid"]))

    def test_user_inside(self):
        r = self.runtime
        b = self.bundle()
        b.process["user"] = {"uid": 1000, "gid": 1000,
                             "additionalGids": [5]}
        out = r.shell(b, "grep -E '^(Uid|Groups)' /proc/self/status")
        self.assertEqual(out.split()[1], "1000")

    def test_joined_by_path(self):
        r = self.runtime
        first = r.start_new(self.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = self.bundle()
        del b.linux["uidMappings"], b.linux["gidMappings"]
        for n in b.linux["namespaces"]:
            if n["type"] in ("user", "network", "ipc"):
                n["path"] = "/proc/%d/ns/%s" % (
                    pid, {"user": "user", "network": "net",
                          "ipc": "ipc"}[n["type"]])
        out = r.shell(b, "readlink /proc/self/ns/user; id -u; echo $$")
        self.assertEqual(out.split(), [
            os.readlink("/proc/%d/ns/user" % pid), "0", "1"])

    def test_rlimits_and_read_only_binds(self):
        r = self.runtime
        b = self.bundle()
        b.process["rlimits"] = [
            {"type": "RLIMIT_NOFILE", "soft": 90, "hard": 95}]
        b.config["mounts"].append(
            rt.mount("/data", "bind", "/etc", "rbind", "ro"))
        out = r.shell(b, "grep 'open files' /proc/self/limits;"
                         "touch /data/x 2>&1; true")
        self.assertEqual(out.split()[3:5], ["90", "95"])
        self.assertIn("Read-only", out)

    def test_mappings_without_the_namespace_are_refused(self):
        r = self.runtime
        b = self.bundle("/bin/true")
        b.linux["namespaces"].pop()
        self.assertFails(r.run(b))


class Seccomp(RuntimeTest):
    def profile(self, *rules, default="SCMP_ACT_ALLOW"):
        return {"defaultAction": default,
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
                                  "SCMP_ARCH_X32"],
                "syscalls": list(rules)}

    def test_errno_of_a_rule(self):
        r = self.runtime
        for no_new_privs in (True, False):
            b = r.bundle()
            b.process["noNewPrivileges"] = no_new_privs
            b.linux["seccomp"] = self.profile(
                {"names": ["mkdir", "mkdirat", "no_such_call"],
                 "action": "SCMP_ACT_ERRNO", "errnoRet": 28})
            out = r.shell(b, "mkdir /x 2>&1; grep Seccomp: /proc/self/status")
            self.assertIn("No space left", out)
            self.assertEqual(out.split()[-1], "2")

    def test_twice_with_the_same_profile(self):
        r = self.runtime
        for errno_ret, text in ((28, "No space left"), (28, "No space left"),
                                (30, "Read-only file system")):
            b = r.bundle()
            b.linux["seccomp"] = self.profile(
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
                 "errnoRet": errno_ret})
            self.assertIn(text, r.shell(b, "mkdir /x 2>&1; true"))

    def test_argument_rules(self):
        r = self.runtime
        b = r.bundle()
        b.linux["seccomp"] = self.profile(
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
             "args": [{"index": 1, "value": 23, "op": "SCMP_CMP_EQ"}]})
        out = r.shell(b, "kill -23 1 2>&1; kill -0 1 2>&1; echo $?")
        self.assertIn("No space left", out)
        self.assertEqual(out.split()[-1], "0")

    def test_exec_has_the_filter_too(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["seccomp"] = self.profile(
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
             "errnoRet": 28})
        c = r.start_new(b)
        done = r.call("exec", c, "/bin/mkdir", "/x")
        self.assertIn("No space left", done.stdout + done.stderr)

    def test_bad_profiles(self):
        r = self.runtime
        for change in ({"defaultAction": "SCMP_ACT_NONSENSE"},
                       {"architectures": ["SCMP_ARCH_NONSENSE"]},
                       {"syscalls": [{"names": ["mkdir"],
                                      "action": "NONSENSE"}]}):
            b = r.bundle("/bin/true")
            b.linux["seccomp"] = dict(self.profile(), **change)
            self.assertFails(r.run(b))


class Limits(RuntimeTest):
    def test_memory_pids_and_cpu(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(
            memory={"limit": 64 << 20}, pids={"limit": 50},
            cpu={"shares": 512, "quota": 20000, "period": 100000})
        c = r.start_new(b)
        v2 = rt.cgroup_v2()
        self.assertEqual(rt.cgroup_file(
            c, "memory", "memory.max" if v2 else "memory.limit_in_bytes"),
            str(64 << 20))
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "50")
        self.assertEqual(
            rt.cgroup_file(c, "cpu", "cpu.max") if v2 else
            rt.cgroup_file(c, "cpu", "cpu.cfs_quota_us"),
            "20000 100000" if v2 else "20000")

    def test_out_of_memory_kills(self):
        r = self.runtime
        b = r.bundle("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=100M",
                     "count=1")
        b.linux["resources"]["memory"] = {"limit": 16 << 20,
                                          "swap": 16 << 20}
        self.assertEqual(r.run(b).returncode, 137)

    def test_update(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(memory={"limit": 64 << 20},
                                    pids={"limit": 50})
        c = r.start_new(b)
        r.must("update", "--resources", "-", c, input=json.dumps(
            {"pids": {"limit": 60}, "memory": {"limit": 80 << 20}}).encode())
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "60")
        r.must("update", "--memory", str(70 << 20), "--pids-limit", "70", c)
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "70")
        self.assertEqual(rt.cgroup_file(
            c, "memory",
            "memory.max" if rt.cgroup_v2() else "memory.limit_in_bytes"),
            str(70 << 20))

    def test_cgroups_path(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        parent = "/suite-parent-%d" % os.getpid()
        b.linux["cgroupsPath"] = parent + "/child"
        c = r.start_new(b)
        self.assertTrue(rt.cgroup_directories(parent[1:] + "/child"))
        r.must("delete", "--force", c)
        self.assertEqual(rt.cgroup_directories(parent[1:] + "/child"), [])
        for left in rt.cgroup_directories(parent[1:]):
            os.rmdir(left)


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
        out = self.exec("--user", "1", self.container, "/bin/id", "-u").stdout
        self.assertEqual(out, "1\n")
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
        started = time.monotonic()
        self.assertFails(r.run(b))
        self.assertLess(time.monotonic() - started, rt.DEADLINE)

    def test_failing_poststart_ends_the_container(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.config["hooks"] = {"poststart": [self.hook(b.path, "exit 1")]}
        c = r.create(b)
        pid = r.state(c)["pid"]
        self.assertFails(r.call("start", c), "hook")
        rt.wait_until(lambda: not is_alive(pid), "the init is gone")

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
        for name in ("proc", "sys"):
            b = r.bundle("/bin/true")
            os.rmdir(os.path.join(b.rootfs, name))
            os.symlink("tmp", os.path.join(b.rootfs, name))
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
        for fd in range(3, 12):
            b = r.bundle("/bin/true")
            b.process["cwd"] = "/proc/self/fd/%d" % fd
            self.assertNotEqual(r.run(b).returncode, 0)

    def test_null_device_that_is_a_link_masks_nothing(self):
        r = self.runtime
        b = r.bundle()
        b.config["mounts"] = [m for m in b.config["mounts"]
                              if m["destination"] == "/proc"]
        os.symlink("/proc/sys/kernel/core_pattern",
                   os.path.join(b.rootfs, "dev/null"))
        b.linux["maskedPaths"] = ["/proc/timer_list"]
        b.process["args"] = ["/bin/cat", "/proc/timer_list"]
        done = r.run(b)
        if done.returncode == 0:
            self.assertEqual(done.stdout, "")

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

    def test_null_on_stdin_keeps_its_owner(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.process["user"] = {"uid": 1000, "gid": 1000}
        before = os.stat("/dev/null")
        try:
            r.run(b)
            self.assertEqual(os.stat("/dev/null").st_uid, before.st_uid)
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


if __name__ == "__main__":
    if os.geteuid() != 0 or "OCI_RUNTIME" not in os.environ:
        sys.exit("needs root, and OCI_RUNTIME: the runtime to be tested")
    unittest.main(verbosity=1)
