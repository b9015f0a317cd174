"""Streams and terminals: bytes, detach, resize, clients that vanish."""
import fcntl
import hashlib
import http.server
import os
import pty
import random
import struct
import subprocess
import termios
import threading
import time
import urllib.error
import urllib.request

from harness import Reader, check, equal, eventually

MIB = 1 << 20


class Terminal:
    """The docker CLI on a terminal of its own."""

    def __init__(self, docker, *args, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = docker.popen(*args, stdin=slave, stdout=slave,
                                    stderr=slave, start_new_session=True,
                                    preexec_fn=lambda: fcntl.ioctl(
                                        0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.reader = Reader(self.master)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text, seconds=15):
        begin = self.seen if hasattr(self, "seen") else 0
        def found():
            return text.encode() in self.reader.data[begin:]
        try:
            eventually(f"{text!r} on the terminal", found, seconds)
        except Exception as failure:
            failure.args = (f"{failure}; seen {self.reader.data[begin:]!r}",)
            raise
        self.seen = begin + self.reader.data[begin:].index(text.encode())
        self.seen += len(text)

    def end(self, seconds=15):
        """The CLI's exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join(5)
            os.close(self.master)


PROMPT = "root@box:/# "


def interactive_bash(docker):
    terminal = Terminal(docker, "run", "--rm", "-it", "ubuntu", "/bin/bash")
    terminal.expect(PROMPT)
    terminal.type("echo $((40 + 2)); tty\n")
    terminal.expect("42\r\n")
    terminal.expect("/dev/")
    terminal.type("sleep 1000 &\njobs\n")
    terminal.expect("Running")
    terminal.type("exit 7\n")
    equal(terminal.end(), 7, "exit code")


def the_window_size_follows(docker):
    terminal = Terminal(docker, "run", "--rm", "-it", "ubuntu", "/bin/bash",
                        rows=31, columns=97)
    terminal.expect(PROMPT)
    terminal.type("stty size\n")
    terminal.expect("31 97\r\n")
    terminal.resize(40, 120)
    os.kill(terminal.process.pid, 28)  # SIGWINCH
    def resized():
        terminal.type("stty size\n")
        try:
            terminal.expect("40 120\r\n", 1)
            return True
        except Exception:
            return False
    eventually("the new size", resized, 10)
    terminal.type("exit\n")
    equal(terminal.end(), 0, "exit code")


def control_c_reaches_the_program(docker):
    terminal = Terminal(docker, "run", "--rm", "-it", "ubuntu", "/bin/bash")
    terminal.expect(PROMPT)
    # Until the program has the terminal, the shell is interrupted.
    terminal.type("sh -c 'echo is''there; exec sleep 1000'\n")
    terminal.expect("isthere\r\n")
    terminal.type("\x03")
    terminal.expect(PROMPT)
    terminal.type("exit 3\n")
    equal(terminal.end(), 3, "exit code")


def detach_and_attach(docker):
    terminal = Terminal(docker, "run", "--name", "kept", "-it", "ubuntu",
                        "/bin/bash")
    terminal.expect(PROMPT)
    terminal.type("X=remembered\n")
    terminal.expect(PROMPT)
    terminal.type("\x10\x11")  # ctrl-P ctrl-Q
    terminal.end()
    equal(docker.inspect("kept", "{{.State.Running}}"), "true")
    again = Terminal(docker, "attach", "kept")
    again.type("\n")
    again.expect(PROMPT)
    again.type("echo $X\n")
    again.expect("remembered\r\n")
    again.type("exit 5\n")
    equal(again.end(), 5, "exit code")


def exec_with_a_terminal(docker):
    name = docker.start("ubuntu", "sleep", "100")
    terminal = Terminal(docker, "exec", "-it", name, "/bin/bash")
    terminal.expect(PROMPT)
    terminal.type("exit 4\n")
    equal(terminal.end(), 4, "exit code")


def input_ends_where_it_ends(docker):
    equal(docker.run("-i", "busybox", "wc", "-c", stdin=b"x" * 100000).out,
          "100000\n")


def two_hundred_mebibytes_through_cat(docker):
    docker("pull", "-q", "busybox")
    block = random.Random(1).randbytes(MIB)
    process = docker.popen("run", "--rm", "-i", "busybox", "cat",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def write():
        try:
            for _ in range(200):
                process.stdin.write(block)
            process.stdin.close()
        except OSError:
            pass  # the count tells that it has ended before
    writer = threading.Thread(target=write)
    writer.start()
    got, count = hashlib.sha256(), 0
    while True:
        piece = process.stdout.read(MIB)
        if not piece:
            break
        got.update(piece)
        count += len(piece)
    writer.join()
    process.stdout.close()
    equal(process.wait(30), 0, "exit code")
    equal(count, 200 * MIB, "bytes")
    wanted = hashlib.sha256()
    for _ in range(200):
        wanted.update(block)
    equal(got.hexdigest(), wanted.hexdigest(), "sha256")


def attach_gets_the_output(docker):
    name = docker.start("-i", "busybox", "sh", "-c", "read x; echo got $x")
    client = docker.popen("attach", name, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
    client.stdin.write(b"this\n")
    client.stdin.flush()
    equal(client.stdout.readline(), b"got this\n")
    client.stdin.close()
    client.stdout.close()
    equal(client.wait(20), 0, "exit code")


def without_a_log_there_is_still_the_stream(docker):
    docker("pull", "busybox")
    result = docker.run("--log-driver", "none", "busybox", "sh", "-c",
                        "echo out; echo err >&2")
    equal((result.out, result.err), ("out\n", "err\n"))
    name = docker.start("--log-driver", "none", "busybox", "sh", "-c",
                        "while :; do echo tick; sleep 0.1; done")
    client = docker.popen("attach", "--no-stdin", name, stdout=subprocess.PIPE)
    equal(client.stdout.readline(), b"tick\n")
    client.kill()
    client.wait()
    client.stdout.close()
    result = docker("logs", name, code=1)
    check("does not support reading" in result.err, result.err)


class SlowMirror(http.server.ThreadingHTTPServer):
    """The registry, but its layers come drop by drop until `fast` is set."""
    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), SlowHandler)
        self.upstream = "http://" + upstream
        self.fast, self.dripping, self.left = False, 0, 0
        self.name = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SlowHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        headers = {key: ", ".join(self.headers.get_all(key))
                   for key in ("Accept", "Range") if key in self.headers}
        asked = urllib.request.Request(self.server.upstream + self.path,
                                       headers=headers, method=self.command)
        try:
            answer = urllib.request.urlopen(asked, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                if key.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(key, value)
            self.end_headers()
        if "/blobs/" not in self.path or len(body) < 100000:
            self.wfile.write(body)
            return
        self.server.dripping += 1
        try:
            while body:
                self.wfile.write(body[:1000])
                body = body[1000:]
                if not self.server.fast:
                    time.sleep(0.05)
        except OSError:
            self.server.left += 1


def a_pull_whose_client_vanishes_is_given_up(docker):
    mirror = SlowMirror(docker.registry)
    name = mirror.name + "/library/ubuntu:latest"
    docker("rmi", "-f", "ubuntu", code=None)
    def vanish():
        dripping, left = mirror.dripping, mirror.left
        client = docker.popen("pull", name, stdout=subprocess.DEVNULL)
        eventually("a layer drips", lambda: mirror.dripping > dripping, 20)
        client.kill()
        client.wait()
        eventually("the engine hangs up", lambda: mirror.left > left, 20)
    vanish()  # connections to a registry are kept for the next pull
    with docker.control.no_trace():
        vanish()
    equal(docker("images", "-q", name).out, "")
    mirror.fast = True
    docker("pull", name)
    equal(docker.run(name, "echo", "whole").out, "whole\n")
    if docker.control.ingest:
        equal(os.listdir(docker.control.ingest), [], "half blobs")
    docker("rmi", "-f", name)
    mirror.shutdown()
    mirror.server_close()


def a_client_that_vanishes_leaves_the_rest(docker):
    name = docker.start("-i", "busybox", "sh", "-c",
                        "while :; do echo tick; sleep 0.1; done")
    with docker.control.no_trace():
        for verb in (("logs", "-f", name), ("attach", "--no-stdin", name),
                     ("exec", name, "sh", "-c", "for i in 1 2 3 4 5 6; do "
                      "echo tick; sleep 0.1; done"), ("events",)):
            client = docker.popen(*verb, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
            if verb[0] != "events":
                check(client.stdout.readline() == b"tick\n", verb[0])
            client.kill()
            client.wait()
            client.stdout.close()
    equal(docker.inspect(name, "{{.State.Running}}"), "true")
    equal(docker("exec", name, "echo", "alive").out, "alive\n")


def an_attachment_may_leave_before_the_start(docker):
    if docker.engine == "dockerd":
        return "there the program's input ends with that of the first client"
    made = docker("create", "-i", "busybox", "cat").out.strip()
    path = f"/v1.41/containers/{made}/attach?stream=1&stdin=1&stdout=1"
    with docker.control.no_trace():
        for _ in range(3):
            with docker.control.connect() as client:
                client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n"
                               "Connection: Upgrade\r\nUpgrade: tcp\r\n"
                               "Content-Length: 0\r\n\r\n".encode())
                check(b" 101 " in client.recv(1000), "no upgrade")
    equal(docker("start", "-ai", made, stdin=b"fed\n").out, "fed\n")
    return None


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("Terminal", "SlowMirror", "SlowHandler")]
