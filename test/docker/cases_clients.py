"""What libraries for other languages ask for, and read of the answers."""
import json
import socket
import urllib.parse

from harness import check, equal


def ask(docker, method, path, body=None, version="1.41"):
    """Status and value of an answer, of an API that all engines have."""
    status, _, data = docker.http(
        method, path, None if body is None else json.dumps(body),
        {"Content-Type": "application/json"}, version)
    return status, json.loads(data) if data.strip() else None


def ask_filtered(docker, path, **filters):
    query = urllib.parse.urlencode({"filters": json.dumps(
        {key: [value] for key, value in filters.items()})})
    return ask(docker, "GET", f"{path}?{query}")


def listed(docker, *filters):
    words = [word for one in filters for word in ("--filter", one)]
    return docker("ps", "-a", "--format", "{{.Names}}", *words).out.split()


def ports_are_found_as_they_are_written(docker):
    docker("pull", "busybox")
    docker("run", "-d", "--name", "served", "-p", "18110:80", "--expose",
           "82/udp", "busybox", "sleep", "100")
    docker("create", "--name", "plain", "busybox")
    for value in ("18110", "18110/tcp", "18100-18120"):
        equal(listed(docker, "publish=" + value), ["served"], value)
    # A port of the container is exposed, and published as another.
    for value in ("80", "18110/udp", "18111-18120"):
        equal(listed(docker, "publish=" + value), [], value)
    for value in ("80", "82/udp", "70-81/tcp"):
        equal(listed(docker, "expose=" + value), ["served"], value)
    for value in ("82", "18110"):
        equal(listed(docker, "expose=" + value), [], value)


def values_of_filters_are_checked(docker):
    for one in ("status=foo", "health=foo", "exited=x", "expose=zz",
                "publish=9-8"):
        result = docker("ps", "--filter", one, code=1)
        check("Error response from daemon" in result.err, result)
    for path in ("/containers/json", "/images/json", "/networks", "/volumes"):
        status, answer = ask_filtered(docker, path, foo="bar")
        equal((status, answer["message"].lower()),
              (400, "invalid filter 'foo'"), path)


def the_command_of_a_row_has_quotes(docker):
    docker.start("busybox", "sh", "-c", "sleep 100; true", "x")
    equal(docker("ps", "--no-trunc", "--format", "{{.Command}}").out,
          "\"sh -c 'sleep 100; true' x\"\n")


def networks_of(docker, body):
    status, answer = ask(docker, "POST", "/containers/create",
                         {"Image": "busybox", "Cmd": ["sleep", "9"], **body})
    equal(status, 201, str(answer))
    docker("start", answer["Id"])
    settings = json.loads(docker.inspect(answer["Id"],
                                         "{{json .NetworkSettings.Networks}}"))
    return sorted(name for name, one in settings.items() if one["IPAddress"])


def endpoints_that_are_named_are_the_only_ones(docker):
    docker("pull", "busybox")
    docker("network", "create", "one")
    docker("network", "create", "two")
    named = {"NetworkingConfig": {"EndpointsConfig": {"one": {}}}}
    equal(networks_of(docker, named), ["one"], "no mode")
    for mode in ("bridge", "default", "one"):
        equal(networks_of(docker, {"HostConfig": {"NetworkMode": mode},
                                   **named}), ["one"], mode)
    equal(networks_of(docker, {"HostConfig": {"NetworkMode": "two"}}), ["two"])
    equal(networks_of(docker, {}), ["bridge"])


def what_is_already_so_is_said(docker):
    full = docker.start("--name", "same", "busybox", "sleep", "100")
    equal(ask(docker, "POST", "/containers/same/rename?name=same"),
          (400, {"message": "Renaming a container with the same name as its "
                            "current name"}))
    docker("pause", "same")
    check(f"{full} is already paused" in docker("pause", "same", code=1).err,
          "paused twice")
    docker("unpause", "same")
    check(f"{full} is not paused" in docker("unpause", "same", code=1).err,
          "not paused")
    status, answer = ask(docker, "POST", "/containers/prune")
    equal((status, answer["ContainersDeleted"]), (200, None))


def an_images_configuration_is_whole(docker):
    docker("pull", "busybox")
    status, image = ask(docker, "GET", "/images/busybox/json")
    equal(status, 200)
    wanted = {"AttachStderr", "AttachStdin", "AttachStdout", "Cmd",
              "Domainname", "Entrypoint", "Env", "Hostname", "Image", "Labels",
              "OnBuild", "OpenStdin", "StdinOnce", "Tty", "User", "Volumes",
              "WorkingDir"}
    equal(wanted - set(image["Config"]), set(), "missing members")
    equal((image["Config"]["Tty"], image["Config"]["Volumes"]), (False, None))


def a_network_of_another_scope_is_not_there(docker):
    docker("network", "create", "here")
    equal(ask(docker, "GET", "/networks/here?scope=local")[0], 200)
    equal(ask(docker, "GET", "/networks/here?scope=swarm")[0], 404)
    status, made = ask(docker, "POST", "/containers/create",
                       {"Image": "busybox", "HostConfig":
                        {"NetworkMode": "nowhere"}})
    equal(status, 201, str(made))
    status, answer = ask(docker, "POST", f"/containers/{made['Id']}/start")
    equal(status, 404)
    check("network nowhere not found" in answer["message"], answer)


def a_container_may_have_no_network(docker):
    docker("pull", "busybox")
    status, made = ask(docker, "POST", "/containers/create",
                       {"Image": "busybox", "NetworkDisabled": True,
                        "Cmd": ["ls", "/sys/class/net"]})
    equal(status, 201, str(made))
    check("lo" in docker("start", "-a", made["Id"]).out.split(), "no loopback")
    check("eth0" not in docker("logs", made["Id"]).out.split(), "a network")


def a_body_of_an_attach_is_no_input(docker):
    """As dockerode sends it: the options, again."""
    docker("pull", "busybox")
    docker("create", "-i", "--name", "reader", "busybox", "cat")
    body = b'{"stream":true,"stdin":true,"stdout":true}'
    with docker.control.connect() as client:
        client.sendall(b"POST /v1.41/containers/reader/attach?stream=1&stdin=1"
                       b"&stdout=1 HTTP/1.1\r\nHost: engine\r\n"
                       b"Content-Type: application/json\r\n"
                       b"Connection: Upgrade\r\nUpgrade: tcp\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += client.recv(1000)
        check(b" 101 " in answer.splitlines()[0], answer)
        docker("start", "reader")
        client.sendall(b"the input\n")
        client.shutdown(socket.SHUT_WR)
        while True:
            more = client.recv(1000)
            if not more:
                break
            answer += more
    equal(answer.partition(b"\r\n\r\n")[2],
          b"\x01\0\0\0\0\0\0\x0athe input\n")


CASES = [ports_are_found_as_they_are_written, values_of_filters_are_checked,
         the_command_of_a_row_has_quotes,
         endpoints_that_are_named_are_the_only_ones,
         what_is_already_so_is_said, an_images_configuration_is_whole,
         a_network_of_another_scope_is_not_there,
         a_body_of_an_attach_is_no_input, a_container_may_have_no_network]
