"""What a verb has begun is done, and told as dockerd tells it."""
import threading
import time
import urllib.parse

from cases_build import BUILDER
from cases_vanish import vanish
from harness import Failure, check, equal, eventually


def deaf(docker, *options):
    """A container that says "no" to SIGTERM and SIGINT."""
    return docker.trapping("TERM INT", "echo no", *options)


def leave(docker, name, path):
    """A client that is gone as soon as the container has heard of its verb."""
    vanish(docker, "POST", f"/containers/{name}/{path}")
    eventually("the signal", lambda: "no" in docker("logs", name).out)


def a_restart_goes_on_without_its_client(docker):
    plain, removed = deaf(docker), deaf(docker, "--rm")
    pids = [docker.inspect(one, "{{.State.Pid}}") for one in (plain, removed)]
    for one in (plain, removed):
        leave(docker, one, "restart?t=2")
    for one, pid in zip((plain, removed), pids):
        def runs_anew():
            now = docker.inspect(one, "{{.State.Status}} {{.State.Pid}}")
            return now.startswith("running") and now not in (
                f"running {pid}", "running 0")
        eventually("it runs again", runs_anew)
    docker("rm", "-f", plain, removed)


def a_stop_with_a_signal_goes_on_without_its_client(docker):
    if docker.engine == "dockerd" and docker.older_than("1.42"):
        return "dockerd 20.10 has no signal of stop"
    name = deaf(docker)
    leave(docker, name, "stop?signal=INT&t=1")
    eventually("it is killed", lambda: docker.state(name) == "exited")
    equal(docker.inspect(name, "{{.State.ExitCode}}"), "137")
    return None


def the_image_of_the_builder_is_not_pruned(docker):
    if docker.engine == "dockerd":
        return "dockerd builds in itself"
    if docker("image", "inspect", BUILDER, code=None).code != 0:
        docker("pull", "busybox")
        docker("tag", "busybox", BUILDER)
    docker("image", "prune", "-af")
    docker("image", "inspect", BUILDER)
    docker("rmi", BUILDER)
    return None


def build_prune_refuses_two_times(docker):
    filters = urllib.parse.quote('{"until":["1h"],"unused-for":["1h"]}')
    equal(docker.http("POST", "/build/prune?filters=" + filters)[0], 400)


def one_of_four_starts_gets_the_port(docker):
    for _ in range(4):
        names = [f"rival-{i}" for i in range(4)]
        for one in names:
            docker("create", "--name", one, "-p", "18322:80", "busybox",
                   "sleep", "100")
        results = []
        threads = [threading.Thread(target=lambda one=one: results.append(
            docker("start", one, code=None))) for one in names]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        equal(sorted(one.code for one in results), [0, 1, 1, 1],
              "codes of the starts")
        for one in results:
            check(one.code == 0 or "port is already allocated" in one.err,
                  one.err)
        docker("rm", "-f", *names)


def armed(docker, *failpoints):
    """The engine again, with steps that fail."""
    docker.control.kill()
    docker.control.start("BERTH_FAILPOINTS=" + ";".join(failpoints))


def a_removal_that_fails_is_tried_again(docker):
    if docker.engine == "dockerd":
        return "failpoints are berthd's own"
    docker("pull", "busybox")
    try:
        armed(docker, "sandbox.stop.containers=error*2")
        docker("run", "--rm", "busybox", "true", timeout=20)
        armed(docker, "sandbox.stop.containers=error*2")
        result = docker("run", "--rm", "busybox", "/no-such", code=127)
        check("no such file" in result.err, result.err)
        eventually("it is removed", lambda: not docker("ps", "-aq").out)
    finally:
        armed(docker)
    return None


def a_removal_is_finished_later(docker):
    if docker.engine == "dockerd":
        return "failpoints are berthd's own"
    docker("pull", "busybox")
    try:
        armed(docker, "container.remove.rootfs=error*2")
        docker("run", "--name", "half", "busybox", "true")
        docker("rm", "half", code=1)
        eventually("it is removed", lambda: not docker("ps", "-aq").out)
        docker("create", "--name", "half", "busybox")
    finally:
        armed(docker)
    return None


def what_leaves_during_rm_is_removed(docker):
    for _ in range(8):
        name = docker.start("--name", "leaves", "busybox", "sleep", "100")
        vanish(docker, "DELETE", f"/containers/{name}?force=1")
        eventually("it is gone", lambda: not docker(
            "ps", "-aq", "--filter", "name=leaves").out)


def a_start_goes_on_without_its_client(docker):
    docker("pull", "busybox")
    ours = docker.engine != "dockerd"
    try:
        if ours:  # long enough for its client to be missed
            armed(docker, "docker.start.sandbox=sleep:1000*1")
        name = docker("create", "busybox", "sleep", "100").out.strip()
        vanish(docker, "POST", f"/containers/{name}/start")
        eventually("it runs", lambda: docker.inspect(
            name, "{{.State.Running}}") == "true")
        equal(docker.inspect(name, "{{.State.Error}}"), "")
        docker("rm", "-f", name)
    finally:
        if ours:
            armed(docker)


def what_exits_at_once_after_a_restart_is_removed(docker):
    for _ in range(6):
        name = docker.start("--rm", "-v", "/mark", "busybox", "sh", "-c",
                            "[ ! -e /m ] || exit 3; touch /m; sleep 100")
        eventually("the mark", lambda: docker("exec", name, "ls", "/m",
                                              code=None).code == 0)
        docker("restart", "-t", "0", name)
        eventually("it is removed", lambda: not docker("ps", "-aq").out, 60)


def a_new_policy_counts_from_here(docker):
    # Each life ends at a sign of its own, or all by one that stays.
    name = docker("create", "busybox", "sh", "-c",
                  "until rm /one || test -e /all; do sleep 0.05; done "
                  "2>/dev/null; exit 3").out.strip()
    for _ in range(3):
        docker("start", name)
        docker("exec", name, "touch", "/one")
        docker("wait", name)
    docker("start", name)
    docker("update", "--restart", "on-failure:2", name)
    equal(docker.inspect(name, "{{.RestartCount}}"), "0")
    docker("exec", name, "touch", "/all")
    eventually("it gives up", lambda: docker.inspect(
        name, "{{.State.Status}} {{.RestartCount}}") == "exited 2", 20)


def told(docker, kind, since, wanted, form="{{.Action}}"):
    """Waits for the events of a kind from then on, which are these alone."""
    def events():
        return docker.events(since, "type=" + kind, form=form)
    try:
        eventually("events", lambda: len(events()) >= len(wanted))
    except Failure:
        pass  # they are told below
    equal(events(), wanted, "events")


def a_restart_is_told_step_by_step(docker):
    name = docker.start("--init", "busybox", "sleep", "100")
    since = time.time()
    docker("restart", name)
    told(docker, "container", since,
         ["kill", "die", "stop", "start", "restart"])
    if docker.older_than("1.42"):
        return  # no signal of stop
    since = time.time()
    equal(docker.http("POST", f"/containers/{name}/stop?signal=INT",
                      version="1.42")[0], 204)
    equal(docker.events(since, "event=kill",
                        form="{{.Action}} {{.Actor.Attributes.signal}}")[0],
          "kill 2")


def a_stop_tells_both_of_its_signals(docker):
    for seconds in ("1", "0"):
        name = deaf(docker)
        since = time.time()
        docker("stop", "-t", seconds, name)
        told(docker, "container", since,
             ["kill 15", "kill 9", "die", "stop"],
             "{{.Action}}{{with .Actor.Attributes.signal}} {{.}}{{end}}")


def an_update_is_told_once(docker):
    name = docker.start("busybox", "sleep", "100")
    since = time.time()
    docker("update", "--cpu-shares", "300", name)
    docker("update", "--restart", "always", name)
    docker("update", "--restart", "no", "--cpu-shares", "400", name)
    told(docker, "container", since, ["update"] * 3)


def a_rename_tells_the_old_name(docker):
    name = docker("create", "--name", "older", "busybox").out.strip()
    since = time.time()
    docker("rename", "older", "newer")
    told(docker, "container", since, ["rename /older newer"],
         "{{.Action}} {{.Actor.Attributes.oldName}} {{.Actor.Attributes.name}}")
    docker("rm", name)


def the_end_of_volumes_is_told(docker):
    since = time.time()
    docker("create", "--name", "owner", "-v", "/v", "busybox")
    docker("rm", "-v", "owner")
    docker("volume", "create", "--label", "x=y", "kept")
    docker("volume", "prune", "-f", "--filter", "label=x=y",
           *([] if docker.older_than("1.42") else ["--filter", "all=1"]))
    docker("container", "prune", "-f")
    eventually("the prune of containers", lambda: "prune" in docker.events(
        since, "type=container"))
    actions = docker.events(since, "type=volume")
    equal(actions.count("create"), 2, "volumes made")
    equal(actions.count("prune"), 1, "prunes of volumes")
    # dockerd 20.10 tells of those that are removed by name.
    old = docker.engine == "dockerd" and docker.older_than("1.42")
    equal(actions.count("destroy"), 1 if old else 2, "volumes removed")


def an_exec_is_listed_until_it_ends(docker):
    name = docker.start("busybox", "sleep", "100")
    docker("exec", name, "true")
    docker("exec", "-d", name, "sleep", "100")
    def listed():
        return docker.inspect(name, "{{len .ExecIDs}}")
    eventually("the ended one goes", lambda: listed() == "1")
    # Not the first process, which is deaf to it.
    docker("exec", name, "killall", "sleep")
    eventually("so does the other", lambda: listed() == "0")


def a_password_goes_to_its_own_registry(docker):
    result = docker("login", "-u", "me", "-p", "secret", "mydocker.io", code=1)
    check("mydocker.io" in result.err.replace("-p secret mydocker.io", ""),
          result.err)


def the_address_of_a_volume_is_looked_up(docker):
    docker("volume", "create", "-o", "type=nfs", "-o", "device=:/export", "-o",
           "o=addr=no-such-host.invalid,nolock,timeo=1,retrans=1", "far")
    docker("create", "--name", "uses", "-v", "far:/v", "busybox", "true")
    result = docker("start", "uses", code=1)
    check("error resolving passed in network volume address" in result.err and
          "no-such-host.invalid" in result.err, result.err)


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("deaf", "leave", "armed", "told")]
