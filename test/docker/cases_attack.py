"""Other users of the host, and clients who come and go ten thousand times."""
import io
import json
import os
import re
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

from cases_requests import server_major
from harness import check, equal, eventually

FULL = os.environ.get("BERTH_ATTACKS") == "full"
MIB = 1 << 20


def archive():
    """One file, as docker cp sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("came-in"))
    return packed.getvalue()


ARCHIVE = archive()


def as_another_user(*command):
    """What user 1000 of the host gets: exit code and output."""
    try:
        done = subprocess.run(["busybox", *command[1:]], executable=command[0],
                              user=1000, group=1000, extra_groups=[], cwd="/",
                              capture_output=True)
    except PermissionError:
        return None
    return done.returncode, done.stdout


def open_to_all(folder):
    """The folders above the engine's own, as /var/lib is."""
    while folder != "/":
        os.chmod(folder, os.stat(folder).st_mode | 0o011)
        folder = os.path.dirname(folder)


def another_user_reaches_no_volume(docker):
    # CVE-2024-25621, CVE-2021-41091.
    open_to_all(docker.control.folder)
    docker("volume", "create", "shared")
    name = docker.start("-v", "shared:/v", "-v", "/anonymous", "busybox",
                        "sleep", "1000")
    for folder in ("/v", "/anonymous", "/"):
        docker("exec", name, "sh", "-c", f"cp /bin/busybox {folder}/su && "
               f"chmod 4755 {folder}/su")
    paths = docker.inspect(
        name, "{{range .Mounts}}{{.Source}}/su {{end}}").split()
    equal(len(paths), 2, "volumes")
    with open("/proc/self/mountinfo") as file:
        paths += [line.split()[4] + "/su" for line in file
                  if " - overlay " in line]
    check(len(paths) > 2, "no root file system among the mounts")
    for path in paths:
        if not os.path.exists(path):
            continue  # another container's
        check(os.stat(path).st_mode & 0o4000, path)
        equal(as_another_user(path, "id", "-u"), None, path)


def memory(docker):
    """Bytes that the engine has resident."""
    with open(docker.control.folder + "/engine.pid") as file:
        pid = file.read().strip()
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s*(\d+) kB", file.read())[1]) * 1024


def call(docker, head):
    """A connection on which the head of a request was begun."""
    client = docker.control.connect()
    client.sendall((head + "\r\nHost: x\r\nContent-Length: 0\r\n").encode())
    return client


def attach_and_leave(docker, name):
    path = f"/v1.41/containers/{name}/attach?stream=1&stdin=1&stdout=1"
    with call(docker, f"POST {path} HTTP/1.1") as client:
        client.sendall(b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        check(b" 101 " in client.recv(1000), "no upgrade")


def resize(docker, name, number):
    size = f"h={20 + number % 9}&w={70 + number % 7}"
    with call(docker, f"POST /v1.41/containers/{name}/resize?{size} "
              "HTTP/1.1") as client:
        client.sendall(b"Connection: close\r\n\r\n")
        check(b" 200 " in client.recv(1000), "no resize")


def attaching_and_leaving_costs_nothing(docker):
    # CVE-2025-64329, CVE-2022-23471.
    name = docker.start("-it", "busybox", "sh", "-c",
                        "while :; do echo tick; sleep 1; done")
    def some(count):
        for number in range(count):
            attach_and_leave(docker, name)
            resize(docker, name, number)
    if FULL:
        signal.alarm(1800)
    some(50)  # what is made once
    before = memory(docker)
    with docker.control.no_trace():
        some(10000 if FULL else 300)
    # A sanitizer keeps what was freed.
    if not os.environ.get("BERTH_SANITIZED"):
        eventually("the engine's memory is as it was",
                   lambda: memory(docker) < before + 16 * MIB)
    equal(docker.inspect(name, "{{.State.Running}}"), "true")


def the_socket_is_for_root_and_one_group(docker):
    info = os.stat(docker.control.socket)
    equal(oct(info.st_mode & 0o007), "0o0", "others' rights")
    equal(info.st_uid, 0, "owner")
    connect = ("import socket, sys; "
               "socket.socket(socket.AF_UNIX).connect(sys.argv[1])")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", connect, docker.control.socket], cwd="/",
        user=1000, group=1000, extra_groups=[], capture_output=True)
    check(b"PermissionError" in done.stderr, f"another user: {done}")


def a_number_is_that_user_or_none(docker):
    # CVE-2024-40635, CVE-2026-46680.
    docker("pull", "busybox")
    name = docker.start("busybox", "sleep", "1000")
    docker("exec", name, "sh", "-c", "for user in 99999999999 4294967296 "
           "4294967295; do echo $user:x:0:0::/:/bin/sh; done >> /etc/passwd")
    for user in ("99999999999", "4294967296", "4294967295", "0:4294967296"):
        for command in (("exec", "-u", user, name),
                        ("run", "--rm", "-u", user, "busybox")):
            result = docker(*command, "id", "-u", code=None)
            check(result.code != 0 and result.out != "0\n", result)
    if docker.engine == "berthd":  # dockerd 20.10 refuses it
        equal(docker("exec", "-u", "2147483648", name, "id", "-u").out,
              "2147483648\n")


def top_runs_nothing_of_the_container(docker):
    # CVE-2022-1227: whoever looks at processes from inside runs what is there.
    name = docker.start("busybox", "sleep", "1000")
    docker("exec", name, "sh", "-c", "for one in ps top nsenter; do "
           "rm -f /bin/$one; printf '#!/bin/sh\\ntouch /ran\\n' > /bin/$one; "
           "chmod 755 /bin/$one; done")
    for options in ((), ("aux",), ("-o", "pid,cmd")):
        check("sleep 1000" in docker("top", name, *options).out, options)
    docker("exec", name, "test", "!", "-e", "/ran")


def no_ipv6_where_no_network_has_it(docker):
    # CVE-2024-32473, and CVE-2020-13401 among neighbours.
    if not os.path.exists("/proc/sys/net/ipv6"):
        return "the kernel has no IPv6"
    docker("network", "create", "old")
    docker("network", "create", "--ipv6", "--subnet", "fd78::/64", "new")
    script = "ip -6 addr show dev eth0; cat /proc/sys/net/ipv6/conf/eth0/"
    for network in ("bridge", "old"):
        out = docker.shell(script + "disable_ipv6", "--network", network)
        equal(out, "1\n", network)
    # Who asks for it has it.
    out = docker.shell(script + "disable_ipv6", "--sysctl",
                       "net.ipv6.conf.all.disable_ipv6=0")
    check(out.endswith("0\n"), out)
    name = docker.start("--network", "old", "busybox", "sleep", "1000")
    docker("network", "connect", "new", name)
    check("inet6" not in docker("exec", name, "ip", "addr", "show", "dev",
                                "eth0").out, "eth0 has IPv6")
    check("fd78::" in docker("exec", name, "ip", "-6", "addr", "show", "dev",
                             "eth1").out, "eth1 has none")
    if docker.engine == "berthd":
        equal(docker("exec", name, "cat",
                     "/proc/sys/net/ipv6/conf/eth1/accept_ra").out, "0\n")
    return None


def names_do_not_leave_an_internal_network(docker):
    # CVE-2024-29018: what is asked for could carry anything out.
    if docker.engine == "dockerd" and server_major(docker) < 26:
        return "dockerd asks others, before 26"
    docker("network", "create", "--internal", "in")
    docker("network", "create", "out")
    gateway = json.loads(docker("network", "inspect", "out").out)[0][
        "IPAM"]["Config"][0]["Gateway"].split("/")[0]
    holder = docker.start("--network", "out", "busybox", "sleep", "1000")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((gateway, 53))
        server.settimeout(3)

        def asked(container, name):
            docker("exec", container, "nslookup", "-timeout=1", name,
                   code=None, timeout=30)
            label, found = name.split(".")[0].encode(), False
            try:
                while True:
                    found = label in server.recv(512) or found
            except TimeoutError:
                return found

        inside = docker.start("--network", "in", "--dns", gateway, "busybox",
                              "sleep", "1000")
        check(not asked(inside, "secret.example.org"), "it was asked")
        both = docker.start("--network", "out", "--dns", gateway, "busybox",
                            "sleep", "1000")
        check(asked(both, "public.example.org"), "nobody asks it")
    docker("rm", "-f", holder)
    return None


def a_copy_makes_no_place_outside(docker):
    # CVE-2026-41568, CVE-2026-42306: where a volume goes may be a link.
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as outside:
        docker("create", "--name", "box", "-v", "box-volume:/dir/sub/volume",
               "busybox", "sleep", "1000")
        docker("start", "box")
        for link in (outside, "../../../../../.." + outside,
                     "/proc/1/root" + outside):
            docker("start", "box")
            docker("exec", "box", "sh", "-c", "cd / && mkdir -p old && "
                   f"mv dir old/$$ && ln -s {link} /dir && test -L /dir")
            for command in (("cp", "box:/bin/busybox", "-"),
                            ("cp", "-", "box:/dir/sub/volume"),
                            ("cp", "-", "box:/dir")):
                for running in (True, False):
                    if not running:
                        docker("stop", "-t", "0", "box")
                    docker(*command, code=None, stdin=ARCHIVE)
                    if not running:
                        docker("start", "box", code=None)
            equal(os.listdir(outside), [], link)
            docker("stop", "-t", "0", "box", code=None)
            docker("rm", "-f", "box")
            docker("create", "--name", "box", "-v",
                   "box-volume:/dir/sub/volume", "busybox", "sleep", "1000")


def a_volumes_place_that_changes_leads_nowhere(docker):
    # CVE-2026-41568 as a race: the folder above a volume is a link by turns.
    if docker.engine == "dockerd":
        return "20.10 makes the mount point by its path"
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as outside:
        docker.start("--name", "box", "-v", "box-volume:/dir/sub/volume",
                     "busybox", "sh", "-c", "echo mine >/dir/sub/volume/f; "
                     f"ln -s {outside} /link; while :; do mv /dir /kept; "
                     "mv /link /dir; mv /dir /link; mv /kept /dir; done")
        path = "/containers/box/archive?path=/dir/sub/volume"
        begun, seen = time.monotonic(), set()

        # The folder is met, and something else.
        def enough():
            passed = time.monotonic() - begun
            return passed > 5 and 200 in seen and len(seen) > 1 or passed > 60

        while not enough():
            seen.add(docker.http("GET", path + "/f")[0])
            for place in (path, "/containers/box/archive?path=/dir/sub"):
                docker.http("PUT", place, ARCHIVE,
                            {"Content-Type": "application/x-tar"})
        equal(os.listdir(outside), [])
        check(200 in seen and len(seen) > 1, f"statuses {seen}")
        docker("kill", "box")
    return None


def what_tells_of_the_host_is_masked(docker):
    # GHSA-7ww5-4wqc-m92c and its like.
    name = docker.start("busybox", "sleep", "1000")
    if docker.engine == "berthd":
        masked = json.loads(docker.inspect(
            name, "{{json .HostConfig.MaskedPaths}}"))
        for path in ("/sys/devices/virtual/powercap", "/sys/firmware",
                     "/proc/acpi", "/proc/interrupts", "/proc/kcore",
                     "/proc/keys", "/proc/latency_stats", "/proc/scsi",
                     "/proc/timer_list", "/proc/sched_debug"):
            check(path in masked, path)
    for path in ("/sys/firmware", "/proc/acpi", "/proc/scsi",
                 "/sys/devices/virtual/powercap"):
        equal(docker("exec", name, "sh", "-c",
                     f"ls {path} 2>/dev/null || true").out, "", path)
    for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list"):
        equal(docker("exec", name, "sh", "-c",
                     f"head -c 9 {path} 2>/dev/null || true").out, "", path)


CASES = [the_socket_is_for_root_and_one_group, another_user_reaches_no_volume,
         attaching_and_leaving_costs_nothing, a_number_is_that_user_or_none,
         top_runs_nothing_of_the_container, no_ipv6_where_no_network_has_it,
         names_do_not_leave_an_internal_network, a_copy_makes_no_place_outside,
         a_volumes_place_that_changes_leads_nowhere,
         what_tells_of_the_host_is_masked]
