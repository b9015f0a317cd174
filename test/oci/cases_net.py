"""Network devices of the host that a container takes along, and mount
namespaces that are there already."""
import os
import subprocess

from case import RuntimeTest


def ip(*args):
    subprocess.run(["ip", *args], check=True, stdout=subprocess.DEVNULL)


class NetDevices(RuntimeTest):
    def device(self, name, *addresses):
        # A veth of which nothing is left when its other end is gone.
        peer = "p" + name[:14]
        ip("link", "add", name, "type", "veth", "peer", "name", peer)
        self.addCleanup(subprocess.run, ["ip", "link", "del", peer],
                        stderr=subprocess.DEVNULL)
        for address in addresses:
            ip("address", "add", address, "dev", name)
        return name

    def taking(self, devices):
        b = self.runtime.bundle("/bin/true")
        b.linux["netDevices"] = devices
        return b

    def test_moved_and_renamed(self):
        r = self.runtime
        # The kernel ends a namespace, and what is in it, some time later.
        for old, new in (("mine0", None), ("mine10", "eth7")):
            with self.subTest(new):
                name = self.device(old, "10.77.0.5/24", "fd00:77::5/64")
                b = self.taking({name: {"name": new} if new else {}})
                out = r.shell(b, "ip address show dev " + (new or name))
                self.assertIn("10.77.0.5/24", out)
                self.assertIn("fd00:77::5/64", out)
                self.assertIn(",UP", out)

    def test_template(self):
        name = self.device("mine1", "10.78.0.5/24")
        out = self.runtime.shell(self.taking({name: {"name": "eth%d"}}),
                                 "ip address show dev eth0")
        self.assertIn("10.78.0.5/24", out)

    def test_several(self):
        names = [self.device("mine%d" % i, "10.79.%d.5/24" % i)
                 for i in range(2, 6)]
        out = self.runtime.shell(
            self.taking({n: {"name": "in" + n} for n in names}), "ip address")
        for i, name in enumerate(names):
            self.assertIn("in" + name, out)
            self.assertIn("10.79.%d.5/24" % (i + 2), out)

    def test_into_one_of_another_container(self):
        r = self.runtime
        first = r.start_new(r.bundle("/bin/sleep", "1000"))
        name = self.device("mine6", "10.80.0.5/24")
        b = self.taking({name: {}})
        b.linux["namespaces"][1]["path"] = (
            "/proc/%d/ns/net" % r.state(first)["pid"])
        r.shell(b, "ip link show dev mine6")
        out = r.must("exec", first, "/bin/ip", "address").stdout
        self.assertIn("10.80.0.5/24", out)

    def test_with_a_user_namespace(self):
        b = self.taking({self.device("mine7", "10.81.0.5/24"): {}})
        b.linux["namespaces"].append({"type": "user"})
        ids = [{"containerID": 0, "hostID": 0, "size": 65536}]
        b.linux.update(uidMappings=ids, gidMappings=ids)
        self.assertIn("10.81.0.5", self.runtime.shell(b, "ip address"))

    def test_sysctls_of_the_device(self):
        b = self.taking({self.device("mine8"): {}})
        b.linux["sysctl"] = {"net.ipv4.conf.mine8.forwarding": "1"}
        out = self.runtime.shell(
            b, "cat /proc/sys/net/ipv4/conf/mine8/forwarding")
        self.assertEqual(out, "1\n")

    def test_what_cannot_be_is_refused(self):
        r = self.runtime
        name = self.device("mine9")
        for devices in ({"nothing0": {}}, {name: {"name": "lo"}},
                        {name: {"name": "a/b"}}, {name: {"name": ".."}},
                        {name: {"name": "sixteen-letters-"}},
                        {name: {"name": "a b"}}):
            with self.subTest(devices):
                self.assertFails(r.run(self.taking(devices)), "device")
                ip("link", "show", name)
        b = self.taking({name: {}})
        del b.linux["namespaces"][1]
        self.assertFails(r.run(b), "namespace")


class MountNamespaces(RuntimeTest):
    def test_joined_by_path(self):
        r = self.runtime
        b = r.bundle()
        folder = os.path.join(r.directory, "only-there")
        os.makedirs(folder)
        # Its own mounts are its own: what is bound from there shows them.
        with subprocess.Popen(
                ["unshare", "--mount", "/bin/sh", "-c",
                 "mount -t tmpfs mark %s && touch %s/mark && echo ready && "
                 "read x" % (folder, folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdout.readline()
            b.linux["namespaces"][-1]["path"] = "/proc/%d/ns/mnt" % other.pid
            b.config["mounts"].append(
                {"destination": "/there", "type": "bind", "source": folder,
                 "options": ["bind"]})
            out = r.shell(b, "ls /there; ls /")
            other.stdin.close()
        self.assertEqual(os.listdir(folder), [])
        self.assertIn("mark", out.split())
        self.assertIn("bin", out.split())
