#!/usr/bin/python3
"""What people do with docker, and what they expect to see.

Each function is a case: it fails by raising, returns a reason to be skipped.
Nothing in here knows which engine answers, unless a reason stands beside it.
"""
import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter

import cases_api
import cases_attack
import cases_build
import cases_clients
import cases_compose
import cases_copy
import cases_exits
import cases_faults
import cases_goclient
import cases_health
import cases_images
import cases_inspect
import cases_lifecycle
import cases_links
import cases_logs
import cases_networks
import cases_odd
import cases_options
import cases_pods
import cases_pull
import cases_push
import cases_requests
import cases_restart
import cases_runtimes
import cases_stats
import cases_stream
import cases_testcontainers
import cases_tls
import cases_vanish
import cases_verbs
import cases_versions
import cases_volumes
import cases_websocket
from harness import Docker, Engine, check, equal, eventually, run_cases


# ---- images

def version_and_info_answer(docker):
    out = docker("version", "-f", "{{.Server.APIVersion}}").out.strip()
    check(out.count(".") == 1, f"API version {out!r}")
    check(docker("info", "-f", "{{.ServerVersion}}").out.strip(), "no version")


def pull_shows_progress_and_digest(docker):
    out = docker("pull", "busybox").out
    check("Status: Downloaded newer image for busybox:latest" in out, out)
    check("Digest: sha256:" in out, out)
    out = docker("pull", "busybox").out
    check("Status: Image is up to date for busybox:latest" in out, out)


def pull_of_a_missing_image_fails(docker):
    name = docker.registry + "/test/nowhere"
    result = docker("pull", name, code=1)
    check(name in result.err and "not found" in result.err, result.err)


def pull_from_a_named_registry(docker):
    name = docker.registry + "/test/config:latest"
    docker("pull", name)
    equal(docker("image", "inspect", "-f", "{{.Config.WorkingDir}}",
                 name).out.strip(), "/srv/work")


def images_lists_the_short_name(docker):
    docker("pull", "busybox")
    rows = docker("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
    check("busybox:latest" in rows, rows)


def tag_and_remove_a_name(docker):
    docker("pull", "busybox")
    docker("tag", "busybox", "mine:v1")
    equal(docker("images", "-q", "mine:v1").out,
          docker("images", "-q", "busybox:latest").out)
    check("Untagged: mine:v1" in docker("rmi", "mine:v1").out, "no word of it")
    docker("inspect", "busybox")


def removing_an_unknown_image_says_so(docker):
    result = docker("rmi", "not-here", code=1)
    check("No such image: not-here" in result.err, result.err)


def an_image_in_use_is_kept(docker):
    docker("run", "--name", "user", "busybox", "true")
    docker("tag", "busybox", "again")
    docker("rmi", "again")
    result = docker("rmi", "busybox", code=1)
    check("is using its referenced image" in result.err, result.err)
    docker("start", "-a", "user")


# ---- run: what the program sees

def run_pulls_what_is_missing(docker):
    docker("rmi", "-f", "ubuntu", code=None)
    result = docker.run("ubuntu", "echo", "hi")
    equal(result.out, "hi\n")
    check("Unable to find image 'ubuntu:latest' locally" in result.err,
          result.err)


def exit_codes_come_back(docker):
    docker.run("busybox", "sh", "-c", "exit 7", code=7)
    docker.run("busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?", code=137)


def a_missing_program_is_127(docker):
    result = docker.run("busybox", "no-such-program", code=127)
    check("executable file not found" in result.err, result.err)


def a_file_that_cannot_run_is_126(docker):
    result = docker.run("busybox", "/etc/passwd", code=126)
    check("permission denied" in result.err.lower(), result.err)


def an_engine_error_is_125(docker):
    docker.run("--network", "no-such-network", "busybox", "true", code=125)


def out_and_err_stay_apart(docker):
    result = docker.run("busybox", "sh", "-c", "echo out; echo err >&2")
    equal((result.out, result.err), ("out\n", "err\n"))


def environment(docker):
    out = docker.shell("echo $A-$B-$HOME; hostname", "-e", "A=1", "-e", "B=x y",
                       "--hostname", "box")
    equal(out, "1-x y-/root\nbox\n")


def the_hostname_is_the_short_id(docker):
    name = docker.start("busybox", "sleep", "100")
    equal(docker("exec", name, "hostname").out.strip(), name[:12])


def working_folder_is_made(docker):
    equal(docker.shell("pwd", "-w", "/new/place"), "/new/place\n")


def users_by_name_and_number(docker):
    equal(docker.shell("id -u; id -g", "-u", "app"), "1000\n1000\n")
    equal(docker.shell("id -u; id -g", "-u", "12:34"), "12\n34\n")
    result = docker.run("-u", "nobody-here", "busybox", "true", code=None)
    check(result.code in (125, 126), result)


def the_image_gives_defaults(docker):
    image = docker.registry + "/test/config:latest"
    docker("pull", image)
    out = docker.run(image).out
    check("args=one two words\n" in out and "cwd=/srv/work\n" in out and
          "id=1000:1000" in out and "seed=seed\n" in out, out)
    check("args=x\n" in docker.run(image, "x").out, "arguments")
    equal(docker.run("--entrypoint", "/bin/echo", image, "only").out, "only\n")


def binds_are_written_through(docker):
    with tempfile.TemporaryDirectory() as folder:
        docker.shell("echo there > /data/file", "-v", folder + ":/data")
        with open(folder + "/file") as file:
            equal(file.read(), "there\n")
        result = docker.run("-v", folder + ":/data:ro", "busybox", "touch",
                            "/data/x", code=1)
        check("Read-only file system" in result.err, result.err)


def mount_option_wants_its_source(docker):
    docker.run("--mount", "type=bind,src=/no/such/place,dst=/x", "busybox",
               "true", code=125)


def tmpfs_is_empty_and_limited(docker):
    out = docker.shell("df -k /scratch | tail -1 | awk '{print $1, $2}'",
                       "--tmpfs", "/scratch:size=1m")
    equal(out, "tmpfs 1024\n")


def shm_size_is_honoured(docker):
    out = docker.shell("df -k /dev/shm | tail -1 | awk '{print $2}'",
                       "--shm-size", "8m")
    equal(out, "8192\n")


def read_only_root(docker):
    result = docker.run("--read-only", "busybox", "touch", "/x", code=1)
    check("Read-only file system" in result.err, result.err)
    docker.run("--read-only", "--tmpfs", "/t", "busybox", "touch", "/t/x")


def capabilities(docker):
    # CVE-2022-24769, CVE-2022-29162: none is inheritable, also in execs.
    inherit = ("sh", "-c", "grep CapInh /proc/self/status | cut -f2")
    none = "0000000000000000\n"
    name = docker.start("busybox", "sleep", "100")
    equal(docker.run("busybox", *inherit).out, none)
    equal(docker("exec", name, *inherit).out, none)
    more = docker("exec", "--privileged", name, *inherit, code=None)
    # runc asks for capabilities that this machine's root may lack.
    if docker.engine == "berthd" or "unable to apply caps" not in more.out:
        equal((more.code, more.out), (0, none))
    script = "grep CapEff /proc/self/status | cut -f2"
    equal(docker.shell(script), "00000000a80425fb\n")
    equal(docker.shell(script, "--cap-drop", "ALL"), "0000000000000000\n")
    equal(docker.shell(script, "--cap-drop", "ALL", "--cap-add", "NET_ADMIN"),
          "0000000000001000\n")


def seccomp_and_no_new_privileges(docker):
    script = "grep -e Seccomp: -e NoNewPrivs /proc/self/status | cut -f2"
    equal(docker.shell(script), "0\n2\n")
    equal(docker.shell(script, "--security-opt", "seccomp=unconfined"),
          "0\n0\n")
    equal(docker.shell(script, "--security-opt", "no-new-privileges"),
          "1\n2\n")


def privileged_sees_devices(docker):
    docker.run("busybox", "mount", "-t", "tmpfs", "t", "/tmp", code=1)
    result = docker.run("--privileged", "busybox", "sh", "-c", "test -e "
                        "/dev/loop-control && mount -t tmpfs t /tmp", code=None)
    if docker.engine == "dockerd" and "unable to apply caps" in result.err:
        return "runc asks for capabilities that this machine's root lacks"
    equal(result.code, 0, "exit code")
    return None


def limits_reach_the_kernel(docker):
    name = docker.start("-m", "64m", "--pids-limit", "77", "--cpus", "0.5",
                        "busybox", "sleep", "100")
    equal(docker.inspect(name, "{{.HostConfig.Memory}} "
                         "{{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}"),
          "67108864 77 500000000")
    pid = docker.inspect(name, "{{.State.Pid}}")
    found = {}
    with open(f"/proc/{pid}/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for one in controllers.split(","):
                found[one] = path
    def value(controller, v1, v2):
        if found.get(controller):
            path = f"/sys/fs/cgroup/{controller}{found[controller]}/{v1}"
        else:
            path = f"/sys/fs/cgroup{found['']}/{v2}"
        with open(path) as file:
            return file.read().split()[0]
    equal(value("memory", "memory.limit_in_bytes", "memory.max"), "67108864")
    equal(value("pids", "pids.max", "pids.max"), "77")
    equal(value("cpu", "cpu.cfs_quota_us", "cpu.max"), "50000")


def out_of_memory_is_seen(docker):
    docker("run", "--name", "hog", "-m", "16m", "--memory-swap", "16m",
           "busybox", "sh", "-c", "x=a; while :; do x=$x$x; done", code=137)
    equal(docker.inspect("hog", "{{.State.OOMKilled}}"), "true")


def init_reaps(docker):
    # The orphan is to go, a zombie would stay: somebody else is pid 1.
    out = docker.shell("test $$ != 1 || exit; pid=$(sleep 0.1 >&- & echo $!); "
                       "while [ -e /proc/$pid ]; do sleep 0.05; done; echo gone",
                       "--init")
    equal(out, "gone\n")


def sysctls_and_ulimits(docker):
    equal(docker.shell("cat /proc/sys/net/ipv4/ip_forward; ulimit -n",
                       "--sysctl", "net.ipv4.ip_forward=0", "--ulimit",
                       "nofile=123:456"), "0\n123\n")


# ---- network

def network_none_has_loopback_only(docker):
    equal(docker.shell("ls /sys/class/net", "--network", "none"), "lo\n")


def network_host_is_the_hosts(docker):
    out = docker.shell("readlink /proc/self/ns/net", "--network", "host")
    equal(out.strip(), os.readlink("/proc/self/ns/net"))


def bridge_gives_an_address(docker):
    name = docker.start("busybox", "httpd", "-f", "-h", "/www")
    address = docker.inspect(
        name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    check(address.count(".") == 3, f"address {address!r}")
    eventually("the page", lambda: fetch(f"http://{address}/"))


def ports_are_published(docker):
    name = docker.start("-p", "127.0.0.1:8099:80", "busybox", "httpd", "-f",
                        "-h", "/www")
    eventually("the page", lambda: fetch("http://127.0.0.1:8099/"))
    equal(docker("port", name).out, "80/tcp -> 127.0.0.1:8099\n")


def a_port_in_use_is_refused(docker):
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 8098))
        mine.listen()
        result = docker.run("-p", "127.0.0.1:8098:80", "busybox", "true",
                            code=125)
        check("address already in use" in result.err, result.err)
    docker.start("-p", "127.0.0.1:8098:80", "busybox", "sleep", "100")
    docker.start("-p", "127.0.0.2:8098:80", "busybox", "sleep", "100")
    result = docker.run("-p", "8098:80", "busybox", "true", code=125)
    check("already" in result.err, result.err)


def all_exposed_ports_are_published(docker):
    name = docker.start("-P", "--expose", "80", "busybox", "httpd", "-f", "-h",
                        "/www")
    port = docker("port", name, "80").out.split()[0].rpartition(":")[2]
    eventually("the page", lambda: fetch(f"http://127.0.0.1:{port}/"))


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as page:
            return page.read() == b"hello from the pod\n"
    except OSError:
        return False


def networks_are_listed(docker):
    names = docker("network", "ls", "--format", "{{.Name}}").out.split()
    check({"bridge", "host", "none"} <= set(names), names)
    equal(docker("network", "inspect", "-f", "{{.Driver}}", "bridge").out,
          "bridge\n")


# ---- volumes

def named_volumes_persist(docker):
    docker("volume", "create", "keep")
    docker.shell("echo kept > /v/file", "-v", "keep:/v")
    equal(docker.shell("cat /v/file", "-v", "keep:/v"), "kept\n")
    check("keep" in docker("volume", "ls", "-q").out.split(), "not listed")
    equal(docker("volume", "inspect", "-f", "{{.Driver}}", "keep").out,
          "local\n")
    docker("volume", "rm", "keep")
    check("keep" not in docker("volume", "ls", "-q").out.split(), "still there")


def a_volume_in_use_is_kept(docker):
    docker.start("-v", "busy:/v", "busybox", "sleep", "100")
    result = docker("volume", "rm", "busy", code=1)
    check("in use" in result.err, result.err)


def a_volume_is_filled_from_the_image(docker):
    image = docker.registry + "/test/config:latest"
    docker("pull", image)
    equal(docker.run("--entrypoint", "cat", "-v", "filled:/data", image,
                     "/data/seed").out, "seed\n")


def anonymous_volumes_go_with_rm(docker):
    before = set(docker("volume", "ls", "-q").out.split())
    docker.shell("touch /v/x", "-v", "/v")
    equal(set(docker("volume", "ls", "-q").out.split()), before)


HERE = [value for name, value in list(globals().items())
        if callable(value) and getattr(value, "__module__", "") == "__main__"
        and name not in ("fetch", "main")]


def programs(engine):
    """The docker CLIs to run with: the one on PATH, and Debian's beside it."""
    first = shutil.which("docker")
    debians = "/usr/bin/docker"
    if engine == "dockerd" or os.path.realpath(first) == debians or (
            not os.path.exists(debians)):
        return [first]
    return [first, debians]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--only", default=os.environ.get("ONLY", ""))
    given = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    engine = Engine(given.engine, given.folder)
    total = Counter()
    for program in programs(given.engine):
        print(subprocess.run([program, "--version"], text=True,
                             stdout=subprocess.PIPE).stdout.strip(), flush=True)
        docker = Docker(engine, program)
        cases = (HERE + cases_lifecycle.CASES + cases_exits.CASES +
                 cases_stream.CASES)
        if total:
            # Once is enough of what takes long or asks the engine alone.
            cases.remove(cases_stream.two_hundred_mebibytes_through_cat)
        else:
            for module in (cases_api, cases_attack, cases_clients,
                           cases_copy, cases_faults, cases_health,
                           cases_images, cases_inspect, cases_links, cases_logs,
                           cases_networks, cases_odd, cases_options,
                           cases_pods, cases_pull, cases_push, cases_requests,
                           cases_restart, cases_runtimes, cases_stats,
                           cases_tls, cases_vanish, cases_verbs, cases_versions,
                           cases_volumes, cases_websocket, cases_build,
                           cases_compose, cases_goclient,
                           cases_testcontainers):
                cases += module.CASES
        docker("rmi", "-f", "busybox", "ubuntu", code=None)
        total += run_cases(cases, docker, given.only)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(
        **{word: total[word] for word in ("passed", "failed", "skipped")}))
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
