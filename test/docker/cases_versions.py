"""What an answer has depends on the version of the API that is asked."""
import json
import time
import urllib.parse

from cases_clients import ask
from harness import check, equal


def newest(docker):
    return docker("version", "-f", "{{.Server.APIVersion}}").out.strip()


def only_versions_that_are_served_are_answered(docker):
    major, minor = newest(docker).split(".")
    for version in ("1.11", f"{major}.{int(minor) + 1}"):
        status, _, data = docker.http("GET", "/info", version=version)
        equal(status, 400, version)
        check(f"client version {version} is too" in data.decode(), data)
    for version in ("1.41", newest(docker)):
        equal(ask(docker, "GET", "/info", version=version)[0], 200, version)


def inspect_has_one_place_for_addresses(docker):
    docker.start("--name", "box", "busybox", "sleep", "100")
    path = "/containers/box/json"
    old = ask(docker, "GET", path)[1]
    address = old["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    check(address, "no address")
    equal(old["NetworkSettings"]["IPAddress"], address)
    if docker.older_than("1.52"):
        return "the rest: of API 1.52"
    new = ask(docker, "GET", path, version="1.52")[1]
    equal(new["NetworkSettings"].keys(),
          {"Networks", "Ports", "SandboxID", "SandboxKey"})
    check("OnBuild" not in new["Config"], "OnBuild")
    return None


def images_say_no_more_than_they_have(docker):
    docker.start("busybox", "sleep", "100")
    row = ask(docker, "GET", "/images/json")[1][0]
    equal(row["Containers"], -1)
    old = ask(docker, "GET", "/images/busybox/json")[1]
    for member in ("Author", "Comment", "Parent"):
        equal(old[member], "", member)
    check("Volumes" in old["Config"], "no Volumes")
    if docker.older_than("1.52"):
        return "the rest: of API 1.52"
    rows = ask(docker, "GET", "/images/json", version="1.51")[1]
    equal([row["Containers"] for row in rows
           if "busybox:latest" in row["RepoTags"]], [1])
    new = ask(docker, "GET", "/images/busybox/json", version="1.52")[1]
    equal({"Author", "Comment", "Parent", "DockerVersion"} & new.keys(), set())
    equal(new["Config"].keys(), {"Cmd", "Env"})
    return None


def disk_usage_is_summed_up(docker):
    docker.start("-v", "used:/v", "busybox", "sh", "-c",
                 "head -c 50000 /dev/zero >/v/f; sleep 100")
    docker("volume", "create", "unused")
    legacy = {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    old = ask(docker, "GET", "/system/df")[1]
    equal(legacy - old.keys(), set())
    equal(len(old["Volumes"]), 2)
    if docker.older_than("1.52"):
        return "the rest: of API 1.52"
    usage = {kind + "Usage" for kind in ("Image", "Container", "Volume",
                                         "BuildCache")}
    new = ask(docker, "GET", "/system/df", version="1.52")[1]
    equal((usage | legacy) - new.keys(), set())
    whole = ask(docker, "GET", "/system/df?verbose=1", version="1.52")[1]
    equal(whole.keys(), usage)
    volumes = whole["VolumeUsage"]
    equal([volumes["ActiveCount"], volumes["TotalCount"],
           len(volumes["Items"])], [1, 2, 2])
    check(volumes["TotalSize"] - volumes.get("Reclaimable", 0) >= 50000, volumes)
    equal([whole["ContainerUsage"]["ActiveCount"],
           whole["ImageUsage"]["ActiveCount"]], [1, 1])
    only = ask(docker, "GET", "/system/df?type=image", version="1.52")[1]
    equal(usage & only.keys(), {"ImageUsage"})
    return None


def past_events(docker, version, accept=None):
    """Type and text of the stream of what happened to a container."""
    filters = urllib.parse.quote(json.dumps({"container": ["box"]}))
    _, headers, data = docker.http(
        "GET", f"/events?since=1&until={time.time()}&filters={filters}",
        headers={"Accept": accept} if accept else {}, version=version)
    return headers["Content-Type"], data.decode()


def events_are_json_lines(docker):
    docker("run", "--name", "box", "busybox", "true")
    kind, text = past_events(docker, "1.41")
    first = json.loads(text.splitlines()[0])
    equal((kind, first["status"], first["from"]),
          ("application/json", "create", "busybox"))
    if docker.older_than("1.52"):
        return "the rest: of API 1.52"
    kind, text = past_events(docker, "1.52")
    first = json.loads(text.splitlines()[0])
    equal(kind, "application/jsonl")
    equal({"status", "id", "from"} & first.keys(), set())
    kind, text = past_events(docker, "1.52", "application/json-seq")
    equal((kind, text[0]), ("application/json-seq", "\x1e"))
    equal(past_events(docker, "1.52", "text/x, application/x-ndjson;q=0.9")[0],
          "application/x-ndjson")
    return None


def an_address_is_of_one_network(docker):
    docker("pull", "busybox")
    body = {"Image": "busybox", "MacAddress": "02:00:00:00:00:07"}
    status, made = ask(docker, "POST", "/containers/create", body)
    equal(status, 201, str(made))
    if docker.older_than("1.52"):
        return "the rest: of API 1.52"
    status, answer = ask(docker, "POST", "/containers/create", body,
                         version="1.52")
    # dockerd passes over it.
    if docker.engine == "berthd":
        equal(status, 400, str(answer))
        check("container-wide MAC address no longer supported" in
              answer["message"], answer)
    status, made = ask(docker, "POST", "/containers/create",
                       {"Image": "busybox", "HostConfig":
                        {"PortBindings": {"80/tcp": []}}}, version="1.52")
    equal(status, 201, str(made))
    check("80/tcp" in made["Warnings"][0], made)
    return None


CASES = [only_versions_that_are_served_are_answered,
         inspect_has_one_place_for_addresses,
         images_say_no_more_than_they_have, disk_usage_is_summed_up,
         events_are_json_lines, an_address_is_of_one_network]
