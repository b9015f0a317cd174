"""Odd values at every place of the bodies that the engine reads: it refuses
them or makes sense of them, and goes on."""
import copy
import json

from cases_requests import send
from harness import check, equal

ODD = [None, True, False, 0, -1, 1, 7.5, 1e308, 2**63, -2**63 - 1, 10**400, "",
       " ", "x", "a" * 70000, "\u0000", "\U0001f433", "../../etc", "%s%n",
       "1\n2", [], [[]], {}, {"": None}, {"a": {"b": [{}]}}, [None, 1, "x"]]

NETWORK = {"Name": "odd", "Driver": "bridge", "Internal": False,
           "Attachable": False, "Ingress": False, "Scope": "local",
           "EnableIPv4": True, "EnableIPv6": False, "ConfigOnly": False,
           "ConfigFrom": {"Network": ""}, "Labels": {"a": "b"},
           "Options": {"com.docker.network.bridge.enable_icc": "true",
                       "com.docker.network.driver.mtu": "1400",
                       "com.docker.network.bridge.name": "br-odd"},
           "IPAM": {"Driver": "default", "Options": {"a": "b"}, "Config": [
               {"Subnet": "10.99.0.0/16", "IPRange": "10.99.1.0/24",
                "Gateway": "10.99.0.1",
                "AuxiliaryAddresses": {"a": "10.99.1.1"}}]}}
ENDPOINT = {"IPAMConfig": {"IPv4Address": "10.98.0.9", "IPv6Address": "",
                           "LinkLocalIPs": ["169.254.7.7"]},
            "Links": ["x:y"], "Aliases": ["a"], "GwPriority": 1,
            "MacAddress": "02:42:00:00:00:09",
            "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0",
                           "com.docker.network.endpoint.sysctls":
                           "net.ipv4.conf.IFNAME.log_martians=1"}}
CONTAINER = {
    "Image": "busybox", "Cmd": ["true"], "MacAddress": "02:42:00:00:00:08",
    "HostConfig": {
        "Links": ["nobody:x"], "NetworkMode": "oddnet",
        "LogConfig": {"Type": "syslog", "Config": {
            "syslog-address": "udp://127.0.0.1:9", "syslog-format": "rfc3164",
            "syslog-facility": "daemon", "tag": "{{.ID}}", "labels": "a",
            "cache-disabled": "false"}},
        "Mounts": [
            {"Type": "volume", "Source": "oddvolume", "Target": "/v",
             "VolumeOptions": {"Subpath": "a/b", "NoCopy": True,
                               "Labels": {"a": "b"}, "DriverConfig": {
                                   "Name": "local", "Options": {}}}},
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {
                "SizeBytes": 65536, "Mode": 511, "Options": [["exec"]]}},
            {"Type": "bind", "Source": "/tmp", "Target": "/b", "BindOptions": {
                "Propagation": "rprivate", "NonRecursive": False,
                "CreateMountpoint": True}}]},
    "NetworkingConfig": {"EndpointsConfig": {"oddnet": ENDPOINT}}}


def places(value, path=()):
    """The paths of all that is in it, itself first."""
    yield path
    steps = (value.items() if isinstance(value, dict) else
             enumerate(value) if isinstance(value, list) else ())
    for step, inner in steps:
        yield from places(inner, path + (step,))


def with_odd(body, path, odd):
    if not path:
        return odd
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = odd
    return changed


def survives(docker, path, body, take_back):
    """What went wrong."""
    bad = []
    for place in places(body):
        for odd in ODD:
            text = json.dumps(with_odd(body, place, odd))
            status, answer = send(docker, "POST", path, text, "1.44")
            if status in (200, 201):
                take_back(answer)
            if status == 0 or (status >= 500 and status != 501):
                bad.append(f"{path} {place} {str(odd)[:40]!r}: {status} "
                           f"{answer[:300]}")
    check(docker.control.alive(), "the engine has ended")
    return bad


def remove(docker, kind):
    def take_back(answer):
        made = json.loads(answer)["Id"]
        query = "?v=1" if kind == "containers" else ""
        send(docker, "DELETE", f"/{kind}/{made}{query}", None)
    return take_back


def odd_networks(docker):
    if docker.engine != "berthd":
        return "dockerd answers much of it with 500"
    equal(survives(docker, "/networks/create", NETWORK,
                   remove(docker, "networks")), [])
    return None


def odd_endpoints(docker):
    if docker.engine != "berthd":
        return "dockerd answers much of it with 500"
    docker("network", "create", "--subnet", "10.98.0.0/16", "oddnet")
    docker("create", "--name", "c1", "busybox", "true")
    body = {"Container": "c1", "EndpointConfig": ENDPOINT, "Force": False}

    def disconnect(_):
        send(docker, "POST", "/networks/oddnet/disconnect",
             '{"Container": "c1", "Force": true}')
    equal(survives(docker, "/networks/oddnet/connect", body, disconnect), [])
    equal(survives(docker, "/networks/oddnet/disconnect", body,
                   lambda _: None), [])
    return None


def odd_containers(docker):
    if docker.engine != "berthd":
        return "dockerd answers much of it with 500"
    docker("pull", "busybox")
    docker("network", "create", "--subnet", "10.98.0.0/16", "oddnet")
    equal(survives(docker, "/containers/create", CONTAINER,
                   remove(docker, "containers")), [])
    return None


CASES = [odd_networks, odd_endpoints, odd_containers]
