"""How containers end, and what is still possible while they do."""
import subprocess
import time

from harness import check, equal, eventually


def kill_in_the_pause_before_a_restart_ends_the_loop(docker):
    name = docker.start("--restart", "always", "busybox", "sh", "-c",
                        "sleep 0.05; exit 1")
    # The pause doubles with each life: soon most of the time is a pause.
    eventually("it is restarting", lambda: int(docker.inspect(
        name, "{{.RestartCount}}")) >= 4 and docker.state(name) == "restarting",
               20)
    docker("kill", name)
    eventually("it has ended", lambda: docker.state(name) == "exited")
    count = docker.inspect(name, "{{.RestartCount}}")
    time.sleep(4)  # longer than the pause was
    equal(docker.state(name), "exited")
    equal(docker.inspect(name, "{{.RestartCount}}"), count)


def start_of_a_paused_container_says_unpause(docker):
    name = docker.start("busybox", "sleep", "100")
    docker("pause", name)
    result = docker("start", name, code=1)
    check("try unpause instead" in result.err, result.err)
    equal(docker.state(name), "paused")
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
    name = docker.trapping("TERM", "echo no")
    restart = docker.popen("restart", "-t", "60", name,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    eventually("the signal", lambda: "no" in docker("logs", name).out)
    docker("rm", "-f", name, timeout=20)
    restart.communicate(timeout=20)
    docker("inspect", name, code=1)


def restart_is_not_taken_for_an_end(docker):
    name = docker.trapping("TERM", "exit 3", "--rm")
    docker("restart", name)
    equal(docker.state(name), "running")
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
         and name != "moment"]
