"""Part four: the docker CLI against berthd and against Debian's dockerd."""
import json
import os
import random
import re
import shutil
import subprocess
import time

from box import Stopwatch
import bursts
import pods

IMAGE = "busybox:latest"
WARMUP = 3
# Of a container in the second half of a round.
NAME = "perf-{n}"
RUN = "docker run --rm busybox true"
# Told apart, and in this order: the second and third need the first's.
STEPS = (("docker run -d busybox sleep",
          ["run", "-d", "--name", NAME, IMAGE, "sleep", "86400"]),
         ("docker exec true", ["exec", NAME, "true"]),
         ("docker rm -f", ["rm", "-f", NAME]))


def make_archive(folder):
    """One archive that `docker load` and an import of an OCI layout read."""
    tree = pods.Tree()
    for directory in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        tree.directory(directory)
    with open(pods.BUSYBOX, "rb") as program:
        tree.file("bin/busybox", program.read(), 0o755)
    for applet in ("sh", "sleep", "true"):
        tree.symlink("bin/" + applet, "busybox")
    stem = os.path.join(folder, "busybox")
    layout = pods.NamedLayout(stem)
    image = layout.manifest([layout.layer(tree)],
                            {"Cmd": ["sh"], "Env": ["PATH=/bin"]})
    layout.name("docker.io/library/" + IMAGE, image)
    blob = lambda one: "blobs/" + one["digest"].replace(":", "/")
    with open(os.path.join(stem, blob(image)), encoding="ascii") as file:
        manifest = json.load(file)
    with open(os.path.join(stem, "manifest.json"), "w",
              encoding="ascii") as file:
        json.dump([{"Config": blob(manifest["config"]), "RepoTags": [IMAGE],
                    "Layers": [blob(one) for one in manifest["layers"]]}],
                  file)
    layout.archive(stem + ".tar")
    return stem + ".tar"


class BerthEngine(pods.Berth):
    """berthd with its second door open, and as dockerd with the network that
    it makes by itself: a bridge, addresses, masquerading, published ports."""

    def network(self):
        return f'conf_dir: "{self.folder}/own-cni"'

    def engine(self):
        return os.path.join(self.folder, "engine.sock")

    def command(self):
        command = super().command()
        with open(os.path.join(self.folder, "berth.conf"), "a",
                  encoding="ascii") as file:
            file.write(f'docker_socket: "{self.engine()}"\n')
        return command


class Dockerd(pods.Runtime):
    """Debian's dockerd, which starts a containerd of its own."""

    def __init__(self, version_of):
        super().__init__(f"dockerd {version_of('/', 'docker.io')}", "/")

    def socket(self):
        return os.path.join(self.folder, "engine.sock")

    engine = socket

    def command(self):
        return ["dockerd", "-H", "unix://" + self.socket(), "--data-root",
                os.path.join(self.folder, "data"), "--group", "root",
                "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid",
                "--storage-driver", "overlay2"]

    def load(self, archive):
        return cli(self) + ["load", "-i", archive]


def cli(engine):
    """The same docker program for all, with no configuration."""
    return [shutil.which("docker"), "--config", engine.folder, "-H",
            "unix://" + engine.engine()]


def found(programs, version_of, before=None):
    engines = [BerthEngine(programs)]
    if before:
        engines.append(BerthEngine(before, "berth before"))
    if version_of("/", "docker.io") and shutil.which("docker"):
        engines.append(Dockerd(version_of))
    return engines


def cli_version():
    if not shutil.which("docker"):
        raise SystemExit("engines.py: no docker command (Debian package "
                         "docker.io)")
    out = subprocess.run(["docker", "--version"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return re.search(r"[\d.]+\d", out).group()


def usage(path):
    """Nanoseconds of CPU that an engine's box has used, its CLI apart."""
    if not path:
        return 0
    with open(path, encoding="ascii") as file:
        return int(file.read())


class Meter:
    """The commands of one engine, each with a stopwatch of its own."""

    def __init__(self, engine, stopwatch, folder):
        self.name = engine.name
        self.cpu_file = engine.cpu_file()
        self.socket = engine.engine()
        self.watches = {}
        for number, (label, arguments) in enumerate(
                ((RUN, ["run", "--rm", IMAGE, "true"]),) + STEPS):
            self.watches[label] = Stopwatch(
                stopwatch, "/", os.path.join(folder, f"watch{number}"),
                cli(engine) + arguments)

    def run(self, label, name):
        before = usage(self.cpu_file)
        sample = self.watches[label].run(name)
        sample["engine_cpu_ms"] = (usage(self.cpu_file) - before) / 1e6
        return sample

    def burst(self):
        return bursts.burst(self.socket, IMAGE, lambda: usage(self.cpu_file))

    def end(self):
        for watch in self.watches.values():
            watch.end()


def one_round(meters, order, gap, name):
    """Yields (engine's name, label, sample)."""
    for meter in order.sample(meters, len(meters)):
        time.sleep(gap / 1000)
        yield meter.name, RUN, meter.run(RUN, name)
    for meter in order.sample(meters, len(meters)):
        for label, _ in STEPS:
            time.sleep(gap / 1000)
            yield meter.name, label, meter.run(label, name)


def all_bursts(meters, order, rounds):
    """{(engine's name, label): [sample, ...]}"""
    samples = {}
    for number in range(1 + rounds):
        for meter in order.sample(meters, len(meters)):
            sample = meter.burst()
            if number > 0:
                samples.setdefault((meter.name, bursts.LABEL),
                                   []).append(sample)
    return samples


def measure(stopwatch, work, engines, rounds, gaps):
    """Rows of name, gap, metric and times in ms."""
    import report  # its quantiles
    os.makedirs(work)
    archive = make_archive(work)
    order = random.Random(1)
    meters, rows = [], []
    try:
        for number, engine in enumerate(engines):
            folder = os.path.join(work, str(number))
            engine.start(folder, [archive])
            meters.append(Meter(engine, stopwatch, folder))
        for gap in gaps:
            samples = {}
            for number in range(WARMUP + rounds):
                for name, label, sample in one_round(meters, order, gap,
                                                     f"{gap}-{number}"):
                    if number >= WARMUP:
                        samples.setdefault((name, label), []).append(sample)
            if gap == 0:
                samples |= all_bursts(meters, order, max(3, rounds // 4))
            for (name, label), of in samples.items():
                wall = [sample["wall_ms"] for sample in of]
                rows.append({"name": name, "gap": gap, "metric": label,
                             "wall_ms": report.median(wall),
                             "p10": report.tenth(wall),
                             "p90": report.ninth(wall),
                             "cli_cpu_ms": report.median_of(of, "cpu_ms"),
                             "engine_cpu_ms": report.median_of(
                                 of, "engine_cpu_ms")})
    finally:
        for meter in meters:
            meter.end()
        for engine in engines:
            engine.end()
    return rows


def memory(work, engines, count):
    """Rows of name, containers, daemon and shim; one engine at a time."""
    os.makedirs(work)
    archive = make_archive(work)
    rows = []
    for number, engine in enumerate(engines):
        try:
            engine.start(os.path.join(work, str(number)), [archive])
            running = 0
            for wanted in (0, count):
                while running < wanted:
                    subprocess.run(cli(engine) + ["run", "-d", IMAGE, "sleep",
                                                  "86400"], check=True,
                                   stdout=subprocess.DEVNULL)
                    running += 1
                time.sleep(3)  # what is freed lazily is freed
                use = engine.memory()
                rows.append({"name": engine.name, "containers": wanted,
                             "daemon": use.get("daemon"),
                             "shim": use.get("shim")})
        finally:
            engine.end()
    return rows
