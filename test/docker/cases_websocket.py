"""Attach over a WebSocket (RFC 6455), by a client of our own."""
import base64
import hashlib
import os
import struct

from harness import check, equal, eventually

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Websocket:
    """A client's end; `status` is the answer's."""

    def __init__(self, docker, path, **headers):
        self.socket = docker.control.connect(30)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": "docker", "Origin": "http://docker",
                  "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        fields.update(headers)
        lines = [f"{name}: {text}" for name, text in fields.items() if text]
        head = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])
        self.socket.sendall(head.encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        answer = {}
        while line := self.file.readline().decode().strip():
            name, _, text = line.partition(":")
            answer[name.lower()] = text.strip()
        if self.status == 101:
            digest = hashlib.sha1((key + GUID).encode()).digest()
            equal(answer["sec-websocket-accept"],
                  base64.b64encode(digest).decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, opcode, data, last=True, mask=b"\1\2\3\4"):
        head = bytes([opcode | (0x80 if last else 0)])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        elif len(data) < 65536:
            head += b"\xfe" + struct.pack(">H", len(data))
        else:
            head += b"\xff" + struct.pack(">Q", len(data))
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.socket.sendall(head + mask + masked)

    def receive(self):
        """The next frame; a close frame stands for the end, too."""
        head = self.file.read(2)
        if len(head) < 2:
            return CLOSE, b""
        equal(head[1] & 0x80, 0, "the mask of a server")
        size = head[1]
        if size == 126:
            size, = struct.unpack(">H", self.file.read(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.file.read(8))
        return head[0] & 0x0f, self.file.read(size)

    def until(self, text):
        """The messages together, until they hold `text`."""
        data = b""
        while text not in data:
            opcode, piece = self.receive()
            check(opcode in (TEXT, BINARY), f"{data!r}, then frame {opcode}")
            data += piece
        return data

    def rest(self):
        """The messages together, until the end."""
        data = b""
        while True:
            opcode, piece = self.receive()
            if opcode == CLOSE:
                return data
            data += piece


def attach(docker, name, query="stream=1&stdin=1&stdout=1&stderr=1", **headers):
    return Websocket(docker, f"/v1.41/containers/{name}/attach/ws?{query}",
                     **headers)


def websocket_carries_input_and_both_outputs(docker):
    name = docker.start("-i", "busybox", "sh", "-c",
                        "read line; echo got $line; echo bad >&2; exit 3")
    with attach(docker, name) as client:
        equal(client.status, 101)
        client.send(TEXT, b"a li", last=False)
        client.send(PING, b"there?")
        client.send(0, b"ne\n")
        data, pong = b"", False
        while True:
            opcode, piece = client.receive()
            if opcode == CLOSE:
                break
            pong = pong or (opcode == PONG and piece == b"there?")
            data += piece if opcode in (TEXT, BINARY) else b""
    check(pong, "no pong")
    equal(sorted(data.split(b"\n")), [b"", b"bad", b"got a line"])
    equal(docker("wait", name).out.strip(), "3")


def websocket_carries_long_messages(docker):
    name = docker.start("-i", "busybox", "cat")
    with attach(docker, name) as client:
        data = os.urandom(200000) + b"the end"
        client.send(BINARY, data)
        equal(client.until(b"the end"), data)


def websocket_client_that_closes_leaves_the_program(docker):
    name = docker.start("-i", "busybox", "cat")
    with attach(docker, name) as client:
        client.send(TEXT, b"one\n")
        client.until(b"one\n")
        client.send(CLOSE, struct.pack(">H", 1000))
    with attach(docker, name) as client:
        client.send(TEXT, b"two\n")
        client.until(b"two\n")
    equal(docker.inspect(name, "{{.State.Running}}"), "true")


def websocket_replays_the_log(docker):
    name = docker.start("busybox", "echo", "hello")
    docker("wait", name)
    eventually("the log", lambda: "hello" in docker("logs", name).out)
    with attach(docker, name, "logs=1&stdout=1&stderr=1") as client:
        equal(client.rest(), b"hello\n")


def websocket_shows_a_terminal(docker):
    name = docker.start("-it", "busybox", "sh", "-c", "read x; echo $((x + 1))")
    with attach(docker, name) as client:
        client.send(TEXT, b"41\n")
        client.until(b"42\r\n")


def websocket_needs_its_own_handshake(docker):
    name = docker.start("-i", "busybox", "cat")
    for headers in ({"Sec-WebSocket-Key": ""},
                    {"Sec-WebSocket-Version": "7"}, {"Upgrade": "tcp"}):
        with attach(docker, name, **headers) as client:
            check(client.status != 101, headers)
    if docker.engine == "berthd":  # dockerd lets every site's page in
        with attach(docker, name, Origin="http://elsewhere") as client:
            equal(client.status, 403)
    with attach(docker, "nowhere") as client:
        equal(client.status, 404)


def websocket_frame_without_a_mask_ends_it(docker):
    name = docker.start("-i", "busybox", "cat")
    with attach(docker, name) as client:
        client.socket.sendall(b"\x81\x02hi")
        equal(client.rest(), b"")
    equal(docker.inspect(name, "{{.State.Running}}"), "true")


CASES = [
    websocket_carries_input_and_both_outputs,
    websocket_carries_long_messages,
    websocket_client_that_closes_leaves_the_program,
    websocket_replays_the_log,
    websocket_shows_a_terminal,
    websocket_needs_its_own_handshake,
    websocket_frame_without_a_mask_ends_it,
]
