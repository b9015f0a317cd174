"""What the process sees: root, namespaces, ids, limits, filters."""
import json
import os
import subprocess

import runtime as rt
from case import RuntimeTest


class Root(RuntimeTest):
    def test_read_only_root(self):
        r = self.runtime
        b = r.bundle()
        b.config["root"]["readonly"] = True
        out = r.shell(b, "touch /x 2>&1; touch /dev/shm/x && echo writable")
        self.assertIn("Read-only file system", out)
        self.assertIn("writable", out)

    def test_root_must_be_a_directory(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["root"]["path"] = "nothing"
        self.assertFails(r.run(b))

    def test_host_is_out_of_sight(self):
        r = self.runtime
        out = r.shell(r.bundle(), "cat /proc/self/mountinfo; ls /")
        self.assertNotIn(r.directory + "/b", "".join(
            l.split()[4] + "\n" for l in out.splitlines() if l[:1].isdigit()))

    def test_default_devices(self):
        r = self.runtime
        out = r.shell(r.bundle(), "for d in null zero full random urandom tty;"
                                  "do stat -c '%t:%T %a' /dev/$d; done;"
                                  "for l in ptmx fd stdin; do readlink /dev/$l; done;"
                                  "echo x > /dev/null")
        self.assertEqual(out.split("\n")[:6],
                         ["1:3 666", "1:5 666", "1:7 666", "1:8 666",
                          "1:9 666", "5:0 666"])
        self.assertIn("/proc/self/fd", out)

    def test_requested_device(self):
        r = self.runtime
        b = r.bundle()
        b.linux["devices"] = [{"path": "/dev/sub/mine", "type": "c",
                               "major": 1, "minor": 5, "fileMode": 0o640,
                               "uid": 5, "gid": 6}]
        b.linux["resources"]["devices"] += [
            {"allow": True, "type": "c", "major": 1, "minor": 5,
             "access": "rwm"}]
        out = r.shell(b, "stat -c '%t:%T %a %u %g' /dev/sub/mine")
        self.assertEqual(out, "1:5 640 5 6\n")

    def test_other_devices_are_denied(self):
        r = self.runtime
        out = r.shell(r.bundle(), "mknod /dev/kmsg c 1 11; "
                                  "head -c1 /dev/kmsg 2>&1; true")
        self.assertIn("Operation not permitted", out)

    def test_bind_mounts(self):
        r = self.runtime
        b = r.bundle()
        source = os.path.join(b.path, "data")
        os.mkdir(source)
        with open(os.path.join(source, "file"), "w") as f:
            f.write("from the host\n")
        b.config["mounts"] += [
            rt.mount("/made/rw", "bind", source, "rbind", "rw"),
            rt.mount("/ro", "bind", source, "rbind", "ro", "nosuid"),
            rt.mount("/a/file", "bind", source + "/file", "bind", "ro"),
            rt.mount("/relative", "bind", "data", "bind")]
        out = r.shell(b, "cat /made/rw/file /a/file /relative/file;"
                         "touch /made/rw/new && echo written;"
                         "touch /ro/x 2>&1; grep ' /ro ' /proc/mounts")
        self.assertEqual(out.count("from the host"), 3)
        self.assertIn("written", out)
        self.assertIn("Read-only", out)
        self.assertIn("nosuid", out.splitlines()[-1])
        self.assertTrue(os.path.exists(os.path.join(source, "new")))

    def test_missing_bind_source_is_an_error(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.config["mounts"].append(
            rt.mount("/x", "bind", "/no/such/source", "bind"))
        self.assertFails(r.run(b), "no such file")

    def test_tmpfs(self):
        r = self.runtime
        b = r.bundle()
        b.config["mounts"].append(
            rt.mount("/t", "tmpfs", "tmpfs", "size=1m", "mode=1770", "noexec"))
        out = r.shell(b, "grep ' /t ' /proc/mounts; stat -c %a /t")
        self.assertIn("size=1024k", out)
        self.assertIn("noexec", out)
        self.assertIn("1770", out)

    def test_read_only_tmpfs_is_filled_first(self):
        r = self.runtime
        b = r.bundle()
        b.config["mounts"][1]["options"].append("ro")
        out = r.shell(b, "stat -c %t:%T /dev/null; touch /dev/x 2>&1; true")
        self.assertIn("1:3", out)
        self.assertIn("Read-only", out)

    def test_masked_and_read_only_paths(self):
        r = self.runtime
        b = r.bundle()
        b.linux["maskedPaths"] = ["/proc/timer_list", "/sys/firmware",
                                  "/no/such/path"]
        b.linux["readonlyPaths"] = ["/proc/sys", "/no/such/path"]
        b.config["mounts"][4]["options"].remove("ro")
        out = r.shell(b, "wc -c < /proc/timer_list; ls /sys/firmware | wc -l;"
                         "touch /sys/firmware/x 2>&1;"
                         "echo 1 > /proc/sys/net/ipv4/ip_forward; true 2>&1")
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["0", "0"])

    def test_read_only_proc_sys(self):
        r = self.runtime
        b = r.bundle()
        b.linux["readonlyPaths"] = ["/proc/sys"]
        out = r.shell(b, "(echo 1 > /proc/sys/net/ipv4/ip_forward) 2>&1; true")
        self.assertIn("Read-only", out)

    def test_mounts_of_the_container_stay_in_it(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        source = os.path.join(b.path, "data")
        os.mkdir(source)
        b.config["mounts"].append(
            rt.mount("/data", "bind", source, "rbind", "rw"))
        r.start_new(b)
        with open("/proc/self/mountinfo") as f:
            self.assertNotIn(b.path, f.read())

    def test_shared_propagation(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        shared = os.path.join(b.path, "shared")
        os.mkdir(shared)
        subprocess.run(["mount", "--bind", shared, shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        try:
            b.config["mounts"].append(
                rt.mount("/shared", "bind", shared, "rbind", "rshared"))
            b.linux["rootfsPropagation"] = "rshared"
            for s in ("bounding", "effective", "permitted"):
                b.process["capabilities"][s].append("CAP_SYS_ADMIN")
            c = r.start_new(b)
            r.must("exec", c, "/bin/sh", "-c",
                   "mkdir /shared/m && mount -t tmpfs t /shared/m")
            with open("/proc/self/mountinfo") as f:
                self.assertIn(shared + "/m", f.read())
            r.must("exec", c, "/bin/umount", "/shared/m")
            with open("/proc/self/mountinfo") as f:
                self.assertNotIn(shared + "/m", f.read())
        finally:
            r.clean()
            subprocess.run(["umount", "-R", shared], check=False)
        self.assertTrue(os.path.exists("/proc/self/mountinfo"))

    def test_slave_propagation(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        shared = os.path.join(b.path, "shared")
        os.makedirs(os.path.join(shared, "m"))
        subprocess.run(["mount", "--bind", shared, shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        try:
            b.config["mounts"].append(
                rt.mount("/slave", "bind", shared, "rbind", "rslave"))
            b.linux["rootfsPropagation"] = "rslave"
            c = r.start_new(b)
            subprocess.run(["mount", "-t", "tmpfs", "t", shared + "/m"],
                           check=True)
            out = r.must("exec", c, "/bin/cat", "/proc/mounts").stdout
            self.assertIn(" /slave/m ", out)
        finally:
            r.clean()
            subprocess.run(["umount", "-R", shared], check=False)

    def test_cgroup_mount_shows_the_own_group(self):
        r = self.runtime
        b = r.bundle()
        b.linux["namespaces"].append({"type": "cgroup"})
        b.config["mounts"].append(
            rt.mount("/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN, "ro"))
        b.linux["resources"]["memory"] = {"limit": 64 << 20}
        name = ("/sys/fs/cgroup/memory.max" if rt.cgroup_v2() else
                "/sys/fs/cgroup/memory/memory.limit_in_bytes")
        out = r.shell(b, "cat %s; mkdir %s/x 2>&1; cat /proc/self/cgroup" %
                      (name, os.path.dirname(name)))
        self.assertEqual(out.splitlines()[0], str(64 << 20))
        self.assertIn("Read-only", out)
        self.assertNotIn("suite-", out)


class Namespaces(RuntimeTest):
    def test_new_ones_differ_from_the_host(self):
        r = self.runtime
        out = r.shell(r.bundle(), "for n in pid net ipc uts mnt; do "
                                  "readlink /proc/self/ns/$n; done; hostname")
        lines = out.splitlines()
        for n, inside in zip(("pid", "net", "ipc", "uts", "mnt"), lines):
            self.assertNotEqual(inside, os.readlink("/proc/self/ns/" + n))
        self.assertEqual(lines[5], "suite")
        with open("/proc/sys/kernel/hostname") as f:
            self.assertNotEqual(f.read().strip(), "suite")

    def test_loopback_is_up(self):
        r = self.runtime
        self.assertIn("LOOPBACK,UP", r.shell(r.bundle(), "ip link show lo"))

    def test_joins_by_path(self):
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = r.bundle()
        del b.config["hostname"]
        names = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}
        for n in b.linux["namespaces"]:
            if n["type"] in names:
                n["path"] = "/proc/%d/ns/%s" % (pid, names[n["type"]])
        out = r.shell(b, "for n in net ipc uts pid; do "
                         "readlink /proc/self/ns/$n; done; hostname; ps")
        lines = out.splitlines()
        for n, inside in zip(("net", "ipc", "uts", "pid"), lines):
            self.assertEqual(inside, os.readlink("/proc/%d/ns/%s" % (pid, n)))
        self.assertEqual(lines[4], "suite")
        self.assertIn("sleep 1000", out)

    def test_wrong_namespace_file(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        for n in b.linux["namespaces"]:
            if n["type"] == "network":
                n["path"] = "/proc/self/ns/uts"
        self.assertFails(r.run(b))

    def test_host_network(self):
        r = self.runtime
        b = r.bundle()
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "network"]
        out = r.shell(b, "readlink /proc/self/ns/net")
        self.assertEqual(out.strip(), os.readlink("/proc/self/ns/net"))

    def test_sysctl(self):
        r = self.runtime
        b = r.bundle()
        b.linux["sysctl"] = {"net.ipv4.ip_forward": "1",
                             "kernel.msgmax": "4321"}
        out = r.shell(b, "cat /proc/sys/net/ipv4/ip_forward "
                         "/proc/sys/kernel/msgmax")
        self.assertEqual(out, "1\n4321\n")

    def test_sysctl_is_one_value(self):
        # CVE-2022-0811: no second setting behind a separator.
        r = self.runtime
        with open("/proc/sys/kernel/core_pattern") as f:
            before = f.read()
        for value in ("1+kernel.core_pattern=x", "1\nkernel.core_pattern=x",
                      "1,kernel.core_pattern=x", "1 kernel.core_pattern=x"):
            b = r.bundle("/bin/true")
            b.linux["sysctl"] = {"kernel.shm_rmid_forced": value}
            done = r.run(b)
            with open("/proc/sys/kernel/core_pattern") as f:
                self.assertEqual(f.read(), before, value)
            if r.name() == "berth-oci":
                # runc takes what the kernel has read of it.
                self.assertFails(done, "shm_rmid_forced")

    def test_sysctl_of_the_host_is_refused(self):
        r = self.runtime
        b = r.bundle("/bin/true")
        b.linux["sysctl"] = {"kernel.panic": "1"}
        self.assertFails(r.run(b))
        b = r.bundle("/bin/true")
        b.linux["namespaces"] = [n for n in b.linux["namespaces"]
                                 if n["type"] != "network"]
        b.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.assertFails(r.run(b))


class UserNamespace(RuntimeTest):
    def bundle(self, *args):
        b = self.runtime.bundle(*args)
        b.linux["namespaces"].append({"type": "user"})
        b.linux["uidMappings"] = [
            {"containerID": 0, "hostID": 200000, "size": 65536}]
        b.linux["gidMappings"] = [
            {"containerID": 0, "hostID": 300000, "size": 65536}]
        for directory, names, files in os.walk(b.rootfs):
            os.chown(directory, 200000, 300000)
            for name in files:
                os.lchown(os.path.join(directory, name), 200000, 300000)
        os.chmod(b.path, 0o711)
        return b

    def test_ids_are_mapped(self):
        r = self.runtime
        b = self.bundle()
        out = r.shell(b, "id -u; id -g; cat /proc/self/uid_map; touch /x;"
                         "stat -c %u:%g /dev/shm /x; echo x > /dev/null;"
                         "stat -c %t:%T /dev/null")
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["0", "0"])
        self.assertEqual(lines[2].split(), ["0", "200000", "65536"])
        self.assertEqual(lines[3:5], ["0:0", "0:0"])
        st = os.stat(os.path.join(b.rootfs, "x"))
        self.assertEqual((st.st_uid, st.st_gid), (200000, 300000))

    def test_exec(self):
        r = self.runtime
        c = r.start_new(self.bundle("/bin/sleep", "1000"))
        out = r.must("exec", c, "/bin/sh", "-c",
                     "id -u; readlink /proc/self/ns/user").stdout.split()
        self.assertEqual(out[0], "0")
        self.assertEqual(out[1], os.readlink(
            "/proc/%d/ns/user" % r.state(c)["pid"]))

    def test_no_cgroup_of_the_host_can_be_changed(self):
        # CVE-2023-25809: without a cgroup namespace, and mounted writable.
        r = self.runtime
        for option in ("ro", "rw"):
            for more in ([], [{"type": "cgroup"}]):
                b = self.bundle()
                b.linux["namespaces"] += more
                b.config["mounts"].append(rt.mount(
                    "/sys/fs/cgroup", "cgroup", "cgroup", *rt.PLAIN, option))
                # The own group of version 2 may be the container's.
                out = r.shell(b, "cd /sys/fs/cgroup && ls | grep -q . && "
                                 "echo mounted; for d in */; do "
                                 "mkdir $d/escaped 2>/dev/null && echo $d; "
                                 "(echo 1 > $d/cgroup.procs) 2>/dev/null && "
                                 "echo $d/cgroup.procs; done; true")
                self.assertEqual(out, "mounted\n", (option, more))

    def test_user_inside(self):
        r = self.runtime
        b = self.bundle()
        b.process["user"] = {"uid": 1000, "gid": 1000,
                             "additionalGids": [5]}
        out = r.shell(b, "grep -E '^(Uid|Groups)' /proc/self/status")
        self.assertEqual(out.split()[1], "1000")

    def test_joined_by_path(self):
        r = self.runtime
        first = r.start_new(self.bundle("/bin/sleep", "1000"))
        pid = r.state(first)["pid"]
        b = self.bundle()
        del b.linux["uidMappings"], b.linux["gidMappings"]
        for n in b.linux["namespaces"]:
            if n["type"] in ("user", "network", "ipc"):
                n["path"] = "/proc/%d/ns/%s" % (
                    pid, {"user": "user", "network": "net",
                          "ipc": "ipc"}[n["type"]])
        out = r.shell(b, "readlink /proc/self/ns/user; id -u; echo $$")
        self.assertEqual(out.split(), [
            os.readlink("/proc/%d/ns/user" % pid), "0", "1"])

    def test_rlimits_and_read_only_binds(self):
        r = self.runtime
        b = self.bundle()
        b.process["rlimits"] = [
            {"type": "RLIMIT_NOFILE", "soft": 90, "hard": 95}]
        b.config["mounts"].append(
            rt.mount("/data", "bind", "/etc", "rbind", "ro"))
        out = r.shell(b, "grep 'open files' /proc/self/limits;"
                         "touch /data/x 2>&1; true")
        self.assertEqual(out.split()[3:5], ["90", "95"])
        self.assertIn("Read-only", out)

    def test_mappings_without_the_namespace_are_refused(self):
        r = self.runtime
        b = self.bundle("/bin/true")
        b.linux["namespaces"].pop()
        self.assertFails(r.run(b))


class Seccomp(RuntimeTest):
    def profile(self, *rules, default="SCMP_ACT_ALLOW"):
        return {"defaultAction": default,
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86",
                                  "SCMP_ARCH_X32"],
                "syscalls": list(rules)}

    def test_errno_of_a_rule(self):
        r = self.runtime
        for no_new_privs in (True, False):
            b = r.bundle()
            b.process["noNewPrivileges"] = no_new_privs
            b.linux["seccomp"] = self.profile(
                {"names": ["mkdir", "mkdirat", "no_such_call"],
                 "action": "SCMP_ACT_ERRNO", "errnoRet": 28})
            out = r.shell(b, "mkdir /x 2>&1; grep Seccomp: /proc/self/status")
            self.assertIn("No space left", out)
            self.assertEqual(out.split()[-1], "2")

    def test_twice_with_the_same_profile(self):
        r = self.runtime
        for errno_ret, text in ((28, "No space left"), (28, "No space left"),
                                (30, "Read-only file system")):
            b = r.bundle()
            b.linux["seccomp"] = self.profile(
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
                 "errnoRet": errno_ret})
            self.assertIn(text, r.shell(b, "mkdir /x 2>&1; true"))

    def test_argument_rules(self):
        r = self.runtime
        b = r.bundle()
        b.linux["seccomp"] = self.profile(
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
             "args": [{"index": 1, "value": 23, "op": "SCMP_CMP_EQ"}]})
        out = r.shell(b, "kill -23 1 2>&1; kill -0 1 2>&1; echo $?")
        self.assertIn("No space left", out)
        self.assertEqual(out.split()[-1], "0")

    def test_exec_has_the_filter_too(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["seccomp"] = self.profile(
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
             "errnoRet": 28})
        c = r.start_new(b)
        done = r.call("exec", c, "/bin/mkdir", "/x")
        self.assertIn("No space left", done.stdout + done.stderr)

    def test_bad_profiles(self):
        r = self.runtime
        for change in ({"defaultAction": "SCMP_ACT_NONSENSE"},
                       {"architectures": ["SCMP_ARCH_NONSENSE"]},
                       {"syscalls": [{"names": ["mkdir"],
                                      "action": "NONSENSE"}]}):
            b = r.bundle("/bin/true")
            b.linux["seccomp"] = dict(self.profile(), **change)
            self.assertFails(r.run(b))


class Limits(RuntimeTest):
    def test_memory_pids_and_cpu(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(
            memory={"limit": 64 << 20}, pids={"limit": 50},
            cpu={"shares": 512, "quota": 20000, "period": 100000})
        c = r.start_new(b)
        v2 = rt.cgroup_v2()
        self.assertEqual(rt.cgroup_file(
            c, "memory", "memory.max" if v2 else "memory.limit_in_bytes"),
            str(64 << 20))
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "50")
        self.assertEqual(
            rt.cgroup_file(c, "cpu", "cpu.max") if v2 else
            rt.cgroup_file(c, "cpu", "cpu.cfs_quota_us"),
            "20000 100000" if v2 else "20000")

    def test_out_of_memory_kills(self):
        r = self.runtime
        b = r.bundle("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=100M",
                     "count=1")
        b.linux["resources"]["memory"] = {"limit": 16 << 20,
                                          "swap": 16 << 20}
        self.assertEqual(r.run(b).returncode, 137)

    def test_update(self):
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        b.linux["resources"].update(memory={"limit": 64 << 20},
                                    pids={"limit": 50})
        c = r.start_new(b)
        r.must("update", "--resources", "-", c, input=json.dumps(
            {"pids": {"limit": 60}, "memory": {"limit": 80 << 20}}).encode())
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "60")
        r.must("update", "--memory", str(70 << 20), "--pids-limit", "70", c)
        self.assertEqual(rt.cgroup_file(c, "pids", "pids.max"), "70")
        self.assertEqual(rt.cgroup_file(
            c, "memory",
            "memory.max" if rt.cgroup_v2() else "memory.limit_in_bytes"),
            str(70 << 20))

    def test_cgroups_path(self):
        if rt.SYSTEMD:
            self.skipTest("systemd takes no path")
        r = self.runtime
        b = r.bundle("/bin/sleep", "1000")
        parent = "/suite-parent-%d" % os.getpid()
        b.linux["cgroupsPath"] = parent + "/child"
        c = r.start_new(b)
        self.assertTrue(rt.cgroup_directories(parent[1:] + "/child"))
        r.must("delete", "--force", c)
        self.assertEqual(rt.cgroup_directories(parent[1:] + "/child"), [])
        for left in rt.cgroup_directories(parent[1:]):
            os.rmdir(left)
