"""NOTIFY_SOCKET: a container says that it is ready, and its caller hears it."""
import array
import os
import socket
import subprocess
import threading
import time

import runtime as rt
from case import RuntimeTest

READY = ["READY=1", "MAINPID=%d", "BARRIER=1"]


class Host:
    """Whoever waits for the service, as systemd does."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "host.sock")
        self.words = []
        self.keeps = False  # what it is sent: no barrier is taken down
        self.kept = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            text, control, _, _ = self.socket.recvmsg(
                4096, socket.CMSG_SPACE(4))
            fds = array.array("i")
            for _, _, data in control:
                fds.frombytes(data)
            self.kept += fds
            while self.kept and not self.keeps:
                os.close(self.kept.pop())
            if text == b"END":
                return
            self.words += text.decode().splitlines()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"END", self.path)
        self.thread.join()
        while self.kept:
            os.close(self.kept.pop())
        self.socket.close()
        os.unlink(self.path)
        return self.words


class Ready(RuntimeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = os.path.join(cls.runtime.directory, "notify")
        rt.compile_static("notify.c", cls.program)

    def setUp(self):
        super().setUp()
        self.host = Host(self.runtime.directory)
        self.env = dict(os.environ, NOTIFY_SOCKET=self.host.path)

    def tearDown(self):
        super().tearDown()
        if self.host:
            self.host.close()

    def heard(self):
        host, self.host = self.host, None
        return host.close()

    def bundle(self, script):
        b = self.runtime.bundle("/bin/sh", "-c", script)
        os.link(self.program, os.path.join(b.rootfs, "bin/notify"))
        return b

    def assertReady(self, pid):
        words = self.heard()
        self.assertEqual(words[:2], ["READY=1", "MAINPID=%d" % pid])
        self.assertIn(words[2:], ([], ["BARRIER=1"]))

    def test_run_in_the_background(self):
        r = self.runtime
        c = r.save_new(b := self.bundle("notify READY=1; exec sleep 1000"))
        r.must("run", "--detach", "--bundle", b.path, c, env=self.env)
        self.assertReady(r.state(c)["pid"])

    def test_run_in_the_foreground(self):
        r = self.runtime
        done = r.run(self.bundle("notify READY=1; sleep 0.1; exit 4"),
                     env=self.env)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(self.heard()[0], "READY=1")

    def test_in_the_foreground_the_runtime_is_watched(self):
        r = self.runtime
        c = r.save_new(b := self.bundle("notify READY=1; sleep 1"))
        with subprocess.Popen(r.command + ["--root", r.root, "run", "--bundle",
                                           b.path, c], env=self.env) as p:
            self.assertEqual(p.wait(rt.DEADLINE), 0)
        self.assertReady(p.pid)

    def test_foreground_does_not_wait_for_the_barrier(self):
        r = self.runtime
        self.host.keeps = True
        start = time.monotonic()
        done = r.run(self.bundle("notify READY=1; sleep 0.1; exit 4"),
                     env=self.env)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertLess(time.monotonic() - start, 15)

    def test_nobody_hears(self):
        r = self.runtime
        env = dict(self.env, NOTIFY_SOCKET=self.host.path + ".none")
        done = r.run(self.bundle("notify READY=1; sleep 0.1; exit 4"), env=env)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertNotIn(r.ids[-1], os.listdir(r.root))
        c = r.save_new(b := self.bundle("notify READY=1; exec sleep 1000"))
        r.must("run", "--detach", "--bundle", b.path, c, env=env)
        self.assertEqual(r.status(c), "running")

    def test_nobody_hears_of_a_start(self):
        r = self.runtime
        env = dict(self.env, NOTIFY_SOCKET=self.host.path + ".none")
        c = r.create(self.bundle("notify READY=1; exec sleep 1000"), env=env)
        r.must("start", c, env=env)
        self.assertEqual(r.status(c), "running")

    def test_second_start(self):
        r = self.runtime
        c = r.create(self.bundle("notify READY=1; exec sleep 1000"),
                     env=self.env)
        r.must("start", c, env=self.env)
        self.assertFails(r.call("start", c, env=self.env), "already running")

    def test_create_and_start(self):
        r = self.runtime
        c = r.create(self.bundle("notify READY=1; exec sleep 1000"),
                     env=self.env)
        r.must("start", c, env=self.env)
        self.assertReady(r.state(c)["pid"])

    def test_nothing_else_is_passed_on(self):
        r = self.runtime
        c = r.save_new(b := self.bundle(
            "notify STATUS=busy STOPPING=1 MAINPID=1 READY=1; "
            "exec sleep 1000"))
        r.must("run", "--detach", "--bundle", b.path, c, env=self.env)
        self.assertReady(r.state(c)["pid"])

    def test_one_that_ends_before(self):
        r = self.runtime
        c = r.save_new(b := self.bundle("exit 3"))
        r.must("run", "--detach", "--bundle", b.path, c, env=self.env)
        self.assertEqual(self.heard(), [])

    def test_socket_of_another_user(self):
        r = self.runtime
        b = self.bundle("notify READY=1; exec sleep 1000")
        b.process["user"] = {"uid": 1000, "gid": 1000}
        c = r.save_new(b)
        r.must("run", "--detach", "--bundle", b.path, c, env=self.env)
        self.assertReady(r.state(c)["pid"])

    def test_where_it_is(self):
        done = self.runtime.run(self.bundle(
            "test -w $NOTIFY_SOCKET && test -S $NOTIFY_SOCKET && echo yes"),
            env=self.env)
        self.assertEqual(done.stdout, "yes\n")

    def test_nothing_is_left(self):
        r = self.runtime
        c = r.create(self.bundle("exec sleep 1000"), env=self.env)
        r.must("delete", "--force", c)
        self.assertNotIn(c, os.listdir(r.root))

    def test_nothing_is_left_of_what_a_privileged_one_puts_there(self):
        r = self.runtime
        b = self.bundle(
            "notify READY=1; sleep 0.2; mount -o remount,rw,bind /run/notify && "
            "mkdir /run/notify/d && ln -s / /run/notify/d/link && "
            "touch /run/notify/d/f && exit 3")
        for capabilities in b.process["capabilities"].values():
            capabilities.append("CAP_SYS_ADMIN")
        c = r.save_new(b)
        done = r.call("run", "--bundle", b.path, c, env=self.env)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertNotIn(c, os.listdir(r.root))

    def test_nobody_waits(self):
        out = self.runtime.shell(self.bundle(""), "echo x$NOTIFY_SOCKET")
        self.assertEqual(out, "x\n")
