"""Networks that users make, and the names, addresses and ports on them."""
import json
import os
import re
import socket
import subprocess
import threading
import time

from harness import check, equal, eventually


def inspect(docker, kind, name):
    return json.loads(docker(kind, "inspect", name).out)[0]


def endpoint(docker, container, network):
    return inspect(docker, "container", container)["NetworkSettings"][
        "Networks"][network]


def address(docker, container, network):
    return endpoint(docker, container, network)["IPAddress"]


def lookup(docker, container, name, *options):
    """The addresses, or other answers, that a name has inside."""
    got = docker("exec", container, "nslookup", *options, name, code=None)
    answers = got.out.split("\n\n", 1)[-1]
    return sorted(set(re.findall(
        r"(?:Address(?: \d)?: |name = )([^\s]+)", answers)))


def reaches(docker, container, target, seconds=10):
    """Whether an answer comes within that time."""
    return docker("exec", container, "ping", "-c1", f"-W{seconds}", target,
                  code=None).code == 0


def cut_off(docker, container, target):
    """Whether none comes, where it would at once."""
    return not reaches(docker, container, target, 1)


def links():
    """The engine's own, as text."""
    return subprocess.run(["ip", "-o", "link"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def make(docker, name, *options):
    return docker("network", "create", *options, name).out.strip()


def idle(docker, name, *options):
    return docker.start("--name", name, *options, "busybox", "sleep", "1000")


def create_list_inspect_and_remove(docker):
    network_id = make(docker, "n1", "--label", "a=b")
    check(re.match(r"^[0-9a-f]{64}$", network_id), network_id)
    check("n1" in docker("network", "ls").out, "it is not listed")
    got = inspect(docker, "network", "n1")
    equal((got["Id"], got["Name"], got["Driver"], got["Scope"],
           got["Internal"], got["EnableIPv6"], got["Labels"],
           got["Containers"]),
          (network_id, "n1", "bridge", "local", False, False, {"a": "b"}, {}))
    check(re.match(r"^1\d\d\.\d+\.\d+\.0/\d\d$",
                   got["IPAM"]["Config"][0]["Subnet"]), got["IPAM"])
    equal(inspect(docker, "network", network_id[:10])["Id"], network_id)
    equal(docker("network", "rm", "n1").out.strip(), "n1")
    check("not found" in docker("network", "inspect", "n1", code=1).err.lower()
          .replace("no such network", "not found"), "it is still there")


def everything_that_create_takes(docker):
    make(docker, "n1", "--subnet", "10.77.0.0/16", "--gateway", "10.77.5.1",
         "--ip-range", "10.77.8.0/24", "--internal", "--attachable",
         "-o", "com.docker.network.driver.mtu=1400",
         "-o", "com.docker.network.bridge.name=br-test")
    got = inspect(docker, "network", "n1")
    equal((got["Internal"], got["Attachable"]), (True, True))
    config = got["IPAM"]["Config"][0]
    equal((config["Subnet"], config["Gateway"], config["IPRange"]),
          ("10.77.0.0/16", "10.77.5.1", "10.77.8.0/24"))
    equal(got["Options"]["com.docker.network.driver.mtu"], "1400")
    idle(docker, "c1", "--network", "n1")
    check(address(docker, "c1", "n1").startswith("10.77.8."), "the range")
    check("mtu 1400" in docker("exec", "c1", "ip", "link", "show", "eth0").out,
          "the MTU")
    check("br-test" in links(), "no such bridge")
    docker("rm", "-f", "c1")
    docker("network", "rm", "n1")
    check("br-test" not in links(), "the bridge is left")


def names_that_are_taken(docker):
    make(docker, "n1")
    check("already exists" in docker("network", "create", "n1", code=1).err,
          "a second one of the name")
    for name in ("bridge", "host", "none"):
        docker("network", "create", name, code=1)
        check("pre-defined" in docker("network", "rm", name, code=1).err, name)


def subnets_that_overlap(docker):
    make(docker, "n1", "--subnet", "10.77.0.0/16")
    check("overlaps" in docker("network", "create", "--subnet", "10.77.3.0/24",
                               "n2", code=1).err, "it overlaps")
    subnets = set()
    for number in range(5):
        make(docker, f"m{number}")
        got = inspect(docker, "network", f"m{number}")
        subnets.add(got["IPAM"]["Config"][0]["Subnet"])
    equal(len(subnets), 5, "subnets")


def filters_of_the_list(docker):
    one = make(docker, "first", "--label", "a=1")
    make(docker, "second", "--label", "a=2", "--label", "b")
    idle(docker, "c1", "--network", "second")

    def listed(*filters):
        args = [word for one in filters for word in ("--filter", one)]
        out = docker("network", "ls", "--format", "{{.Name}}", *args).out
        return set(out.split())
    equal(listed("label=a"), {"first", "second"})
    equal(listed("label=a=2"), {"second"})
    equal(listed("label=a", "label=b"), {"second"})
    equal(listed("type=custom"), {"first", "second"})
    equal(listed("type=builtin"), {"bridge", "host", "none"})
    equal(listed("driver=null"), {"none"})
    equal(listed("name=fir"), {"first"})
    equal(listed("id=" + one[:12]), {"first"})
    # dockerd 20.10 takes them all for unused.
    check("first" in listed("dangling=true"), "dangling=true")


def prune_what_nobody_uses(docker):
    make(docker, "used")
    make(docker, "kept", "--label", "keep")
    make(docker, "gone")
    idle(docker, "c1", "--network", "used")
    out = docker("network", "prune", "-f", "--filter", "label!=keep").out
    check("gone" in out and "kept" not in out and "used" not in out, out)
    left = docker("network", "ls", "--format", "{{.Name}}").out.split()
    equal(sorted(left), ["bridge", "host", "kept", "none", "used"])


def remove_one_that_is_used(docker):
    make(docker, "n1")
    idle(docker, "c1", "--network", "n1")
    got = docker("network", "rm", "n1", code=1)
    check("has active endpoints" in got.err, got)
    docker("stop", "-t0", "c1")
    docker("network", "rm", "n1")
    got = docker("start", "c1", code=1)
    check("network" in got.err and "not found" in got.err, got)


def addresses_of_the_network(docker):
    network_id = make(docker, "n1", "--subnet", "10.77.0.0/24")
    idle(docker, "c1", "--network", "n1")
    got = endpoint(docker, "c1", "n1")
    equal((got["IPAddress"], got["IPPrefixLen"], got["Gateway"],
           got["NetworkID"]), ("10.77.0.2", 24, "10.77.0.1", network_id))
    check(re.match(r"^[0-9a-f]{64}$", got["EndpointID"]), got)
    inside = docker("exec", "c1", "ip", "addr", "show", "eth0").out
    check("10.77.0.2/24" in inside and got["MacAddress"] in inside, inside)
    route = docker("exec", "c1", "ip", "route").out
    check("default via 10.77.0.1" in route, route)
    member = inspect(docker, "network", "n1")["Containers"]
    member, = member.values()
    equal((member["Name"], member["IPv4Address"]), ("c1", "10.77.0.2/24"))
    hosts = docker("exec", "c1", "cat", "/etc/hosts").out
    check("10.77.0.2" in hosts, hosts)
    docker("stop", "-t0", "c1")
    equal(inspect(docker, "network", "n1")["Containers"], {})
    equal(endpoint(docker, "c1", "n1")["IPAddress"], "")


def an_address_of_ones_own(docker):
    make(docker, "n1", "--subnet", "10.77.0.0/24")
    make(docker, "n2")
    idle(docker, "c1", "--network", "n1", "--ip", "10.77.0.99")
    equal(address(docker, "c1", "n1"), "10.77.0.99")
    equal(endpoint(docker, "c1", "n1")["IPAMConfig"]["IPv4Address"],
          "10.77.0.99")
    got = docker("run", "--rm", "--network", "n1", "--ip", "10.77.0.99",
                 "busybox", "true", code=125)
    check("already in use" in got.err, got)
    docker("run", "--rm", "--network", "n1", "--ip", "10.99.0.9", "busybox",
           "true", code=125)
    got = docker("run", "--rm", "--network", "n2", "--ip", "172.18.0.9",
                 "busybox", "true", code=125)
    check("user configured subnets" in got.err, got)
    docker("restart", "-t0", "c1")
    equal(address(docker, "c1", "n1"), "10.77.0.99")


def a_mac_address_of_ones_own(docker):
    if docker.engine == "dockerd":
        return "the CLI asks Debian's dockerd for none"
    make(docker, "n1")
    idle(docker, "c1", "--network", "n1", "--mac-address",
         "02:42:0a:4d:00:63")
    check("02:42:0a:4d:00:63" in docker("exec", "c1", "ip", "link").out,
          "another address")
    equal(endpoint(docker, "c1", "n1")["MacAddress"], "02:42:0a:4d:00:63")
    docker("run", "--rm", "--network", "n1", "--mac-address", "nonsense",
           "busybox", "true", code=125)


def names_of_others(docker):
    make(docker, "n1")
    container = idle(docker, "web", "--network", "n1", "--network-alias",
                     "www", "--network-alias", "Site")
    idle(docker, "c1", "--network", "n1")
    there = [address(docker, "web", "n1")]
    for name in ("web", "www", "site", "SITE", container[:12], "web.n1"):
        equal(lookup(docker, "c1", name), there, name)
    equal(lookup(docker, "web", "web"), there, "its own name")
    equal(lookup(docker, "c1", "nobody"), [], "a name that nobody has")
    check(reaches(docker, "c1", there[0]), "it cannot be reached")
    equal(lookup(docker, "c1", there[0]), ["web.n1"], "the name of an address")


def one_alias_of_several(docker):
    make(docker, "n1")
    for number in range(3):
        idle(docker, f"w{number}", "--network", "n1", "--network-alias", "web")
    idle(docker, "c1", "--network", "n1")
    equal(lookup(docker, "c1", "web"),
          sorted(address(docker, f"w{number}", "n1") for number in range(3)))
    docker("rm", "-f", "w1")
    equal(lookup(docker, "c1", "web"),
          sorted(address(docker, f"w{number}", "n1") for number in (0, 2)))


def names_come_and_go(docker):
    make(docker, "n1")
    idle(docker, "c1", "--network", "n1")
    equal(lookup(docker, "c1", "web"), [])
    idle(docker, "web", "--network", "n1")
    equal(lookup(docker, "c1", "web"), [address(docker, "web", "n1")])
    docker("rename", "web", "other")
    equal(lookup(docker, "c1", "other"), [address(docker, "other", "n1")])
    equal(lookup(docker, "c1", "web"), [])
    docker("stop", "-t0", "other")
    equal(lookup(docker, "c1", "other"), [])
    docker("start", "other")
    equal(lookup(docker, "c1", "other"), [address(docker, "other", "n1")])


def names_of_one_network_alone(docker):
    make(docker, "n1")
    make(docker, "n2")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n2")
    idle(docker, "c3")
    equal(lookup(docker, "c1", "c2"), [])
    equal(lookup(docker, "c1", "c3"), [])
    equal(lookup(docker, "c1", "c1"), [address(docker, "c1", "n1")])


def networks_are_kept_apart(docker):
    make(docker, "n1")
    make(docker, "n2")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n2")
    idle(docker, "c3")
    idle(docker, "c4", "--network", "n1")
    other = address(docker, "c2", "n2")
    default = address(docker, "c3", "bridge")
    check(reaches(docker, "c1", address(docker, "c4", "n1")), "its own")
    check(cut_off(docker, "c1", other), "the other network")
    check(cut_off(docker, "c1", default), "the default network")
    check(cut_off(docker, "c3", address(docker, "c1", "n1")),
          "from the default network")


def an_internal_network(docker):
    make(docker, "n1", "--internal")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n1")
    check(reaches(docker, "c1", address(docker, "c2", "n1")), "its own")
    equal(lookup(docker, "c1", "c2"), [address(docker, "c2", "n1")])
    idle(docker, "c3")
    check(cut_off(docker, "c1", address(docker, "c3", "bridge")),
          "there is a way out")
    check(cut_off(docker, "c3", address(docker, "c1", "n1")),
          "there is a way in")


def connect_and_disconnect(docker):
    make(docker, "n1")
    idle(docker, "web", "--network", "n1")
    idle(docker, "c1")
    docker("network", "connect", "--alias", "one", "n1", "c1")
    there = address(docker, "c1", "n1")
    check(there in docker("exec", "c1", "ip", "addr", "show", "eth1").out,
          "no eth1")
    check(reaches(docker, "c1", address(docker, "web", "n1")), "no way")
    equal(lookup(docker, "web", "one"), [there])
    equal(lookup(docker, "c1", "web"), [address(docker, "web", "n1")])
    networks = inspect(docker, "container", "c1")["NetworkSettings"]["Networks"]
    equal(sorted(networks), ["bridge", "n1"])
    got = docker("network", "connect", "n1", "c1", code=1)
    check("already exists in network" in got.err, got)
    docker("network", "disconnect", "bridge", "c1")
    check("eth0" not in docker("exec", "c1", "ip", "addr").out, "eth0 is left")
    check("default via" in docker("exec", "c1", "ip", "route").out, "no route")
    docker("network", "disconnect", "n1", "c1")
    equal(lookup(docker, "web", "one"), [])
    docker("network", "disconnect", "n1", "c1", code=1)
    equal(inspect(docker, "container", "c1")["NetworkSettings"]["Networks"], {})


def connect_one_that_does_not_run(docker):
    make(docker, "n1", "--subnet", "10.77.0.0/24")
    docker("create", "--name", "c1", "busybox", "sleep", "1000")
    docker("network", "connect", "--ip", "10.77.0.7", "n1", "c1")
    docker("start", "c1")
    equal(address(docker, "c1", "n1"), "10.77.0.7")
    check(address(docker, "c1", "bridge"), "no address")
    docker("stop", "-t0", "c1")
    docker("network", "disconnect", "bridge", "c1")
    docker("start", "c1")
    networks = inspect(docker, "container", "c1")["NetworkSettings"]["Networks"]
    equal(sorted(networks), ["n1"])
    check("10.77.0.7" in docker("exec", "c1", "ip", "addr").out, "the address")


def connect_what_has_no_network_of_its_own(docker):
    make(docker, "n1")
    idle(docker, "base")
    idle(docker, "c1", "--network", "host")
    idle(docker, "c2", "--network", "none")
    idle(docker, "c3", "--network", "container:base")
    for name in ("c1", "c2", "c3"):
        docker("network", "connect", "n1", name, code=1)
    docker("network", "connect", "nobody", "base", code=1)
    docker("network", "connect", "n1", "nobody", code=1)
    check("eth0" not in docker("exec", "c2", "ip", "addr").out, "none has one")


def a_network_that_is_not_there(docker):
    got = docker("run", "--rm", "--network", "nonet", "busybox", "true",
                 code=125)
    check("network nonet not found" in got.err, got)
    check("Unable to find image" not in got.err, "it was pulled")
    docker("create", "--name", "c1", "--network", "later", "busybox", "sleep",
           "1000")
    got = docker("start", "c1", code=1)
    check("network later not found" in got.err, got)
    make(docker, "later")
    docker("start", "c1")


def events_of_networks(docker):
    since = str(time.time())
    make(docker, "n1")
    idle(docker, "c1", "--network", "n1")
    docker("stop", "-t0", "c1")
    docker("network", "rm", "n1")
    out = docker("events", "--since", since, "--until", str(time.time() + 0.1),
                 "--filter", "type=network", "--format",
                 "{{.Action}} {{.Actor.Attributes.name}} "
                 "{{.Actor.Attributes.type}}").out
    equal(out.splitlines(), [f"{action} n1 bridge" for action in (
        "create", "connect", "disconnect", "destroy")])


def listen(host="127.0.0.1"):
    """A port that is taken, until it is closed."""
    server = socket.socket()
    server.bind((host, 0))
    server.listen()
    return server, server.getsockname()[1]


def fetch(port, host="127.0.0.1"):
    """What a server says first; "" while there is none."""
    try:
        with socket.create_connection((host, port), 5) as client:
            client.settimeout(5)
            return client.recv(100).decode()
    except OSError:
        return ""


def published_ports(docker):
    make(docker, "n1")
    serve = "while true; do echo hello | nc -l -p 80; done"
    docker.start("--name", "c1", "--network", "n1", "-p", "18080:80",
                 "-p", "127.0.0.1::81", "busybox", "sh", "-c", serve)
    equal(eventually("it answers", lambda: fetch(18080)), "hello\n")
    gateway = endpoint(docker, "c1", "n1")["Gateway"]
    equal(eventually("by another address", lambda: fetch(18080, gateway)),
          "hello\n")
    equal(docker("port", "c1", "80/tcp").out.splitlines()[0], "0.0.0.0:18080")
    check(re.match(r"127.0.0.1:\d+", docker("port", "c1", "81").out), "81")
    got = docker("run", "--rm", "--network", "n1", "-p", "18080:80", "busybox",
                 "true", code=125)
    check("port is already allocated" in got.err, got)
    docker("rm", "-f", "c1")
    docker.run("--network", "n1", "-p", "18080:80", "busybox", "true")


def ranges_of_host_ports(docker):
    make(docker, "n1")
    for name in ("c1", "c2"):
        idle(docker, name, "--network", "n1", "-p", "18090-18091:80")
    ports = {docker("port", name, "80").out.splitlines()[0]
             for name in ("c1", "c2")}
    equal(ports, {"0.0.0.0:18090", "0.0.0.0:18091"})
    got = docker("run", "--rm", "--network", "n1", "-p", "18090-18091:80",
                 "busybox", "true", code=125)
    check("allocated" in got.err, got)


def the_hosts_own_address(docker):
    make(docker, "n1")
    options = ("--add-host", "host.docker.internal:host-gateway")
    for network in ("n1", "bridge"):
        idle(docker, "c-" + network, "--network", network, *options)
        hosts = docker("exec", "c-" + network, "cat", "/etc/hosts").out
        found = re.search(r"^([0-9.]+)\s+host.docker.internal$", hosts, re.M)
        check(found, hosts)
    server, port = listen("0.0.0.0")
    with server:
        server.settimeout(20)
        visits = []

        def serve():
            client, _ = server.accept()
            visits.append(client)
            client.close()
        visitor = threading.Thread(target=serve)
        visitor.start()
        docker("exec", "c-n1", "nc", "-w2", "host.docker.internal", str(port),
               code=None)
        visitor.join()
        equal(len(visits), 1, "visits")


def what_resolv_conf_says(docker):
    make(docker, "n1")
    out = docker.shell("cat /etc/resolv.conf", "--network", "n1", "--dns",
                       "10.9.9.9", "--dns-search", "example.org",
                       "--dns-option", "timeout:3")
    lines = [line for line in out.splitlines()
             if line and not line.startswith("#")]
    check("nameserver 127.0.0.11" in lines, out)
    check("search example.org" in lines, out)
    check(any("timeout:3" in line for line in lines
              if line.startswith("options")), out)
    check("10.9.9.9" not in "".join(lines), out)
    out = docker.shell("cat /etc/resolv.conf", "--dns", "10.9.9.9")
    check("nameserver 10.9.9.9" in out, out)


def port_53_is_the_containers(docker):
    make(docker, "n1")
    docker.start("--name", "c1", "--network", "n1", "busybox", "sh", "-c",
                 "nc -u -l -p 53 & while echo mine | nc -l -p 53; do :; done")
    idle(docker, "c2", "--network", "n1")
    there = address(docker, "c1", "n1")
    eventually("its own program answers", lambda: "mine" in docker(
        "exec", "c2", "nc", "-w1", there, "53", code=None).out)
    check("nc -u" in docker("exec", "c1", "ps").out, "UDP is taken")
    equal(lookup(docker, "c1", "c2"), [address(docker, "c2", "n1")])


def ipv6(docker):
    make(docker, "n1", "--ipv6", "--subnet", "fd77::/64")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n1")
    got = endpoint(docker, "c1", "n1")
    check(got["GlobalIPv6Address"].startswith("fd77::"), got)
    equal(got["GlobalIPv6PrefixLen"], 64)
    check(reaches(docker, "c2", got["GlobalIPv6Address"]), "no way")
    check(got["GlobalIPv6Address"] in lookup(docker, "c2", "c1",
                                             "-type=aaaa"), "no name")


def scoped_links(docker):
    make(docker, "n1")
    idle(docker, "store", "--network", "n1")
    idle(docker, "c1", "--network", "n1", "--link", "store:db")
    idle(docker, "c2", "--network", "n1")
    equal(lookup(docker, "c1", "db"), [address(docker, "store", "n1")])
    equal(lookup(docker, "c2", "db"), [])


def several_networks_at_once(docker):
    if docker.engine == "dockerd":
        return "Debian's dockerd takes one network at create"
    make(docker, "n1", "--subnet", "10.77.0.0/24")
    make(docker, "n2", "--internal")
    idle(docker, "c1", "--network", "name=n1,alias=one,ip=10.77.0.9",
         "--network", "n2")
    networks = inspect(docker, "container", "c1")["NetworkSettings"]["Networks"]
    equal(sorted(networks), ["n1", "n2"])
    equal(networks["n1"]["IPAddress"], "10.77.0.9")
    equal(networks["n1"]["Aliases"], ["one"])
    check("one" in networks["n1"]["DNSNames"], networks)
    check("default via 10.77.0.1" in docker("exec", "c1", "ip", "route").out,
          "the way out")


def a_killed_engine(docker):
    make(docker, "n1")
    idle(docker, "web", "--network", "n1")
    container = idle(docker, "c1", "--network", "n1")
    before = inspect(docker, "network", "n1")
    there = address(docker, "web", "n1")
    docker.control.kill()
    if docker.engine == "berthd":
        pid = first_pid(container)
        for _ in range(3):
            out = subprocess.run(["nsenter", "-t", pid, "-n", "-m", "nslookup",
                                  "web"], capture_output=True, text=True,
                                 timeout=20, check=False).stdout
            check(there in out, f"while it is dead: {out}")
    docker.control.start()
    equal(inspect(docker, "network", "n1"), before)
    equal(lookup(docker, "c1", "web"), [there])
    idle(docker, "new", "--network", "n1")
    equal(lookup(docker, "c1", "new"), [address(docker, "new", "n1")])


def first_pid(container):
    """The first process of a container, without asking the engine."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                groups = file.read()
            with open(f"/proc/{pid}/cmdline") as file:
                if container in groups and "sleep" in file.read():
                    return pid
        except OSError:
            continue
    return "0"


CASES = [create_list_inspect_and_remove, everything_that_create_takes,
         names_that_are_taken, subnets_that_overlap, filters_of_the_list,
         prune_what_nobody_uses, remove_one_that_is_used,
         addresses_of_the_network, an_address_of_ones_own,
         a_mac_address_of_ones_own, names_of_others, one_alias_of_several,
         names_come_and_go, names_of_one_network_alone,
         networks_are_kept_apart, an_internal_network, connect_and_disconnect,
         connect_one_that_does_not_run, connect_what_has_no_network_of_its_own,
         a_network_that_is_not_there, events_of_networks, published_ports,
         ranges_of_host_ports, the_hosts_own_address, what_resolv_conf_says,
         port_53_is_the_containers, ipv6, scoped_links,
         several_networks_at_once, a_killed_engine]
