"""One runc-compatible runtime, and bundles to run with it.

The runtime under test is $OCI_RUNTIME (a program, perhaps with arguments).
Everything made lies below one temporary directory; names of containers and
cgroups carry the pid, so that several suites can run at once.
"""
import array
import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

BUSYBOX = os.environ.get("OCI_BUSYBOX", "/bin/busybox")
CAPABILITIES = ["CAP_" + c for c in (
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD "
    "NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT"
).split()]
PLAIN = ["nosuid", "noexec", "nodev"]
DEADLINE = float(os.environ.get("OCI_DEADLINE", "20"))
# With the systemd driver a container is a scope of a slice, not a directory of
# its own name.
SYSTEMD = "--systemd-cgroup" in os.environ.get("OCI_RUNTIME", "")
SLICE = "suite-oci.slice"


def cgroup_v2():
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def wait_until(condition, what):
    """Polls until the condition holds; there is no other way from outside."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("timed out: " + what)
        time.sleep(0.01)


def mount(destination, kind, source, *options):
    return {"destination": destination, "type": kind, "source": source,
            "options": list(options)}


def default_config(args):
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {s: list(CAPABILITIES) for s in
                             ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "suite",
        "mounts": [
            mount("/proc", "proc", "proc", *PLAIN),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec",
                  "newinstance", "ptmxmode=0666", "mode=0620"),
            mount("/dev/shm", "tmpfs", "shm", *PLAIN, "mode=1777"),
            mount("/sys", "sysfs", "sysfs", *PLAIN, "ro"),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in
                           ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "maskedPaths": [],
            "readonlyPaths": [],
        },
    }


def compile_static(source, target, *flags):
    """Builds a C file that lies beside this one, for a root without libc."""
    subprocess.run(["cc", "-static", "-O1", "-o", target, *flags,
                    os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                 source)], check=True)


class Bundle:
    """A busybox root and a config.json that tests change before they run."""

    def __init__(self, directory, args):
        self.path = directory
        self.rootfs = os.path.join(directory, "rootfs")
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc", "root"):
            os.makedirs(os.path.join(self.rootfs, name))
        shutil.copy(BUSYBOX, os.path.join(self.rootfs, "bin", "busybox"))
        for applet in ("sh true false cat echo id ls sleep mkdir touch stat "
                       "mount umount hostname grep head ps env pwd kill tty "
                       "stty readlink chmod chown rm ln sysctl test wc "
                       "ip dd mknod setuidgid").split():
            os.symlink("busybox", os.path.join(self.rootfs, "bin", applet))
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n"
                                 "user:x:1000:1000::/home/user:/bin/sh\n")
        self.write("etc/group", "root:x:0:\nuser:x:1000:\n")
        self.config = default_config(args)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.rootfs, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def save(self):
        with open(os.path.join(self.path, "config.json"), "w") as f:
            json.dump(self.config, f)

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]


class Runtime:
    """The command line of the runtime under test."""

    def __init__(self):
        self.command = shlex.split(os.environ["OCI_RUNTIME"])
        self.prefix = []  # what runs it: another user, say
        # /tmp, short enough for socket paths.
        self.directory = tempfile.mkdtemp(prefix="oci-suite.", dir="/tmp")
        os.chmod(self.directory, 0o711)
        self.root = os.path.join(self.directory, "root")
        self.ids = []
        self.count = 0

    def name(self):
        return os.path.basename(self.command[0])

    def call(self, *args, stdin=subprocess.DEVNULL, input=None, log=None,
             pass_fds=(), env=None, cwd=None):
        command = self.prefix + self.command
        if self.root:
            command += ["--root", self.root]
        if log:
            command += ["--log", log, "--log-format", "json"]
        if input is not None:
            stdin = None
        # Files, not pipes: a detached container keeps its streams open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            done = subprocess.run(command + list(args), stdin=stdin,
                                  input=input, stdout=out, stderr=err,
                                  timeout=6 * DEADLINE, pass_fds=pass_fds,
                                  env=env, cwd=cwd)
            out.seek(0)
            err.seek(0)
            done.stdout = out.read().decode(errors="replace")
            done.stderr = err.read().decode(errors="replace")
        return done

    def must(self, *args, **kwargs):
        done = self.call(*args, **kwargs)
        if done.returncode != 0:
            raise AssertionError("%s: exit %d, %s" % (
                " ".join(args), done.returncode, done.stderr.strip()))
        return done

    def bundle(self, *args):
        self.count += 1
        directory = os.path.join(self.directory, "b%d" % self.count)
        os.mkdir(directory)
        return Bundle(directory, args)

    def new_id(self):
        self.count += 1
        container = "suite-%d-%d" % (os.getpid(), self.count)
        self.ids.append(container)
        return container

    def save_new(self, bundle):
        container = self.new_id()
        # Left out it would depend on where the suite itself runs.
        bundle.linux.setdefault("cgroupsPath", cgroups_path(container))
        bundle.save()
        return container

    def run(self, bundle, *flags, **kwargs):
        container = self.save_new(bundle)
        return self.call("run", *flags, "--bundle", bundle.path, container,
                         **kwargs)

    def shell(self, bundle, script):
        """Output of a shell script run in the bundle; it must succeed."""
        bundle.process["args"] = ["/bin/sh", "-c", script]
        done = self.run(bundle)
        if done.returncode != 0:
            raise AssertionError("exit %d: %s%s" % (
                done.returncode, done.stdout, done.stderr))
        return done.stdout

    def create(self, bundle, *flags, **kwargs):
        container = self.save_new(bundle)
        self.must("create", *flags, "--bundle", bundle.path, container,
                  **kwargs)
        return container

    def start_new(self, bundle, *flags, **kwargs):
        container = self.create(bundle, *flags, **kwargs)
        self.must("start", container)
        return container

    def state(self, container):
        return json.loads(self.must("state", container).stdout)

    def status(self, container):
        return self.state(container)["status"]

    def wait_stopped(self, container):
        wait_until(lambda: self.status(container) == "stopped",
                   container + " stops")

    def kill_and_delete(self, container):
        self.call("kill", container, "KILL")
        self.wait_stopped(container)
        self.must("delete", container)

    def clean(self):
        for container in self.ids:
            self.call("delete", "--force", container)
        self.ids = []

    def close(self):
        self.clean()
        shutil.rmtree(self.directory, ignore_errors=True)


class ConsoleSocket:
    """Receives the master of a pty, as containerd's shim does."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "console.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.listener.settimeout(DEADLINE)

    def receive(self):
        connection, _ = self.listener.accept()
        with connection:
            fds = array.array("i")
            text, control, _, _ = connection.recvmsg(
                4096, socket.CMSG_SPACE(fds.itemsize))
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(data[:fds.itemsize])
        return text, fds[0]

    def close(self):
        self.listener.close()
        os.unlink(self.path)


def unit_of(container):
    return "suite-%s.scope" % container


def cgroups_path(container):
    return "%s:suite:%s" % (SLICE, container) if SYSTEMD else "/" + container


def cgroup_name(container):
    """Its path below the root of a hierarchy."""
    if not SYSTEMD:
        return container
    return "suite.slice/%s/%s" % (SLICE, unit_of(container))


def cgroup_directories(container):
    """Every directory of the container that is left in any hierarchy."""
    found = []
    for base in ["/sys/fs/cgroup"] + [
            os.path.join("/sys/fs/cgroup", name)
            for name in os.listdir("/sys/fs/cgroup")]:
        path = os.path.join(base, cgroup_name(container))
        if os.path.isdir(path):
            found.append(path)
    return found


def cgroup_file(container, controller, name):
    """The contents of a control file of the container."""
    if cgroup_v2():
        path = os.path.join("/sys/fs/cgroup", cgroup_name(container), name)
    else:
        path = os.path.join("/sys/fs/cgroup", controller,
                            cgroup_name(container), name)
    with open(path) as f:
        return f.read().strip()
