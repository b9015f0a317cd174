"""A registry that serves OCI layouts as they are, right or wrong.

Each folder DIR/<name>/ is the repository <name>; its tags are the ref names of
its index.json. Unlike a real registry it validates nothing, so that what a
client refuses was refused by the client. Standard library only.
"""
import hashlib
import http.server
import json
import os
import threading

REF_NAME = "org.opencontainers.image.ref.name"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, code, body=b"", kind="application/octet-stream", more=()):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.paths.append(self.path)
        for what in ("/manifests/", "/blobs/"):
            if path.startswith("/v2/") and what in path:
                name, _, selector = path[4:].partition(what)
                return self.serve(os.path.join(self.server.folder, name), what,
                                  selector)
        return self.reply(200 if path == "/v2/" else 404)

    do_HEAD = do_GET

    def serve(self, layout, what, selector):
        kind = "application/octet-stream"
        if what == "/manifests/" and ":" not in selector:
            with open(os.path.join(layout, "index.json"), "rb") as f:
                entries = json.load(f)["manifests"]
            named = [e for e in entries
                     if e.get("annotations", {}).get(REF_NAME) == selector]
            if not named:
                return self.reply(404)
            selector = named[-1]["digest"]
            kind = named[-1]["mediaType"]
        hexes = selector.rpartition(":")[2]
        path = os.path.join(layout, "blobs", "sha256", hexes)
        if not hexes.isalnum() or not os.path.exists(path):
            return self.reply(404)
        with open(path, "rb") as f:
            body = f.read()
        if what == "/manifests/" and kind == "application/octet-stream":
            kind = json.loads(body).get("mediaType", kind)
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        return self.reply(200, body, kind,
                          [("Docker-Content-Digest", digest)])


class LayoutServer:
    """with LayoutServer(FOLDER) as server: server.address"""

    def __init__(self, folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        self.server.folder = folder
        self.server.paths = []

    @property
    def address(self):
        return "127.0.0.1:%d" % self.server.server_address[1]

    @property
    def paths(self):
        return self.server.paths

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
