"""Log drivers that send a container's output elsewhere."""
import contextlib
import glob
import os
import re
import socket
import tempfile

from harness import check, equal, eventually

JOURNAL = "/run/systemd/journal/socket"


@contextlib.contextmanager
def listening(family, kind, address):
    with socket.socket(family, kind) as server:
        server.bind(address)
        server.settimeout(10)
        if kind == socket.SOCK_STREAM:
            server.listen()
        yield server


@contextlib.contextmanager
def journal():
    """A journal that keeps nothing."""
    os.makedirs(os.path.dirname(JOURNAL), exist_ok=True)
    if os.path.exists(JOURNAL):
        os.unlink(JOURNAL)
    with listening(socket.AF_UNIX, socket.SOCK_DGRAM, JOURNAL) as server:
        yield server
    os.unlink(JOURNAL)


def fields(datagram):
    """Of the journal's protocol, those of one line."""
    return dict(line.split("=", 1) for line in
                datagram.decode().splitlines() if "=" in line)


def the_journal_gets_each_line(docker):
    with journal() as server:
        name = docker.start("--name", "c1", "--log-driver", "journald",
                            "--label", "my.label=1", "--log-opt",
                            "labels=my.label", "--log-opt", "env=COLOUR", "-e",
                            "COLOUR=red", "busybox", "sh", "-c",
                            "echo out; sleep 0.3; echo err >&2; sleep 1000")
        got = []
        while len(got) < 2:
            entry = fields(server.recv(65536))
            if "CONTAINER_ID" in entry:
                got.append(entry)
        equal([(one["MESSAGE"], one["PRIORITY"]) for one in got],
              [("out", "6"), ("err", "3")])
        one = got[0]
        equal((one["CONTAINER_ID"], one["CONTAINER_ID_FULL"],
               one["CONTAINER_NAME"], one["CONTAINER_TAG"],
               one["SYSLOG_IDENTIFIER"], one["MY_LABEL"], one["COLOUR"]),
              (name[:12], name, "c1", name[:12], name[:12], "1", "red"))
        equal(one.get("IMAGE_NAME"), "busybox")
        equal(docker.inspect("c1", "{{.HostConfig.LogConfig.Type}}"),
              "journald")
        if docker.engine == "berthd":
            equal(docker("logs", "c1").out, "out\n")
        docker("rm", "-f", "c1")


def syslog_gets_each_line(docker):
    formats = {
        "": r"<30>\w{3} [ \d]\d [\d:]+ c1\[\d+\]: out\n",
        "rfc3164": r"<30>\w{3} [ \d]\d [\d:]+ \S+ c1\[\d+\]: out\n",
        "rfc5424": r"<30>1 \d{4}-\d\d-\d\dT[\d:]+(Z|[+-][\d:]+) \S+ c1 \d+ c1"
                   r" - out\n",
        "rfc5424micro": r"<30>1 \d{4}-\d\d-\d\dT[\d:]+\.\d{6}(Z|[+-][\d:]+) "
                        r"\S+ c1 \d+ c1 - out\n",
    }
    options = ("--log-driver", "syslog", "--log-opt", "tag={{.Name}}")
    with listening(socket.AF_INET, socket.SOCK_DGRAM,
                   ("127.0.0.1", 0)) as server:
        address = "udp://127.0.0.1:%d" % server.getsockname()[1]
        for form, wanted in formats.items():
            extra = ("--log-opt", "syslog-format=" + form) if form else ()
            docker.run("--name", "c1", *options, "--log-opt",
                       "syslog-address=" + address, *extra, "busybox", "echo",
                       "out")
            got = server.recv(65536).decode()
            check(re.fullmatch(wanted, got), (form, got))
        docker("run", "--name", "c1", *options, "--log-opt",
               "syslog-address=" + address, "--log-opt",
               "syslog-facility=local7", "busybox", "sh", "-c", "echo err >&2")
        got = server.recv(65536).decode()
        check(got.startswith("<187>") and got.endswith("]: err\n"), got)
        equal(docker("logs", "c1").err, "err\n")
        docker("rm", "c1")


def syslog_by_other_ways(docker):
    options = ("--log-driver", "syslog")
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/log"
        with listening(socket.AF_UNIX, socket.SOCK_DGRAM, path) as server:
            docker.run(*options, "--log-opt", "syslog-address=unixgram://" +
                       path, "busybox", "echo", "out")
            check(server.recv(65536).endswith(b": out\n"), "unixgram")
        os.unlink(path)
        with listening(socket.AF_UNIX, socket.SOCK_STREAM, path) as server:
            docker.run(*options, "--log-opt", "syslog-address=unix://" + path,
                       "busybox", "echo", "out")
            client, _ = server.accept()
            with client:
                check(client.recv(65536).endswith(b": out\n"), "unix")
    with listening(socket.AF_INET, socket.SOCK_STREAM,
                   ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        docker.run(*options, "--log-opt", f"syslog-address=tcp://localhost:{port}",
                   "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done")
        client, _ = server.accept()
        with client, client.makefile() as lines:
            equal([next(lines).split(": ")[1] for _ in range(3)],
                  ["1\n", "2\n", "3\n"])
    # Nobody listens there any more.
    got = docker("run", "-d", "--name", "c1", *options, "--log-opt",
                 f"syslog-address=tcp://127.0.0.1:{port}", "busybox", "true",
                 code=125)
    check("refused" in got.err, got.err)
    equal(docker.state("c1"), "created")


def log_options_that_cannot_be(docker):
    for options, words in (
            (("syslog", "syslog-address=nowhere"), "proto://address|scheme"),
            (("syslog", "syslog-format=odd"), "syslog format"),
            (("syslog", "syslog-facility=odd"), "syslog facility"),
            (("syslog", "nonsense=1"), "unknown log opt"),
            (("journald", "syslog-format=rfc3164"), "unknown log opt"),
            (("json-file", "syslog-format=rfc3164"), "unknown log opt")):
        got = docker("run", "--rm", "--log-driver", options[0], "--log-opt",
                     options[1], "busybox", "true", code=125)
        check(re.search(words, got.err), (options, got.err))


def logs_that_nobody_keeps(docker):
    with listening(socket.AF_INET, socket.SOCK_DGRAM,
                   ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        docker.start("--name", "c1", "--log-driver", "syslog", "--log-opt",
                     f"syslog-address=udp://127.0.0.1:{port}", "--log-opt",
                     "cache-disabled=true", "busybox", "sh", "-c",
                     "echo out; sleep 1000")
        check(server.recv(65536).endswith(b": out\n"), "syslog")
        got = docker("logs", "c1", code=1)
        check("does not support reading" in got.err, got.err)


def rotated_logs_are_compressed(docker):
    script = "for i in $(seq 2000); do echo line number $i of them; done"
    docker("run", "--name", "c1", "--log-opt", "max-size=20k", "--log-opt",
           "max-file=4", "--log-opt", "compress=true", "busybox", "sh", "-c",
           script)
    eventually("they are compressed", lambda: glob.glob(
        docker.control.folder + "/**/*.[123].gz", recursive=True))
    lines = docker("logs", "c1").out.splitlines()
    first = int(lines[0].split()[2])
    check(100 < len(lines) < 2000, len(lines))
    equal(lines, [f"line number {i} of them" for i in range(first, 2001)])
    equal(docker("logs", "--tail", "300", "c1").out.splitlines(), lines[-300:])
    docker("rm", "c1")
    equal(glob.glob(docker.control.folder + "/**/*.[123].gz", recursive=True),
          [])
    docker("run", "--rm", "--log-opt", "compress=true", "busybox", "true",
           code=None if docker.engine == "dockerd" else 125)


CASES = [the_journal_gets_each_line, syslog_gets_each_line,
         syslog_by_other_ways, log_options_that_cannot_be,
         logs_that_nobody_keeps, rotated_logs_are_compressed]
