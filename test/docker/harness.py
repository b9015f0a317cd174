"""What a case has: the docker CLI, and cleaning up after itself."""
import contextlib
import glob
import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter

ID = re.compile(r"^[0-9a-f]{64}$")


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, wanted, what="output"):
    check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")


def too_slow(*_):
    raise Failure("the case hangs")


class Result:
    def __init__(self, done, command):
        self.code, self.command = done.returncode, command
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self):
        return f"[{self.command}: {self.code}, {self.out!r}, {self.err!r}]"


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=20):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = connected(self.path, self.timeout)


def connected(path, timeout=20):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    client.connect(path)
    return client


class Engine:
    """What the CLI talks to, as engine.sh starts and kills it."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.socket = os.environ["ENGINE_SOCKET"]
        # Where berthd has blobs that are not whole yet.
        self.ingest = (folder + "/root/content/ingest" if kind == "berthd"
                       else None)
        self.script = os.path.join(os.path.dirname(__file__), "engine.sh")

    def kill(self):
        subprocess.run([self.script, "kill", self.folder], check=True)

    def start(self, *environment):
        subprocess.run([self.script, "start", self.kind, self.folder,
                        *environment], check=True)

    def connect(self, timeout=20):
        """A socket to it, for what no client would send."""
        return connected(self.socket, timeout)

    def alive(self):
        with open(self.folder + "/engine.pid") as file:
            pid = int(file.read())
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(") ")[1][0] not in "ZX"
        # It may end between the two calls.
        except (FileNotFoundError, ProcessLookupError):
            return False

    def revive(self, after):
        """Starts an engine that a case has left dead; how many were."""
        if self.alive():
            return 0
        print(f"FAIL the engine has ended in {after}; its last lines:")
        with open(self.folder + "/engine.log", errors="replace") as file:
            print(*("    " + line for line in file.readlines()[-20:]), sep="",
                  flush=True)
        self.start()
        return 1

    @contextlib.contextmanager
    def no_trace(self):
        """What is done in it leaves no thread and no descriptor behind."""
        before, files = self.usage(), self.files()
        yield
        if self.kind != "berthd":
            return
        def settled():
            return all(now <= then for now, then in
                       zip(self.usage(), before))
        try:
            eventually("threads and descriptors go", settled)
        except Failure as failure:
            raise Failure(f"{failure}: {before}, {self.usage()}, new: "
                          f"{set(self.files()) - set(files)}") from None

    def usage(self):
        """Threads and descriptors."""
        with open(self.folder + "/engine.pid") as file:
            proc = "/proc/" + file.read().strip()
        return [len(os.listdir(proc + one)) for one in ("/task", "/fd")]

    def files(self):
        with open(self.folder + "/engine.pid") as file:
            proc = "/proc/" + file.read().strip() + "/fd/"
        return [os.readlink(one) for one in glob.glob(proc + "*")
                if os.path.islink(one)]

    def left(self):
        """berthd: what there is on disk of containers and volumes."""
        found = []
        for pattern in ("/run/berth/sandboxes/*", "/run/berth/containers/*",
                        "/run/berth/oci/[!@]*", self.folder + "/root/docker/*",
                        self.folder + "/root/containers/*",
                        self.folder + "/root/volumes/*"):
            found += glob.glob(pattern)
        return found


class Docker:
    """docker("run", "--rm", "busybox", "true", code=0).out"""

    def __init__(self, engine, program="docker"):
        self.control, self.engine = engine, engine.kind
        self.host = "unix://" + engine.socket
        self.registry = os.environ["REGISTRY"]
        self.program = program

    def argv(self, *args):
        return [self.program, "-H", self.host, *args]

    def __call__(self, *args, code=0, stdin=b"", timeout=60):
        """Runs the CLI; `code` None accepts any exit code."""
        done = subprocess.run(self.argv(*args), input=stdin,
                              capture_output=True, timeout=timeout)
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        result = Result(done, " ".join(args))
        check(code is None or result.code == code,
              f"exit code {result.code}, wanted {code}: {result}")
        return result

    def popen(self, *args, **kwargs):
        return subprocess.Popen(self.argv(*args), **kwargs)

    def run(self, *args, **kwargs):
        return self("run", "--rm", *args, **kwargs)

    def shell(self, script, *options, **kwargs):
        """The output of a script in a fresh busybox."""
        return self.run(*options, "busybox", "sh", "-c", script, **kwargs).out

    def start(self, *args):
        """A container in the background; its id."""
        out = self("run", "-d", *args).out.strip()
        check(ID.match(out), f"run -d printed {out!r}")
        return out

    def inspect(self, name, template):
        return self("inspect", "-f", template, name).out.rstrip("\n")

    def state(self, name):
        return self.inspect(name, "{{.State.Status}}")

    def trapping(self, signals, action, *options):
        """A container that runs for ever and does that on these signals; it
        is ready to."""
        name = self.start(*options, "busybox", "sh", "-c", f"trap '{action}' "
                          f"{signals}; echo set; while :; do sleep 0.1; done")
        eventually("the trap", lambda: "set" in self("logs", name).out)
        return name

    def http(self, method, path, body=None, headers=None, version="1.41"):
        """Status, headers and bytes of an answer."""
        connection = Connection(self.control.socket)
        try:
            connection.request(method, f"/v{version}{path}", body,
                               headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def events(self, since, *filters, form="{{.Action}}"):
        """What has been told since then, of what the filters name."""
        words = [word for one in filters for word in ("--filter", one)]
        return self("events", "--since", f"{since:.9f}", "--until",
                    f"{time.time():.9f}", "--format", form,
                    *words).out.splitlines()

    def older_than(self, version):
        """Whether the engine's API is ("1.44")."""
        has = self("version", "-f", "{{.Server.APIVersion}}").out.strip()
        return [int(one) for one in has.split(".")] < [
            int(one) for one in version.split(".")]

    def clear(self):
        """Removes every container, volume and network."""
        ids = self("ps", "-aq").out.split()
        if ids:
            self("rm", "-f", "-v", *ids, code=None)
        volumes = self("volume", "ls", "-q", code=None).out.split()
        if volumes:
            self("volume", "rm", *volumes, code=None)
        self("network", "prune", "-f", code=None)


def eventually(what, probe, seconds=10):
    """Waits until probe() is true; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        check(time.monotonic() < deadline, "in vain: " + what)
        time.sleep(0.05)


def run_cases(cases, docker, only):
    """How many passed, failed and were skipped, of those that `only` names:
    parts of their names, with | between them."""
    passed, failed, skipped = 0, 0, 0
    signal.signal(signal.SIGALRM, too_slow)
    for case in cases:
        name = case.__name__.replace("_", " ")
        where = f"{case.__module__}: {name}"
        if not any(part in where for part in only.split("|")):
            continue
        begin = time.monotonic()
        signal.alarm(90)
        try:
            verdict = case(docker)
            if verdict:
                skipped += 1
                print(f"SKIP {name}: {verdict}", flush=True)
            else:
                passed += 1
                took = time.monotonic() - begin
                print(f"ok   {name} ({took:.1f} s)", flush=True)
        except Exception as failure:  # of any library that a case uses
            failed += 1
            print(f"FAIL {name}: {failure}", flush=True)
        signal.alarm(0)
        failed += docker.control.revive(name)
        if getattr(case, "more_to_come", False):
            continue
        try:
            docker.clear()
        except (Failure, subprocess.TimeoutExpired) as failure:
            failed += 1
            print(f"FAIL clearing up after {name}: {failure}", flush=True)
    return Counter(passed=passed, failed=failed, skipped=skipped)


class Reader(threading.Thread):
    """Collects what a process writes, while it runs."""

    def __init__(self, fd):
        super().__init__(daemon=True)
        self.fd, self.data = fd, b""
        self.start()

    def run(self):
        while True:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                return
            if not piece:
                return
            self.data += piece

    def has(self, text):
        return text in self.data
