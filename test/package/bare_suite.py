#!/usr/bin/python3
"""The Debian package in a bare root without systemd: run.sh.

The tests go on from each other, in the order of their names.
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

SHARE = os.environ["PACKAGE_SHARE"]
CONFIG = "/etc/berth/berth.conf"
# What apt and dpkg keep for themselves, and what others write.
NOT_OURS = re.compile("/(proc|sys|dev|tmp|run/lock|var/(cache|log|lib/(dpkg|apt)"
                      "|backups)|usr/share/doc/.*|etc/(group|gshadow|passwd|"
                      "shadow)-?|etc/ld.so.cache)(/|$)")


def setUpModule():
    global ROOT, before
    ROOT = tempfile.mkdtemp(prefix="bare.", dir=SHARE)
    subprocess.run(["tar", "-C", ROOT, "-xf", os.environ["PACKAGE_BASE"]],
                   check=True)
    shutil.copy("/etc/resolv.conf", ROOT + "/etc/resolv.conf")
    for kind, place in (("proc", "/proc"), ("tmpfs", "/run")):
        subprocess.run(["mount", "-t", kind, kind, ROOT + place], check=True)
    for name in ("berth", "later", "earlier"):
        shutil.copy("%s/%s.deb" % (SHARE, name), ROOT)
    run("apt-get", "update", "-qq")
    # First what it needs, so that what it brings itself is seen.
    planned = run("apt-get", "-s", "install", "--no-install-recommends",
                  "/berth.deb")
    names = [line.split()[1] for line in planned.splitlines()
             if line.startswith("Inst ")]
    names.remove("berth")
    if names:
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends",
            *names)
    before = files()


def run(*command, ok=True):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
           "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["chroot", ROOT, *command], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600)
    text = done.stdout.decode()
    if ok and done.returncode != 0:
        raise AssertionError("%s: %s" % (" ".join(command), text))
    return text.strip()


def files():
    found = set()
    for folder, folders, names in os.walk(ROOT):
        at = folder[len(ROOT):]
        folders[:] = [f for f in folders if not NOT_OURS.match(at + "/" + f)]
        found.update(at + "/" + name for name in folders + names
                     if not NOT_OURS.match(at + "/" + name))
    return found


def dpkg(*arguments):
    return run("dpkg", "--force-confold", *arguments)


class Bare(unittest.TestCase):
    def setUp(self):
        self.maxDiff = None

    def in_root(self, path):
        return ROOT + path

    def version(self):
        return run("dpkg-query", "-W", "-f", "${Status} ${Version}", "berth")

    def test_1_installs(self):
        dpkg("-i", "/berth.deb")
        self.assertIn("install ok installed 0.1.0", self.version())
        self.assertIn("berthd ", run("berthd", "--version"))
        self.assertIn("berth-oci version", run("berth-oci", "--version"))
        for program in ("berthd", "berth-shim", "berth-oci"):
            self.assertNotIn("not found", run("ldd", "/usr/bin/" + program,
                                              ok=False))
        self.assertIn("docker:", run("getent", "group", "docker"))

    def test_2_is_complete(self):
        self.assertEqual(run("berthd", "config", "check", CONFIG),
                         CONFIG + ": ok")
        self.assertIn(CONFIG, run("dpkg-query", "-W", "-f", "${Conffiles}",
                                  "berth"))
        for path in ("man/man8/berthd.8.gz", "man/man8/berth-oci.8.gz",
                     "man/man5/berth.conf.5.gz", "doc/berth/copyright",
                     "bash-completion/completions/berthd",
                     "zsh/vendor-completions/_berth-oci",
                     "fish/vendor_completions.d/berthd.fish"):
            # Of doc a bare root may keep nothing.
            if not path.startswith("doc"):
                self.assertTrue(os.path.exists(
                    self.in_root("/usr/share/" + path)), path)
        for unit in ("berthd.service", "berthd.socket"):
            self.assertTrue(os.path.exists(
                self.in_root("/usr/lib/systemd/system/" + unit)), unit)
        wants = "/etc/systemd/system/%s.wants/%s"
        for target, unit in (("multi-user.target", "berthd.service"),
                             ("sockets.target", "berthd.socket")):
            self.assertTrue(os.path.islink(
                self.in_root(wants % (target, unit))), unit)

    def test_3_the_configuration_says_the_defaults(self):
        # All of it set, it is what is in force without it.
        with open(self.in_root(CONFIG)) as f:
            lines = f.read().splitlines()
        with open(self.in_root("/tmp/all.conf"), "w") as f:
            f.write("\n".join(re.sub(r"^(\s*)#(?=\S)", r"\1", line)
                              for line in lines) + "\n")
        self.assertEqual(run("berthd", "config", "check", "/tmp/all.conf"),
                         "/tmp/all.conf: ok")
        settings = [line for line in lines if re.match(r"\s*#\w+:", line)]
        self.assertGreater(len(settings), 40)

    def test_4_completion_and_manuals_are_read(self):
        share = self.in_root("/usr/share/")
        for name in ("berthd", "berth-oci"):
            script = share + "bash-completion/completions/" + name
            subprocess.run(["bash", "-n", script], check=True)
        said = subprocess.run(
            ["bash", "-c", '. "$1"; COMP_WORDS=(berthd image ""); COMP_CWORD=2;'
             ' _berthd; echo "${COMPREPLY[@]}"; . "$2"; COMP_WORDS=(berth-oci '
             'kill --); COMP_CWORD=2; _berth_oci; echo "${COMPREPLY[@]}"',
             "bash", share + "bash-completion/completions/berthd",
             share + "bash-completion/completions/berth-oci"],
            check=True, stdout=subprocess.PIPE).stdout.decode().split("\n")
        self.assertEqual(said[0], "import export")
        self.assertIn("--all", said[1])
        if not shutil.which("man"):
            return
        for page in ("man8/berthd.8", "man8/berth-oci.8", "man5/berth.conf.5"):
            done = subprocess.run(
                ["man", "--warnings", "-l", share + "man/" + page + ".gz"],
                env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80"),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (0, b""), page)
            self.assertIn(b"SEE ALSO", done.stdout)

    def test_5_upgrades_and_downgrades(self):
        with open(self.in_root(CONFIG), "a") as f:
            f.write("# mine\n")
        dpkg("-i", "/later.deb")
        self.assertIn("installed 9:9", self.version())
        dpkg("--force-downgrade", "-i", "/earlier.deb")
        self.assertIn("installed 0~0", self.version())
        dpkg("-i", "/berth.deb")
        with open(self.in_root(CONFIG)) as f:
            self.assertTrue(f.read().endswith("# mine\n"))

    def test_6_removed_it_keeps_its_configuration(self):
        os.makedirs(self.in_root("/var/lib/berth/content"))
        dpkg("-r", "berth")
        self.assertIn("config-files", self.version())
        self.assertTrue(os.path.exists(self.in_root(CONFIG)))
        self.assertTrue(os.path.exists(self.in_root("/var/lib/berth")))
        self.assertFalse(os.path.exists(self.in_root("/usr/bin/berthd")))

    def test_7_purged_it_leaves_nothing(self):
        os.makedirs(self.in_root("/etc/berth/berth.conf.d"))
        dpkg("-P", "berth")
        self.assertEqual(sorted(files() - before), [])
        self.assertEqual(run("getent", "group", "docker", ok=False), "")

    def test_8_the_group_of_others_stays(self):
        run("groupadd", "--system", "docker")
        run("useradd", "--groups", "docker", "somebody")
        dpkg("-i", "/berth.deb")
        dpkg("-P", "berth")
        self.assertIn("somebody", run("getent", "group", "docker"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
