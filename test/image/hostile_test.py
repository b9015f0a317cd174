#!/usr/bin/env python3
"""Pulls every image of test/support/hostile.py and checks the verdict.

    hostile_test.py IMAGE_MAIN HOSTILE_PY [CASE...]

After each case: the file that escaping entries aim at is as it was; the pull
ended within its time and memory; a refused image is not there and has left no
layer; an accepted one can be mounted, and shows what it should. Run as root,
in a mount namespace of its own.
"""
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile

from layout_server import LayoutServer

SECONDS = 120
MEBIBYTES = 256


class Failure(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Case:
    def __init__(self, program, address, name, folder):
        self.name = name
        self.program = program
        self.reference = "%s/%s:%s" % (address, name, name)
        self.root = os.path.join(folder, "root")
        self.mount = os.path.join(folder, "mnt")

    def run(self, *words):
        return subprocess.run(
            [self.program, "--root", self.root, "--tries", "1",
             "--timeout", str(SECONDS), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", timeout=SECONDS + 30, check=False)

    def pull(self):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = self.run("pull", self.reference)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        expect(done.returncode in (0, 1),
               "exit status %d: %s" % (done.returncode, done.stderr))
        expect(peak == before or peak < MEBIBYTES * 1024,
               "peak memory %d KiB" % peak)
        if "DEADLINE_EXCEEDED" in done.stderr:
            raise Failure("took longer than %d s" % SECONDS)
        return done

    def leftovers(self):
        listed = self.run("list")
        expect(listed.stdout == "", "the image is there: " + listed.stdout)
        self.run("gc")
        names = os.listdir(os.path.join(self.root, "snapshots"))
        expect(names == [], "layers left: %s" % names)

    def mounted(self, look):
        done = self.run("mount", self.reference, self.mount)
        expect(done.returncode == 0, "mount: " + done.stderr)
        try:
            look(self.mount)
        finally:
            self.run("umount", self.mount)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def is_empty_character_device(path):
    info = os.lstat(path)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def nothing_forged(root):
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            expect(not is_empty_character_device(path),
                   "a whiteout shows: " + path)


# What an accepted image has to show. Files: their bytes.
LOOKS = {
    "absolute": {"abs": b"inside\n"},
    "gzip-two-members": {"ok": b"fine\n"},
    "tar-trailing-data": {"ok": b"fine\n"},
    "tar-no-end": {"ok": b"fine\n"},
    "zstd-small-window": {"ok": b"fine\n"},
    "whiteout-aufs-meta": {"ok": b"fine\n"},
}
# What may be there if the image was taken at all.
IF_TAKEN = {
    "not-gzip": {"ok": b"fine\n"},
    "duplicate-file": {"f": b"two"},
    "symlink-as-file": {"f": b"escaped\n"},
    "overlay-xattr": {"d/f": b"lower\n"},
    "opaque-root": {"new": b"x"},
    "fifo-then-file": {"f": b"file\n", "g": b"file\n"},
    "fifo-linked": {"g": b"file\n"},
    "device-then-file": {"f": b"file\n"},
    "gzip-many-members": {"ok": b"fine\n"},
    "layer-foreign-url": {"ok": b"fine\n"},
}


def look_at(name, root):
    for path, wanted in {**LOOKS.get(name, {}),
                         **IF_TAKEN.get(name, {})}.items():
        found = read(os.path.join(root, path))
        expect(found == wanted, "%s holds %r" % (path, found))
    if name == "setuid":
        expect(mode_of(os.path.join(root, "su")) == 0o6755, "mode of su")
    if name == "pax-ids-overflow":
        path = os.path.join(root, "f")
        expect(not os.path.exists(path) or os.lstat(path).st_uid != 0,
               "a user beyond 32 bits is root")
    if name == "device-null":
        info = os.lstat(os.path.join(root, "null"))
        expect(stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, 3),
               "null is no null device")
    if name == "opaque-root":
        expect(os.listdir(root) == ["new"], "what is below shows")
    if name == "whiteout-aufs-meta":
        expect(not os.path.exists(os.path.join(root, ".wh..wh.plnk")),
               "aufs's own names show")
    if name == "many-entries":
        expect(len(os.listdir(os.path.join(root, "m"))) == 200000,
               "entries are missing")
    nothing_forged(root)


def check(case, verdict, canary, before):
    done = case.pull()
    taken = done.returncode == 0
    if verdict == "reject":
        expect(not taken, "was taken")
    if verdict == "accept":
        expect(taken, "was refused: " + done.stderr)
    if taken:
        case.mounted(lambda root: look_at(case.name, root))
    else:
        case.leftovers()
    after = state_of(canary)
    expect(after == before, "the host was changed: %s" % (after,))
    return "taken" if taken else done.stderr.strip().split(": ", 3)[-1][:110]


def state_of(canary):
    folder = os.path.dirname(canary)
    return (read(canary), mode_of(canary), sorted(os.listdir(folder)),
            mode_of(folder), os.lstat("/etc/passwd").st_nlink,
            sorted(os.listdir("/")))


def main():
    program, hostile, *only = sys.argv[1:]
    scratch = tempfile.mkdtemp(prefix="berth-hostile-", dir="/tmp")
    failures = 0
    try:
        # Alone in its folder, so that anything new beside it is seen.
        os.mkdir(os.path.join(scratch, "host"))
        canary = os.path.join(scratch, "host", "canary")
        with open(canary, "w", encoding="ascii") as f:
            f.write("untouched\n")
        layouts = os.path.join(scratch, "layouts")
        table = subprocess.run([sys.executable, hostile, layouts, canary],
                               check=True, stdout=subprocess.PIPE, text=True)
        with LayoutServer(layouts) as server:
            for line in table.stdout.splitlines():
                name, verdict = line.split("\t")[:2]
                if only and name not in only:
                    continue
                folder = os.path.join(scratch, "case")
                os.mkdir(folder)
                try:
                    case = Case(program, server.address, name, folder)
                    print("ok   %-26s %-8s %s" % (
                        name, verdict,
                        check(case, verdict, canary, state_of(canary))))
                except (Failure, OSError) as failure:
                    failures += 1
                    print("FAIL %-26s %-8s %s" % (name, verdict, failure))
                sys.stdout.flush()
                shutil.rmtree(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
