"""Requests as other clients than the CLI send them, and what is answered to
those that are wrong: an error of the right kind, never a daemon that is gone.
"""
import http.client
import json
import os
import re
import subprocess
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness import Connection, check, equal, eventually

WRONG = [7.5, "no", True, [[1]], {"odd": [1]}]


def send(docker, method, path, body, version="1.41"):
    """Status and text of an answer; status 0 if the engine hung up."""
    try:
        status, _, data = docker.http(
            method, path, body, {"Content-Type": "application/json"}, version)
        return status, data.decode(errors="replace")
    except (http.client.HTTPException, ConnectionError) as error:
        return 0, repr(error)


def create(docker, body):
    """The answer to a create; what it made is removed."""
    status, text = send(docker, "POST", "/containers/create", json.dumps(
        {"Image": "busybox", "Cmd": ["true"], **body}))
    if status == 201:
        inspected = send(docker, "GET", "/containers/%s/json" %
                         json.loads(text)["Id"], None)
        docker("rm", "-v", json.loads(text)["Id"])
        equal(inspected[0], 200, f"inspect after {body}: {inspected[1]}")
    return status, text


def history_shows_the_steps(docker):
    docker("pull", "busybox")
    out = docker("history", "--no-trunc", "--format",
                 "{{.ID}} {{.CreatedBy}}", "busybox").out
    check("berth tests" in out, out)
    status, text = send(docker, "GET", "/images/busybox/history", None)
    equal(status, 200, text)
    step = json.loads(text)[0]
    equal(step["CreatedBy"], "berth tests")
    check(step["Id"].startswith("sha256:"), step)
    check("busybox:latest" in step["Tags"], step)


# Members of the body and of HostConfig, each with its type.
TYPES = {
    "Hostname": str, "Domainname": str, "User": str, "AttachStdin": bool,
    "AttachStdout": bool, "AttachStderr": bool, "ExposedPorts": dict,
    "Tty": bool, "OpenStdin": bool, "StdinOnce": bool, "Env": list,
    "Volumes": dict, "WorkingDir": str, "OnBuild": list, "Labels": dict,
    "StopSignal": str, "StopTimeout": int, "HostConfig": dict,
    "HostConfig.Binds": list, "HostConfig.ContainerIDFile": str,
    "HostConfig.LogConfig": dict, "HostConfig.NetworkMode": str,
    "HostConfig.PortBindings": dict, "HostConfig.RestartPolicy": dict,
    "HostConfig.AutoRemove": bool, "HostConfig.CapAdd": list,
    "HostConfig.Dns": list, "HostConfig.ExtraHosts": list,
    "HostConfig.GroupAdd": list, "HostConfig.IpcMode": str,
    "HostConfig.OomScoreAdj": int, "HostConfig.PidMode": str,
    "HostConfig.Privileged": bool, "HostConfig.ReadonlyRootfs": bool,
    "HostConfig.SecurityOpt": list, "HostConfig.ShmSize": int,
    "HostConfig.Memory": int, "HostConfig.Devices": list,
    "HostConfig.PidsLimit": int, "HostConfig.Ulimits": list,
    "HostConfig.Mounts": list, "HostConfig.Tmpfs": dict,
    "HostConfig.Sysctls": dict, "HostConfig.Init": bool,
    "NetworkingConfig": dict, "NetworkingConfig.EndpointsConfig": dict,
    "HostConfig.LogConfig.Type": str, "HostConfig.LogConfig.Config": dict,
    "HostConfig.RestartPolicy.Name": str, "HostConfig.ConsoleSize": list,
}


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def a_null_leaves_a_member_of_create_unset(docker):
    docker("pull", "busybox")
    bad = []
    for member in TYPES:
        status, text = create(docker, nested(member, None))
        if status != 201:
            bad.append(f"{member}: {status} {text}")
    equal(bad, [])


def a_wrong_type_in_create_is_refused(docker):
    docker("pull", "busybox")
    bad = []
    for member, kind in TYPES.items():
        for value in WRONG:
            if isinstance(value, kind):
                continue
            status, text = create(docker, nested(member, value))
            # dockerd 20.10 has 500 for some that are 400 since.
            good = (400,) if docker.engine == "berthd" else (400, 500)
            if status not in good:
                bad.append(f"{member}={value}: {status} {text}")
    equal(bad, [])
    docker("ps", "-a")


def every_route_with_a_body_survives_any(docker):
    """Each route that reads a body: a null for each member, then wrong types,
    then what is no object at all."""
    name = docker.start("--name", "bodies", "busybox", "sleep", "100")
    status, text = send(docker, "POST", f"/containers/{name}/exec",
                        '{"Cmd": ["true"]}')
    equal(status, 201, text)
    exec_id = json.loads(text)["Id"]
    routes = {
        "/containers/create": ["Image", "Cmd", "HostConfig"],
        f"/containers/{name}/exec": [
            "AttachStdin", "AttachStdout", "Cmd", "ConsoleSize", "DetachKeys",
            "Env", "Privileged", "Tty", "User", "WorkingDir"],
        f"/exec/{exec_id}/start": ["Detach", "Tty", "ConsoleSize"],
        "/volumes/create": ["Name", "Driver", "DriverOpts", "Labels"],
    }
    bad = []
    for path, members in routes.items():
        bodies = [json.dumps({member: value}) for member in members
                  for value in [None] + WRONG]
        bodies += ["null", "[]", "1", '"x"', "{", "[" * 5000,
                   '{"a":' * 5000, '{"Cmd":"\\ud800"}', '{"Cmd":["\xff"]}']
        for body in bodies:
            if path.endswith("/start") and '"Tty"' in body:
                continue  # what is right would start it
            status, text = send(docker, "POST", path, body.encode("latin-1"))
            if status == 0 or (status >= 500 and docker.engine == "berthd"):
                bad.append(f"{path} {body[:60]}: {status} {text}")
            if status == 200 and path.endswith("/start"):
                status, text = send(docker, "POST",
                                    f"/containers/{name}/exec",
                                    '{"Cmd": ["true"]}')
                bad += [] if status == 201 else [text]
    equal(bad, [])
    equal(docker.inspect("bodies", "{{.State.Running}}"), "true")


def names_of_members_may_be_in_any_case(docker):
    docker("pull", "busybox")
    status, text = send(docker, "POST", "/containers/create", json.dumps(
        {"image": "busybox", "CMD": ["true"], "env": ["A=1"],
         "labels": {"image": "x", "IMAGE": "y"},
         "hostconfig": {
             "memory": 67108864,
             "logconfig": {"type": "json-file", "config": {"max-size": "5k"}},
             "portbindings": {"80/tcp": [{"hostport": "8097"}]}}}))
    equal(status, 201, text)
    name = json.loads(text)["Id"]
    status, text = send(docker, "GET", f"/containers/{name}/json", None)
    made = json.loads(text)
    equal(made["Config"]["Labels"], {"image": "x", "IMAGE": "y"})
    check("A=1" in made["Config"]["Env"], made["Config"])
    host = made["HostConfig"]
    equal((host["Memory"], host["LogConfig"]["Config"],
           host["PortBindings"]["80/tcp"][0]["HostPort"]),
          (67108864, {"max-size": "5k"}, "8097"))
    docker("start", name)
    equal(docker("wait", name).out, "0\n")

    name = docker.start("busybox", "sleep", "100")
    status, text = send(docker, "POST", f"/containers/{name}/exec",
                        '{"cmd": ["echo", "hello"], "ATTACHSTDOUT": true}')
    equal(status, 201, text)
    status, text = send(docker, "POST",
                        "/exec/%s/start" % json.loads(text)["Id"],
                        '{"tty": true, "DETACH": false}')
    equal((status, text.strip()), (200, "hello"))
    status, text = send(docker, "POST", "/volumes/create", json.dumps(
        {"name": "any-case", "DRIVER": "local", "labels": {"Name": "l"},
         "driveropts": {}}))
    equal(status, 201, text)
    equal(json.loads(text)["Labels"], {"Name": "l"})
    check("any-case" in docker("volume", "ls", "-q").out.split(), text)


def what_an_image_exposes_is_shown(docker):
    image = docker.registry + "/test/config:latest"
    docker("pull", image)

    def seen(*options):
        name = docker.start(*options, image, "wait")
        made = json.loads(docker("inspect", name).out)[0]
        status, text = send(docker, "GET", "/containers/json", None)
        docker("rm", "-f", "-v", name)
        equal(status, 200, text)
        return made["Config"], made["NetworkSettings"]["Ports"], sorted(
            (one["PrivatePort"], one["Type"])
            for one in json.loads(text)[0]["Ports"])

    config, ports, listed = seen("--expose", "53/udp")
    equal(config["ExposedPorts"], {"8080/tcp": {}, "53/udp": {}})
    equal(config["Volumes"], {"/data": {}})
    equal((config["User"], config["StopSignal"]), ("app", "SIGUSR1"))
    equal(ports, {"8080/tcp": None, "53/udp": None})
    equal(listed, [(53, "udp"), (8080, "tcp")])
    for mode in ("host", "none"):  # has no ports of its own
        config, ports, listed = seen("--network", mode)
        equal(config["ExposedPorts"], {"8080/tcp": {}})
        equal((ports, listed), ({}, []))


def a_volume_gives_way_to_a_mount_at_its_place(docker):
    docker("pull", "busybox")
    for body, mounts in (
            ({"Volumes": {"/test/": {}},
              "HostConfig": {"Binds": ["/tmp:/test/:ro"]}},
             [("bind", "/test", False)]),
            ({"Volumes": {"/y/": {}},
              "HostConfig": {"Mounts": [
                  {"Type": "bind", "Source": "/var", "Target": "/y"}]}},
             [("bind", "/y", True)]),
            ({"Volumes": {"/test": {}, "/a/../test//": {}}},
             [("volume", "/test", True)]),
            ({"HostConfig": {"Binds": ["/alone"]}},
             [("volume", "/alone", True)])):
        status, text = send(docker, "POST", "/containers/create", json.dumps(
            {"Image": "busybox", "Cmd": ["true"], **body}))
        equal(status, 201, f"{body}: {text}")
        name = json.loads(text)["Id"]
        docker("start", "-a", name)
        made = json.loads(docker("inspect", name).out)[0]
        equal([(one["Type"], one["Destination"], one["RW"])
               for one in made["Mounts"]], mounts)
        docker("rm", "-v", name)
    for binds in (["/tmp:/y", "/var:/x/../y/"], ["rel:/x/..//"]):
        status, text = create(docker, {"HostConfig": {"Binds": binds}})
        # 500 of dockerd for the second
        check(status in (400, 500), f"{binds}: {status} {text}")
        check(docker.engine == "dockerd" or status == 400, text)


def hard_links_of_an_image_are_kept_in_a_volume(docker):
    image = docker.registry + "/test/health:latest"
    docker("pull", image)
    equal(docker.run("-v", "linked:/linked", image, "sh", "-c",
                     "echo more >> /linked/one; cat /linked/sub/two; "
                     "stat -c %h /linked/one").out, "one\nmore\n2\n")


def images_have_one_size_since_1_44(docker):
    docker("pull", "busybox")
    newest = docker("version", "-f", "{{.Server.APIVersion}}").out.strip()
    for version in ("1.41", "1.43", "1.44", newest):
        if int(version[2:]) > int(newest[2:]):
            continue
        old = int(version[2:]) < 44
        for path in ("/images/json", "/images/busybox/json"):
            status, text = send(docker, "GET", path, None, version)
            equal(status, 200, text)
            answer = json.loads(text)
            answer = answer[0] if isinstance(answer, list) else answer
            equal("VirtualSize" in answer, old, f"{version} {path}")


def events_take_filters_that_nobody_knows(docker):
    query = urllib.parse.urlencode(
        {"until": "1", "filters": json.dumps({"odd": {"x": True}})})
    equal(send(docker, "GET", "/events?" + query, None), (200, ""))
    for path in ("/containers/json", "/images/json", "/volumes", "/networks"):
        status, text = send(docker, "GET", path + "?" + query, None)
        equal(status, 400, text)


def targets_of_requests(docker):
    def status(line):
        connection = Connection(docker.control.socket)
        connection.putrequest(*line.split(), skip_host=True)
        connection.putheader("Host", "x")
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.getheader("Location")

    for target, wanted in (
            # The absolute form is for proxies, and served as well.
            ("http://docker:2375/v1.41/_ping", (200, None)),
            ("http://docker/v1.41/containers/json?all=1", (200, None)),
            ("/v1.41/containers/json/", (404, None)),
            ("/_ping/", (404, None)),
            ("/v1.41/networks/", (200, None)),  # has both routes
            ("/v1.41//containers/json", (301, "/v1.41/containers/json")),
            ("//v1.41/containers/json?all=1&limit=2",
             (301, "/v1.41/containers/json?all=1&limit=2")),
            ("/v1.41/containers/../version", (301, "/v1.41/version")),
            ("/v1.41/./info/.", (301, "/v1.41/info")),
            ("/v1.41/images/a//b/json", (301, "/v1.41/images/a/b/json"))):
        equal(status("GET " + target), wanted, target)
    equal(status("POST /containers//create"), (301, "/containers/create"))


def at_once(docker, requests):
    """Statuses of (method, path, body) sent at the same time."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [status for status, _ in pool.map(
            lambda one: send(docker, *one), requests)]


def fifty_creates_at_once(docker):
    docker("pull", "busybox")
    body = json.dumps({"Image": "busybox", "Cmd": ["true"]})
    create_as = "/containers/create?name="
    equal(Counter(at_once(docker, [("POST", create_as + "same", body)] * 50)),
          Counter({201: 1, 409: 49}))
    equal(Counter(at_once(docker, [("POST", f"{create_as}n{i}", body)
                                   for i in range(50)])), Counter({201: 50}))
    listed = docker("ps", "-a", "--format", "{{.Names}}").out.split()
    equal(sorted(listed), sorted(["same"] + [f"n{i}" for i in range(50)]))
    docker("start", "same", "n7")
    # A name goes on being one's own.
    statuses = at_once(docker, [
        ("POST", f"/containers/n{i}/rename?name=other", None)
        for i in range(20)])
    equal(Counter(statuses), Counter({204: 1, 409: 19}))
    statuses = at_once(docker, [("POST", create_as + "other", body),
                                ("POST", create_as + "n49", body)])
    equal(statuses, [409, 409])


def a_create_that_fails_frees_its_name(docker):
    docker("pull", "busybox")
    bad = json.dumps({"Image": "busybox", "Cmd": ["true"], "HostConfig": {
        "Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]}})
    good = json.dumps({"Image": "busybox", "Cmd": ["true"]})
    for _ in range(5):
        status, text = send(docker, "POST", "/containers/create?name=free", bad)
        equal(status, 400, text)
    status, text = send(docker, "POST", "/containers/create?name=free", good)
    equal(status, 201, text)
    docker("rm", "free")
    status, text = send(docker, "POST", "/containers/create?name=free", good)
    equal(status, 201, text)


def ports_that_are_chosen_at_once_differ(docker):
    docker("pull", "busybox")
    body = json.dumps({"Image": "busybox", "Cmd": ["sleep", "100"],
                       "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
                       "HostConfig": {"PortBindings": {
                           "80/tcp": [{"HostPort": ""}],
                           "81/tcp": [{"HostPort": ""}]}}})
    equal(at_once(docker, [("POST", f"/containers/create?name=p{i}", body)
                           for i in range(10)]), [201] * 10)
    docker("start", *[f"p{i}" for i in range(10)])
    ports = docker("ps", "--format", "{{.Ports}}").out
    chosen = re.findall(r"0\.0\.0\.0:(\d+)->", ports)
    equal((len(chosen), len(set(chosen))), (20, 20), ports)


def a_volume_of_a_container_in_the_making_stays(docker):
    docker("pull", "busybox")
    for number in range(10):
        body = json.dumps({"Image": "busybox", "Cmd": ["test", "-d", "/v"],
                           "HostConfig": {"Binds": [f"race{number}:/v"]}})
        docker("volume", "create", f"race{number}")
        made, removed = at_once(docker, [
            ("POST", f"/containers/create?name=r{number}", body),
            ("DELETE", f"/volumes/race{number}", None)])
        equal(made, 201)
        check(removed in (204, 409), removed)
        docker("volume", "inspect", f"race{number}")
        docker("start", "-a", f"r{number}")


def hostile_patterns_are_answered_at_once(docker):
    docker("create", "--name", "x" * 60, "busybox")
    for pattern in ("(x+x+)+y", "(" * 20000 + ")" * 20000,
                    "((((x{100}){100}){100}){100})", "x{1000}y", "(", "*"):
        for path in ("/containers/json?all=1&", "/volumes?", "/networks?"):
            query = urllib.parse.urlencode(
                {"filters": json.dumps({"name": {pattern: True}})})
            status, text = send(docker, "GET", path + query, None)
            # The head of the longest is too large for some servers.
            check(status in (200, 400, 431), f"{pattern[:20]}: {status} {text}")
    names = docker("ps", "-a", "--filter", "name=^x+$", "--format",
                   "{{.Names}}").out.split()
    equal(names, ["x" * 60])


def the_output_of_an_exec_is_framed_as_its_start_says(docker):
    name = docker.start("busybox", "sleep", "100")
    for created, started, first in ((True, False, b"\x01\0\0\0"),
                                    (False, True, b"hel")):
        status, text = send(docker, "POST", f"/containers/{name}/exec",
                            json.dumps({"Cmd": ["echo", "hello"],
                                        "AttachStdout": True, "Tty": created}))
        equal(status, 201, text)
        _, _, got = docker.http("POST", "/exec/%s/start" %
                                json.loads(text)["Id"],
                                json.dumps({"Tty": started}),
                                {"Content-Type": "application/json"})
        check(got.startswith(first) and b"hello" in got,
              f"Tty {created}, then {started}: {got!r}")


def a_missing_bind_source_is_no_missing_image(docker):
    docker("pull", "busybox")
    result = docker("run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x",
                    "busybox", "true", code=125)
    check("/no/such" in result.err, result.err)
    check("Unable to find image" not in result.err, result.err)
    status, text = create(docker, {"HostConfig": {"Mounts": [
        {"Type": "bind", "Source": "/no/such", "Target": "/x"}]}})
    equal(status, 400, text)
    status, text = send(docker, "POST", "/containers/create",
                        '{"Image": "not-here"}')
    equal(status, 404, text)


def what_a_create_takes_away_stays_away(docker):
    image = docker.registry + "/test/config:latest"
    docker("pull", image)

    def output(body):
        status, text = send(docker, "POST", "/containers/create",
                            json.dumps({"Image": image, **body}))
        equal(status, 201, text)
        out = docker("start", "-a", json.loads(text)["Id"]).out
        docker("rm", "-v", json.loads(text)["Id"])
        return out

    # The image's entry point, but not its arguments.
    equal(output({"Entrypoint": [], "Cmd": ["echo", "mine"]}), "mine\n")
    equal(output({"Entrypoint": ["echo", "mine"]}), "mine\n")
    check("args=hello\n" in output({"Cmd": "hello"}), "Cmd as one text")
    check("one= two=a" in output({"Env": ["ONE"]}), "Env without a value")
    check("one= two=a" in output({"Env": ["ONE="]}), "Env with an empty one")


def an_empty_stop_signal_is_the_images(docker):
    image = docker.registry + "/test/config:latest"
    docker("pull", image)
    status, text = send(docker, "POST", "/containers/create", json.dumps(
        {"Image": image, "Cmd": ["wait"], "StopSignal": ""}))
    equal(status, 201, text)
    name = json.loads(text)["Id"]
    docker("start", name)
    eventually("it runs", lambda: "seed=" in docker("logs", name).out)
    docker("stop", name)
    equal(docker.inspect(name, "{{.State.ExitCode}}"), "7")


def a_read_only_bind_is_so_all_the_way_down(docker):
    if docker.engine == "dockerd" and server_major(docker) < 25:
        return "only the top before dockerd 25"
    source = docker.control.folder + "/source"
    os.makedirs(source + "/sub", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", source + "/sub"],
                   check=True)
    try:
        probe = "touch /m/sub/x 2>/dev/null && echo written || echo refused"
        equal(docker.shell(probe, "-v", source + ":/m:ro"), "refused\n")
        equal(docker.shell(probe, "--mount",
                           f"type=bind,src={source},dst=/m,readonly"),
              "refused\n")
        equal(docker.shell(probe, "-v", source + ":/m"), "written\n")
        status, text = send(docker, "POST", "/containers/create", json.dumps(
            {"Image": "busybox", "Cmd": ["touch", "/m/sub/y"],
             "HostConfig": {"Mounts": [
                 {"Type": "bind", "Source": source, "Target": "/m",
                  "ReadOnly": True,
                  "BindOptions": {"ReadOnlyNonRecursive": True}}]}}), "1.44")
        equal(status, 201, text)
        docker("start", "-a", json.loads(text)["Id"])
    finally:
        subprocess.run(["umount", source + "/sub"], check=True)
    return None


def server_major(docker):
    version = docker("version", "-f", "{{.Server.Version}}").out
    return int(version.split(".")[0])


def exec_in_a_missing_directory_fails(docker):
    name = docker.start("busybox", "sleep", "100")
    result = docker("exec", "-w", "/made/up", name, "pwd", code=None)
    check(result.code in (126, 127), result)
    docker("exec", name, "test", "!", "-e", "/made", code=0)
    docker("exec", "-w", "/tmp", name, "true")


def images_by_digest(docker):
    docker("pull", "busybox")
    # Names that other cases gave it.
    docker("rmi", "-f", docker("images", "-q", "busybox:latest").out.strip(),
           code=None)
    docker("pull", "busybox")
    ident = docker("images", "-q", "--no-trunc", "busybox:latest").out.strip()
    named = docker("image", "inspect", "-f", "{{index .RepoDigests 0}}",
                   "busybox").out.strip()
    digest = named.split("@")[1]
    out = docker("rmi", "busybox@" + digest).out
    check("Untagged: busybox@" + digest in out, out)
    check("Deleted" not in out and "busybox:latest" not in out, out)
    equal(docker("images", "-q", "--no-trunc", "busybox:latest").out.strip(),
          ident)

    docker("pull", "busybox@" + digest)
    docker("rmi", "busybox:latest", code=None)
    docker("rmi", "-f", "busybox:latest", code=None)
    docker("pull", "busybox@" + digest)
    rows = docker("images", "--digests", "--format",
                  "{{.Repository}} {{.Tag}} {{.Digest}}").out.splitlines()
    check(f"busybox <none> {digest}" in rows, rows)
    for filters, shown in (("reference=busybox", True),
                           ("reference=busy*", True),
                           ("reference=busybox:latest", False),
                           ("dangling=true", True),
                           ("dangling=false", True)):
        out = docker("images", "-q", "--no-trunc", "--filter", filters).out
        equal(ident in out, shown, filters)

    docker("create", "--name", "by", "busybox@" + digest, "true")
    for ancestor in ("busybox@" + digest, ident, ident[7:19]):
        equal(docker("ps", "-a", "--filter", "ancestor=" + ancestor,
                     "--format", "{{.Names}}").out, "by\n", ancestor)
    equal(docker("ps", "-a", "--filter", "ancestor=nothing", "-q").out, "")
    docker("rm", "by")
    out = docker("rmi", "busybox@" + digest).out
    check("Deleted: " + ident in out, out)


def the_image_column_follows_the_name(docker):
    docker("pull", "busybox")
    docker("tag", "busybox", "moved:1")
    ident = docker("images", "-q", "--no-trunc", "busybox:latest").out.strip()
    docker("create", "--name", "kept", "moved:1", "true")
    column = ("ps", "-a", "--no-trunc", "--format", "{{.Image}}")
    equal(docker(*column).out, "moved:1\n")
    docker("pull", "ubuntu")
    docker("tag", "ubuntu", "moved:1")
    equal(docker(*column).out, ident + "\n")
    equal(docker("ps", "-aq", "--filter", "ancestor=moved:1").out, "")
    check(docker("ps", "-aq", "--filter", "ancestor=busybox").out, "no row")
    docker("rmi", "moved:1")


def a_reference_pattern_is_of_names(docker):
    docker("pull", "busybox")
    docker("tag", "busybox", "some/thing:v1")
    docker("tag", "busybox", "some/thing:v2")
    listed = ("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter")
    for pattern, names in (("some/thing", ["some/thing:v1", "some/thing:v2"]),
                           ("some/*:v1", ["some/thing:v1"]),
                           ("*/*:v[2-9]", ["some/thing:v2"]),
                           ("some*", []), ("thing", [])):
        equal(sorted(docker(*listed, "reference=" + pattern).out.split()),
              names, pattern)
    docker(*listed, "reference=[", code=1)
    out = docker("rmi", "some/thing:v1").out
    check("Untagged: some/thing:v1" in out and "v2" not in out, out)
    docker("rmi", "some/thing:v2")


CASES = [
    history_shows_the_steps, a_null_leaves_a_member_of_create_unset,
    a_wrong_type_in_create_is_refused, every_route_with_a_body_survives_any,
    names_of_members_may_be_in_any_case, what_an_image_exposes_is_shown,
    a_volume_gives_way_to_a_mount_at_its_place,
    hard_links_of_an_image_are_kept_in_a_volume,
    images_have_one_size_since_1_44, events_take_filters_that_nobody_knows,
    targets_of_requests, fifty_creates_at_once,
    a_create_that_fails_frees_its_name, ports_that_are_chosen_at_once_differ,
    a_volume_of_a_container_in_the_making_stays,
    hostile_patterns_are_answered_at_once,
    the_output_of_an_exec_is_framed_as_its_start_says,
    a_missing_bind_source_is_no_missing_image,
    what_a_create_takes_away_stays_away, an_empty_stop_signal_is_the_images,
    a_read_only_bind_is_so_all_the_way_down, exec_in_a_missing_directory_fails,
    images_by_digest, the_image_column_follows_the_name,
    a_reference_pattern_is_of_names]
