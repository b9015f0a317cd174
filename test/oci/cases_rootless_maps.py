"""Ids that an ordinary user has beside its own, and user namespaces in which
the runtime is root.
"""
import os
import subprocess

import runtime as rt
import user_runtime as user
from cases_rootless import UserTest, needs_maps
from user_runtime import GID, SUB, UID


@needs_maps
class RootlessMaps(UserTest):
    """Subordinate ids, which newuidmap and newgidmap map."""

    def shell(self, script, change=lambda b: None):
        b = self.runtime.bundle()
        self.runtime.map_more(b)
        change(b)
        return self.runtime.shell(b, script)

    def test_maps(self):
        out = self.shell("cat /proc/self/uid_map /proc/self/gid_map "
                         "/proc/self/setgroups")
        self.assertEqual(out.split(), [
            "0", str(UID), "1", "1", str(SUB), "1000",
            "0", str(GID), "1", "1", str(SUB), "1000", "allow"])

    def test_another_user(self):
        r = self.runtime
        b = r.bundle()
        r.map_more(b)
        b.process["user"] = {"uid": 5, "gid": 6}
        os.chmod(os.path.join(b.rootfs, "tmp"), 0o777)
        self.assertEqual(r.shell(b, "id -u; id -g; touch /tmp/m").split(),
                         ["5", "6"])
        st = os.stat(os.path.join(b.rootfs, "tmp/m"))
        self.assertEqual((st.st_uid, st.st_gid), (SUB + 4, SUB + 5))

    def test_additional_groups(self):
        out = self.shell("id -G", lambda b: b.process["user"].update(
            additionalGids=[7, 8]))
        self.assertEqual(set(out.split()), {"0", "7", "8"})

    def test_several_ranges(self):
        maps = user.ids((0, SUB, 10), (10, UID, 1), (20, SUB + 100, 50))
        groups = user.ids((0, SUB, 10), (10, GID, 1), (20, SUB + 100, 50))
        out = self.shell("id -u", lambda b: (
            b.linux.update(uidMappings=maps, gidMappings=groups),
            b.process["user"].update(uid=10, gid=10)))
        self.assertEqual(out, "10\n")

    def test_root_is_a_subordinate_id(self):
        r = self.runtime
        b = r.bundle()
        b.linux.update(uidMappings=user.ids((0, SUB, 10)),
                       gidMappings=user.ids((0, SUB, 10)))
        os.chmod(os.path.join(b.rootfs, "tmp"), 0o777)
        r.shell(b, "touch /tmp/m")
        self.assertEqual(os.stat(os.path.join(b.rootfs, "tmp/m")).st_uid, SUB)

    def test_ids_beyond_the_users(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.linux["uidMappings"] = user.ids((0, SUB - 1, 10))
        self.assertFails(r.run(b), "newuidmap")

    def test_exec_as_another_user(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        r.map_more(b)
        c = r.start_new(b)
        out = r.must("exec", "--user", "5:6", c, "/bin/sh", "-c",
                     "id -u; id -g; cat /proc/self/setgroups").stdout
        self.assertEqual(out.split(), ["5", "6", "allow"])

    def test_exec_into_a_container_of_another_user(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        r.map_more(b)
        b.process["user"] = {"uid": 5, "gid": 6}
        c = r.start_new(b)
        self.assertEqual(r.must("exec", "--user", "0:0", c, "/bin/id",
                                "-u").stdout, "0\n")
        r.must("kill", c, "KILL")
        r.wait_stopped(c)

    def test_streams_belong_to_the_user(self):
        r = self.runtime
        b = r.bundle("/bin/sh", "-c", "echo x > /dev/stdout")
        r.map_more(b)
        b.process["user"] = {"uid": 5, "gid": 6}
        # The pipe is the user's own too.
        line = r.command + ["--root", r.root, "run", "--bundle", b.path,
                            r.save_new(b)]
        done = subprocess.run(
            r.prefix + ["sh", "-c", '"$@" | cat', "sh"] + line,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=r.environment(), timeout=60)
        self.assertEqual(done.stdout, b"x\n")


class CrunsMaps(UserTest):
    """A user namespace whose mappings nobody has said."""

    def without(self, *args):
        b = self.runtime.bundle(*args)
        del b.linux["uidMappings"], b.linux["gidMappings"]
        return b

    @needs_maps
    def test_of_a_user(self):
        out = self.runtime.shell(self.without(), "cat /proc/self/uid_map")
        self.assertEqual(out.split(), ["0", str(UID), "1", "1", str(SUB),
                                       str(user.SUB_COUNT)])

    @needs_maps
    def test_of_a_user_around_the_process(self):
        b = self.without()
        b.process["user"] = {"uid": 100, "gid": 100}
        out = self.runtime.shell(b, "id -u; cat /proc/self/uid_map")
        self.assertEqual(out.split(), [
            "100", "0", str(SUB), "100", "100", str(UID), "1",
            "101", str(SUB + 100), str(user.SUB_COUNT - 100)])

    @needs_maps
    def test_without_a_user_namespace(self):
        b = self.without()
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "user"]
        self.assertEqual(self.runtime.shell(b, "id -u"), "0\n")


class InsideUserNamespace(UserTest):
    """The runtime is root, but of a user namespace, as podman's is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runtime.inside_user_namespace()

    def bundle(self, *args):
        b = self.runtime.bundle(*args)
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "user"]
        del b.linux["uidMappings"], b.linux["gidMappings"]
        return b

    def test_without_another_one(self):
        out = self.runtime.shell(self.bundle(), "id -u; "
                                 "cat /proc/self/uid_map")
        self.assertEqual(out.split(), ["0", "0", str(UID), "1"])

    def test_devices_are_bound(self):
        out = self.runtime.shell(
            self.bundle(), "echo x > /dev/null && head -c 2 /dev/zero | wc -c")
        self.assertEqual(out.strip(), "2")

    def test_with_another_one(self):
        b = self.runtime.bundle()
        b.linux.update(uidMappings=user.ids((0, 0, 1)),
                       gidMappings=user.ids((0, 0, 1)))
        self.assertEqual(self.runtime.shell(b, "id -u"), "0\n")

    def test_mounts(self):
        b = self.bundle()
        b.linux["namespaces"].append({"type": "cgroup"})
        b.config["mounts"] += [
            rt.mount("/dev/mqueue", "mqueue", "mqueue", *rt.PLAIN),
            rt.mount("/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN, "ro")]
        out = self.runtime.shell(b, "cut -d' ' -f2 /proc/mounts || "
                                    "cat /proc/mounts")
        for place in ("/proc", "/sys", "/dev/mqueue", "/sys/fs/cgroup"):
            self.assertIn(place, out)

    def test_hosts_network_and_sysfs(self):
        b = self.bundle()
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "network"]
        b.config["mounts"][-1] = rt.mount("/sys", "none", "/sys", "rbind",
                                          "rslave", *rt.PLAIN, "ro")
        self.assertIn("net", self.runtime.shell(b, "ls /sys/class"))

    def test_exits(self):
        self.assertEqual(self.runtime.run(
            self.bundle("/bin/sh", "-c", "exit 9")).returncode, 9)

    def test_score_is_not_lowered(self):
        b = self.bundle("/bin/true")
        b.process["oomScoreAdj"] = -500
        self.assertEqual(self.runtime.run(b).returncode, 0)
