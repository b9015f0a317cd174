"""What crun has beside runc's command line and configuration."""
import json
import os
import subprocess

import runtime as rt
from case import RuntimeTest


def ids(*lines):
    return [dict(zip(("containerID", "hostID", "size"), line))
            for line in lines]


class Dialect(RuntimeTest):
    def test_configuration_of_another_name(self):
        r = self.runtime
        b = r.bundle("/bin/echo", "other")
        b.linux["cgroupsPath"] = rt.cgroups_path(c := r.new_id())
        b.save()
        other = os.path.join(b.path, "other.json")
        os.rename(os.path.join(b.path, "config.json"), other)
        self.assertEqual(r.must("run", "--bundle", b.path, "--config", other,
                                c).stdout, "other\n")

    def test_configuration_that_is_missing(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.save()
        self.assertFails(r.call("run", "--bundle", b.path, "--config",
                                "/no/such.json", r.new_id()))

    def test_no_cgroup(self):
        r = self.runtime
        b = r.bundle("/bin/cat", "/proc/self/cgroup")
        c = r.new_id()
        b.save()
        done = r.must("--cgroup-manager", "disabled", "run", "--bundle",
                      b.path, c)
        self.assertNotIn(c, done.stdout)

    def test_no_cgroup_and_no_limits(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.linux["resources"]["memory"] = {"limit": 64 << 20}
        b.save()
        r.must("--cgroup-manager=disabled", "run", "--bundle", b.path,
               r.new_id())

    def test_without_a_cgroup_others_go_on(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        c = r.new_id()
        b.save()
        r.must("--cgroup-manager=disabled", "run", "--detach", "--bundle",
               b.path, c)
        self.assertEqual(r.must("exec", c, "/bin/echo", "x").stdout, "x\n")
        self.assertFails(r.call("pause", c))
        r.must("kill", c, "KILL")
        r.wait_stopped(c)
        r.must("delete", c)

    def test_unknown_manager(self):
        b = self.runtime.bundle("/bin/true")
        b.save()
        self.assertFails(self.runtime.call(
            "--cgroup-manager", "other", "run", "--bundle", b.path,
            self.runtime.new_id()))

    def keeping(self):
        b = self.runtime.bundle("/bin/sleep", "1000")
        b.config["annotations"] = {"run.oci.keep_original_groups": "1"}
        return b

    def with_groups(self, *args):
        r = self.runtime
        done = subprocess.run(
            ["setpriv", "--groups", "7,8"] + r.command + ["--root", r.root] +
            list(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            timeout=60)
        self.assertEqual(done.returncode, 0)
        return done.stdout.decode()

    def test_groups_of_the_caller_are_kept(self):
        r = self.runtime
        b = self.keeping()
        b.process["args"] = ["/bin/id", "-G"]
        c = r.save_new(b)
        out = self.with_groups("run", "--bundle", b.path, c)
        self.assertEqual(set(out.split()), {"0", "7", "8"})

    def test_groups_are_dropped_without_it(self):
        r = self.runtime
        b = r.bundle("/bin/id", "-G")
        c = r.save_new(b)
        out = self.with_groups("run", "--bundle", b.path, c)
        self.assertEqual(out.split(), ["0"])

    def test_groups_of_an_exec_are_kept(self):
        r = self.runtime
        c = r.start_new(self.keeping())
        out = self.with_groups("exec", c, "/bin/id", "-G")
        self.assertEqual(set(out.split()), {"0", "7", "8"})

    def test_files_for_what_hooks_write(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        out, err = (os.path.join(b.path, n) for n in ("out", "err"))
        b.config["annotations"] = {"run.oci.hooks.stdout": out,
                                   "run.oci.hooks.stderr": err}
        b.config["hooks"] = {n: [{"path": "/bin/sh", "args": [
            "sh", "-c", "echo %s; echo %s-err >&2" % (n, n)]}]
            for n in ("prestart", "poststart")}
        self.assertEqual(r.run(b).returncode, 0)
        with open(out) as f:
            self.assertEqual(f.read(), "prestart\npoststart\n")
        with open(err) as f:
            self.assertEqual(f.read(), "prestart-err\npoststart-err\n")

    def test_annotations_that_mean_nothing_here(self):
        b = self.runtime.bundle("/bin/true")
        b.config["annotations"] = {"run.oci.systemd.subgroup": "",
                                   "run.oci.delegate-cgroup": "",
                                   "run.oci.other": "x"}
        self.assertEqual(self.runtime.run(b).returncode, 0)

    def test_unknown_context_type(self):
        b = self.runtime.bundle("/bin/true")
        b.config["annotations"] = {"run.oci.mount_context_type": "other"}
        self.assertFails(self.runtime.run(b), "mount_context_type")

    def test_user_namespace_without_mappings(self):
        b = self.runtime.bundle()
        b.linux["namespaces"].append({"type": "user"})
        out = self.runtime.shell(b, "id -u; cat /proc/self/uid_map")
        self.assertEqual(out.split(), ["0", "0", "0", str(2**32 - 1)])


class MappedByOption(RuntimeTest):
    """idmap=uids=...;gids=..."""

    def owners(self, option, change=lambda b: None):
        r = self.runtime
        b = r.bundle()
        source = os.path.join(b.path, "source")
        os.mkdir(source)
        for uid in (0, 3):
            path = os.path.join(source, "f%d" % uid)
            open(path, "w").close()
            os.chown(path, uid, uid + 10)
        b.config["mounts"].append(
            rt.mount("/mnt", "bind", source, "bind", option))
        change(b)
        b.process["args"] = ["/bin/stat", "-c", "%u:%g", "/mnt/f0", "/mnt/f3"]
        return r.run(b)

    def test_maps(self):
        done = self.owners("idmap=uids=0-1000-10;gids=0-2000-100")
        self.assertEqual(done.stdout.split(), ["1000:2010", "1003:2013"],
                         done.stderr)

    def test_several_ranges(self):
        done = self.owners("idmap=uids=0-1000-1#3-50-1;gids=0-2000-100")
        self.assertEqual(done.stdout.split(), ["1000:2010", "50:2013"],
                         done.stderr)

    def test_relative_to_the_containers(self):
        def change(b):
            b.linux["namespaces"].append({"type": "user"})
            maps = ids((0, 100000, 1000))
            b.linux.update(uidMappings=maps, gidMappings=maps)
            subprocess.run(["chown", "-R", "100000:100000", b.rootfs],
                           check=True)
        done = self.owners("idmap=uids=@0-5-10;gids=@0-20-100", change)
        self.assertEqual(done.stdout.split(), ["5:30", "8:33"], done.stderr)

    def test_bad_ones(self):
        for option in ("idmap=uids=0-1;gids=0-1-1", "idmap=0-1-1",
                       "idmap=uids=a-b-c;gids=0-1-1",
                       "idmap=uids=0-0-0;gids=0-1-1"):
            with self.subTest(option):
                self.assertFails(self.owners(option))


class Links(RuntimeTest):
    """Mounts whose source or destination is a link."""

    def bundle(self, destination, *options):
        b = self.runtime.bundle()
        b.write("etc/real", "real")
        os.symlink("/etc/real", os.path.join(b.path, "link"))
        b.config["mounts"].append(
            rt.mount(destination, "bind", os.path.join(b.path, "link"),
                     "bind", *options))
        return b

    def test_copied(self):
        out = self.runtime.shell(self.bundle("/tmp/l", "copy-symlink"),
                                 "readlink /tmp/l; cat /tmp/l")
        self.assertEqual(out, "/etc/real\nreal")

    def test_copied_to_where_it_is(self):
        b = self.bundle("/tmp/l", "copy-symlink")
        os.symlink("/etc/real", os.path.join(b.rootfs, "tmp/l"))
        self.assertEqual(self.runtime.shell(b, "cat /tmp/l"), "real")

    def test_copied_to_where_something_else_is(self):
        b = self.bundle("/tmp/l", "copy-symlink")
        b.write("tmp/l", "other")
        b.process["args"] = ["/bin/true"]
        self.assertFails(self.runtime.run(b))

    def test_copy_of_what_is_no_link(self):
        b = self.runtime.bundle()
        source = os.path.join(b.path, "file")
        with open(source, "w") as f:
            f.write("text")
        b.config["mounts"].append(
            rt.mount("/tmp/f", "bind", source, "bind", "copy-symlink"))
        self.assertEqual(self.runtime.shell(b, "cat /tmp/f"), "text")

    def test_source_is_not_followed(self):
        out = self.runtime.shell(self.bundle("/tmp/l", "src-nofollow"),
                                 "readlink /tmp/l")
        self.assertEqual(out, "/etc/real\n")

    def test_destination_is_not_followed(self):
        b = self.runtime.bundle()
        source = os.path.join(b.path, "file")
        with open(source, "w") as f:
            f.write("mounted")
        b.write("etc/kept", "kept")
        os.symlink("/etc/kept", os.path.join(b.rootfs, "tmp/l"))
        b.config["mounts"].append(
            rt.mount("/tmp/l", "bind", source, "bind", "dest-nofollow"))
        self.assertEqual(self.runtime.shell(b, "cat /etc/kept; cat /tmp/l"),
                         "keptmounted")

    def test_only_binds_have_a_source(self):
        b = self.runtime.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/tmp", "tmpfs", "tmpfs", "copy-symlink"))
        self.assertFails(self.runtime.run(b))


class Again(RuntimeTest):
    """Mount option remount."""

    def test_size_of_a_tmpfs(self):
        b = self.runtime.bundle()
        b.config["mounts"].append(
            rt.mount("/dev/shm", "tmpfs", "shm", "remount", "size=1m"))
        self.assertIn("size=1024k", self.runtime.shell(
            b, "grep /dev/shm /proc/mounts"))

    def test_where_nothing_is_mounted(self):
        b = self.runtime.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/tmp", "none", "none", "remount", "ro"))
        self.assertFails(self.runtime.run(b))

    def test_read_only(self):
        b = self.runtime.bundle()
        b.config["mounts"].append(
            rt.mount("/dev/shm", "tmpfs", "shm", "remount", "ro"))
        self.assertEqual(self.runtime.shell(
            b, "touch /dev/shm/x || echo refused"), "refused\n")

    def test_unknown_option(self):
        b = self.runtime.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/dev/shm", "tmpfs", "shm", "remount", "no-such"))
        self.assertFails(self.runtime.run(b))


class WithoutMountNamespace(RuntimeTest):
    def bundle(self, *args):
        b = self.runtime.bundle(*args)
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "mount"]
        b.linux.pop("maskedPaths")
        b.linux.pop("readonlyPaths")
        return b

    def tearDown(self):
        super().tearDown()
        # What a peer leaves.
        with open("/proc/self/mounts") as f:
            left = [line.split()[1] for line in f
                    if line.split()[1].startswith(self.runtime.directory)]
        for place in reversed(left):
            subprocess.run(["umount", "--lazy", place], check=False)

    def test_root_is_the_containers(self):
        out = self.runtime.shell(self.bundle(), "ls /; readlink /proc/self/ns/"
                                                "mnt")
        self.assertNotIn("usr", out.split())
        self.assertIn(os.readlink("/proc/self/ns/mnt"), out)

    def test_read_only_root(self):
        b = self.bundle()
        b.config["root"]["readonly"] = True
        self.assertEqual(self.runtime.shell(b, "touch /x || echo refused"),
                         "refused\n")

    def test_no_mount_is_left(self):
        r = self.runtime
        c = r.start_new(b := self.bundle("/bin/sleep", "1000"))
        r.must("delete", "--force", c)
        with open("/proc/self/mounts") as f:
            self.assertNotIn(b.rootfs, f.read())

    def test_no_mount_is_left_by_one_that_fails(self):
        r = self.runtime
        b = self.bundle("/no/such")
        self.assertFails(r.run(b))
        with open("/proc/self/mounts") as f:
            self.assertNotIn(b.rootfs, f.read())

    def test_mounts_of_others_stay(self):
        r = self.runtime
        b = self.bundle("/bin/sleep", "1000")
        subprocess.run(["mount", "--bind", b.rootfs, b.rootfs], check=True)
        try:
            c = r.start_new(b)
            r.must("delete", "--force", c)
            with open("/proc/self/mounts") as f:
                self.assertIn(" %s " % b.rootfs, f.read())
        finally:
            subprocess.run(["umount", b.rootfs], check=True)

    def test_root_below_a_shared_mount_is_private(self):
        r = self.runtime
        b = self.bundle("/bin/sleep", "1000")
        subprocess.run(["mount", "--bind", b.path, b.path], check=True)
        try:
            # With nobody else: a copy of the root would be made there.
            for kind in ("--make-private", "--make-shared"):
                subprocess.run(["mount", kind, b.path], check=True)
            c = r.start_new(b)
            with open("/proc/self/mountinfo") as f:
                lines = [line for line in f if b.rootfs in line]
            r.must("delete", "--force", c)
            self.assertNotEqual(lines, [])
            for line in lines:
                self.assertNotIn("shared:", line)
        finally:
            subprocess.run(["umount", b.path], check=True)

    def test_two_on_one_root(self):
        r = self.runtime
        b = self.bundle("/bin/sleep", "1000")
        first = r.start_new(b)
        b.linux.pop("cgroupsPath")
        second = r.start_new(b)
        r.must("delete", "--force", first)
        self.assertIn("proc", r.must("exec", second, "/bin/ls",
                                     "/proc/self/root").stdout)
        with open("/proc/self/mounts") as f:
            self.assertIn(" %s/proc " % b.rootfs, f.read())
        r.must("delete", "--force", second)

    def test_exec_is_inside(self):
        r = self.runtime
        c = r.start_new(self.bundle("/bin/sleep", "1000"))
        out = r.must("exec", c, "/bin/ls", "/").stdout.split()
        self.assertNotIn("usr", out)
        self.assertIn("proc", out)

    def test_masks_need_one(self):
        b = self.bundle("/bin/true")
        b.linux["maskedPaths"] = ["/proc/keys"]
        self.assertFails(self.runtime.run(b))


class CacheAndBandwidth(RuntimeTest):
    """linux.intelRdt, where the machine has none."""

    def setUp(self):
        super().setUp()
        with open("/proc/self/mountinfo") as f:
            if " resctrl " in f.read():
                self.skipTest("this machine has a resctrl file system")

    def test_refused_by_the_fields_name(self):
        for rdt, words in (
                ({"l3CacheSchema": "L3:0=f"}, "RDT/CAT is not enabled"),
                ({"memBwSchema": "MB:0=20"}, "RDT/MBA is not enabled"),
                ({"closID": "x"}, "RDT is not enabled")):
            with self.subTest(rdt):
                b = self.runtime.bundle("/bin/true")
                b.linux["intelRdt"] = rdt
                self.assertFails(self.runtime.run(b), words)

    def test_names_that_lead_elsewhere(self):
        for name in ("..", ".", "a/b"):
            with self.subTest(name):
                b = self.runtime.bundle("/bin/true")
                b.linux["intelRdt"] = {"closID": name}
                self.assertFails(self.runtime.run(b))

    def test_update(self):
        r = self.runtime
        c = r.start_new(r.bundle("/bin/sleep", "1000"))
        self.assertFails(r.call("update", "--l3-cache-schema", "L3:0=f", c),
                         "not enabled")
        self.assertFails(r.call("update", "--mem-bw-schema", "MB:0=20", c),
                         "not enabled")


class ManyRules(RuntimeTest):
    def test_too_many_to_be_loaded_are_refused_at_once(self):
        b = self.runtime.bundle("/bin/true")
        b.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["personality"],
                          "action": "SCMP_ACT_ERRNO", "args": [
                              {"index": 0, "value": i, "op": "SCMP_CMP_EQ"}]}
                         for i in range(20000)]}
        self.assertFails(self.runtime.run(b), "linux.seccomp.syscalls")

    def test_the_same_one_many_times(self):
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_NE"}]}
        b = self.runtime.bundle()
        b.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                              "syscalls": [rule] * 2000}
        self.assertEqual(self.runtime.shell(
            b, "mkdir /tmp/x || echo refused"), "refused\n")
