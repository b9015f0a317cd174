"""Part five: an image of several layers, from a registry on loopback."""
import contextlib
import os
import random
import re
import subprocess
import time

import pods
from oci_layout import Layout, Registry, Tree

REGISTRY = os.path.join(pods.HERE, "..", "support", "registry.sh")
PORT = "5000"  # in a network of the box's own
NAME = "perf/layers"
IMAGE = f"127.0.0.1:{PORT}/{NAME}:1"
WARMUP = 1
# What is removed in the background is removed.
SETTLE = 2
DISK = 3 << 30
# Layers above the first: where on this machine their files come from, and how
# many bytes. Real files, as how well they are compressed decides much; many
# small ones and few large ones.
SOURCES = (("usr/lib/x86_64-linux-gnu", 70 << 20), ("usr/share", 40 << 20),
           ("usr/bin", 40 << 20))
MAX_FILE = 8 << 20


def machine_files(folder, limit):
    """Names and contents, in order, until they are `limit` bytes."""
    for at, folders, files in os.walk(os.path.join("/", folder)):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(at, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            size = os.path.getsize(path)
            if size > MAX_FILE:
                continue
            limit -= size
            if limit < 0:
                return
            with open(path, "rb") as file:
                yield path[1:], file.read()


def make_image(folder):
    """The layout of the image; and its size as tar and as blobs."""
    base = Tree()
    base.directory("bin")
    with open(pods.BUSYBOX, "rb") as file:
        base.file("bin/busybox", file.read(), 0o755)
    trees = [base.bytes()]
    for source, limit in SOURCES:
        tree, known = Tree(), set()
        for name, content in machine_files(source, limit):
            parts = name.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                above = "/".join(parts[:depth])
                if above not in known:
                    known.add(above)
                    tree.directory(above)
            tree.file(name, content)
        trees.append(tree.bytes())
    layout = Layout(folder)
    layers = [layout.layer(tree) for tree in trees]
    layout.tag("1", layout.manifest(layers, {"Cmd": ["/bin/busybox"]}))
    return {"layers": len(layers), "tar": sum(map(len, trees)),
            "blobs": sum(blob["size"] for blob, _ in layers)}


def registry(verb, folder, *options, inside=()):
    out = subprocess.run(list(inside) + [REGISTRY, verb, folder, *options],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(line.split("=", 1) for line in out.split())


def fill_registry(layout, folder):
    address = registry("start", folder)["ADDRESS"]
    try:
        Registry(address).push(layout, "1", NAME)
    finally:
        registry("stop", folder)


@contextlib.contextmanager
def own_disk(folder):
    """A new ext4: on an old one, how quickly files are made depends on what
    was deleted before."""
    os.makedirs(folder)
    image = folder + ".img"
    with open(image, "wb") as file:
        file.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-N", "200000", "-E",
                    "lazy_itable_init=0,lazy_journal_init=0", image],
                   check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
        os.unlink(image)


class Puller:
    """A runtime in a box with a registry beside it."""

    def __init__(self, runtime, client, folder, data):
        self.runtime = runtime
        self.client = client
        self.registry = folder + "-registry"
        os.makedirs(self.registry)
        os.symlink(data, os.path.join(self.registry, "data"))
        runtime.start(os.path.join(folder, "box"), [])
        # Only its network is the box's: what it uses is not counted.
        registry("start", self.registry, "--port", PORT, "--readonly",
                 inside=("nsenter", "-t", str(runtime.box.init()), "-n"))
        self.cpu_file = runtime.cpu_file()

    def call(self, verb):
        return float(subprocess.run(
            [self.client, verb, self.runtime.socket(), IMAGE], check=True,
            stdout=subprocess.PIPE).stdout)

    def status(self, key):
        with open(f"/proc/{self.runtime.daemon()}/status",
                  encoding="ascii") as file:
            return int(re.search(rf"^{key}:\s+(\d+)", file.read(),
                                 re.MULTILINE).group(1))

    def cpu(self):
        if not self.cpu_file:
            return 0
        with open(self.cpu_file, encoding="ascii") as file:
            return int(file.read())

    def run(self):
        with open(f"/proc/{self.runtime.daemon()}/clear_refs", "w",
                  encoding="ascii") as file:
            file.write("5")  # the peak begins anew
        before = self.cpu()
        sample = {"wall_ms": self.call("pull")}
        sample["cpu_ms"] = (self.cpu() - before) / 1e6
        sample["peak_kib"] = self.status("VmHWM")
        self.call("remove")
        time.sleep(SETTLE)
        sample["after_kib"] = self.status("VmRSS")
        return sample

    def end(self):
        registry("stop", self.registry)
        self.runtime.end()


def measure(client, work, runtimes, rounds):
    """{"image": sizes, "rows": medians}; one runtime of each daemon."""
    import report  # its quantiles
    os.makedirs(work)
    layout = os.path.join(work, "layout")
    image = make_image(layout)
    fill_registry(layout, os.path.join(work, "registry"))
    data = os.path.join(work, "registry/data")
    order = random.Random(1)
    samples = {}
    with contextlib.ExitStack() as stack:
        pullers = []
        for number, runtime in enumerate(runtimes):
            folder = os.path.join(work, str(number))
            stack.enter_context(own_disk(folder))
            stack.callback(runtime.end)
            puller = Puller(runtime, client, folder, data)
            stack.callback(puller.end)
            pullers.append(puller)
        for number in range(WARMUP + rounds):
            for puller in order.sample(pullers, len(pullers)):
                sample = puller.run()
                if number >= WARMUP:
                    samples.setdefault(puller.runtime.name, []).append(sample)
    rows = []
    for name, of in samples.items():
        wall = [sample["wall_ms"] for sample in of]
        rows.append({"name": name, "p10": report.tenth(wall),
                     "p90": report.ninth(wall)}
                    | {c: report.median_of(of, c) for c in of[0]})
    return {"image": image, "rounds": rounds, "rows": rows}


def one_of_each_daemon(runtimes):
    """The low-level runtime has no part in a pull."""
    found = {}
    for runtime in runtimes:
        found.setdefault(runtime.name.split(" + ")[0], runtime)
    for name, runtime in found.items():
        runtime.name = name
    return list(found.values())
