"""Mounts that do more than show what is elsewhere."""
import json
import os
import tempfile

import runtime as rt
from case import RuntimeTest


def ids(host):
    return [{"containerID": 0, "hostID": host, "size": 65536}]


class Mounts(RuntimeTest):
    def test_tmpfs_begins_as_a_copy(self):
        r = self.runtime
        b = r.bundle()
        os.makedirs(os.path.join(b.rootfs, "data/deep"))
        b.write("data/deep/file", "text", 0o640)
        os.chown(os.path.join(b.rootfs, "data/deep/file"), 5, 6)
        os.symlink("/etc/passwd", os.path.join(b.rootfs, "data/link"))
        b.config["mounts"].append(
            rt.mount("/data", "tmpfs", "tmpfs", "tmpcopyup"))
        out = r.shell(b, "cat /data/deep/file; "
                         "stat -c ' %u:%g %a' /data/deep/file; "
                         "readlink /data/link; echo x > /data/new; "
                         "grep -c ' /data tmpfs ' /proc/mounts")
        self.assertEqual(out, "text 5:6 640\n/etc/passwd\n1\n")
        self.assertFalse(os.path.exists(os.path.join(b.rootfs, "data/new")))

    def test_copy_needs_a_tmpfs(self):
        b = self.runtime.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/tmp", "bind", "/tmp", "rbind", "tmpcopyup"))
        self.assertFails(self.runtime.run(b), "tmpcopyup")

    def mapped(self, script, options, mappings, userns=None):
        """Output and the owner on the host of a file that is made there."""
        r = self.runtime
        with tempfile.TemporaryDirectory(dir=r.directory) as volume:
            os.chmod(volume, 0o755)
            with open(os.path.join(volume, "old"), "w"):
                pass
            b = r.bundle()
            mount = rt.mount("/v", "bind", volume, *options)
            if mappings:
                mount.update(uidMappings=mappings, gidMappings=mappings)
            b.config["mounts"].append(mount)
            if userns:
                b.linux["namespaces"].append({"type": "user"})
                b.linux.update(uidMappings=userns, gidMappings=userns)
                os.chmod(b.path, 0o711)
                for folder, names, files in os.walk(b.rootfs):
                    for name in [folder] + [os.path.join(folder, n)
                                            for n in names + files]:
                        os.lchown(name, userns[0]["hostID"],
                                  userns[0]["hostID"])
            try:
                out = r.shell(b, script)
            except AssertionError as e:
                if "its file system cannot" in str(e):
                    self.skipTest("tmpfs of an old kernel")
                raise
            made = os.path.join(volume, "new")
            return out, os.stat(made).st_uid if os.path.exists(made) else None

    def test_mapped_ids(self):
        out, _ = self.mapped("stat -c %u:%g /v/old", ["rbind"], ids(70000))
        self.assertEqual(out, "70000:70000\n")

    def test_mapped_to_the_containers_namespace(self):
        script = "stat -c %u:%g /v/old; echo x > /v/new; stat -c %u /v/new"
        for options, mappings in ((["rbind", "idmap"], None),
                                  (["rbind", "ridmap"], ids(80000)),
                                  (["bind"], ids(80000))):
            with self.subTest(options):
                self.assertEqual(
                    self.mapped(script, options, mappings, ids(80000)),
                    ("0:0\n0\n", 0))

    def test_map_of_nothing_is_refused(self):
        b = self.runtime.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/tmp", "bind", "/tmp", "bind", "idmap"))
        self.assertFails(self.runtime.run(b), "idmap")
        b = self.runtime.bundle("/bin/true")
        mount = rt.mount("/tmp", "tmpfs", "tmpfs")
        mount.update(uidMappings=ids(7), gidMappings=ids(7))
        b.config["mounts"].append(mount)
        self.assertFails(self.runtime.run(b))

    def test_features_say_so(self):
        r = self.runtime
        if r.name() != "berth-oci":
            self.skipTest("of other features")
        features = json.loads(r.must("features").stdout)
        for option in ("idmap", "ridmap", "tmpcopyup"):
            self.assertIn(option, features["mountOptions"])
        self.assertIn("remount", features["mountOptions"])
        self.assertTrue(
            features["linux"]["mountExtensions"]["idmap"]["enabled"])


class Updates(RuntimeTest):
    def test_are_remembered(self):
        r = self.runtime
        if r.name() != "berth-oci":
            self.skipTest("reads the runtime's own state")
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"]["pids"] = {"limit": 77}
        c = r.start_new(b)
        r.must("update", "--memory", "64m", "--cpu-quota", "20000", c)
        r.must("update", "--cpu-period", "50000", c)
        with open(os.path.join(r.root, c, "config.json")) as f:
            saved = json.load(f)["linux"]["resources"]
        self.assertEqual(saved["memory"]["limit"], 64 << 20)
        self.assertEqual(saved["cpu"], {"quota": 20000, "period": 50000})
        self.assertEqual(saved["pids"]["limit"], 77)
        # What failed is not.
        self.assertFails(r.call("update", "--cpuset-cpus", "9999", c))
        r.must("exec", c, "/bin/true")
        with open(os.path.join(r.root, c, "config.json")) as f:
            self.assertEqual(json.load(f)["linux"]["resources"], saved)
