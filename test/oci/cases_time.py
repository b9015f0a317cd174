"""Time namespaces, and system calls that somebody else answers."""
import array
import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading

import runtime as rt
from case import RuntimeTest


def uptime(text):
    return float(text.split()[0])


class TimeNamespaces(RuntimeTest):
    OFFSETS = {"boottime": {"secs": 100000, "nanosecs": 500},
               "monotonic": {"secs": 5000}}

    def shifted(self, offsets=None, path=None):
        b = self.runtime.bundle("/bin/sleep", "1000")
        entry = {"type": "time"}
        if path:
            entry["path"] = path
        b.linux["namespaces"].append(entry)
        if offsets is not None:
            b.linux["timeOffsets"] = offsets
        return b

    def assertUptime(self, text, ahead):
        with open("/proc/uptime") as f:
            self.assertAlmostEqual(uptime(text) - uptime(f.read()), ahead,
                                   delta=60)

    def test_offsets(self):
        r = self.runtime
        out = r.shell(self.shifted(self.OFFSETS), "cat /proc/uptime")
        self.assertUptime(out, 100000)

    def test_new_one_without_offsets(self):
        r = self.runtime
        c = r.start_new(self.shifted())
        mine = os.readlink("/proc/self/ns/time")
        theirs = os.readlink("/proc/%d/ns/time" % r.state(c)["pid"])
        self.assertNotEqual(mine, theirs)

    def test_exec_and_joined_by_path(self):
        r = self.runtime
        first = r.start_new(self.shifted(self.OFFSETS))
        out = r.must("exec", first, "/bin/cat", "/proc/uptime").stdout
        self.assertUptime(out, 100000)
        path = "/proc/%d/ns/time" % r.state(first)["pid"]
        b = self.shifted(path=path)
        self.assertUptime(r.shell(b, "cat /proc/uptime"), 100000)

    def test_with_a_user_namespace(self):
        r = self.runtime
        b = self.shifted(self.OFFSETS)
        b.linux["namespaces"].append({"type": "user"})
        ids = [{"containerID": 0, "hostID": 0, "size": 65536}]
        b.linux.update(uidMappings=ids, gidMappings=ids)
        self.assertUptime(r.shell(b, "cat /proc/uptime"), 100000)

    def test_hooks_of_the_runtime_stay_outside(self):
        r = self.runtime
        b = self.shifted(self.OFFSETS)
        said = os.path.join(b.path, "said")
        b.config["hooks"] = {n: [{"path": "/bin/sh", "args": [
            "sh", "-c", "readlink /proc/self/ns/time >> " + said]}]
            for n in ("prestart", "createRuntime", "poststart")}
        r.start_new(b)
        with open(said) as f:
            self.assertEqual(set(f.read().split()),
                             {os.readlink("/proc/self/ns/time")})

    def test_bad_ones_are_refused(self):
        r = self.runtime
        for offsets, spoil in (
                ({"realtime": {"secs": 1}}, lambda b: None),
                ({"boottime": {"nanosecs": 1000000000}}, lambda b: None),
                ({"boottime": {"secs": 1}},
                 lambda b: b.linux["namespaces"].pop())):
            with self.subTest(offsets):
                b = self.shifted(offsets)
                spoil(b)
                self.assertFails(r.run(b, "--detach"))


class Agent:
    """Listens for filters, and answers their calls without making them."""
    RECEIVE, SEND = 0xC0502100, 0xC0182101

    def __init__(self, directory, answer=0):
        self.path = os.path.join(directory, "agent.sock")
        self.answer = answer
        self.messages, self.calls, self.files = [], [], []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.stop, self.stopped = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def take(self):
        connection, _ = self.listener.accept()
        with connection:
            fds = array.array("i")
            text, control, _, _ = connection.recvmsg(
                65536, socket.CMSG_SPACE(fds.itemsize))
            for level, kind, data in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(data[:fds.itemsize])
            self.messages.append(json.loads(text))
            self.files.extend(fds)

    def reply(self, fd):
        request = bytearray(80)
        try:
            fcntl.ioctl(fd, self.RECEIVE, request)
            call, pid = struct.unpack_from("=QI", request)
            self.calls.append(pid)
            fcntl.ioctl(fd, self.SEND, struct.pack(
                "=QqiI", call, 0, -self.answer, 0))
        except OSError as e:
            if e.errno == errno.ENOENT:
                return  # the caller is gone
            raise

    def serve(self):
        while True:
            poll = select.poll()
            poll.register(self.stop, select.POLLIN)
            poll.register(self.listener, select.POLLIN)
            for fd in self.files:
                poll.register(fd, select.POLLIN)
            for fd, events in poll.poll():
                if fd == self.stop:
                    return
                if fd == self.listener.fileno():
                    self.take()
                elif events & select.POLLIN:
                    self.reply(fd)
                else:
                    self.files.remove(fd)
                    os.close(fd)

    def close(self):
        os.write(self.stopped, b"x")
        self.thread.join(rt.DEADLINE)
        self.listener.close()
        for fd in self.files + [self.stop, self.stopped]:
            os.close(fd)
        os.unlink(self.path)


class Notified(RuntimeTest):
    def setUp(self):
        super().setUp()
        self.agent = Agent(self.runtime.directory)
        self.addCleanup(self.agent.close)

    def watched(self, *args, no_new_privileges=True, **seccomp):
        b = self.runtime.bundle(*args)
        b.process["noNewPrivileges"] = no_new_privileges
        b.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": self.agent.path, "listenerMetadata": "of mine",
            "syscalls": [{"names": ["mkdir", "mkdirat"],
                          "action": "SCMP_ACT_NOTIFY"}], **seccomp}
        return b

    def test_agent_answers_init_and_exec(self):
        r = self.runtime
        for no_new_privileges in (True, False):
            with self.subTest(no_new_privileges=no_new_privileges):
                del self.agent.messages[:]
                b = self.watched("/bin/sleep", "1000",
                                 no_new_privileges=no_new_privileges)
                c = r.create(b)
                # All is known before start.
                self.assertEqual(len(self.agent.messages), 1)
                first = self.agent.messages[0]
                pid = r.state(c)["pid"]
                self.assertEqual((first["pid"], first["metadata"]),
                                 (pid, "of mine"))
                self.assertEqual(first["fds"], ["seccompFd"])
                self.assertEqual(first["state"]["id"], c)
                self.assertEqual(first["state"]["status"], "creating")
                self.assertEqual(first["state"]["pid"], pid)
                r.must("start", c)
                out = r.must("exec", c, "/bin/sh", "-c",
                             "mkdir /made; echo $?; ls /").stdout
                self.assertTrue(out.startswith("0\n"), out)
                self.assertNotIn("made", out)
                second = self.agent.messages[1]
                self.assertEqual(second["state"]["status"], "running")
                self.assertEqual(second["state"]["pid"], pid)
                self.assertNotEqual(second["pid"], pid)

    def test_error_of_the_agent(self):
        self.agent.answer = errno.EIO
        out = self.runtime.shell(
            self.watched(), "mkdir /made 2>&1; ls /; echo done")
        self.assertIn("Input/output error", out)
        self.assertIn("done", out)

    def test_flags(self):
        b = self.watched(flags=["SECCOMP_FILTER_FLAG_LOG",
                                "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
        out = self.runtime.shell(b, "mkdir /made; echo $?")
        self.assertEqual(out, "0\n")

    def test_wait_killable(self):
        b = self.watched(flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
        out = self.runtime.shell(b, "mkdir /made; echo $?")
        self.assertEqual(out, "0\n")

    def test_in_a_shared_pid_namespace(self):
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        b = self.watched("/bin/sleep", "1000")
        b.linux["namespaces"][0]["path"] = (
            "/proc/%d/ns/pid" % r.state(first)["pid"])
        c = r.start_new(b)
        self.assertEqual(self.agent.messages[0]["pid"], r.state(c)["pid"])
        out = r.must("exec", c, "/bin/sh", "-c", "mkdir /m; echo $?").stdout
        self.assertEqual(out, "0\n")

    def test_nobody_listens(self):
        r = self.runtime
        b = self.watched("/bin/true", listenerPath="/no/such/socket")
        self.assertFails(r.run(b), "no such file")
        self.assertEqual(rt.cgroup_directories(r.ids[-1]), [])

    def test_what_could_never_be_answered_is_refused(self):
        r = self.runtime
        rule = {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}
        for change in ({"listenerPath": ""},
                       {"defaultAction": "SCMP_ACT_NOTIFY"},
                       {"syscalls": [rule]}):
            with self.subTest(change):
                self.assertFails(r.run(self.watched("/bin/true", **change)))
