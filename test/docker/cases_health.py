"""Healthchecks, and docker update."""
import datetime
import json
import re
import time

from cases_stats import cgroup_number
from harness import check, equal, eventually

FAST = ("--health-interval", "200ms", "--health-retries", "2",
        "--health-timeout", "5s")


def health(docker, name="box"):
    return json.loads(docker.inspect(name, "{{json .State.Health}}"))


def becomes(docker, status, name="box"):
    eventually(f"{name} is {status}",
               lambda: health(docker, name)["Status"] == status, 30)


def a_container_becomes_healthy_and_ill(docker):
    docker("pull", "busybox")
    begin = time.time()
    docker.start("--name", "box", *FAST, "--health-cmd",
                 "echo looked; test ! -e /ill", "busybox", "sleep", "1000")
    becomes(docker, "healthy")
    got = health(docker)
    equal(got["FailingStreak"], 0)
    equal((got["Log"][-1]["ExitCode"], got["Log"][-1]["Output"]),
          (0, "looked\n"))
    check(got["Log"][-1]["Start"] <= got["Log"][-1]["End"], got["Log"][-1])
    out = docker("ps", "--format", "{{.Status}}").out
    check("(healthy)" in out, out)
    docker("exec", "box", "touch", "/ill")
    becomes(docker, "unhealthy")
    got = health(docker)
    check(got["FailingStreak"] >= 2, got)
    equal(got["Log"][-1]["ExitCode"], 1)
    check(len(got["Log"]) <= 5, len(got["Log"]))
    check("(unhealthy)" in docker("ps", "--format", "{{.Status}}").out, "ps")
    docker("exec", "box", "rm", "/ill")
    becomes(docker, "healthy")
    def told():
        return [line for line in docker.events(begin, "container=box")
                if line.startswith("health_status")]
    # The event may be a moment behind the state.
    eventually("three events", lambda: len(told()) >= 3)
    equal(told(), ["health_status: healthy", "health_status: unhealthy",
                   "health_status: healthy"])


def lists_are_filtered_by_health(docker):
    docker("pull", "busybox")
    docker.start("--name", "well", *FAST, "--health-cmd", "true", "busybox",
                 "sleep", "1000")
    docker.start("--name", "ill", *FAST, "--health-cmd", "false", "busybox",
                 "sleep", "1000")
    docker.start("--name", "early", "--health-cmd", "true", "busybox", "sleep",
                 "1000")
    docker.start("--name", "plain", "busybox", "sleep", "1000")
    becomes(docker, "healthy", "well")
    becomes(docker, "unhealthy", "ill")
    for status, name in (("healthy", "well"), ("unhealthy", "ill"),
                         ("starting", "early"), ("none", "plain")):
        equal(docker("ps", "--filter", "health=" + status, "--format",
                     "{{.Names}}").out, name + "\n", status)
    out = docker("ps", "--filter", "name=early", "--format", "{{.Status}}").out
    check("(health: starting)" in out, out)
    equal(docker.inspect("plain", "{{.State.Health}}"), "<nil>")


def a_check_that_hangs_is_ended(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "--health-interval", "200ms",
                 "--health-retries", "1", "--health-timeout", "1s",
                 "--health-cmd", "sleep 1234", "busybox", "sleep", "1000")
    becomes(docker, "unhealthy")
    got = health(docker)["Log"][-1]
    equal(got["ExitCode"], -1)
    check(got["Output"].startswith("Health check exceeded timeout (1s)"), got)
    if docker.engine == "berthd":  # 20.10 leaves them behind
        out = docker("top", "box").out
        check(out.count("sleep 1234") <= 1, out)
    docker("rm", "-f", "box")


def a_start_period_forgives(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "--health-interval", "200ms",
                 "--health-retries", "1", "--health-start-period", "300s",
                 "--health-cmd", "test -e /up",
                 *(() if docker.engine == "dockerd" else
                   ("--health-start-interval", "200ms")),
                 "busybox", "sleep", "1000")
    eventually("it was checked", lambda: health(docker)["Log"])
    equal(health(docker)["Status"], "starting")
    equal(health(docker)["FailingStreak"], 0)
    docker("exec", "box", "touch", "/up")
    becomes(docker, "healthy")


def a_short_start_period_is_no_delay(docker):
    """The first check waits for the end of it, not for the interval within,
    of which an old engine knows nothing."""
    docker("pull", "busybox")
    docker.start("--name", "box", "--health-interval", "200ms",
                 "--health-start-period", "300ms", "--health-cmd", "true",
                 *(() if docker.engine == "dockerd" else
                   ("--health-start-interval", "60s")),
                 "busybox", "sleep", "1000")
    becomes(docker, "healthy")


def seconds_of(moment):
    """Of the clock: 2026-01-02T03:04:05.678Z, or as the zone has it."""
    whole, fraction, zone = re.fullmatch(
        r"([^.Z+]{19})(\.\d+)?(Z|[+-].*)", moment).groups()
    return datetime.datetime.fromisoformat(
        whole + zone.replace("Z", "+00:00")).timestamp() + float(
            fraction or 0)


def a_pause_and_an_end_stop_the_checks(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", *FAST, "--health-cmd", "true", "busybox",
                 "sleep", "1000")
    becomes(docker, "healthy")
    docker("pause", "box")
    paused = time.time()
    def checked_since():
        return [one for one in health(docker)["Log"]
                if seconds_of(one["Start"]) > paused]
    time.sleep(1)  # several times the interval
    equal(checked_since(), [], "checked while paused")
    docker("unpause", "box")
    eventually("it is checked again", checked_since)
    equal(health(docker)["Status"], "healthy")
    docker("restart", "-t", "0", "box")
    becomes(docker, "healthy")
    docker("stop", "-t", "0", "box")
    out = docker("ps", "-a", "--format", "{{.Status}}").out
    check(out.startswith("Exited") and "health" not in out, out)


def an_images_check_is_run(docker):
    image = docker.registry + "/test/health:latest"
    docker("pull", image)
    docker.start("--name", "box", "--health-interval", "200ms", image, "sleep",
                 "1000")
    becomes(docker, "healthy")
    got = json.loads(docker.inspect("box", "{{json .Config.Healthcheck}}"))
    equal((got["Test"], got["Interval"]), (["CMD", "true"], 200000000))
    docker.start("--name", "none", "--no-healthcheck", image, "sleep", "1000")
    equal(docker.inspect("none", "{{.State.Health}}"), "<nil>")


def checks_go_on_after_a_restart_of_the_daemon(docker):
    if docker.engine == "dockerd":
        return "20.10 does not notice any more who becomes ill"
    docker("pull", "busybox")
    docker.start("--name", "box", *FAST, "--health-cmd", "test ! -e /ill",
                 "busybox", "sleep", "1000")
    becomes(docker, "healthy")
    docker.control.kill()
    docker.control.start()
    check(health(docker)["Status"] in ("starting", "healthy"), health(docker))
    becomes(docker, "healthy")
    docker("exec", "box", "touch", "/ill")
    becomes(docker, "unhealthy")
    return None


def many_checks_that_hang_stop_nobody(docker):
    docker("pull", "busybox")
    docker.run("busybox", "true")  # what a first one leaves in the daemon stays
    with docker.control.no_trace():
        for number in range(10):
            docker.start("--name", f"stuck{number}", "--health-interval",
                         "200ms", "--health-timeout", "60s", "--health-cmd",
                         "sleep 1000", "busybox", "sleep", "1000")
        docker.start("--name", "box", *FAST, "--health-cmd", "true", "busybox",
                     "sleep", "1000")
        becomes(docker, "healthy")
        equal(docker("exec", "box", "echo", "well").out, "well\n")
        docker.clear()


def wrong_checks_are_refused(docker):
    docker("pull", "busybox")
    kind = {"Content-Type": "application/json"}

    def create(healthcheck):
        status, _, data = docker.http("POST", "/containers/create",
            json.dumps({"Image": "busybox", "Healthcheck": healthcheck}), kind)
        return status, data.decode()
    for wrong in ({"Interval": 5}, {"Timeout": -1}, {"Retries": -1},
                  {"Test": 3}, {"Interval": "1s"}, [], "x"):
        status, text = create(wrong)
        check(status in (400, 500), (wrong, status, text))
    for right in (None, {}, {"Test": []}, {"Test": ["NONE"]},
                  {"Test": None, "Interval": None}):
        status, text = create(right)
        equal(status, 201, (right, text))


# ---- update

def limits_change_while_it_runs(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "-m", "64m", "busybox", "sleep", "1000")
    docker("update", "-m", "96m", "--memory-swap", "128m", "--cpu-shares",
           "512", "--pids-limit", "50", "box")
    got = json.loads(docker.inspect("box", "{{json .HostConfig}}"))
    equal((got["Memory"], got["MemorySwap"], got["CpuShares"],
           got["PidsLimit"]), (96 << 20, 128 << 20, 512, 50))
    memory = ("memory/memory.limit_in_bytes", "memory.max")
    equal(cgroup_number(docker, "box", *memory), 96 << 20)
    equal(cgroup_number(docker, "box", "pids/pids.max", "pids.max"), 50)
    docker("restart", "-t", "0", "box")
    equal(cgroup_number(docker, "box", *memory), 96 << 20, "after a restart")
    result = docker("update", "-m", "256m", "box", code=1)
    check("update the memoryswap at the same time" in result.err, result.err)
    docker("update", "-m", "1k", "box", code=1)
    docker("update", "--restart", "sometimes", "box", code=1)
    docker("update", "-m", "64m", "no-such", code=1)


def a_policy_changes(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sh", "-c",
                 "until [ -e /go ]; do sleep 0.05; done; exit 1")
    docker("update", "--restart", "on-failure:2", "box")
    docker("exec", "box", "touch", "/go")
    equal(docker.inspect("box", "{{.HostConfig.RestartPolicy.Name}}"),
          "on-failure")
    eventually("it was started again",
               lambda: docker.inspect("box", "{{.RestartCount}}") == "2", 30)
    docker("create", "--name", "away", "--rm", "busybox")
    result = docker("update", "--restart", "always", "away", code=1)
    check("AutoRemove" in result.err, result.err)


def odd_updates_are_refused(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    kind = {"Content-Type": "application/json"}
    for body in ("[]", "3", '{"Memory":"x"}', '{"CpuShares":{}}',
                 '{"RestartPolicy":3}', '{"RestartPolicy":{"Name":3}}',
                 '{"CpuQuota":1e30}', "{"):
        status, _, data = docker.http("POST", "/containers/box/update", body,
                               kind)
        check(status in (400, 500), (body, status, data))
    for body in ("{}", '{"Memory":null,"RestartPolicy":null}'):
        status, _, data = docker.http("POST", "/containers/box/update", body,
                               kind)
        equal(status, 200, (body, data))
    check(docker.control.alive(), "the engine has ended")


CASES = [a_container_becomes_healthy_and_ill, lists_are_filtered_by_health,
         a_check_that_hangs_is_ended, a_start_period_forgives,
         a_short_start_period_is_no_delay,
         a_pause_and_an_end_stop_the_checks, an_images_check_is_run,
         checks_go_on_after_a_restart_of_the_daemon,
         many_checks_that_hang_stop_nobody, wrong_checks_are_refused,
         limits_change_while_it_runs, a_policy_changes,
         odd_updates_are_refused]
