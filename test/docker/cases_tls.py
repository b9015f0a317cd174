"""The engine on TCP, for clients that prove with a certificate who they are."""
import socket
import ssl
import subprocess

from harness import Docker, check, equal

ADDRESS = ("127.0.0.1", 2376)


class TlsDocker(Docker):
    """The docker CLI with --tlsverify."""

    def __init__(self, docker, who="client", authority="ca"):
        super().__init__(docker.control)
        folder = docker.control.folder + "/tls/"
        self.host = "tcp://%s:%d" % ADDRESS
        self.program = "docker"
        self.flags = ["--tlsverify", "--tlscacert", f"{folder}{authority}.pem",
                      "--tlscert", f"{folder}{who}.pem",
                      "--tlskey", f"{folder}{who}-key.pem"]

    def argv(self, *args):
        return [self.program, *self.flags, "-H", self.host, *args]


def tls_serves_a_client_of_the_authority(docker):
    remote = TlsDocker(docker)
    equal(remote.run("busybox", "echo", "hello").out, "hello\n")
    remote("pull", "busybox")
    check("busybox" in remote("images").out, "images")


def tls_carries_input_to_its_end_and_much_output(docker):
    remote = TlsDocker(docker)
    data = b"0123456789abcde\n" * (1 << 16)
    out = remote.run("-i", "busybox", "sh", "-c", "wc -c; echo end",
                     stdin=data).out
    equal(out.split(), [str(len(data)), "end"])
    out = remote.run("busybox", "sh", "-c",
                     "dd if=/dev/zero bs=1M count=16 2>/dev/null | tr '\\0' x"
                     ).out
    equal(len(out), 16 << 20)
    equal(remote.run("-i", "busybox", "cat", stdin=data).out, data.decode())


def tls_client_that_does_not_read_stops_no_other(docker):
    remote = TlsDocker(docker)
    name = docker.start("busybox", "sh", "-c", "while :; do echo more; done")
    stalled = remote.popen("logs", "-f", name, stdout=subprocess.PIPE)
    try:
        stalled.stdout.read(1)
        equal(remote.run("busybox", "echo", "hello").out, "hello\n")
    finally:
        stalled.kill()
        stalled.wait()
        stalled.stdout.close()


def tls_refuses_a_client_of_another_authority(docker):
    result = TlsDocker(docker, who="other")("ps", code=1)
    check("certificate" in result.err, result.err)
    result = TlsDocker(docker, authority="other-ca")("ps", code=1)
    check("unknown authority" in result.err, result.err)


def answer(connection):
    """What comes until the end."""
    connection.settimeout(20)
    try:
        connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n"
                           b"Connection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(65536):
            data += piece
        return data
    except OSError:
        return b""


def tls_refuses_a_client_without_a_certificate(docker):
    folder = docker.control.folder + "/tls/"
    context = ssl.create_default_context(cafile=folder + "ca.pem")
    with socket.create_connection(ADDRESS, 20) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as one:
                got = answer(one)
        except OSError:
            got = b""
    check(b"200 OK" not in got, got)
    context.load_cert_chain(folder + "client.pem", folder + "client-key.pem")
    with socket.create_connection(ADDRESS, 20) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as one:
            check(b"200 OK" in answer(one), "with one")


def tls_refuses_plain_http(docker):
    with socket.create_connection(ADDRESS, 20) as plain:
        got = answer(plain)
    check(b"200 OK" not in got, got)


def tls_clients_that_say_nothing_stop_no_other(docker):
    silent = [socket.create_connection(ADDRESS, 20) for _ in range(600)]
    try:
        equal(TlsDocker(docker).run("busybox", "echo", "hello").out, "hello\n")
    finally:
        for one in silent:
            one.close()


CASES = [
    tls_serves_a_client_of_the_authority,
    tls_carries_input_to_its_end_and_much_output,
    tls_client_that_does_not_read_stops_no_other,
    tls_refuses_a_client_of_another_authority,
    tls_refuses_a_client_without_a_certificate,
    tls_refuses_plain_http,
    tls_clients_that_say_nothing_stop_no_other,
]
