"""Other users of the host, and clients who come and go ten thousand times."""
import os
import re
import signal
import socket
import subprocess

from harness import check, equal, eventually

FULL = os.environ.get("BERTH_ATTACKS") == "full"
MIB = 1 << 20


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
    """A connection on which this request was sent and answered."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(docker.control.socket)
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


CASES = [the_socket_is_for_root_and_one_group, another_user_reaches_no_volume, attaching_and_leaving_costs_nothing]
