"""Clients that hang, flood and leave, and logs that do not stop."""
import ctypes
import os
import subprocess
import tempfile

from cases_pods import SOCKET, has_cri
from harness import check, connected, equal, eventually

GET = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"


def ask(docker, request):
    """The whole answer to one request on a connection of its own."""
    with docker.control.connect() as client:
        try:
            client.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already
        answer = b""
        while True:
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                return answer
            answer += piece
            if b"Content-Length: 0\r\n" in answer or b"\n\r\n" in answer and (
                    answer.endswith(b"\n") or answer.endswith(b"}")):
                return answer
    return answer


# ---- heads and bodies

def long_heads_are_refused(docker):
    # dockerd takes a megabyte before it refuses.
    long = b" 200 " if docker.engine == "dockerd" else b" 431 "
    close = b"Host: x\r\nConnection: close\r\n"
    for head, wanted in (
            (b"GET /_ping HTTP/1.1\r\n" + close + b"X: " + b"x" * (66 << 10),
             long),
            (b"GET /_ping?" + b"x" * (2 << 20) + b" HTTP/1.1\r\n" + close,
             b" 431 "),
            (b"GET /_ping HTTP/1.1\r\n" + close + b"a: b\r\n" * 400000,
             b" 431 ")):
        answer = ask(docker, head + b"\r\n\r\n")
        check(wanted in answer[:20], (head[:60], answer[:60]))
    check(docker.control.alive(), "the engine has ended")


def what_is_not_http_is_refused(docker):
    for head in (b"hello\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                 b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n"):
        check(b" 400 " in ask(docker, head)[:20], head)


def a_body_that_is_too_long_is_refused(docker):
    # dockerd reads bodies of any length: this one has no JSON in it.
    wanted = ((b" 400 ", b" 500 ") if docker.engine == "dockerd" else
              (b" 413 ",))
    size = 20 << 20
    request = (b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\n"
               b"Content-Type: application/json\r\nContent-Length: "
               + str(size).encode() + b"\r\n\r\n" + b" " * size)
    answer = ask(docker, request)
    check(any(one in answer[:20] for one in wanted), answer[:200])


def a_request_line_cannot_write_lines_of_the_log(docker):
    ask(docker, b"GET /x%0AW1128%20forged%20line HTTP/1.1\r\nHost: x\r\n\r\n")
    def told():
        with open(docker.control.folder + "/engine.log", "rb") as log:
            return [line for line in log if b"forged" in line]
    if docker.engine == "berthd":  # dockerd does not tell of it
        eventually("it is told of", told)
    for line in told():
        check(not line.startswith(b"W1128 forged"), line)


# ---- connections

def two_thousand_idle_connections(docker):
    """Of both doors: none of them keeps anybody out."""
    sockets = [docker.control.socket]
    if has_cri(docker):
        sockets.append(SOCKET)
    idle = []
    try:
        for path in sockets:
            for number in range(2000):
                client = connected(path)
                idle.append(client)
                try:
                    if number % 3 == 1:
                        client.sendall(b"GET /_pi")
                    elif number % 3 == 2 and path == sockets[0]:
                        client.sendall(GET)
                except OSError:
                    pass  # it has been closed to make room
        for _ in range(3):
            docker("ps", timeout=15)
        if has_cri(docker):
            # The gRPC preface is answered by the server's own.
            with connected(SOCKET) as client:
                client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                               b"\0\0\0\4\0\0\0\0\0")
                check(len(client.recv(9)) == 9, "the other door is closed")
    finally:
        for client in idle:
            client.close()
    docker("ps")


def a_container_that_many_wait_for(docker):
    """Streams that nobody reads keep no query out."""
    name = docker.start("busybox", "sh", "-c", "while :; do echo x; done")
    readers = []
    try:
        for _ in range(200):
            client = docker.control.connect()
            client.sendall(f"GET /v1.41/containers/{name}/logs?stdout=1&"
                           "follow=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            readers.append(client)
        docker("ps", timeout=15)
        docker("kill", name, timeout=30)
    finally:
        for client in readers:
            client.close()


# ---- streams

def a_program_that_reads_less_than_it_is_sent(docker):
    zeros = bytes(20_000_000)
    for _ in range(5):
        result = docker.run("-i", "busybox", "head", "-c", "5", stdin=zeros)
        equal(result.out, "\0" * 5)
    name = docker.start("busybox", "sleep", "1000")
    for _ in range(5):
        docker("exec", "-i", name, "sh", "-c", "exit 3", stdin=zeros, code=3)


def upgraded(docker, path, body, end):
    """What comes until that end on a connection that a request upgrades. The
    head is in a piece of its own."""
    with docker.control.connect() as client:
        client.sendall(f"POST /v1.41{path} HTTP/1.1\r\nHost: x\r\n"
                       "Content-Type: application/json\r\n"
                       "Connection: Upgrade\r\nUpgrade: tcp\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            check(piece, head)
            head += piece
        if docker.engine == "berthd":
            check(head.endswith(b"\r\n\r\n"), head)
        rest = head.split(b"\r\n\r\n", 1)[1]
        while not rest.endswith(end):
            piece = client.recv(65536)
            check(piece, rest)
            rest += piece


def an_output_comes_after_the_head(docker):
    """A client that reads the head as HTTP does loses nothing."""
    name = docker.start("busybox", "sh", "-c", "echo told; sleep 1000")
    eventually("it is told", lambda: docker("logs", name).out)
    body = (b'{"Cmd":["echo","hello"],"AttachStdout":true}')
    for _ in range(50):
        answer = ask(docker, f"POST /v1.41/containers/{name}/exec HTTP/1.1\r\n"
                     "Host: x\r\nContent-Type: application/json\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        made = answer.split(b'"Id":"')[1].split(b'"')[0].decode()
        upgraded(docker, f"/exec/{made}/start", "{}", b"hello\n")
        for stream in (0, 1):
            upgraded(docker, f"/containers/{name}/attach?logs=1&stdout=1&"
                     f"stream={stream}", "", b"told\n")


def an_upload_that_is_refused(docker):
    """The client is told why, although it still sends."""
    junk = os.urandom(1 << 20) * 20
    result = docker("load", stdin=junk, code=None)
    check(result.code != 0 and "reset by peer" not in result.err
          and "broken pipe" not in result.err, result)


# ---- logs

def the_tail_of_a_log_that_does_not_end(docker):
    name = docker.start("busybox", "sh", "-c", "while :; do echo $((n++)); done")
    eventually("some output", lambda: docker("logs", "--tail", "5",
                                             name).out.count("\n") == 5)
    for _ in range(5):
        equal(docker("logs", "--tail", "5", name, timeout=20).out.count("\n"),
              5)
    equal(docker("logs", "--tail", "0", name).out, "")
    docker("kill", name)


def followed(docker, count, *options):
    script = ("echo begin; while ! [ -e /go ]; do sleep 0.05; done; i=0; "
              f"while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done")
    name = docker.start(*options, "busybox", "sh", "-c", script)
    with docker.popen("logs", "-f", name, stdout=subprocess.PIPE) as client:
        equal(client.stdout.readline(), b"begin\n")
        docker("exec", name, "touch", "/go")
        out = client.communicate(timeout=60)[0].decode()
    equal(out.splitlines(), [f"line {i}" for i in range(count)])


def a_follower_loses_nothing_when_the_log_is_rotated(docker):
    if docker.engine == "dockerd":
        return "20.10 and 28.5 lose lines, or fail: no such file or directory"
    for count in (400, 3000):
        followed(docker, count, "--log-opt", "max-size=4k")
        followed(docker, count, "--log-opt", "max-size=4k", "--log-opt",
                 "max-file=3")
    return None


# ---- file systems

def a_file_system_that_does_not_answer(docker):
    """It costs those who name it, and nobody else."""
    if docker.engine == "dockerd":
        return "it waits for ever"
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"no FUSE: {error}"
    place = tempfile.mkdtemp(prefix="berth-dead-")
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"dead", place.encode(), b"fuse", 6, options) != 0:
        os.close(server)
        os.rmdir(place)
        return "cannot mount FUSE here"
    pending = []
    try:
        for _ in range(20):
            pending.append(docker.popen(
                "run", "--rm", "-v", place + "/x:/x", "busybox", "true",
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        docker("ps")
        equal(docker.run("busybox", "echo", "alive").out, "alive\n")
        for one in pending:
            _, errors = one.communicate(timeout=60)
            check(one.returncode != 0, "a dead file system was mounted")
            check(b"does not answer" in errors, errors)
    finally:
        os.close(server)
        libc.umount2(place.encode(), 2)
        os.rmdir(place)
        for one in pending:
            one.kill()
            one.wait()
            one.stderr.close()
    equal(docker.run("-v", "/tmp:/x", "busybox", "echo", "well").out, "well\n")
    return None


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("ask", "followed", "upgraded")]
