"""docker push, docker login, and what registries are asked."""
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile

from cases_images import forget, image_json, stopped
from harness import check, equal

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "support", "registry.sh")


@contextlib.contextmanager
def registry(*options):
    """A registry of the case's own; its address."""
    folder = tempfile.mkdtemp(prefix="berth-push.")
    try:
        out = subprocess.run([SCRIPT, "start", folder, *options], check=True,
                             text=True, stdout=subprocess.PIPE).stdout
        yield re.search("^ADDRESS=(.*)$", out, re.M).group(1)
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def an_image_is_pushed_and_pulled(docker):
    stopped(docker, "dd if=/dev/urandom of=/big bs=1M count=20; echo here >/f")
    name = docker.registry + "/pushed/one:v1"
    docker("commit", "box", name)
    image = image_json(docker, name)["Id"]
    try:
        out = docker("push", name).out
        check(re.search("v1: digest: sha256:[0-9a-f]{64} size: [1-9]", out), out)
        check("Pushed" in out, out)
        out = docker("push", name).out
        check(out.count("Layer already exists") >= 2 and "Pushed" not in out,
              out)
        other = docker.registry + "/pushed/two"
        docker("tag", name, other + ":a")
        docker("tag", name, other + ":b")
        out = docker("push", "-a", other).out
        check("a: digest:" in out and "b: digest:" in out, out)
        docker.clear()
        forget(docker, name, other + ":a", other + ":b")
        docker("pull", name)
        equal(image_json(docker, name)["Id"], image)
        equal(docker.run(name, "cat", "/f").out, "here\n")
        docker("pull", other + ":b")
    finally:
        docker.clear()
        forget(docker, name, docker.registry + "/pushed/two:b")


def a_layer_is_mounted_from_another_repository(docker):
    docker("pull", docker.registry + "/test/config:latest")
    name = docker.registry + "/pushed/mounted:1"
    docker("tag", docker.registry + "/test/config:latest", name)
    try:
        out = docker("push", name).out
        check("Mounted from test/config" in out, out)
    finally:
        forget(docker, name)


def what_is_not_here_is_not_pushed(docker):
    name = docker.registry + "/pushed/absent:v1"
    result = docker("push", name, code=1)
    check("An image does not exist locally with the tag" in result.err,
          result.err)
    docker("pull", "busybox")
    docker("tag", "busybox", "127.0.0.1:1/pushed/x")
    docker("push", "127.0.0.1:1/pushed/x", code=1)
    forget(docker, "127.0.0.1:1/pushed/x")
    status, _, data = docker.http("POST", "/images/UPPER/push",
                           headers={"X-Registry-Auth": "e30="})
    check(status in (400, 500), (status, data))


def passwords_are_asked_for(docker):
    docker("pull", "busybox")
    for kind in ("basic", "token"):
        with registry("--auth", kind) as address, \
                tempfile.TemporaryDirectory() as config:
            name = address + "/pushed/secret:1"
            docker("tag", "busybox", name)
            try:
                result = docker("--config", config, "push", name, code=1)
                wrong = docker("--config", config, "login", "-u", "tester",
                               "--password-stdin", address, code=1,
                               stdin=b"wrong")
                check("unauthorized" in wrong.err.lower(), wrong.err)
                out = docker("--config", config, "login", "-u", "tester",
                             "--password-stdin", address,
                             stdin=b"secret").out
                check("Login Succeeded" in out, out)
                out = docker("--config", config, "push", name).out
                check("1: digest: sha256:" in out, (result, out))
            finally:
                forget(docker, name)


def odd_logins_are_refused(docker):
    kind = {"Content-Type": "application/json"}
    for body in ("[]", '{"username":3}', "{",
                 '{"serveraddress":"127.0.0.1:1","username":"a"}',
                 '{"serveraddress":"http://::/"}'):
        status, _, data = docker.http("POST", "/auth", body, kind)
        check(status in (400, 401, 500), (body, status, data))
    for header in ("!", base64.b64encode(b"[]").decode(),
                   base64.b64encode(b'{"username":3}').decode()):
        status, _, data = docker.http("POST", "/images/busybox/push?tag=x",
                               headers={"X-Registry-Auth": header})
        check(status in (200, 400, 500), (header, status, data))
    check(docker.control.alive(), "the engine has ended")


def a_name_is_looked_up_in_its_registry(docker):
    name = docker.registry + "/test/config:latest"
    status, _, data = docker.http("GET", f"/distribution/{name}/json")
    equal(status, 200, data)
    got = json.loads(data)
    check(got["Descriptor"]["digest"].startswith("sha256:"), got)
    check(got["Descriptor"]["size"] > 0, got)
    if docker.engine == "berthd":  # 20.10 does not know the type
        equal(got["Platforms"][0]["os"], "linux")
    name = docker.registry + "/test/nowhere:latest"
    status, _, data = docker.http("GET", f"/distribution/{name}/json")
    check(status in (401, 404, 500), (status, data))


CASES = [an_image_is_pushed_and_pulled,
         a_layer_is_mounted_from_another_repository,
         what_is_not_here_is_not_pushed, passwords_are_asked_for,
         odd_logins_are_refused, a_name_is_looked_up_in_its_registry]
