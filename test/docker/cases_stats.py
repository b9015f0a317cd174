"""docker stats: what the CLI computes against what the kernel says."""
import json
import re

from harness import check, equal, eventually


def stats(docker, name, query="stream=0&one-shot=1"):
    status, _, data = docker.http("GET", f"/containers/{name}/stats?{query}")
    equal(status, 200, data[:200])
    return json.loads(data)


def cgroup_number(docker, name, v1, v2):
    """A number in the container's own cgroup, as it sees it."""
    out = docker("exec", name, "sh", "-c",
                 f"cat /sys/fs/cgroup/{v2} 2>/dev/null || "
                 f"cat /sys/fs/cgroup/{v1}").out
    return int(out.split()[0])


def one_sample_has_all_that_clients_read(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "-m", "64m", "busybox", "sh", "-c",
                 "while :; do :; done")
    got = stats(docker, "box")
    equal(got["name"], "/box")
    equal(got["memory_stats"]["limit"], 64 << 20)
    check(got["memory_stats"]["usage"] > 0, got["memory_stats"])
    check(got["memory_stats"]["stats"], "no memory.stat")
    check(got["cpu_stats"]["cpu_usage"]["total_usage"] > 0, got["cpu_stats"])
    check(got["cpu_stats"]["system_cpu_usage"] > 0, got["cpu_stats"])
    check(got["cpu_stats"]["online_cpus"] > 0, got["cpu_stats"])
    equal(got["precpu_stats"]["cpu_usage"]["total_usage"], 0)
    equal(got["preread"], "0001-01-01T00:00:00Z")
    check(got["pids_stats"]["current"] >= 1, got["pids_stats"])
    version = docker("info", "--format", "{{.CgroupVersion}}").out.strip()
    equal(got["pids_stats"].get("limit"),
          2 ** 64 - 1 if version == "2" else None, "limit of pids")
    check(got["networks"]["eth0"]["rx_bytes"] >= 0, got["networks"])
    check("io_service_bytes_recursive" in got["blkio_stats"], got)
    docker("kill", "box")
    docker.start("--name", "few", "--pids-limit", "77", "busybox", "sleep",
                 "100")
    equal(stats(docker, "few")["pids_stats"]["limit"], 77)
    docker("kill", "few")


def two_samples_give_the_share_of_the_processors(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "--cpus", "0.3", "busybox", "sh", "-c",
                 "while :; do :; done")
    got = stats(docker, "box", "stream=0")
    now, then = got["cpu_stats"], got["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - then["cpu_usage"]["total_usage"]
    whole = now["system_cpu_usage"] - then["system_cpu_usage"]
    check(used > 0 and whole > 0, (used, whole))
    percent = used / whole * now["online_cpus"] * 100
    check(1 < percent < 60, f"{percent} % of one processor, limited to 30 %")
    check(got["preread"] < got["read"], got)
    out = docker("stats", "--no-stream", "--format",
                 "{{.Name}} {{.CPUPerc}} {{.PIDs}}", "box").out
    check(re.match(r"box \d+\.\d+% 1\n", out), out)
    docker("kill", "box")


def memory_is_what_the_cgroup_says(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sh", "-c",
                 "dd if=/dev/zero of=/dev/shm/x bs=1M count=30; sleep 1000")

    def used():
        return stats(docker, "box")["memory_stats"]["usage"] > 20000000
    eventually("memory is used", used)
    usage = stats(docker, "box")["memory_stats"]["usage"]
    says = cgroup_number(docker, "box", "memory/memory.usage_in_bytes",
                         "memory.current")
    check(abs(usage - says) < 8 << 20, (usage, says))


def stats_stream_until_the_container_is_removed(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    with docker.control.connect(30) as client:
        client.sendall(b"GET /v1.41/containers/box/stats HTTP/1.1\r\n"
                       b"Host: x\r\n\r\n")
        data = b""
        while data.count(b'"read"') < 3:
            data += client.recv(65536)
        lines = [json.loads(line) for line in data.split(b"\n")
                 if line.startswith(b'{') and line.rstrip().endswith(b"}")]
        equal(lines[0]["precpu_stats"]["cpu_usage"]["total_usage"], 0)
        equal(lines[1]["preread"], lines[0]["read"])
        if docker.engine == "berthd":  # dockerd leaves the client waiting
            docker("rm", "-f", "box")
            while not data.endswith(b"\r\n0\r\n\r\n"):
                piece = client.recv(65536)
                check(piece, "the stream was cut")
                data += piece


def what_does_not_run_uses_nothing(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    for query in ("stream=0", "stream=0&one-shot=1"):
        got = stats(docker, "box", query)
        equal(got["cpu_stats"]["cpu_usage"]["total_usage"], 0)
        equal(got["name"], "/box")
    equal(docker.http("GET", "/containers/nothing/stats?stream=0")[0], 404)
    status, _, data = docker.http("GET",
                           "/containers/box/stats?stream=1&one-shot=1")
    equal(status, 400, data)


def a_reader_of_stats_that_stalls_stops_nobody(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    with docker.control.no_trace():
        clients = []
        for _ in range(30):
            client = docker.control.connect()
            client.sendall(b"GET /v1.41/containers/box/stats HTTP/1.1\r\n"
                           b"Host: x\r\n\r\n")
            clients.append(client)
        equal(docker("exec", "box", "echo", "well").out, "well\n")
        stats(docker, "box")
        for client in clients:
            client.close()


CASES = [one_sample_has_all_that_clients_read,
         two_samples_give_the_share_of_the_processors,
         memory_is_what_the_cgroup_says,
         stats_stream_until_the_container_is_removed,
         what_does_not_run_uses_nothing,
         a_reader_of_stats_that_stalls_stops_nobody]
