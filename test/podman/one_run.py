#!/usr/bin/env python3
"""One part of the suite on one runtime: podman_suite.py starts it, in WORLD.

  one_run.py PART RUNTIME NAME ONLY FILE

Writes {step: [exit code, output]} to FILE. The runtime is called by NAME.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import files
import steps_buildah
import steps_pods
import steps_rootless
import steps_root
import steps_settings
import steps_verbs

BUSYBOX = os.environ.get("OCI_BUSYBOX", "/bin/busybox")
IMAGE = "localhost/suite"
LIMIT = 120  # seconds, of one step
UID = 54321

PARTS = {
    "root": steps_root.STEPS,
    "verbs": steps_verbs.STEPS,
    "settings": steps_settings.STEPS,
    "pods": steps_pods.STEPS,
    "buildah": steps_buildah.BOTH + steps_buildah.ROOT,
    "user": steps_rootless.STEPS,
    "buildah of a user": steps_buildah.BOTH,
}

# A mount namespace in which a user exists who has subordinate ids, so that
# nothing of the machine is changed. Devices are copies: runc 1.1 gives the null
# device to a container's user, and a user has to open slirp4netns's. crun does
# not run where a tree of cgroup v2 with controllers in it stands beside v1.
WORLD = r"""
set -e
mount --make-rshared /
for name in passwd group; do cat /etc/$name >"$0/$name"; done
echo "suite:x:54321:54321::/:/bin/sh" >>"$0/passwd"
echo "suite:x:54321:" >>"$0/group"
for name in subuid subgid; do
  echo "suite:700000:65536" >"$0/$name"
  echo "containers:1000000:65536" >>"$0/$name"
done
chmod 755 "$0"
chmod 644 "$0"/*
for name in passwd group subuid subgid; do
  mount --bind "$0/$name" "/etc/$name"
done
mkdir "$0/dev"
mount -t tmpfs -o mode=755 tmpfs "$0/dev"
for node in /dev/*; do
  [ -d "$node" ] && [ ! -L "$node" ] || cp -a "$node" "$0/dev/"
done
mkdir "$0/dev/net" "$0/dev/pts" "$0/dev/shm" "$0/dev/mqueue"
[ ! -e /dev/net/tun ] || cp -a /dev/net/tun "$0/dev/net/"
mount --bind /dev/pts "$0/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
mount -t mqueue mqueue "$0/dev/mqueue"
chown 0:0 "$0/dev/null"
chmod 666 "$0/dev/null" "$0/dev/net/tun"
mount --rbind "$0/dev" /dev
if [ "$5" = crun ] && grep -q ' - cgroup .*[ ,]memory' /proc/self/mountinfo
then
  for at in $(awk '/ - cgroup2 / { print $5 }' /proc/self/mountinfo); do
    umount -l "$at"
  done
fi
exec "$@"
"""


def skipped():
    """What no part does here, and why."""
    yield "pasta: podman has it since 4.4, and Debian 12's is older"
    if os.path.exists("/sys/fs/cgroup/memory"):
        yield ("a user's pauses, statistics and limits: a user has no cgroup "
               "on v1, and podman itself refuses them")
    if not shutil.which("criu"):
        yield "checkpoints: criu is not here; that podman says so is a step"
    if not shutil.which("crio"):
        yield "CRI-O: Debian has no package of it"


# What the specification wants us to say of capabilities as buildah asks for
# them; one step of podman's says so (peers.py).
AMBIENT = r'level=warning msg="process\.capabilities: ambient [^"]*"\r?\n'


def normal(text):
    # Not 16 digits, which are a set of capabilities.
    text = re.sub(r"\b([0-9a-f]{63,64}|[0-9a-f]{25}|[0-9a-f]{12})\b", "ID",
                  text)
    text = re.sub(r"^--> [0-9a-f]{11}$", "--> ID", text, flags=re.M)
    text = re.sub(r"/podman\d+\b", "/FILE", text)
    text = re.sub(r"/tmp/podman-suite\.\w+", "DIR", text)
    text = re.sub(r'time="[^"]*" ', "", text)
    text = re.sub(r"\b(\d+|Less than a) seconds? ago", "AGO", text)
    text = re.sub(r"\b(runc|berth-oci|crun)\b", "RUNTIME", text)
    text = re.sub(r"/\S*/RUNTIME", "RUNTIME", text)
    # Of a container without a cgroup.
    text = re.sub(r'level=warning msg="(unable to get oom kill count" error='
                  r'"[^"]*|cannot toggle freezer: [^"]*|lstat : [^"]*)"\n', "",
                  text)
    # runc says which of its verbs and processes has failed.
    text = re.sub(r"RUNTIME create failed: |exec failed: |"
                  r"unable to start container process: ", "", text)
    # Podman's own names for containers without one.
    return re.sub(r"\b[a-z]+_[a-z]+\b(?= in )", "NAME", text).replace("\r", "")


def make_root(root):
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "mnt", "run"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(BUSYBOX, os.path.join(root, "bin/busybox"))
    names = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE,
                           check=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            os.symlink("busybox", os.path.join(root, "bin", name))
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\n"),
                       ("group", "root:x:0:\n")):
        with open(os.path.join(root, "etc", name), "w") as f:
            f.write(text)


class Run:
    """The folders and the environment of one run."""

    def __init__(self, part, runtime, name):
        self.user = part.endswith("user")
        self.build = part.startswith("buildah")
        self.directory = tempfile.mkdtemp(prefix="podman-suite.", dir="/tmp")
        os.chmod(self.directory, 0o755)
        # The user may not be able to go where the program lies.
        copy = os.path.join(self.directory, "bin", name)
        os.mkdir(os.path.dirname(copy))
        shutil.copy(runtime, copy)
        own = os.path.join(self.directory, "d")
        make_root(os.path.join(own, "image"))
        os.symlink("loop", os.path.join(own, "loop"))
        for folder in ("shared", "tmp"):
            os.mkdir(os.path.join(own, folder))
            os.chmod(os.path.join(own, folder), 0o1777)
        for file, text in files.FILES.items():
            with open(os.path.join(own, file), "w") as f:
                f.write(text.replace("FOLDER", own))
        storage = "--root %s/r --runroot %s/rr --storage-driver vfs " % (
            own, own)
        if self.user:
            subprocess.run(["chown", "-hR", "%d:%d" % (UID, UID), own],
                           check=True)
            os.makedirs("/run/user/%d" % UID, 0o700, exist_ok=True)
            os.chown("/run/user/%d" % UID, UID, UID)
        env = dict(os.environ) if not self.user else {
            "PATH": os.environ["PATH"], "HOME": own, "USER": "suite",
            "XDG_RUNTIME_DIR": "/run/user/%d" % UID}
        podman = ("podman " + storage + "--runtime %s --cgroup-manager "
                  "cgroupfs --events-backend none" % copy)
        isolation = "--isolation %s --runtime %s" % (
            "rootless" if self.user else "oci", copy)
        env["TMPDIR"] = os.path.join(own, "tmp")
        # Health checks are asked for; there is no systemd to have timers.
        env.update(DISABLE_HC_SYSTEMD="true", P=podman, D=own, I=IMAGE,
                   RUNTIME=copy, B="buildah " + storage, R=isolation,
                   BR="--no-cache --network none " + isolation, C="suite")
        self.env = env
        self.own = own

    def shell(self, script, **options):
        command = ["sh", "-c", script]
        if self.user:
            command = ["setpriv", "--reuid=%d" % UID, "--regid=%d" % UID,
                       "--init-groups", "--inh-caps=-all", "--"] + command
        return subprocess.run(command, env=self.env, cwd=self.own,
                              stdin=subprocess.DEVNULL, check=False, **options)

    def prepare(self, part):
        script = ("tar -C $D/image --owner 0 --group 0 -c . | $P import "
                  "-c 'ENV PATH=/bin' - $I")
        if part.startswith("buildah"):
            script += " && $B from --name $C $I"
        done = self.shell(script, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit("the image cannot be made:\n" + done.stdout)

    def step(self, script):
        try:
            done = self.shell(script, timeout=LIMIT, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired:
            return None, "no end within %d s" % LIMIT
        # Errors behind the rest: two pipes of a container have no order.
        text = normal((done.stdout + done.stderr).decode(errors="replace"))
        return done.returncode, (
            re.sub(AMBIENT, "", text) if self.build else text)

    def end(self):
        self.shell("$P pod rm -fa -t 0; $P rm -fa -t 0; $P system migrate",
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    part, runtime, name, only, answer = sys.argv[1:]
    run = Run(part, runtime, name)
    found = {}
    try:
        run.prepare(part)
        for step in PARTS[part]:
            if re.search(only, "%s, %s: %s" % (part, name, step[0])):
                found[step[0]] = run.step(step[1])
    finally:
        run.end()
    with open(answer, "w") as f:
        json.dump(found, f)


if __name__ == "__main__":
    main()
