#!/usr/bin/env python3
"""Pulls real images from Debian's docker-registry, and from servers that fail.

    pull_test.py IMAGE_MAIN SUPPORT_FOLDER [unittest arguments]

Run as root, in a mount namespace of its own. Everything is on loopback.
"""
import glob
import hashlib
import http.server
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from layout_server import Handler, LayoutServer

PROGRAM, SUPPORT = (os.path.abspath(path) for path in sys.argv[1:3])
IMAGES = {"busybox": ("latest", "zstd", "plain", "docker", "index"),
          "layers": ("latest",), "config": ("latest",)}
SCRATCH = ""


def setUpModule():
    global SCRATCH
    SCRATCH = tempfile.mkdtemp(prefix="berth-pull-", dir="/tmp")
    subprocess.run([sys.executable, SUPPORT + "/images.py", "build",
                    SCRATCH + "/layouts"], check=True)


def tearDownModule():
    shutil.rmtree(SCRATCH)


class Registry:
    """A docker-registry with the images of images.py in it."""

    def __init__(self, name, *options):
        self.folder = os.path.join(SCRATCH, name)
        self.options = options

    def _call(self, *words):
        return subprocess.run([SUPPORT + "/registry.sh", words[0], self.folder,
                               *words[1:]], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def _start(self, *options):
        lines = self._call("start", *options).split()
        values = dict(line.split("=", 1) for line in lines)
        self.address = values["ADDRESS"]
        self.ca = values.get("CA")

    def __enter__(self):
        # Filled without any of the options that make pushing hard.
        self._start()
        for layout, tags in IMAGES.items():
            for tag in tags:
                for name in ("test/", "public/"):
                    subprocess.run(
                        [sys.executable, SUPPORT + "/images.py", "push-one",
                         SCRATCH + "/layouts/" + layout, tag, self.address,
                         name + layout, tag], check=True,
                        stdout=subprocess.DEVNULL)
        if self.options:
            self._call("stop")
            self._start(*self.options)
        return self

    def __exit__(self, *_):
        self._call("stop")


def listing(root):
    """What two unpackings of one image have in common."""
    rows, inodes = [], {}
    for folder, folders, files in os.walk(root):
        for path in [folder] + [os.path.join(folder, f) for f in
                                files + [d for d in folders if os.path.islink(
                                    os.path.join(folder, d))]]:
            info = os.lstat(path)
            name = os.path.relpath(path, root)
            row = [name, oct(info.st_mode), info.st_uid, info.st_gid]
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as f:
                    row.append(hashlib.sha256(f.read()).hexdigest())
                row.append(inodes.setdefault(info.st_ino, name))
            elif stat.S_ISLNK(info.st_mode):
                row.append(os.readlink(path))
            elif not stat.S_ISDIR(info.st_mode):
                row.append(info.st_rdev)
            rows.append(row)
    return sorted(rows, key=str)


class Store(unittest.TestCase):
    """A test with a store of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=SCRATCH)
        self.root = self.folder + "/root"
        self.addCleanup(shutil.rmtree, self.folder)

    def run_main(self, *words, failpoints=""):
        return subprocess.run(
            [PROGRAM, "--root", self.root, *words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "BERTH_FAILPOINTS": failpoints}, timeout=120)

    def ok(self, *words):
        done = self.run_main(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, code, *words):
        done = self.run_main(*words)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertTrue(done.stderr.startswith(code + ":"), done.stderr)
        return done.stderr

    def with_root(self, reference, look):
        mount = self.folder + "/mnt"
        self.ok("mount", reference, mount)
        try:
            return look(mount)
        finally:
            self.ok("umount", mount)

    def assert_empty(self):
        self.ok("gc")
        self.assertEqual(self.ok("list"), "")
        for place in ("snapshots", "content/blobs/sha256", "import"):
            self.assertEqual(os.listdir(self.root + "/" + place), [], place)


class AnonymousTest(Store):
    @classmethod
    def setUpClass(cls):
        cls.registry = cls.enterClassContext(Registry("anonymous"))

    def reference(self, name):
        return self.registry.address + "/test/" + name

    def test_unpacks_as_umoci_does(self):
        if shutil.which("umoci") is None:
            self.skipTest("umoci is not installed")
        for name, tag in (("busybox", "latest"), ("layers", "latest"),
                          ("config", "latest")):
            bundle = self.folder + "/bundle"
            subprocess.run(["umoci", "unpack", "--image",
                            SCRATCH + "/layouts/" + name + ":" + tag, bundle],
                           check=True, stdout=subprocess.DEVNULL)
            self.ok("pull", self.reference(name))
            found = self.with_root(self.reference(name), listing)
            self.assertEqual(found, listing(bundle + "/rootfs"))
            shutil.rmtree(bundle)

    def test_takes_every_compression_media_type_and_platform(self):
        ids = {tag: self.ok("pull", self.reference("busybox:" + tag)).strip()
               for tag in IMAGES["busybox"]}
        # The same layer in other clothes: one root file system.
        self.assertEqual(len(set(ids.values())), 1, ids)
        self.assertEqual(len(os.listdir(self.root + "/snapshots")), 1)
        for tag in IMAGES["busybox"]:
            self.assertIn("busybox:" + tag, self.ok("list"))

    def test_names_an_image_by_tag_digest_and_id(self):
        image = self.ok("pull", self.reference("busybox")).strip()
        digest = [line.split()[1] for line in self.ok("list").splitlines()
                  if line.startswith("  digest")][0]
        for name in (self.reference("busybox"), digest, image, image[7:],
                     image[7:19]):
            self.assertIn("app:", self.ok("cat", name, "/etc/passwd"))
        self.ok("remove", digest)
        self.assert_empty()
        self.assertEqual(self.ok("pull", digest).strip(), image)
        self.assertNotIn("  tag", self.ok("list"))

    def test_says_what_is_missing(self):
        self.assertIn("MANIFEST_UNKNOWN",
                      self.fails("NOT_FOUND", "pull",
                                 self.reference("busybox:none")))
        self.fails("NOT_FOUND", "pull", self.reference("nobody"))
        self.fails("INVALID_ARGUMENT", "pull", "Not/A/Name")

    def test_keeps_the_root_of_a_container_whose_image_is_removed(self):
        self.ok("pull", self.reference("layers"))
        mount = self.folder + "/mnt"
        self.ok("mount", self.reference("layers"), mount)
        try:
            self.ok("remove", self.reference("layers"))
            self.ok("gc")
            self.assertTrue(os.path.exists(mount + "/bin/busybox"))
        finally:
            self.ok("umount", mount)
        self.assert_empty()

    def test_mounts_a_volatile_root_again(self):
        self.ok("pull", self.reference("layers"))
        mount = self.folder + "/mnt"
        words = ("mount", self.reference("layers"), mount, "--volatile_root")
        self.ok(*words)
        try:
            with open("/proc/self/mountinfo", encoding="utf-8") as file:
                found = [line for line in file if " " + mount + " " in line]
            self.assertIn("volatile", found[0])
            with open(mount + "/written", "w", encoding="ascii"):
                pass
            subprocess.run(["umount", mount], check=True)
            self.ok(*words)
            self.assertTrue(os.path.exists(mount + "/written"))
        finally:
            self.ok("umount", mount)
        self.ok("remove", self.reference("layers"))
        self.assert_empty()

    def test_a_kill_at_any_step_leaves_nothing_in_the_way(self):
        steps = ("image.pull.manifest", "image.pull.blob",
                 "image.layer.unpacked", "image.layer.committed",
                 "image.layer.committed=kill@2", "image.pull.sync",
                 "image.pull.name")
        for step in steps:
            arm = step if "=" in step else step + "=kill"
            done = self.run_main("pull", self.reference("layers"),
                                 failpoints=arm.replace("=kill@", "=kill@"))
            self.assertEqual(done.returncode, -signal.SIGKILL, step)
            self.ok("pull", self.reference("layers"))
            found = self.with_root(self.reference("layers"),
                                   lambda root: len(listing(root)))
            self.assertGreater(found, 100, step)
            self.ok("remove", self.reference("layers"))
            self.assert_empty()


class SecretTest(Store):
    def test_basic_authentication(self):
        with Registry("basic", "--auth", "basic") as registry:
            name = registry.address + "/test/busybox"
            self.assertIn("unauthorized",
                          self.fails("UNAUTHENTICATED", "pull", name))
            wrong = self.fails("UNAUTHENTICATED", "--user", "tester",
                               "--password", "wrongpw", "pull", name)
            self.assertNotIn("wrongpw", wrong)
            self.ok("--user", "tester", "--password", "secret", "pull", name)

    def test_tokens(self):
        with Registry("token", "--auth", "token") as registry:
            name = registry.address + "/test/busybox"
            self.ok("pull", registry.address + "/public/busybox")
            self.fails("UNAUTHENTICATED", "pull", name)
            self.fails("UNAUTHENTICATED", "--user", "tester", "--password",
                       "no", "pull", name)
            self.ok("--user", "tester", "--password", "secret", "pull", name)

    def test_credential_file(self):
        with Registry("file", "--auth", "basic") as registry:
            path = self.folder + "/auth.json"
            with open(path, "w", encoding="ascii") as f:
                json.dump({"auths": {
                    "other.test": {"auth": "bm90OnRoaXM="},
                    registry.address: {"auth": "dGVzdGVyOnNlY3JldA=="}}}, f)
            self.ok("--credential_file", path, "pull",
                    registry.address + "/test/busybox")

    def test_tls_trusts_only_who_is_configured(self):
        with Registry("tls", "--tls", "--auth", "basic") as registry:
            name = registry.address + "/test/busybox"
            secret = ("--user", "tester", "--password", "secret")
            self.assertIn("certificate", self.fails(
                "FAILED_PRECONDITION", *secret, "pull", name))
            certs = self.folder + "/certs.d"
            folder = certs + "/" + registry.address
            os.makedirs(folder)
            config = ("--registry_config", certs)
            # Docker's way, without hosts.toml.
            shutil.copy(registry.ca, folder + "/ca.crt")
            self.ok(*secret, *config, "pull", name)
            with open(folder + "/hosts.toml", "w", encoding="ascii") as f:
                f.write('server = "https://%s"\nca = "%s"\n' % (
                    registry.address, registry.ca))
            self.ok(*secret, *config, "pull", name)
            with open(folder + "/hosts.toml", "w", encoding="ascii") as f:
                f.write('server = "https://%s"\nskip_verify = true\n' %
                        registry.address)
            self.ok(*secret, *config, "pull", name)
            with open(folder + "/hosts.toml", "w", encoding="ascii") as f:
                f.write('server = "https://x"\nca = [oops\n')
            self.assertIn("line 2", self.fails(
                "INVALID_ARGUMENT", *secret, *config, "pull", name))


class Faulty(Handler):
    """A layout server that breaks off, ignores ranges, or lies."""
    mode = ""
    seen = []
    # Of mode "pause": what to wait for half-way, and whether it came.
    condition = None
    came = False

    def pause(self, body):
        """Half of the body, and the other when something has happened."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        limit = time.monotonic() + 20
        while not Faulty.condition() and time.monotonic() < limit:
            time.sleep(0.01)
        Faulty.came = Faulty.condition()
        self.wfile.write(body[len(body) // 2:])

    def do_GET(self):
        Faulty.seen.append((self.path, dict(self.headers)))
        return super().do_GET()

    def reply(self, code, body=b"", kind="application/octet-stream", more=()):
        wanted = self.headers.get("Range")
        if "/blobs/" not in self.path or len(body) < 10000:
            return super().reply(code, body, kind, more)
        if Faulty.mode == "lie":
            return super().reply(code, body[:-1] + b"X", kind, more)
        if Faulty.mode == "pause":
            return self.pause(body)
        start = int(wanted[6:-1]) if wanted else 0
        if start and Faulty.mode == "no-ranges":
            return super().reply(code, body, kind, more)
        if start:
            return super().reply(206, body[start:], kind, [
                ("Content-Range", "bytes %d-%d/%d" % (
                    start, len(body) - 1, len(body)))])
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        self.close_connection = True
        return None


class FaultTest(Store):
    def setUp(self):
        super().setUp()
        Faulty.seen.clear()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
        self.server.folder, self.server.paths = SCRATCH + "/layouts", []
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.addCleanup(self.stop)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def test_goes_on_where_a_connection_broke(self):
        Faulty.mode = "break"
        self.ok("pull", self.address + "/busybox:latest")
        ranges = [h["Range"] for _, h in Faulty.seen if "Range" in h]
        self.assertEqual(len(ranges), 1, Faulty.seen)

    def test_goes_on_in_another_run(self):
        Faulty.mode = "break"
        self.fails("UNAVAILABLE", "--tries", "1", "pull",
                   self.address + "/busybox:latest")
        self.assertEqual(self.ok("list"), "")
        self.ok("pull", self.address + "/busybox:latest")
        ranges = [h["Range"] for _, h in Faulty.seen if "Range" in h]
        self.assertEqual(len(ranges), 1, Faulty.seen)

    def test_takes_a_server_that_ignores_ranges(self):
        Faulty.mode = "no-ranges"
        self.ok("pull", self.address + "/busybox:latest")

    def test_refuses_bytes_that_do_not_match(self):
        Faulty.mode = "lie"
        self.fails("DATA_LOSS", "pull", self.address + "/busybox:latest")
        self.assert_empty()

    def test_unpacks_what_has_come_while_the_rest_is_on_its_way(self):
        Faulty.mode = "pause"
        Faulty.condition = lambda: glob.glob(self.root + "/snapshots/*/bin")
        self.ok("pull", self.address + "/busybox:latest")
        self.assertTrue(Faulty.came)

    def test_begins_anew_after_a_mirror_that_lied(self):
        Faulty.mode = "lie"
        folder = self.folder + "/certs.d/registry.test"
        os.makedirs(folder)
        with LayoutServer(SCRATCH + "/layouts") as good:
            with open(folder + "/hosts.toml", "w", encoding="ascii") as file:
                file.write('server = "http://127.0.0.1:1"\n'
                           '[host."http://%s"]\n[host."http://%s"]\n' %
                           (self.address, good.address))
            self.ok("--registry_config", self.folder + "/certs.d", "--tries",
                    "1", "pull", "registry.test/busybox:latest")
            self.assertTrue(any("/blobs/" in path for path in good.paths))

    def test_a_dead_registry_is_unavailable(self):
        self.assertIn("RegistryUnavailable", self.fails(
            "UNAVAILABLE", "--tries", "1", "pull", "127.0.0.1:1/a/b"))


class MirrorTest(Store):
    def configure(self, host, text):
        folder = self.folder + "/certs.d/" + host
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/hosts.toml", "w", encoding="ascii") as f:
            f.write(text)
        return ("--registry_config", self.folder + "/certs.d", "--tries", "1")

    def test_asks_mirrors_in_order_and_names_the_image_by_its_registry(self):
        with LayoutServer(SCRATCH + "/layouts") as mirror:
            config = self.configure("registry.test", """
server = "http://127.0.0.1:1"
[host."http://127.0.0.1:2"]
  capabilities = ["pull", "resolve"]
[host."http://%s"]
  capabilities = ["pull", "resolve"]
  [host."http://%s".header]
    X-Mirror = "yes"
""" % (mirror.address, mirror.address))
            self.ok(*config, "--user", "a", "--password", "b", "pull",
                    "registry.test/busybox:latest")
            self.assertIn("tag registry.test/busybox:latest", self.ok("list"))
            self.assertTrue(all("ns=registry.test" in path
                                for path in mirror.paths), mirror.paths)

    def test_the_default_folder_is_for_all_others(self):
        with LayoutServer(SCRATCH + "/layouts") as mirror:
            config = self.configure(
                "_default", '[host."http://%s"]\n' % mirror.address)
            self.ok(*config, "pull", "any.test/busybox:latest")

    def test_a_mirror_without_the_capability_is_not_asked_for_tags(self):
        with LayoutServer(SCRATCH + "/layouts") as mirror:
            config = self.configure("registry.test", """
server = "http://127.0.0.1:1"
[host."http://%s"]
  capabilities = ["pull"]
""" % mirror.address)
            self.fails("UNAVAILABLE", *config, "pull",
                       "registry.test/busybox:latest")
            self.assertEqual(mirror.paths, [])


class ImportTest(Store):
    def test_layouts_and_archives(self):
        layout = SCRATCH + "/layouts/busybox"
        first = self.ok("import", layout, "example.test/busybox")
        second = self.ok("import", layout + ".tar", "example.test/again")
        self.assertEqual(set(first.split()), set(second.split()))
        self.assertIn("tag example.test/again:latest", self.ok("list"))
        # Without a name it has its id.
        self.assertEqual(set(first.split()),
                         set(self.ok("import", layout).split()))

    def test_docker_archives(self):
        if shutil.which("skopeo") is None:
            self.skipTest("skopeo is not installed")
        archive = self.folder + "/docker.tar"
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy",
                        "oci:" + SCRATCH + "/layouts/layers:latest",
                        "docker-archive:" + archive + ":test/layers:v1"],
                       check=True)
        self.ok("import", archive)
        self.assertIn("tag docker.io/test/layers:v1", self.ok("list"))
        self.ok("import", SCRATCH + "/layouts/layers", "x.test/layers")
        self.assertEqual(self.with_root("test/layers:v1", listing),
                         self.with_root("x.test/layers:latest", listing))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
