"""What a verb has begun is done, and told as dockerd tells it."""
import subprocess
import threading
import time

from cases_build import BUILDER
from cases_vanish import vanish
from harness import check, equal, eventually

DEAF = "trap 'echo no' TERM INT; echo set; while :; do sleep 0.1; done"


def state(docker, name):
    return docker.inspect(name, "{{.State.Status}}")


def deaf(docker, *options):
    """A container that says "no" to SIGTERM and SIGINT."""
    name = docker.start(*options, "busybox", "sh", "-c", DEAF)
    eventually("the trap", lambda: "set" in docker("logs", name).out)
    return name


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
    eventually("it is killed", lambda: state(docker, name) == "exited")
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
    status = subprocess.run(
        ["curl", "-s", "-o/dev/null", "-w%{http_code}", "-XPOST", "-G",
         "--unix-socket", docker.control.socket, "--data-urlencode",
         'filters={"until":["1h"],"unused-for":["1h"]}',
         "http://engine/v1.41/build/prune"], capture_output=True, text=True,
        check=True).stdout
    equal(status, "400", "status")


def one_of_two_starts_gets_the_port(docker):
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
        eventually("it is removed", lambda: not docker("ps", "-aq").out)


def a_new_policy_counts_from_here(docker):
    name = docker("create", "busybox", "sh", "-c",
                  "sleep 1; exit 3").out.strip()
    for _ in range(3):
        docker("start", name)
        docker("wait", name)
    docker("start", name)
    docker("update", "--restart", "on-failure:2", name)
    equal(docker.inspect(name, "{{.RestartCount}}"), "0")
    eventually("it gives up", lambda: docker.inspect(
        name, "{{.State.Status}} {{.RestartCount}}") == "exited 2", 20)


def told(docker, kind, since, *formats):
    """The events of a kind from then on."""
    time.sleep(0.3)
    return docker("events", "--since", since, "--until", str(time.time()),
                  "--filter", "type=" + kind, "--format",
                  "".join(formats) or "{{.Action}}").out.splitlines()


def now():
    time.sleep(0.05)
    return f"{time.time():.6f}"


def a_restart_is_told_step_by_step(docker):
    name = docker.start("--init", "busybox", "sleep", "100")
    since = now()
    docker("restart", name)
    equal(told(docker, "container", since),
          ["kill", "die", "stop", "start", "restart"])
    if docker.older_than("1.42"):
        return  # no signal of stop
    since = now()
    subprocess.run(["curl", "-sf", "-XPOST", "--unix-socket",
                    docker.control.socket,
                    f"http://engine/v1.42/containers/{name}/stop?signal=INT"],
                   check=True)
    equal(told(docker, "container", since, "{{.Action}} ",
               "{{.Actor.Attributes.signal}}")[0], "kill 2")


def a_stop_tells_both_of_its_signals(docker):
    kills = "{{.Action}} {{.Actor.Attributes.signal}}"
    for seconds in ("1", "0"):
        name = deaf(docker)
        since = now()
        docker("stop", "-t", seconds, name)
        lines = told(docker, "container", since, kills)
        equal(lines[:2], ["kill 15", "kill 9"])
        equal([line.split()[0] for line in lines[2:]], ["die", "stop"])


def an_update_is_told_once(docker):
    name = docker.start("busybox", "sleep", "100")
    since = now()
    docker("update", "--cpu-shares", "300", name)
    docker("update", "--restart", "always", name)
    docker("update", "--restart", "no", "--cpu-shares", "400", name)
    equal(told(docker, "container", since), ["update"] * 3)


def a_rename_tells_the_old_name(docker):
    name = docker("create", "--name", "older", "busybox").out.strip()
    since = now()
    docker("rename", "older", "newer")
    equal(told(docker, "container", since, "{{.Action}} ",
               "{{.Actor.Attributes.oldName}} {{.Actor.Attributes.name}}"),
          ["rename /older newer"])
    docker("rm", name)


def the_end_of_volumes_is_told(docker):
    since = now()
    docker("create", "--name", "owner", "-v", "/v", "busybox")
    docker("rm", "-v", "owner")
    docker("volume", "create", "--label", "x=y", "kept")
    docker("volume", "prune", "-f", "--filter", "label=x=y",
           *([] if docker.older_than("1.42") else ["--filter", "all=1"]))
    docker("container", "prune", "-f")
    check("prune" in told(docker, "container", since), "containers pruned")
    actions = told(docker, "volume", since)
    equal(actions.count("create"), 2, "volumes made")
    equal(actions.count("prune"), 1, "prunes of volumes")
    # dockerd 20.10 tells of those that are removed by name.
    old = docker.engine == "dockerd" and docker.older_than("1.42")
    equal(actions.count("destroy"), 1 if old else 2, "volumes removed")


def an_exec_is_listed_until_it_ends(docker):
    name = docker.start("busybox", "sleep", "100")
    docker("exec", name, "true")
    docker("exec", "-d", name, "sleep", "100")
    eventually("the ended one goes", lambda: len(docker.inspect(
        name, "{{len .ExecIDs}}")) and docker.inspect(
            name, "{{len .ExecIDs}}") == "1")
    docker("exec", name, "killall", "sleep", code=None)


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
         and name not in ("state", "deaf", "leave", "armed", "told", "now")]
