#!/usr/bin/env python3
"""Small real images from Debian's busybox-static, without any network.

    images.py build DIR            makes DIR/<image>/ (OCI layouts) and
                                   DIR/busybox.tar (one of them as an archive)
    images.py push DIR HOST:PORT   pushes them all as test/<image>:<tag>
    images.py push-one LAYOUT TAG HOST:PORT NAME [AS_TAG]
         --ca FILE                 https, trusting that authority
         --user NAME:PASSWORD      basic authentication

Images, each with the tag "latest" unless said otherwise:
    busybox   a shell with all applets, users and groups, a web page in /www;
              also the tags "zstd", "plain" (not compressed), "docker" (media
              types of Docker's schema 2), "index" (two platforms)
    pause     sleeps; for runtimes that want a pause image
    layers    whiteouts, opaque folders, links, modes and owners over three
              layers
    config    entry point, command, user, working folder, environment, volume
"""
import argparse
import os
import subprocess
import sys

from oci_layout import Layout, Registry, Tree

BUSYBOX = "/bin/busybox"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """\
root:x:0:
daemon:x:1:
app:x:1000:
extra:x:2000:app
staff:x:50:app
nogroup:x:65534:
"""


def busybox_tree(page="hello from the pod\n"):
    tree = Tree()
    for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr",
                 "usr/bin", "var", "var/empty", "www"):
        tree.directory(name)
    tree.directory("tmp", 0o1777)
    tree.directory("home/app", 0o755, (1000, 1000))
    with open(BUSYBOX, "rb") as program:
        tree.file("bin/busybox", program.read(), 0o755)
    applets = subprocess.run([BUSYBOX, "--list"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
    for applet in applets:
        if applet != "busybox":
            tree.symlink("bin/" + applet, "busybox")
    tree.symlink("usr/bin/env", "/bin/busybox")
    tree.file("etc/passwd", PASSWD)
    tree.file("etc/group", GROUP)
    tree.file("www/index.html", page)
    return tree


def make_busybox(folder):
    layout = Layout(folder)
    tree = busybox_tree().bytes()
    config = {"Env": [PATH], "Cmd": ["sh"]}
    packed = layout.layer(tree)
    plain = layout.manifest([packed], config)
    layout.tag("latest", plain)
    layout.tag("zstd", layout.manifest([layout.layer(tree, "zstd")], config))
    layout.tag("plain", layout.manifest([layout.layer(tree, "none")], config))
    layout.tag("docker", layout.manifest([packed], config, docker=True))
    other = Tree()
    other.file("not-for-this-machine", "s390x\n")
    foreign = layout.manifest([layout.layer(other)], config,
                              {"architecture": "s390x", "os": "linux"})
    layout.tag("index", layout.index([foreign, plain]))
    layout.archive(folder + ".tar")


def make_pause(folder):
    layout = Layout(folder)
    tree = Tree()
    with open(BUSYBOX, "rb") as program:
        tree.file("busybox", program.read(), 0o755)
    config = {"Entrypoint": ["/busybox", "sleep", "2147483647"]}
    layout.tag("latest", layout.manifest([layout.layer(tree)], config))


def make_layers(folder):
    layout = Layout(folder)
    base = busybox_tree()
    for name in ("keep", "gone", "opaque", "kind"):
        base.directory(name)
        base.file(name + "/one", name + " one\n")
        base.file(name + "/two", name + " two\n")
    base.directory("kind/was-a-folder")
    base.file("kind/was-a-folder/in", "in\n")
    base.hardlink("keep/linked", "keep/one")
    base.file("setuid", "#!/bin/sh\n", 0o4755, (0, 1000))
    base.file("owned", "owned\n", 0o640, (1234, 5678))
    second = Tree()
    second.file("gone/.wh.one", "")
    second.file("opaque/.wh..wh..opq", "")
    second.file("opaque/three", "opaque three\n")
    second.file("kind/was-a-folder", "a file now\n")
    second.file("keep/.wh.absent", "")
    third = Tree()
    third.file("gone/one", "gone one again\n")
    third.directory("keep", 0o711, (42, 43))
    layers = [layout.layer(t) for t in (base, second, third)]
    layout.tag("latest", layout.manifest(layers, {"Env": [PATH],
                                                  "Cmd": ["sh"]}))


def make_config(folder):
    layout = Layout(folder)
    tree = busybox_tree()
    tree.directory("srv")
    tree.directory("srv/work")
    tree.directory("data")
    tree.file("data/seed", "seed\n", 0o644, (1000, 1000))
    tree.file("entry.sh", """#!/bin/sh
echo "args=$*"
echo "id=$(id -u):$(id -g) groups=$(id -G)"
echo "cwd=$(pwd)"
echo "one=$ONE two=$TWO"
echo "seed=$(cat /data/seed)"
trap 'echo got-usr1; exit 7' USR1
[ "$1" = wait ] && while :; do sleep 0.1; done
exit 0
""", 0o755)
    layout.tag("latest", layout.manifest([layout.layer(tree)], {
        "User": "app", "WorkingDir": "/srv/work", "Entrypoint": ["/entry.sh"],
        "Cmd": ["one", "two words"], "Env": [PATH, "ONE=1", "TWO=a \"b\""],
        "Volumes": {"/data": {}}, "StopSignal": "SIGUSR1",
        "ExposedPorts": {"8080/tcp": {}}, "Labels": {"berth.test": "yes"}}))


MAKERS = {"busybox": make_busybox, "pause": make_pause, "layers": make_layers,
          "config": make_config}
TAGS = {"busybox": ("latest", "zstd", "plain", "docker", "index")}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.
                                     RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("build", "push", "push-one"))
    parser.add_argument("arguments", nargs="+")
    parser.add_argument("--ca")
    parser.add_argument("--user")
    given = parser.parse_args()
    if given.verb == "build":
        for name, make in MAKERS.items():
            make(os.path.join(given.arguments[0], name))
    elif given.verb == "push":
        folder, address = given.arguments
        registry = Registry(address, given.ca, given.user)
        for name in MAKERS:
            for tag in TAGS.get(name, ("latest",)):
                registry.push(os.path.join(folder, name), tag, "test/" + name)
    else:
        layout, tag, address, name = given.arguments[:4]
        as_tag = given.arguments[4] if len(given.arguments) > 4 else None
        registry = Registry(address, given.ca, given.user)
        print(registry.push(layout, tag, name, as_tag))
    return 0


if __name__ == "__main__":
    sys.exit(main())
