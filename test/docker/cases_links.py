"""Links of the default network, and what else networks can be asked for."""
import json
import re
import subprocess
import time

from cases_networks import (address, cut_off, endpoint, idle, inspect, lookup,
                            make, reaches)
from cases_requests import send
from harness import check, equal


def hosts(docker, container):
    return docker("exec", container, "cat", "/etc/hosts").out


def links_of_the_default_network(docker):
    child = docker.start("--name", "store", "--expose", "80", "--expose",
                         "8053/udp", "-e", "COLOUR=red", "busybox", "sleep",
                         "1000")
    idle(docker, "c1", "--link", "store:my-db", "-e", "MY_DB_ENV_X=own")
    there = address(docker, "store", "bridge")
    env = docker("exec", "c1", "env").out.splitlines()
    for line in ("MY_DB_PORT=tcp://%s:80", "MY_DB_PORT_80_TCP=tcp://%s:80",
                 "MY_DB_PORT_80_TCP_ADDR=%s", "MY_DB_PORT_80_TCP_PORT=80",
                 "MY_DB_PORT_80_TCP_PROTO=tcp", "MY_DB_PORT_8053_UDP_ADDR=%s",
                 "MY_DB_NAME=/c1/my-db", "MY_DB_ENV_COLOUR=red",
                 "MY_DB_ENV_X=own"):
        line = line.replace("%s", there)
        check(line in env, (line, env))
    check(not any(line.startswith("MY_DB_ENV_PATH") for line in env), env)
    check(f"{there}\tmy-db {child[:12]} store" in hosts(docker, "c1"),
          hosts(docker, "c1"))
    equal(docker.inspect("c1", "{{json .HostConfig.Links}}"),
          '["/store:/c1/my-db"]')
    check(reaches(docker, "c1", "my-db"), "it does not answer")


def links_follow_the_address(docker):
    idle(docker, "store")
    idle(docker, "c1", "--link", "store")
    before = address(docker, "store", "bridge")
    docker("stop", "-t0", "store")
    idle(docker, "other")
    docker("start", "store")
    after = address(docker, "store", "bridge")
    lines = hosts(docker, "c1")
    check(re.search(f"^{after}\\s+store ", lines, re.M), lines)
    if before != after:
        check(not re.search(f"^{before}\\s+store", lines, re.M), lines)
    docker("restart", "-t0", "c1")
    check(re.search(f"^{after}\\s+store ", hosts(docker, "c1"), re.M),
          hosts(docker, "c1"))


def links_that_cannot_be(docker):
    got = docker("run", "-d", "--link", "nobody:x", "busybox", "true",
                 code=125)
    check("could not get container for nobody" in got.err, got)
    docker("create", "--name", "store", "busybox", "sleep", "1000")
    got = docker("run", "-d", "--name", "c1", "--link", "store:db", "busybox",
                 "true", code=125)
    check("Cannot link to a non running container: /store AS /c1/db" in
          got.err, got)
    docker("start", "store")
    docker("start", "c1")
    docker("rm", "-f", "store", "c1")
    idle(docker, "store", "--network", "host")
    got = docker("run", "-d", "--link", "store:db", "busybox", "true",
                 code=125)
    check("host type networking can't be used with links" in got.err, got)
    docker("rm", "-f", "store")
    make(docker, "n1")
    idle(docker, "store", "--network", "n1")
    got = docker("run", "-d", "--link", "store:db", "busybox", "true",
                 code=125)
    check("Cannot link to /store, as it does not belong to the default network"
          in got.err, got)


def ranges_of_ports_of_a_link(docker):
    docker.start("--name", "store", "--expose", "7000-7002", "busybox",
                 "sleep", "1000")
    env = docker.run("--link", "store:db", "busybox", "env").out.splitlines()
    there = address(docker, "store", "bridge")
    for line in (f"DB_PORT_7000_TCP_START=tcp://{there}:7000",
                 f"DB_PORT_7000_TCP_END=tcp://{there}:7002",
                 "DB_PORT_7000_TCP_PORT_START=7000",
                 "DB_PORT_7000_TCP_PORT_END=7002",
                 f"DB_PORT_7001_TCP=tcp://{there}:7001"):
        check(line in env, (line, env))


def a_mac_address_on_the_default_network(docker):
    if docker.older_than("1.44"):
        return "the CLI asks an old engine for none"
    idle(docker, "c1", "--mac-address", "02:42:0a:4d:00:63")
    check("02:42:0a:4d:00:63" in docker("exec", "c1", "ip", "link").out,
          "another address")
    equal(endpoint(docker, "c1", "bridge")["MacAddress"], "02:42:0a:4d:00:63")
    docker("restart", "-t0", "c1")
    equal(endpoint(docker, "c1", "bridge")["MacAddress"], "02:42:0a:4d:00:63")


def a_mac_address_of_old_requests(docker):
    docker("pull", "busybox")
    status, text = send(docker, "POST", "/containers/create?name=c1",
                        json.dumps({"Image": "busybox",
                                    "Cmd": ["sleep", "1000"],
                                    "MacAddress": "02:42:0a:4d:00:64"}))
    equal(status, 201, text)
    docker("start", "c1")
    check("02:42:0a:4d:00:64" in docker("exec", "c1", "ip", "link").out,
          "another address")


def a_host_name_in_the_hosts_network(docker):
    equal(docker.shell("hostname", "--network", "host", "--hostname", "mine"),
          "mine\n")
    equal(docker.shell("hostname", "--network", "host"),
          subprocess.run(["hostname"], capture_output=True,
                         text=True).stdout)


def addresses_that_are_set_aside(docker):
    make(docker, "n1", "--subnet", "10.77.0.0/29", "--gateway", "10.77.0.1",
         "--aux-address", "router=10.77.0.2", "--aux-address",
         "printer=10.77.0.4")
    got = inspect(docker, "network", "n1")["IPAM"]["Config"][0]
    equal(got["AuxiliaryAddresses"],
          {"router": "10.77.0.2", "printer": "10.77.0.4"})
    for name in ("c1", "c2", "c3"):
        idle(docker, name, "--network", "n1")
    equal(sorted(address(docker, name, "n1") for name in ("c1", "c2", "c3")),
          ["10.77.0.3", "10.77.0.5", "10.77.0.6"])
    docker("run", "--rm", "--network", "n1", "busybox", "true", code=125)
    docker("rm", "-f", "c1")
    got = docker("run", "--rm", "--network", "n1", "--ip", "10.77.0.4",
                 "busybox", "true", code=125)
    check("already in use" in got.err, got)


def addresses_of_the_link(docker):
    make(docker, "n1")
    idle(docker, "c1", "--network", "n1", "--link-local-ip", "169.254.77.9")
    inside = docker("exec", "c1", "ip", "addr", "show", "eth0").out
    check("169.254.77.9/16" in inside, inside)
    equal(endpoint(docker, "c1", "n1")["IPAMConfig"]["LinkLocalIPs"],
          ["169.254.77.9"])
    docker("run", "--rm", "--network", "n1", "--link-local-ip", "10.0.0.9",
           "busybox", "true", code=125 if docker.engine == "berthd" else None)


def options_of_an_endpoint(docker):
    make(docker, "n1")
    idle(docker, "c1", "--network", "name=n1,driver-opt=some.thing=1")
    equal(endpoint(docker, "c1", "n1")["DriverOpts"], {"some.thing": "1"})
    if docker.older_than("1.49"):
        return "the names that act are newer than this engine"
    make(docker, "n3")
    prefix = "driver-opt=com.docker.network.endpoint."
    idle(docker, "c2", "--network", f"name=n1,{prefix}ifname=lan7",
         "--network", "n3")
    names = docker("exec", "c2", "ip", "-o", "link").out
    check("lan7" in names and "eth0" in names and "eth1" not in names, names)
    equal(lookup(docker, "c1", "c2"), [address(docker, "c2", "n1")])
    idle(docker, "c3", "--network",
         f"name=n1,{prefix}sysctls=net.ipv4.conf.IFNAME.log_martians=1")
    equal(docker("exec", "c3", "cat",
                 "/proc/sys/net/ipv4/conf/eth0/log_martians").out, "1\n")
    make(docker, "n2")
    docker("network", "connect", "--driver-opt",
           "com.docker.network.endpoint.ifname=wan", "n2", "c1")
    check("wan" in docker("exec", "c1", "ip", "-o", "link").out, "its name")
    make(docker, "n4")
    docker("network", "connect", "--driver-opt",
           "com.docker.network.endpoint.ifname=eth0", "n4", "c1", code=1)
    check(reaches(docker, "c1", endpoint(docker, "c1", "n1")["Gateway"]),
          "a name that is taken costs the network that has it")
    docker("network", "disconnect", "n2", "c1")
    check("wan" not in docker("exec", "c1", "ip", "-o", "link").out, "left")


def containers_that_do_not_reach_each_other(docker):
    make(docker, "n1", "-o", "com.docker.network.bridge.enable_icc=false")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n1")
    check(cut_off(docker, "c1", address(docker, "c2", "n1")),
          "they reach each other")
    check(reaches(docker, "c1", endpoint(docker, "c1", "n1")["Gateway"]),
          "no way to the host")
    make(docker, "n2")
    idle(docker, "c3", "--network", "n2")
    idle(docker, "c4", "--network", "n2")
    check(reaches(docker, "c3", address(docker, "c4", "n2")), "the others")
    if docker.engine == "berthd":
        # As after a start of the host.
        with open("/proc/sys/net/bridge/bridge-nf-call-iptables", "w") as file:
            file.write("0")
        docker("stop", "-t0", "c1")
        docker("start", "c1")
        check(cut_off(docker, "c1", address(docker, "c2", "n1")),
              "they reach each other after a start of the host")


def settings_for_other_networks(docker):
    make(docker, "settings", "--config-only", "--subnet", "10.77.0.0/24",
         "--label", "a=b", "-o", "com.docker.network.driver.mtu=1400")
    got = inspect(docker, "network", "settings")
    equal((got["ConfigOnly"], got["Driver"]), (True, "null"))
    docker("network", "prune", "-f")
    make(docker, "n1", "--config-from", "settings", "-d", "bridge")
    got = inspect(docker, "network", "n1")
    equal((got["ConfigOnly"], got["ConfigFrom"], got["Labels"],
           got["IPAM"]["Config"][0]["Subnet"]),
          (False, {"Network": "settings"}, {"a": "b"}, "10.77.0.0/24"))
    idle(docker, "c1", "--network", "n1")
    check("mtu 1400" in docker("exec", "c1", "ip", "link", "show", "eth0").out,
          "the MTU")
    docker("run", "--rm", "--network", "settings", "busybox", "true", code=125)
    got = docker("network", "rm", "settings", code=1)
    check("in use" in got.err, got)
    got = docker("network", "create", "--config-from", "nobody", "n2", code=1)
    check("nobody" in got.err, got)
    got = docker("network", "create", "--config-from", "settings", "--subnet",
                 "10.78.0.0/24", "n2", code=1)
    check("not supported if the network depends on a configuration" in got.err,
          got)
    docker("rm", "-f", "c1")
    docker("network", "rm", "n1")
    docker("network", "rm", "settings")


def a_network_without_ipv4(docker):
    if docker.older_than("1.48"):
        return "newer than this engine"
    make(docker, "n1", "--ipv4=false", "--ipv6", "--subnet", "fd77::/64")
    got = inspect(docker, "network", "n1")
    equal((got["EnableIPv4"], got["EnableIPv6"]), (False, True))
    equal(len(got["IPAM"]["Config"]), 1, got["IPAM"])
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n1")
    equal(address(docker, "c1", "n1"), "")
    check(reaches(docker, "c1",
                  endpoint(docker, "c2", "n1")["GlobalIPv6Address"]), "no way")
    docker("network", "create", "--ipv4=false", "n2", code=1)


def interfaces_beside_one_of_the_host(docker):
    def host(*words):
        subprocess.run(["ip", *words], check=True)
    host("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    try:
        for link in ("up0", "up1"):
            host("link", "set", link, "up")
        host("addr", "add", "10.77.0.200/24", "dev", "up1")
        make(docker, "n1", "-d", "macvlan", "--subnet", "10.77.0.0/24",
             "-o", "parent=up0")
        equal(inspect(docker, "network", "n1")["Driver"], "macvlan")
        idle(docker, "c1", "--network", "n1")
        idle(docker, "c2", "--network", "n1", "--ip", "10.77.0.50")
        equal(address(docker, "c2", "n1"), "10.77.0.50")
        check(reaches(docker, "c1", "10.77.0.50"), "each other")
        check(reaches(docker, "c1", "10.77.0.200"), "the wire")
        equal(lookup(docker, "c1", "c2"), ["10.77.0.50"])
        docker("rm", "-f", "c1", "c2")
        docker("network", "rm", "n1")
        docker("network", "create", "-d", "macvlan", "-o", "parent=up0",
               "-o", "macvlan_mode=nonsense", "n2", code=1)
    finally:
        host("link", "del", "up0")


def rules_that_were_flushed_come_back(docker):
    # CVE-2025-54388, CVE-2025-54410: a firewall that starts anew.
    if docker.engine == "dockerd":
        return "it hears of firewalld alone"
    make(docker, "n1")
    make(docker, "n2")
    idle(docker, "c1", "--network", "n1")
    idle(docker, "c2", "--network", "n2")
    other = address(docker, "c2", "n2")
    for chain in ((), ("FORWARD",), ("BERTH-ISOLATION-1",)):
        check(cut_off(docker, "c1", other), f"before {chain}")
        subprocess.run(["iptables", "-F", *chain], check=True)
        check(reaches(docker, "c1", other), f"{chain} keeps nobody out")
        idle(docker, "new", "--network", "n1")
        check(cut_off(docker, "c1", other), f"after {chain}")
        docker("rm", "-f", "new")
    return None


def prune_by_age(docker):
    make(docker, "old")
    moment = time.time()
    time.sleep(1.1)
    make(docker, "new")
    docker("network", "prune", "-f", "--filter", f"until={int(moment) + 1}")
    left = docker("network", "ls", "--format", "{{.Name}}").out.split()
    check("new" in left and "old" not in left, left)
    out = docker("network", "prune", "-f", "--filter", "until=5m").out
    check("new" not in out, out)


CASES = [links_of_the_default_network, links_follow_the_address,
         links_that_cannot_be, ranges_of_ports_of_a_link,
         a_mac_address_on_the_default_network, a_mac_address_of_old_requests,
         a_host_name_in_the_hosts_network, addresses_that_are_set_aside,
         addresses_of_the_link, options_of_an_endpoint,
         containers_that_do_not_reach_each_other, settings_for_other_networks,
         a_network_without_ipv4, interfaces_beside_one_of_the_host,
         rules_that_were_flushed_come_back, prune_by_age]
