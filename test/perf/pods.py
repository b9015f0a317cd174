"""Parts two and three: pods through the CRI, and memory."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

from box import Box, children

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from oci_layout import Layout, Tree  # pylint: disable=wrong-import-position

IMAGE = "docker.io/library/perf-busybox:1"
PAUSE = "docker.io/library/perf-pause:1"
BUSYBOX = "/bin/busybox"
WARMUP = 2
# CNI plugins of this machine for all of them, so that the network is the same.
PLUGINS = "/usr/lib/cni"


class NamedLayout(Layout):
    """A layout whose archive containerd imports under the same name."""

    def name(self, name, descriptor):
        self.tag(name, descriptor)
        self._tags[-1]["annotations"]["io.containerd.image.name"] = name
        self._save()


def make_images(folder):
    """Two archives: busybox, and a pause image for those that want one."""
    archives = []
    for name, config in ((IMAGE, {"Cmd": ["sh"], "Env": ["PATH=/bin"]}),
                         (PAUSE, {"Entrypoint": ["/bin/sleep", "86400"]})):
        tree = Tree()
        for directory in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            tree.directory(directory)
        with open(BUSYBOX, "rb") as program:
            tree.file("bin/busybox", program.read(), 0o755)
        for applet in ("sh", "sleep", "true"):
            tree.symlink("bin/" + applet, "busybox")
        stem = os.path.join(folder, re.sub(r"\W", "-", name))
        layout = NamedLayout(stem)
        layout.name(name, layout.manifest([layout.layer(tree)], config))
        layout.archive(stem + ".tar")
        archives.append(stem + ".tar")
    return archives


def write_network(folder, bridge):
    os.makedirs(os.path.join(folder, "cni"))
    network = {"cniVersion": "0.4.0", "name": "perf", "plugins": [
        {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": True,
         "promiscMode": True,
         "ipam": {"type": "host-local",
                  "ranges": [[{"subnet": "10.93.0.0/16"}]],
                  "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
    with open(os.path.join(folder, "cni/10-perf.conflist"), "w",
              encoding="ascii") as file:
        json.dump(network, file)
    shutil.copytree(PLUGINS, os.path.join(folder, "cni-bin"))


class Runtime:
    """A daemon in a box, started by start() and gone after end()."""

    def __init__(self, name, root):
        self.name = name
        self.root = root
        self.box = None
        self.folder = None

    def start(self, folder, archives):
        self.folder = folder
        os.makedirs(folder)
        write_network(folder, "perf0")
        own = [shutil.copy(archive, folder) for archive in archives]
        self.box = Box(self.root, folder, self.command())
        self.box.wait_for(lambda: os.path.exists(self.socket()), self.name)
        for archive in own:
            self.box.wait_for(lambda a=archive: self.inside(self.load(a)),
                              self.name + ": import of " + archive)

    def socket(self):
        return os.path.join(self.folder, "cri.sock")

    def inside(self, command):
        done = subprocess.run(
            ["nsenter", "-t", str(self.box.init()), "-m", "--"]
            + self.chrooted(command), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        with open(self.box.log, "a", encoding="utf-8") as log:
            log.write(done.stdout)
        return done.returncode == 0

    def chrooted(self, command):
        # Process 1 of the box is outside the root that the daemon moved to.
        if self.root == "/":
            return command
        return ["nsenter", "-t", str(self.daemon()), "-m", "--"] + command

    def daemon(self):
        return children(self.box.init())[0]

    def cpu_file(self):
        for at in glob.glob("/sys/fs/cgroup/*cpuacct*/**/berth-test-"
                            f"{self.box.process.pid}/cpuacct.usage",
                            recursive=True):
            return at
        return ""

    def target(self):
        logs = os.path.join(self.folder, "logs")
        return {"name": self.name, "socket": self.socket(), "logs": logs,
                "cpu_file": self.cpu_file()}

    def end(self):
        if self.box:
            self.box.end()
            self.box = None

    def memory(self):
        """{"daemon": use, "shim": use} of the processes in the box."""
        use = {}
        waiting = [self.box.init()]
        while waiting:
            pid = waiting.pop()
            waiting += children(pid)
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    name = file.read().strip()
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                    rollup = dict(re.findall(r"^(\w+): +(\d+)", f.read(),
                                             re.MULTILINE))
                threads = len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                continue
            if "shim" in name:
                kind = "shim"
            elif name in ("dockerd", "containerd", "berthd"):
                kind = "daemon"
            else:
                continue
            sums = use.setdefault(kind, {"count": 0, "rss": 0, "pss": 0,
                                         "private": 0, "threads": 0})
            sums["count"] += 1
            sums["threads"] += threads
            sums["rss"] += int(rollup["Rss"])
            sums["pss"] += int(rollup["Pss"])
            sums["private"] += (int(rollup["Private_Clean"])
                                + int(rollup["Private_Dirty"]))
        return use


class Berth(Runtime):
    """berthd with the programs of one folder."""

    def __init__(self, programs, name="berth"):
        super().__init__(name, "/")
        self.programs = programs

    def command(self):
        for name in ("berthd", "berth-shim", "berth-oci"):
            shutil.copy(os.path.join(self.programs, name), self.folder)
        with open(os.path.join(self.folder, "berth.conf"), "w",
                  encoding="ascii") as file:
            file.write(f'cri_socket: "{self.socket()}"\n'
                       f'network {{ {self.network()}\n'
                       f'  bin_dirs: "{self.folder}/cni-bin" }}\n'
                       'log { level: WARNING queries: false }\n')
        return [os.path.join(self.folder, "berthd"), "--config",
                os.path.join(self.folder, "berth.conf"), "--root",
                os.path.join(self.folder, "data"), "--state", "/run/berth"]

    def network(self):
        return f'conf_dir: "{self.folder}/cni" write_default: false'

    def load(self, archive):
        return [os.path.join(self.folder, "berthd"), "image", "import",
                "--config", os.path.join(self.folder, "berth.conf"), archive]


class Containerd(Runtime):
    """containerd 1.6 or 2, with one of the two runtimes."""

    def __init__(self, root, runtime, version_of):
        self.version = version_of(root, "containerd")
        self.runtime = runtime
        super().__init__(f"containerd {self.version} + {runtime} "
                         f"{version_of(root, runtime)}", root)

    def config(self):
        two = not self.version.startswith("1.")
        runtime = ("plugins.'io.containerd.cri.v1.runtime'" if two
                   else 'plugins."io.containerd.grpc.v1.cri"')
        plugins = f"{self.folder}/cni-bin"
        lines = [f"version = {3 if two else 2}",
                 f'root = "{self.folder}/data"',
                 'state = "/run/containerd"',
                 f'[grpc]\n  address = "{self.socket()}"',
                 f"[{runtime}]", "  restrict_oom_score_adj = true"]
        if two:
            lines += ["[plugins.'io.containerd.cri.v1.images'.pinned_images]",
                      f'  sandbox = "{PAUSE}"']
        else:
            lines += [f'  sandbox_image = "{PAUSE}"']
        lines += [f"[{runtime}.cni]", f'  conf_dir = "{self.folder}/cni"',
                  f'  bin_dirs = ["{plugins}"]' if two
                  else f'  bin_dir = "{plugins}"',
                  f"[{runtime}.containerd]",
                  f'  default_runtime_name = "{self.runtime}"',
                  f"[{runtime}.containerd.runtimes.{self.runtime}]",
                  '  runtime_type = "io.containerd.runc.v2"',
                  f"[{runtime}.containerd.runtimes.{self.runtime}.options]",
                  f'  BinaryName = "{self.runtime}"']
        return "\n".join(lines) + "\n"

    def command(self):
        path = os.path.join(self.folder, "containerd.toml")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.config())
        return ["containerd", "--config", path]

    def load(self, archive):
        return ["ctr", "--address", self.socket(), "-n", "k8s.io", "images",
                "import", archive]


def runtimes(programs, peers, version_of, before=None):
    found = [Berth(programs)]
    if before:
        found.append(Berth(before, "berth before"))
    for root in ("/", peers):
        if root is None or not version_of(root, "containerd"):
            continue
        for runtime in ("crun", "runc"):
            if version_of(root, runtime):
                found.append(Containerd(root, runtime, version_of))
    return found


def write_plan(folder, targets, network, rounds=0, gap=0):
    path = os.path.join(folder, "plan.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"targets": targets, "image": IMAGE, "network": network,
                   "rounds": rounds, "warmup": WARMUP, "gap_ms": gap}, file)
    return path


def measure(client, work, found, rounds, gaps):
    """Rows of name, net, gap, metric and times in ms."""
    import report  # its quantiles
    os.makedirs(work)
    archives = make_images(work)
    rows = []
    try:
        for number, runtime in enumerate(found):
            runtime.start(os.path.join(work, str(number)), archives)
        targets = [runtime.target() for runtime in found]
        for network in ("host", "bridge"):
            for gap in gaps:
                path = write_plan(work, targets, network, rounds, gap)
                out = subprocess.run([client, "bench", path], check=True,
                                     stdout=subprocess.PIPE).stdout
                for name, metrics in json.loads(out).items():
                    for metric, times in metrics.items():
                        rows.append({
                            "name": name, "net": network, "gap": gap,
                            "metric": metric,
                            "wall_ms": report.median(times),
                            "p10": report.tenth(times),
                            "p90": report.ninth(times)})
    finally:
        for runtime in found:
            runtime.end()
    return rows


def memory(client, work, found, counts):
    """Rows of name, pods, daemon and shim.

    One daemon at a time: two of the same programs would share pages and halve
    each other's proportional share.
    """
    os.makedirs(work)
    archives = make_images(work)
    rows = []
    for number, runtime in enumerate(found):
        try:
            runtime.start(os.path.join(work, str(number)), archives)
            path = write_plan(work, [runtime.target()], "bridge")
            running = 0
            for count in counts:
                subprocess.run([client, "start", path, str(count - running)],
                               check=True)
                running = count
                time.sleep(3)  # what is freed lazily is freed
                use = runtime.memory()
                rows.append({"name": runtime.name, "pods": count,
                             "daemon": use.get("daemon"),
                             "shim": use.get("shim")})
            subprocess.run([client, "clean", path], check=True)
        finally:
            runtime.end()
    return rows
