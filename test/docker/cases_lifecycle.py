"""A container's life: start, stop, restart, exec, logs, names, events."""
import json
import time

from harness import ID, check, equal, eventually


def detached_prints_the_id_and_ps_shows_it(docker):
    full = docker.start("--name", "bg", "busybox", "sleep", "100")
    row = docker("ps", "--no-trunc", "--format",
                 "{{.ID}} {{.Image}} {{.Names}} {{.State}}").out.strip()
    equal(row, full + " busybox bg running")


def create_then_start(docker):
    name = docker("create", "--name", "made", "busybox", "echo", "once").out
    check(ID.match(name.strip()), name)
    equal(docker.state("made"), "created")
    equal(docker("start", "-a", "made").out, "once\n")
    equal(docker.state("made"), "exited")


def files_survive_a_stop(docker):
    docker("run", "--name", "files", "busybox", "sh", "-c",
           "cat /kept 2>/dev/null; echo again >> /kept")
    equal(docker("start", "-a", "files").out, "again\n")


def stop_is_term_then_kill(docker):
    polite = docker.trapping("TERM", "exit 5")
    docker("stop", polite)
    equal(docker.inspect(polite, "{{.State.ExitCode}}"), "5")
    deaf = docker.trapping("TERM", "")
    docker("stop", "-t", "1", deaf)
    equal(docker.inspect(deaf, "{{.State.ExitCode}}"), "137")


def kill_sends_a_signal(docker):
    name = docker.trapping("USR1", "exit 9")
    docker("kill", "-s", "USR1", name)
    equal(docker("wait", name).out, "9\n")
    result = docker("kill", name, code=1)
    check("is not running" in result.err, result.err)


def restart_makes_a_new_process(docker):
    name = docker.start("busybox", "sleep", "100")
    before = docker.inspect(name, "{{.State.Pid}}")
    docker("restart", "-t", "0", name)
    equal(docker.state(name), "running")
    check(docker.inspect(name, "{{.State.Pid}}") != before, "the same pid")


def on_failure_restarts_and_gives_up(docker):
    name = docker.start("--restart", "on-failure:2", "busybox", "sh", "-c",
                        "exit 3")
    eventually("it gave up", lambda: docker.state(name) == "exited" and
               docker.inspect(name, "{{.RestartCount}}") == "2", 30)
    equal(docker.inspect(name, "{{.State.ExitCode}}"), "3")


def always_comes_back_until_stopped(docker):
    name = docker.start("--restart", "always", "busybox", "sleep", "0.5")
    eventually("a restart", lambda: int(
        docker.inspect(name, "{{.RestartCount}}")) >= 1, 20)
    docker("stop", "-t", "0", name)
    time.sleep(1)  # long enough for another restart
    equal(docker.state(name), "exited")


def names_are_unique_and_can_change(docker):
    docker("create", "--name", "one", "busybox", "true")
    result = docker("create", "--name", "one", "busybox", "true", code=1)
    check("already in use" in result.err, result.err)
    docker("rename", "one", "two")
    equal(docker.inspect("two", "{{.Name}}"), "/two")
    docker("create", "--name", "one", "busybox", "true")


def removing_needs_force_while_it_runs(docker):
    name = docker.start("busybox", "sleep", "100")
    result = docker("rm", name, code=1)
    check("running" in result.err, result.err)
    docker("rm", "-f", name)
    result = docker("inspect", name, code=1)
    check("No such object" in result.err, result.err)


def ids_may_be_shortened(docker):
    name = docker.start("busybox", "sleep", "100")
    equal(docker.inspect(name[:6], "{{.Id}}"), name)


def unknown_containers_are_named(docker):
    for verb in ("start", "stop", "logs", "kill", "rm"):
        result = docker(verb, "nobody", code=1)
        check("No such container: nobody" in result.err, result.err)


def ps_filters(docker):
    docker.start("--name", "aa", "-l", "k=v", "busybox", "sleep", "100")
    docker("run", "--name", "bb", "busybox", "true")
    def names(*args):
        return sorted(docker("ps", "--format", "{{.Names}}", *args).out.split())
    equal(names(), ["aa"])
    equal(names("-a"), ["aa", "bb"])
    equal(names("-a", "-f", "label=k=v"), ["aa"])
    equal(names("-a", "-f", "status=exited"), ["bb"])
    equal(names("-a", "-f", "name=bb"), ["bb"])
    equal(names("-n", "1"), ["bb"])


def wait_prints_the_code(docker):
    name = docker.start("busybox", "sh", "-c", "sleep 0.3; exit 4")
    equal(docker("wait", name).out, "4\n")


def top_lists_processes(docker):
    name = docker.start("busybox", "sleep", "4242")
    check("sleep 4242" in docker("top", name).out, "no sleep in it")


# ---- logs

def logs_keep_streams_apart(docker):
    docker("run", "--name", "talk", "busybox", "sh", "-c",
           "echo out; echo err >&2")
    result = docker("logs", "talk")
    equal((result.out, result.err), ("out\n", "err\n"))


def logs_tail_since_and_timestamps(docker):
    docker("run", "--name", "count", "busybox", "sh", "-c",
           "for i in 1 2 3 4 5; do echo $i; done")
    equal(docker("logs", "--tail", "2", "count").out, "4\n5\n")
    equal(docker("logs", "--tail", "0", "count").out, "")
    stamped = docker("logs", "-t", "--tail", "1", "count").out.split()
    check(stamped[0][4] == "-" and stamped[0].endswith("Z"), stamped)
    equal(stamped[1], "5")
    equal(docker("logs", "--since", "2035-01-01T00:00:00Z", "count").out, "")


def logs_follow_ends_with_the_container(docker):
    name = docker.start("busybox", "sh", "-c",
                        "for i in 1 2 3; do echo $i; sleep 0.2; done")
    equal(docker("logs", "-f", name, timeout=20).out, "1\n2\n3\n")


# ---- exec

def exec_runs_inside(docker):
    name = docker.start("-e", "A=outer", "busybox", "sleep", "100")
    equal(docker("exec", name, "sh", "-c", "echo $A; pwd").out, "outer\n/\n")
    equal(docker("exec", "-e", "A=inner", "-w", "/tmp", "-u", "app", name, "sh",
                 "-c", "echo $A; pwd; id -u").out, "inner\n/tmp\n1000\n")
    docker("exec", name, "sh", "-c", "exit 6", code=6)
    equal(docker("exec", "-i", name, "cat", stdin=b"fed\n").out, "fed\n")


def exec_of_a_missing_program(docker):
    name = docker.start("busybox", "sleep", "100")
    result = docker("exec", name, "no-such-program", code=None)
    check(result.code in (126, 127), result)
    check("executable file not found" in result.out + result.err, result)


def exec_needs_a_running_container(docker):
    docker("run", "--name", "done", "busybox", "true")
    result = docker("exec", "done", "true", code=1)
    check("is not running" in result.err, result.err)


def detached_exec(docker):
    name = docker.start("busybox", "sleep", "100")
    docker("exec", "-d", name, "sh", "-c", "echo x > /tmp/made")
    eventually("the file", lambda: docker("exec", name, "cat", "/tmp/made",
                                          code=None).out == "x\n")


# ---- events, inspect

def events_tell_the_life(docker):
    begin = str(time.time())
    docker("run", "--name", "told", "--rm", "busybox", "true")
    out = docker("events", "--since", begin, "--until", str(time.time() + 1),
                 "--filter", "container=told", "--format", "{{json .}}",
                 timeout=20).out
    actions = [json.loads(line)["Action"] for line in out.splitlines()]
    for wanted in ("create", "start", "die", "destroy"):
        check(wanted in actions, f"no {wanted} in {actions}")
    check(actions.index("start") < actions.index("die"), actions)


def inspect_is_complete(docker):
    name = docker.start("--name", "seen", "-l", "a=b", "-e", "X=1", "busybox",
                        "sleep", "100")
    data = json.loads(docker("inspect", "seen").out)[0]
    equal(data["Id"], name)
    equal(data["Path"], "sleep")
    equal(data["Args"], ["100"])
    equal(data["State"]["Running"], True)
    equal(data["Config"]["Labels"], {"a": "b"})
    check("X=1" in data["Config"]["Env"], data["Config"]["Env"])
    check(data["Image"].startswith("sha256:"), data["Image"])
    equal(data["HostConfig"]["RestartPolicy"]["Name"], "no")


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__]
