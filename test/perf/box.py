"""A box: namespaces and cgroups of its own for measured programs."""
import os
import shutil
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ENCLAVE = os.path.join(HERE, "..", "support", "enclave.sh")
BOX = os.path.join(HERE, "box.sh")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


class Box:
    """Runs one program in an enclave until end() is called.

    root is "/" or a folder of peers.sh; folder is shared with the box, under
    the same path, and lies on a real file system.
    """

    def __init__(self, root, folder, command):
        os.makedirs(folder, exist_ok=True)
        self.log = os.path.join(folder, "box.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [ENCLAVE, BOX, root, folder] + command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)

    def alive(self):
        return self.process.poll() is None

    def wait_for(self, condition, what, limit=60):
        end = time.monotonic() + limit
        while not condition():
            if not self.alive() or time.monotonic() > end:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    tail = "".join(f.readlines()[-15:])
                self.end()
                raise SystemExit(f"{what} did not come up:\n{tail}")
            time.sleep(0.02)

    def unshare(self):
        """The process whose end takes the whole box with it."""
        found = children(self.process.pid)
        return found[0] if found else None

    def init(self):
        """Process 1 of the box."""
        outer = self.unshare()
        found = children(outer) if outer else []
        return found[0] if found else None

    def end(self):
        init = self.init()
        if init:
            os.kill(init, signal.SIGKILL)
        self.process.wait(timeout=60)


class Stopwatch:
    """A stopwatch in a box that runs one command, over and over."""

    def __init__(self, program, root, folder, command):
        os.makedirs(folder, exist_ok=True)
        own = os.path.join(folder, "stopwatch")
        shutil.copy(program, own)
        ask, answer = (os.path.join(folder, n) for n in ("ask", "answer"))
        for fifo in (ask, answer):
            os.mkfifo(fifo)
        self.box = Box(root, folder, [own, ask, answer] + command)
        # Opening to read and write never blocks; the reader then gets no end
        # of file between lines either.
        self.ask = os.fdopen(os.open(ask, os.O_RDWR), "w", buffering=1)
        self.answer = os.fdopen(os.open(answer, os.O_RDONLY | os.O_NONBLOCK))
        os.set_blocking(self.answer.fileno(), True)
        self.folder = folder

    def run(self, name):
        """One run; raises SystemExit with the command's own words."""
        self.ask.write(name + "\n")
        line = self.answer.readline()
        while not line and self.box.alive():
            time.sleep(0.01)
            line = self.answer.readline()
        fields = line.split()
        if len(fields) != 6 or fields[5] != "0":
            with open(self.box.log, encoding="utf-8", errors="replace") as f:
                raise SystemExit(f"run failed ({line.strip()}): "
                                 + "".join(f.readlines()[-8:]))
        wall, cpu, faults, switches, rss = (int(f) for f in fields[:5])
        return {"wall_ms": wall / 1e6, "cpu_ms": cpu / 1e3, "faults": faults,
                "switches": switches, "rss_kib": rss}

    def end(self):
        self.box.end()
        self.ask.close()
        self.answer.close()
