"""The engine is killed while containers run, and started again.

All is prepared, the engine killed and started once; each case looks at its own
container then. WORLD holds what was seen before.
"""
import datetime
import os
import signal
import subprocess
import tempfile
import time

from cases_stream import Terminal
from harness import check, equal, eventually

# Waits for the gate to open and ends so; runs on in its second life.
GATED = """
if [ -e /gate/$NAME ]; then exec sleep 1000; fi
touch /gate/$NAME
while ! [ -e /gate/open ]; do sleep 0.02; done
exit $CODE
"""
COUNTER = "i=0; while :; do i=$((i + 1)); echo $i; sleep 0.01; done"
POLICIES = ("no", "on-failure:5", "always", "unless-stopped")


def pids(docker, *names):
    return docker("inspect", "-f", "{{.State.Pid}}", *names).out.split()


def await_ends(processes):
    eventually("they end", lambda: not any(
        os.path.exists("/proc/" + pid) for pid in processes), 30)


class World:
    """The one kill, and what was before it."""

    def __init__(self):
        self.ready = None

    def prepare(self, docker):
        if self.ready:
            return
        check(self.ready is None, "the preparation has failed")
        self.ready = False
        signal.alarm(240)  # two dozen containers; the case's own is shorter
        self.gate = tempfile.mkdtemp(dir=docker.control.folder)
        self.ids = {}
        self.name("counter", docker.start("busybox", "sh", "-c", COUNTER))
        self.runs(docker)
        self.gated(docker)
        self.ended(docker)
        docker.start("--name", "terminal", "-it", "ubuntu", "/bin/bash")
        docker.start("--name", "frozen", "busybox", "sleep", "1000")
        docker("pause", "frozen")
        docker("create", "--name", "never", "--restart", "always", "busybox",
               "true")
        self.failing(docker)
        self.stopping(docker)
        self.pids = {what: docker.inspect(self.ids.get(what, what),
                                          "{{.State.Pid}}")
                     for what in ["counter", *self.running, "frozen"]}
        # Before: what has ended while nobody was there is to be found out.
        gated = pids(docker, *(name for what, name in self.ids.items()
                               if what.startswith("gated")))
        docker.control.kill()
        self.down = time.time()
        with open(self.gate + "/open", "w"):
            pass
        await_ends(gated)
        time.sleep(1)  # for the counter to go on
        self.up = time.time()
        docker.control.start()
        self.ready = True

    def runs(self, docker):
        self.running = ["running " + policy for policy in POLICIES]
        for policy in POLICIES:
            self.name("running " + policy, docker.start(
                "--restart", policy, "busybox", "sleep", "1000"))

    def gated(self, docker):
        for policy in POLICIES:
            for code in (0, 3):
                self.name(f"gated {policy} {code}", docker.start(
                    "--restart", policy, "-e", f"CODE={code}", "-e",
                    f"NAME={policy}-{code}", "-v", self.gate + ":/gate",
                    "busybox", "sh", "-c", GATED))
        self.name("gated rm", docker.start(
            "--rm", "-e", "CODE=3", "-e", "NAME=rm", "-v",
            self.gate + ":/gate", "busybox", "sh", "-c", GATED))
        eventually("the gated ones wait", lambda: len(
            os.listdir(self.gate)) == 9)

    def ended(self, docker):
        for policy in POLICIES:
            name = docker.start("--restart", policy, "busybox", "sleep", "1000")
            self.name("stopped " + policy, name)
            docker("stop", "-t", "0", name)
        name = docker.start("--restart", "on-failure:1", "busybox", "sh", "-c",
                            "exit 4")
        self.name("given up", name)
        eventually("it gave up", lambda: docker.inspect(
            name, "{{.State.Status}} {{.RestartCount}}") == "exited 1", 30)

    def failing(self, docker):
        """One whose next start is some seconds away."""
        name = docker.start(
            "--name", "failing", "--restart", "always", "-v",
            self.gate + ":/gate", "busybox", "sh", "-c",
            "echo x >>/gate/failing; exit 1")
        eventually("it waits", lambda: self.starts() >= 5 and docker.inspect(
            name, "{{.State.Status}}") == "restarting", 30)
        self.failed = self.starts()

    def stopping(self, docker):
        """One that is deaf to the signal of a stop under way."""
        docker.trapping("TERM", "echo no", "--name", "stopping")
        with docker.popen("stop", "-t", "3", "stopping",
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as client:
            eventually("the signal",
                       lambda: "no" in docker("logs", "stopping").out)
            client.kill()

    def starts(self):
        try:
            with open(self.gate + "/failing") as file:
                return len(file.read().split())
        except FileNotFoundError:
            return 0

    def name(self, what, container):
        self.ids[what] = container


WORLD = World()


def look(docker, what):
    """Status, exit code and whether it runs with the pid of before."""
    name = WORLD.ids.get(what, what)
    status, pid, code = docker.inspect(
        name, "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}").split()
    return status, int(code), pid == WORLD.pids.get(what)


def what_ran_runs_on(docker):
    WORLD.prepare(docker)
    for what in WORLD.running:
        name = WORLD.ids[what]
        equal(look(docker, what), ("running", 0, True), what)
        equal(docker.inspect(name, "{{.RestartCount}}"), "0", what)
        equal(docker("exec", name, "echo", "alive").out, "alive\n")
        docker("stop", "-t", "0", name)
        equal(docker.inspect(name, "{{.State.ExitCode}}"), "137")


def no_line_of_a_log_is_lost(docker):
    WORLD.prepare(docker)
    name = WORLD.ids["counter"]
    equal(look(docker, "counter"), ("running", 0, True))
    def time_of(line):
        return datetime.datetime.fromisoformat(
            line.split()[0][:26] + "+00:00").timestamp()
    eventually("a line of now", lambda: time_of(
        docker("logs", "-t", "--tail", "1", name).out) > WORLD.up)
    docker("stop", "-t", "0", name)
    lines = docker("logs", "-t", name).out.splitlines()
    numbers = [int(line.split()[1]) for line in lines]
    equal(numbers, list(range(1, len(numbers) + 1)))
    away = [line for line in lines
            if WORLD.down + 0.1 < time_of(line) < WORLD.up]
    # dockerd writes the log itself, so late.
    equal(bool(away), docker.engine != "dockerd", "lines of then")


def what_ended_meanwhile_is_found(docker):
    WORLD.prepare(docker)
    for code in (0, 3):
        equal(look(docker, f"gated no {code}"), ("exited", code, False))
    equal(look(docker, "gated on-failure:5 0"), ("exited", 0, False))
    for policy, code in (("on-failure:5", 3), ("always", 0), ("always", 3),
                         ("unless-stopped", 0), ("unless-stopped", 3)):
        what = f"gated {policy} {code}"
        eventually(what + " runs again",
                   lambda: look(docker, what)[0] == "running")


def what_was_to_be_removed_is_gone(docker):
    WORLD.prepare(docker)
    eventually("it is gone", lambda: docker(
        "inspect", WORLD.ids["gated rm"], code=None).code == 1)


def a_stop_by_hand_is_remembered(docker):
    WORLD.prepare(docker)
    equal(look(docker, "stopped no"), ("exited", 137, False))
    equal(look(docker, "stopped unless-stopped"), ("exited", 137, False))
    eventually("always means always", lambda: look(
        docker, "stopped always")[0] == "running")
    if docker.engine == "berthd":
        # dockerd takes the 137 of its own SIGKILL for a failure.
        equal(look(docker, "stopped on-failure:5"), ("exited", 137, False))
    else:
        equal(look(docker, "stopped on-failure:5")[0], "running")
    equal(look(docker, "given up"), ("exited", 4, False))
    equal(look(docker, "never"), ("created", 0, False))


def a_restart_that_was_due_is_made(docker):
    WORLD.prepare(docker)
    eventually("a start", lambda: WORLD.starts() > WORLD.failed)
    docker("stop", "failing")
    equal(docker.inspect("failing", "{{.State.ExitCode}}"), "1")


def a_stop_under_way_goes_on(docker):
    WORLD.prepare(docker)
    if docker.engine == "dockerd":
        time.sleep(max(0, WORLD.up + 3 - time.time()))
        equal(look(docker, "stopping")[0], "running")
        return "dockerd has forgotten it"
    eventually("it is killed",
               lambda: look(docker, "stopping") == ("exited", 137, False))
    return None


def a_frozen_one_stays_so(docker):
    WORLD.prepare(docker)
    equal(look(docker, "frozen"), ("paused", 0, True))
    docker("unpause", "frozen")
    equal(docker("exec", "frozen", "echo", "alive").out, "alive\n")


def a_terminal_is_still_there(docker):
    WORLD.prepare(docker)
    terminal = Terminal(docker, "attach", "terminal")
    terminal.type("echo $((40 + 2))\n")
    terminal.expect("42\r\n")
    terminal.type("exit 5\n")
    equal(terminal.end(), 5, "exit code")
    equal(look(docker, "terminal"), ("exited", 5, False))


# Killed between two steps; each is passed by the life below.
FAILPOINTS = ("sandbox.run.recorded", "container.create.volumes",
              "container.create.saved", "sandbox.start.network",
              "container.start.recorded", "container.start.executed",
              "container.start.saved", "container.stop.signalled",
              "container.exit.recorded", "container.exit.saved",
              "sandbox.stop.network", "container.remove.rootfs",
              "sandbox.remove.containers")


def killed_between_two_steps(docker):
    """Whatever was being done is done or undone, and can be removed."""
    if docker.engine != "berthd":
        return "failpoints are berthd's own"
    for place in FAILPOINTS:
        docker.control.kill()
        docker.control.start(f"BERTH_FAILPOINTS={place}=kill")
        docker("run", "-d", "--name", "cut", "--restart", "always", "-v", "/v",
               "busybox", "sleep", "1000", code=None)
        docker("stop", "-t", "1", "cut", code=None)
        docker("rm", "-f", "-v", "cut", code=None)
        eventually(place + " is passed", lambda: not docker.control.alive())
        docker.control.start()
        # A removal that was under way is finished behind the open doors.
        eventually(place + " is settled", lambda: "removing" not in docker(
            "ps", "-a", "--format", "{{.State}}").out)
        before = docker("ps", "-a", "--format", "{{.Names}} {{.State}}").out
        check(before in ("", "cut created\n", "cut running\n",
                         "cut restarting\n", "cut exited\n"),
              f"{place}: {before}")
        if before:
            docker("start", "cut")
            equal(docker("exec", "cut", "echo", "alive").out, "alive\n")
            docker("rm", "-f", "-v", "cut")
        # An anonymous volume may have lost its container; as with dockerd it
        # is listed, for a person to decide.
        docker("volume", "prune", "-f")
        left = docker.control.left()
        check(not left, f"{place} left {left}")
    return None


def events_of_before_are_told(docker):
    if docker.engine == "dockerd":
        return "dockerd has forgotten them"
    since = str(time.time())
    docker("volume", "create", "before")
    docker.control.kill()
    docker.control.start()
    docker("volume", "create", "after")
    out = docker("events", "--since", since, "--until", str(time.time() + 0.1),
                 "--filter", "type=volume", "--format",
                 "{{.Action}} {{.Actor.ID}}").out
    equal(out.splitlines(), ["create before", "create after"])
    docker("volume", "rm", "before", "after")
    return None


def linked_ones_come_back_together(docker):
    gate = tempfile.mkdtemp(dir=docker.control.folder)
    names = ["store", "c1", "c2", "c3", "c4"]
    for name in names:
        link = () if name == "store" else ("--link", "store:db")
        docker.start("--name", name, "--restart", "always", *link, "-v",
                     gate + ":/gate", "busybox", "sh", "-c",
                     "[ -e /gate/open ] && exec sleep 1000; "
                     "while ! [ -e /gate/open ]; do sleep 0.02; done")
    before = pids(docker, *names)
    docker.control.kill()
    with open(gate + "/open", "w"):
        pass
    await_ends(before)
    docker.control.start()
    eventually("all run again", lambda: all(
        docker.inspect(name, "{{.State.Status}}") == "running"
        for name in names), 30)
    check("db" in docker("exec", "c4", "cat", "/etc/hosts").out, "the link")


CASES = [what_ran_runs_on, no_line_of_a_log_is_lost,
         what_ended_meanwhile_is_found, what_was_to_be_removed_is_gone,
         a_stop_by_hand_is_remembered, a_restart_that_was_due_is_made,
         a_stop_under_way_goes_on, a_frozen_one_stays_so, a_terminal_is_still_there,
         killed_between_two_steps, events_of_before_are_told,
         linked_ones_come_back_together]
for one in CASES[:-4]:
    one.more_to_come = True
