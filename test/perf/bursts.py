"""Many containers made at the same time, through Docker's API.

One thread of ours writes all requests before it reads an answer: the machine's
time is the engine's.
"""
import json
import selectors
import socket
import time

COUNT = 50
LABEL = f"{COUNT} creates at once"


def request(method, target, body=b""):
    return (f"{method} {target} HTTP/1.1\r\nHost: engine\r\n"
            "Connection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def at_once(path, requests, wanted):
    """Milliseconds until all of them are answered."""
    with selectors.DefaultSelector() as waiting:
        for _ in requests:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            waiting.register(client, selectors.EVENT_READ, [])
        begin = time.monotonic()
        for key, text in zip(list(waiting.get_map().values()), requests):
            key.fileobj.sendall(text)
        while waiting.get_map():
            ready = waiting.select(timeout=60)
            if not ready:
                raise SystemExit("no answer in a minute")
            for key, _ in ready:
                piece = key.fileobj.recv(65536)
                key.data.append(piece)
                if piece:
                    continue
                answer = b"".join(key.data)
                if not answer.startswith(b"HTTP/1.1 %d " % wanted):
                    raise SystemExit(answer.decode())
                waiting.unregister(key.fileobj)
                key.fileobj.close()
        return (time.monotonic() - begin) * 1000


def burst(path, image, usage):
    """Makes the containers and removes them; a sample of the making."""
    body = json.dumps({"Image": image, "Cmd": ["true"]}).encode()
    names = [f"burst{number}" for number in range(COUNT)]
    cpu = usage()
    wall = at_once(path, [request("POST", "/containers/create?name=" + name,
                                  body) for name in names], 201)
    cpu = usage() - cpu
    at_once(path, [request("DELETE", "/containers/" + name)
                   for name in names], 204)
    return {"wall_ms": wall, "engine_cpu_ms": cpu / 1e6, "cpu_ms": 0}
