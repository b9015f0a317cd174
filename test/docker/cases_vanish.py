"""Clients that vanish in the middle of what they send or read."""
import glob
import io
import socket
import struct
import tarfile

from harness import check, equal, eventually


def archive(size):
    """A tar of one file of that many bytes."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = size
        tar.addfile(entry, io.BytesIO(b"x" * size))
    return text.getvalue()


def vanish(docker, method, path, body=b"", read=0):
    """Sends a request of twice that body, reads some of the answer, and is gone
    without a word."""
    with docker.control.connect() as client:
        head = f"{method} /v1.41{path} HTTP/1.1\r\nHost: engine\r\n"
        if body:
            head += ("Content-Type: application/x-tar\r\n"
                     f"Content-Length: {2 * len(body)}\r\n")
        client.sendall(head.encode() + b"\r\n" + body)
        got = b""
        while len(got) < read:
            piece = client.recv(65536)
            check(piece, f"{path}: the answer ends after {got}")
            got += piece
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))


def names(docker):
    return sorted(docker("images", "-aq", "--no-trunc").out.split())


def uploads_that_are_cut_off_leave_nothing(docker):
    docker("pull", "busybox")
    name = docker.start("busybox", "sleep", "100")
    before = names(docker)
    body = archive(8 << 20)
    with docker.control.no_trace():
        for _ in range(5):
            vanish(docker, "POST", "/images/load", body)
            vanish(docker, "POST", "/images/create?fromSrc=-&repo=cut", body)
            vanish(docker, "PUT", f"/containers/{name}/archive?path=/tmp",
                   body)
    equal(names(docker), before)
    if docker.control.ingest:
        eventually("what was begun goes",
                   lambda: not glob.glob(docker.control.ingest + "/*"))
    # And everything still works.
    equal(docker("exec", name, "echo", "fine").out, "fine\n")
    docker("cp", "-", name + ":/tmp", stdin=body)
    equal(docker("exec", name, "stat", "-c", "%s", "/tmp/big").out,
          f"{8 << 20}\n")


def downloads_that_are_cut_off_leave_nothing(docker):
    docker("pull", "busybox")
    name = docker.start("busybox", "sh", "-c",
                        "dd if=/dev/zero of=/big bs=1M count=30 2>/dev/null;"
                        "yes | head -c 3000000; sleep 100")
    eventually("the file", lambda: docker(
        "exec", name, "stat", "-c", "%s", "/big").out == f"{30 << 20}\n")
    with docker.control.no_trace():
        for path in ("/containers/{}/archive?path=/big", "/containers/{}/export",
                     "/containers/{}/stats", "/images/busybox/get", "/events",
                     "/containers/{}/logs?stdout=1&follow=1"):
            for _ in range(3):
                vanish(docker, "GET", path.format(name),
                       read=0 if path == "/events" else 100)
    check("Up" in docker("ps", "--format", "{{.Status}}").out, "it has ended")
    docker("kill", name)


CASES = [uploads_that_are_cut_off_leave_nothing,
         downloads_that_are_cut_off_leave_nothing]
