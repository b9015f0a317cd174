"""Pulls with bad company, and images that are named by their digest."""
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import tarfile
import tempfile
import threading

from cases_pods import Kubelet, has_cri
from harness import check, equal, eventually

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# Each is some lines of progress, which together are more than a socket holds.
MANY = 110


def one_file(name):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return data.getvalue()


class Registry(http.server.BaseHTTPRequestHandler):
    """Images made of nothing but layers, by tag: a list of names of files."""
    protocol_version = "HTTP/1.1"
    blobs = {}
    tags = {}
    # Of the tag "gated": its layers come when this is set.
    gate = threading.Event()
    asked = threading.Event()

    @classmethod
    def put(cls, kind, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        cls.blobs[digest] = (kind, data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    @classmethod
    def image(cls, tag, files):
        plain = [one_file(name) for name in files]
        config = {"os": "linux", "architecture": "amd64",
                  "config": {"Cmd": [tag]}, "rootfs": {
                      "type": "layers", "diff_ids": [
                          "sha256:" + hashlib.sha256(layer).hexdigest()
                          for layer in plain]}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": cls.put(CONFIG, json.dumps(config).encode()),
                    "layers": [cls.put(LAYER, gzip.compress(layer, mtime=0))
                               for layer in plain]}
        cls.tags[tag] = cls.put(MANIFEST, json.dumps(manifest).encode())[
            "digest"]

    def do_GET(self):
        name = self.path.split("?")[0].rpartition("/")[2]
        kind, data = self.blobs.get(self.tags.get(name, name), (None, b""))
        if kind == LAYER:
            self.asked.set()
            self.gate.wait(60)
        self.send_response(404 if kind is None and name else 200)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def registry():
    """Its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.daemon_threads = True
    # Clients that break off are part of the game.
    server.handle_error = lambda *_: None
    Registry.gate.clear()
    Registry.asked.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.server_address[1]
    finally:
        Registry.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def stalled_pull(docker, name, tag):
    """A client that asks for an image and then reads nothing at all."""
    with docker.control.connect() as client:
        client.sendall(("POST /images/create?fromImage=%s&tag=%s HTTP/1.1\r\n"
                        "Host: engine\r\nContent-Length: 0\r\n\r\n" %
                        (name, tag)).encode())
        yield client


def a_client_that_does_not_read_its_pull_holds_up_no_other(docker):
    # The lower layers are the same, so that one pull waits for the other's.
    lower = ["layer%d" % i for i in range(MANY - 1)]
    Registry.image("first", lower + ["first"])
    Registry.image("second", lower + ["second"])
    with registry() as address:
        name = address + "/many"
        with stalled_pull(docker, name, "first"):
            check(Registry.asked.wait(30), "the first does not begin")
            Registry.gate.set()
            docker("pull", "-q", name + ":second")
            docker("pull", "-q", name + ":first")
            if has_cri(docker):
                kubelet = Kubelet(docker.control.folder)
                for tag in ("first", "second"):
                    kubelet.call("PullImage", image=kubelet.cri.ImageSpec(
                        image=name + ":" + tag))
        docker("rmi", name + ":first", name + ":second")


def a_stalled_client_that_goes_away_ends_its_pull(docker):
    if docker.engine != "berthd":
        return "the engine may go on with it"
    Registry.image("gone", ["only-here"])
    with docker.control.no_trace(), registry() as address:
        with stalled_pull(docker, address + "/many", "gone"):
            check(Registry.asked.wait(30), "it does not begin")
        Registry.gate.set()
    equal(docker("images", "-q", address + "/many").out, "")


def a_digest_is_removed_alone(docker):
    docker("pull", "-q", "busybox")
    name = docker("image", "inspect", "-f", "{{index .RepoDigests 0}}",
                  "busybox").out.strip()
    equal(docker("rmi", name).out, "Untagged: %s\n" % name)
    equal(docker("image", "inspect", "-f", "{{.RepoTags}} {{.RepoDigests}}",
                 "busybox").out, "[busybox:latest] []\n")
    check(name in docker("rmi", name, code=1).err, "it is gone already")
    docker.run("busybox", "true")


def an_image_may_have_a_digest_only(docker):
    image = docker.registry + "/test/config"
    docker("rmi", "-f", image + ":latest", code=None)
    docker("pull", "-q", image + ":latest")
    name = docker("image", "inspect", "-f", "{{index .RepoDigests 0}}",
                  image + ":latest").out.strip()
    docker("rmi", image + ":latest")
    docker("pull", "-q", name)
    rows = docker("images", "--digests", "--format",
                  "{{.Repository}} {{.Tag}} {{.Digest}}", image).out
    equal(rows, "%s <none> %s\n" % (image, name.partition("@")[2]))
    out = docker("rmi", name).out
    check(out.startswith("Untagged: %s\nDeleted: " % name), out)
    equal(docker("images", "-q", image).out, "")


def an_id_with_names_in_two_repositories_needs_force(docker):
    docker("pull", "-q", "busybox")
    image = docker("images", "-q", "--no-trunc", "busybox:latest").out.strip()
    docker("tag", "busybox", "elsewhere:v1")
    err = docker("rmi", image, code=1).err
    check("must be forced" in err, err)
    out = docker("rmi", "-f", image).out
    for word in ("Untagged: busybox:latest\n", "Untagged: elsewhere:v1\n",
                 "Untagged: busybox@sha256:", "Deleted: " + image):
        check(word in out, out)
    check(not docker("images", "-q", "elsewhere").out, "a name is left")


def blobs_stay_as_long_as_their_image(docker):
    if not has_cri(docker):
        return "it takes kubelet's pulls, and berthd's folders"
    Registry.image("kept", ["first-kept", "second-kept"])
    manifest = json.loads(Registry.blobs[Registry.tags["kept"]][1])
    layers = {one["digest"].partition(":")[2] for one in manifest["layers"]}
    folder = docker.control.folder + "/root/content/blobs/sha256"
    with registry() as address:
        Registry.gate.set()
        name = address + "/many:kept"
        kubelet = Kubelet(docker.control.folder)
        kubelet.call("PullImage", image=kubelet.cri.ImageSpec(image=name))
        equal(layers & set(os.listdir(folder)), set(), "kubelet's blobs")
        docker("rmi", name)
        docker("pull", "-q", name)
        equal(layers - set(os.listdir(folder)), set(), "missing blobs")
        # Neither kubelet's pull nor another name takes them away.
        kubelet.call("PullImage", image=kubelet.cri.ImageSpec(image=name))
        docker("tag", name, "other:kept")
        docker("rmi", name)
        equal(layers - set(os.listdir(folder)), set(), "missing blobs")
        docker("rmi", "other:kept")
        eventually("the blobs go",
                   lambda: not layers & set(os.listdir(folder)))


def saved(docker, *names):
    """Of docker save: manifest.json, and the ids that its files have."""
    with tempfile.TemporaryDirectory(dir=docker.control.folder) as folder:
        docker("save", "-o", folder + "/images.tar", *names)
        with tarfile.open(folder + "/images.tar") as archive:
            manifest = json.load(archive.extractfile("manifest.json"))
            ids = []
            for image in manifest:
                config = archive.extractfile(image["Config"]).read()
                ids.append("sha256:" + hashlib.sha256(config).hexdigest())
                for layer in image["Layers"]:
                    archive.getmember(layer)
    return manifest, ids


def save_writes_what_was_named(docker):
    config = docker.registry + "/test/config:latest"
    for name in ("busybox", config):
        docker("pull", "-q", name)
    docker("tag", "busybox", "busybox:second")
    image = docker("images", "-q", "--no-trunc", "busybox:latest").out.strip()
    manifest, ids = saved(docker, "busybox:latest")
    equal(ids, [image])
    equal(manifest[0]["RepoTags"], ["busybox:latest"])
    manifest, ids = saved(docker, "busybox")
    equal(ids, [image])
    equal(sorted(manifest[0]["RepoTags"]), ["busybox:latest", "busybox:second"])
    manifest, ids = saved(docker, image)
    equal((ids, manifest[0]["RepoTags"] or []), ([image], []))
    manifest, ids = saved(docker, "busybox:second", config)
    equal(len(ids), 2)
    check([config] in [one["RepoTags"] for one in manifest], manifest)
    docker("rmi", "busybox:second")
    with tempfile.TemporaryDirectory() as folder:
        result = docker("save", "-o", folder + "/none.tar", "nowhere:1", code=1)
    check("reference does not exist" in result.err, result.err)


def save_fetches_what_kubelets_pull_dropped(docker):
    if not has_cri(docker):
        return "it takes kubelet's pulls"
    Registry.image("dropped", ["first", "second"])
    with registry() as address:
        Registry.gate.set()
        name = address + "/many:dropped"
        kubelet = Kubelet(docker.control.folder)
        kubelet.call("PullImage", image=kubelet.cri.ImageSpec(image=name))
        blobs = docker.control.folder + "/root/content/blobs/sha256"
        before = os.listdir(blobs)
        manifest, _ = saved(docker, name)
        equal(len(manifest[0]["Layers"]), 2)
        eventually("they are dropped again",
                   lambda: sorted(os.listdir(blobs)) == sorted(before))
    docker("rmi", name)


def every_tag_of_a_repository(docker):
    docker("pull", "busybox")
    name = docker.registry + "/test/tags"
    for tag in ("one", "two", "three"):
        docker("tag", "busybox", f"{name}:{tag}")
        docker("push", f"{name}:{tag}")
        docker("rmi", f"{name}:{tag}")
    out = docker("pull", "-a", name).out
    for tag in ("one", "two", "three"):
        check(f"{tag}: Pulling from test/tags" in out, out)
    rows = docker("images", "--format", "{{.Tag}}", name).out.split()
    equal(sorted(rows), ["one", "three", "two"])
    for tag in rows:
        docker("rmi", f"{name}:{tag}")
    docker("pull", "-a", docker.registry + "/test/nowhere", code=1)


def a_tag_that_has_moved(docker):
    docker("pull", "busybox")
    docker("pull", "ubuntu")
    name = docker.registry + "/test/moved:v1"
    for image in ("busybox", "ubuntu"):
        docker("tag", image, name)
        docker("push", name)
        if image == "busybox":
            continue
        docker("tag", "busybox", name)
    before = docker.inspect("busybox", "{{.Id}}")
    equal(docker.inspect(name, "{{.Id}}"), before)
    # What is here is as good as any.
    docker.run("--pull", "missing", name, "echo")
    equal(docker.inspect(name, "{{.Id}}"), before)
    docker.run("--pull", "always", name, "echo")
    equal(docker.inspect(name, "{{.Id}}"), docker.inspect("ubuntu", "{{.Id}}"))
    docker("rmi", name)


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("one_file", "Registry", "registry", "stalled_pull",
                          "saved")]
