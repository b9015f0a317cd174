#!/usr/bin/python3
"""Pushes what the cases run: library/busybox, library/ubuntu, test/config,
test/health; and moby/buildkit, of the programs in the folder BUILDKIT_BIN if
that is set.

usage: images.py DIR HOST:PORT

"ubuntu" is made from this machine's own Debian packages: bash, coreutils and
the libraries that they need, under the name that everybody types.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import images  # noqa: E402
from oci_layout import Layout, Registry, Tree  # noqa: E402

PROGRAMS = ["bash", "cat", "ls", "stty", "sleep", "id", "echo", "env", "head",
            "tail", "ps", "kill", "uname", "hostname", "touch", "tty"]


def libraries(program):
    listed = subprocess.run(["ldd", program], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return {word for word in listed.split() if word.startswith("/")}


def ubuntu_tree():
    tree = Tree()
    for name in ("bin", "dev", "etc", "lib", "lib64", "proc", "root", "sys",
                 "usr", "usr/lib", "lib/x86_64-linux-gnu",
                 "usr/lib/x86_64-linux-gnu", "tmp"):
        tree.directory(name)
    needed = set()
    for name in PROGRAMS:
        path = "/bin/" + name
        needed |= libraries(path)
        with open(path, "rb") as program:
            tree.file("bin/" + name, program.read(), 0o755)
    tree.symlink("bin/sh", "bash")
    for path in sorted(needed):
        with open(path, "rb") as library:
            tree.file(path.lstrip("/"), library.read(), 0o755)
    tree.file("etc/passwd", images.PASSWD.replace("/bin/sh", "/bin/bash"))
    tree.file("etc/group", images.GROUP)
    tree.file("root/.bashrc", "PS1='root@box:\\w# '\n")
    return tree


def with_libraries(tree, path, name):
    """A program of this machine under another name, and what it needs."""
    if not hasattr(tree, "programs"):
        tree.programs = set()
        for folder in ("lib64", "lib", "lib/x86_64-linux-gnu",
                       "usr/lib", "usr/lib/x86_64-linux-gnu"):
            tree.directory(folder)
    with open(path, "rb") as program:
        tree.file(name, program.read(), 0o755)
    for one in libraries(path) if is_dynamic(path) else ():
        if one not in tree.programs:
            tree.programs.add(one)
            with open(one, "rb") as library:
                tree.file(one.lstrip("/"), library.read(), 0o755)


def is_dynamic(path):
    return subprocess.run(["ldd", path], capture_output=True,
                          check=False).returncode == 0


def push_builder(folder, registry, programs):
    """BuildKit as an image: busybox, the programs, and a runtime for it, ours
    unless BUILDER_RUNTIME names another."""
    runtime = os.environ.get("BUILDER_RUNTIME") or os.path.join(
        os.environ["BERTH_BIN"], "berth-oci")
    layout = Layout(folder + "/buildkit")
    tree = images.busybox_tree()
    for name in ("buildkitd", "buildctl"):
        with_libraries(tree, os.path.join(programs, name), "usr/bin/" + name)
    with_libraries(tree, runtime, "usr/bin/buildkit-runc")
    config = {"Env": [images.PATH], "Entrypoint": ["buildkitd"]}
    layout.tag("latest",
               layout.manifest([layout.layer(tree, "none")], config))
    registry.push(folder + "/buildkit", "latest", "moby/buildkit",
                  "buildx-stable-1")


def main():
    folder, address = sys.argv[1:]
    registry = Registry(address)
    images.make_busybox(folder + "/busybox")
    registry.push(folder + "/busybox", "latest", "library/busybox")
    registry.push(folder + "/busybox", "docker", "library/busybox", "old")
    images.make_config(folder + "/config")
    registry.push(folder + "/config", "latest", "test/config")
    layout = Layout(folder + "/ubuntu")
    config = {"Env": [images.PATH], "Cmd": ["/bin/bash"]}
    layer = layout.layer(ubuntu_tree())
    layout.tag("latest", layout.manifest([layer], config))
    registry.push(folder + "/ubuntu", "latest", "library/ubuntu")
    checked = Layout(folder + "/health")
    config["Healthcheck"] = {"Test": ["CMD", "true"]}
    tree = images.busybox_tree()
    tree.directory("linked")
    tree.directory("linked/sub")
    tree.file("linked/one", "one\n")
    tree.hardlink("linked/sub/two", "linked/one")
    layer = checked.layer(tree)
    checked.tag("latest", checked.manifest([layer], config))
    registry.push(folder + "/health", "latest", "test/health")
    if os.environ.get("BUILDKIT_BIN"):
        push_builder(folder, registry, os.environ["BUILDKIT_BIN"])


if __name__ == "__main__":
    main()
