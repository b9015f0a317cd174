#!/usr/bin/env python3
"""Exports images that were pulled from a registry, for berth and its peers.

    export_test.py IMAGE_MAIN SUPPORT_FOLDER [unittest arguments]

Run as root, in a mount namespace of its own. Everything is on loopback.
"""
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import unittest

from pull_test import (IMAGES, Registry, Store, listing, setUpModule,
                       tearDownModule)

# What is started in it ends with it.
ALONE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


@contextlib.contextmanager
def daemon(log, answers, *command):
    """Runs while `answers`, a command, has begun to succeed."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen([*ALONE, *command], stdout=output,
                                   stderr=output, stdin=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if process.poll() is not None or subprocess.run(
                    answers, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(command[0] + " does not answer")
        if process.poll() is not None:
            with open(log, encoding="utf-8") as text:
                raise AssertionError(command[0] + " ended: " + text.read())
        yield
    finally:
        process.kill()
        process.wait()


class ExportTest(Store):
    @classmethod
    def setUpClass(cls):
        cls.registry = cls.enterClassContext(Registry("export"))

    def setUp(self):
        super().setUp()
        self.archive = self.folder + "/image.tar"

    def reference(self, name):
        return self.registry.address + "/test/" + name

    def exported(self, name):
        """The id of an image that was pulled, dropped and exported."""
        image = self.ok("pull", self.reference(name)).strip()
        self.ok("export", self.archive, self.reference(name))
        return image

    def peer(self, program):
        if shutil.which(program) is None:
            self.skipTest(program + " is not installed")

    def assert_comes_back(self, image, name, path):
        """On an empty store, without a registry."""
        found = self.with_root(self.reference(name), listing)
        first, self.root = self.root, path + ".store"
        self.assertEqual(self.ok("import", path).split(), [image])
        self.assertIn("  tag " + self.reference(name), self.ok("list"))
        self.assertEqual(self.with_root(self.reference(name), listing), found)
        self.ok("remove", image)
        self.assert_empty()
        self.root = first

    def test_comes_back_as_it_was(self):
        for tag in IMAGES["busybox"]:
            image = self.exported("busybox:" + tag)
            self.assert_comes_back(image, "busybox:" + tag, self.archive)
        image = self.exported("layers:latest")
        self.assert_comes_back(image, "layers:latest", self.archive)
        folder = self.folder + "/layout"
        self.ok("export", folder + "/", self.reference("layers:latest"))
        self.assert_comes_back(image, "layers:latest", folder)

    def test_leaves_no_blob(self):
        for name in ("layers:latest", "busybox:zstd"):
            self.exported(name)
            self.ok("--keep", "pull", self.reference(name))
            self.ok("export", self.archive, self.reference(name))
            self.ok("remove", self.reference(name))
        self.assert_empty()
        self.assertEqual(os.listdir(self.root + "/content/ingest"), [])

    def test_a_kill_on_the_way_leaves_nothing(self):
        image = self.ok("pull", self.reference("layers:latest")).strip()
        for step in ("image.blob.begun", "image.blob.committed"):
            done = self.run_main("export", self.archive, image,
                                 failpoints=step + "=kill")
            self.assertLess(done.returncode, 0, step)
            self.assertFalse(os.path.exists(self.archive), step)
        self.ok("export", self.archive, image)
        self.ok("remove", image)
        self.assert_empty()

    def test_skopeo_reads_both_forms(self):
        self.peer("skopeo")
        image = self.exported("layers:latest")
        for place in ("oci-archive:" + self.archive + ":latest",
                      "docker-archive:" + self.archive):
            config = subprocess.run(
                ["skopeo", "inspect", "--config", "--raw", place], check=True,
                stdout=subprocess.PIPE).stdout
            self.assertEqual("sha256:" + hashlib.sha256(config).hexdigest(),
                             image, place)
            copy = self.folder + "/" + place.split(":")[0]
            subprocess.run(["skopeo", "copy", "--insecure-policy", place,
                            "dir:" + copy], check=True,
                           stdout=subprocess.DEVNULL)

    def test_containerd_imports_it(self):
        self.peer("containerd")
        self.exported("layers:latest")
        with tarfile.open(self.archive) as tar:
            index = json.load(tar.extractfile("index.json"))
        folder = self.folder + "/containerd"
        os.mkdir(folder)
        with open(folder + "/config.toml", "w", encoding="utf-8") as config:
            config.write('version = 2\ndisabled_plugins = '
                         '["io.containerd.grpc.v1.cri"]\n')
        ctr = ["ctr", "--address", folder + "/sock"]
        with daemon(folder + "/log", [*ctr, "version"], "containerd",
                    "--config", folder + "/config.toml", "--root",
                    folder + "/root", "--state", folder + "/state",
                    "--address", folder + "/sock"):
            subprocess.run([*ctr, "images", "import", self.archive],
                           check=True, stdout=subprocess.DEVNULL)
            images = subprocess.run([*ctr, "images", "ls"], check=True,
                                    text=True, stdout=subprocess.PIPE).stdout
        row = [line.split() for line in images.splitlines()
               if line.startswith(self.reference("layers:latest"))]
        self.assertEqual(row[0][2], index["manifests"][0]["digest"], images)

    def test_docker_loads_it(self):
        self.peer("dockerd")
        images = {name: self.ok("pull", self.reference(name)).strip()
                  for name in ("layers:latest", "busybox:latest")}
        self.ok("export", self.archive, *map(self.reference, images))
        folder = self.folder + "/docker"
        os.mkdir(folder)
        docker = ["docker", "-H", "unix://" + folder + "/sock"]
        with daemon(folder + "/log", [*docker, "version"], "dockerd", "-H",
                    "unix://" + folder + "/sock", "--data-root",
                    folder + "/root", "--exec-root", folder + "/exec",
                    "--pidfile", folder + "/pid", "--bridge", "none",
                    "--iptables=false", "--ip6tables=false",
                    "--storage-driver", "overlay2"):
            subprocess.run([*docker, "load", "-i", self.archive], check=True,
                           stdout=subprocess.DEVNULL)
            for name, image in images.items():
                found = subprocess.run(
                    [*docker, "image", "inspect", "-f", "{{.Id}}",
                     self.reference(name)], check=True, text=True,
                    stdout=subprocess.PIPE).stdout.strip()
                self.assertEqual(found, image)


if __name__ == "__main__":
    unittest.main(argv=["export_test.py"] + sys.argv[3:],
                  verbosity=2)
