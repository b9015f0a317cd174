"""How containers end, and what is still possible while they do."""
import time

from harness import check, equal, eventually


def state(docker, name):
    return docker.inspect(name, "{{.State.Status}}")


def kill_in_the_pause_before_a_restart_ends_the_loop(docker):
    name = docker.start("--restart", "always", "busybox", "sh", "-c",
                        "sleep 0.05; exit 1")
    # The pause doubles with each life: soon most of the time is a pause.
    eventually("it is restarting", lambda: int(docker.inspect(
        name, "{{.RestartCount}}")) >= 4 and state(docker, name) == "restarting",
               20)
    docker("kill", name)
    eventually("it has ended", lambda: state(docker, name) == "exited")
    count = docker.inspect(name, "{{.RestartCount}}")
    time.sleep(4)  # longer than the pause was
    equal(state(docker, name), "exited")
    equal(docker.inspect(name, "{{.RestartCount}}"), count)


def start_of_a_paused_container_says_unpause(docker):
    name = docker.start("busybox", "sleep", "100")
    docker("pause", name)
    result = docker("start", name, code=1)
    check("try unpause instead" in result.err, result.err)
    equal(state(docker, name), "paused")
    docker("unpause", name)
    docker("start", name)  # it runs already


def start_that_finds_its_port_taken_is_a_failed_start(docker):
    docker.start("--name", "holder", "-p", "18321:80", "busybox", "sleep", "100")
    docker("create", "--name", "late", "-p", "18321:80", "busybox", "sleep", "100")
    result = docker("start", "late", code=1)
    check("port is already allocated" in result.err, result.err)
    equal(docker.inspect("late", "{{.State.Status}} {{.State.ExitCode}}"),
          "created 128")
    check("port is already allocated" in
          docker.inspect("late", "{{.State.Error}}"), "the reason")
    docker("rm", "-f", "holder")
    docker("start", "late")
    equal(docker.inspect("late", "{{.State.Status}} {{.State.ExitCode}}"),
          "running 0")


def rm_gets_through_a_restart_that_waits(docker):
    name = docker.start("busybox", "sh", "-c",
                        "trap '' TERM; echo set; while :; do sleep 0.1; done")
    eventually("the trap", lambda: "set" in docker("logs", name).out)
    restart = docker.popen("restart", "-t", "60", name)
    time.sleep(0.5)  # it is to be on its way; later is harmless
    docker("rm", "-f", name, timeout=20)
    restart.communicate(timeout=20)
    docker("inspect", name, code=1)


def restart_is_not_taken_for_an_end(docker):
    name = docker.start("--rm", "busybox", "sh", "-c",
                        "trap 'exit 3' TERM; echo set; while :; do sleep 0.1; done")
    eventually("the trap", lambda: "set" in docker("logs", name).out)
    docker("restart", name)
    equal(state(docker, name), "running")
    docker("rm", "-f", name)


def moment(text):
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def times_of_a_life_are_in_order(docker):
    if docker.engine == "dockerd":
        return "dockerd 20.10 may say that it ended before it started"
    name = docker.start("busybox", "true")
    docker("wait", name)
    created, started, finished = docker.inspect(
        name, "{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}").split()
    check(moment(created) <= moment(started) <= moment(finished),
          (created, started, finished))


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("state", "moment")]
