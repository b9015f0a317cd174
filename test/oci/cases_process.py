"""The life of a container, and what its process gets."""
import json
import os
import signal
import subprocess
import threading

import runtime as rt
from case import RuntimeTest, is_alive


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

    def test_preserved_fds_must_be_open(self):
        r = self.runtime
        for count in ("100", "-1", "4294967296"):
            if count != "100" and r.name() != "berth-oci":
                continue
            b = r.bundle("/bin/true")
            self.assertNotEqual(
                r.run(b, "--preserve-fds", count).returncode, 0, count)

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
