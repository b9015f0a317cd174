"""An application of several services, by docker-compose as it is packaged."""
import os
import shutil
import subprocess
import tempfile

from cases_networks import address, fetch, inspect, lookup, reaches
from harness import check, equal, eventually

APPLICATION = """
version: "2.4"
services:
  front:
    image: busybox
    command: sh -c 'while nc -l -p 80 < /data/f; do :; done'
    networks: {outside: {}, inside: {aliases: [proxy]}}
    ports: ["18100:80"]
    volumes: ["data:/data"]
    depends_on: [api, store]
    stop_grace_period: 1s
  api:
    image: busybox
    command: sh -c 'echo api is up; exec sleep 1000'
    networks: [inside]
    stop_grace_period: 1s
  store:
    image: busybox
    command: sh -c 'echo stored > /data/f; exec sleep 1000'
    networks: {inside: {aliases: [db]}}
    volumes: ["data:/data"]
    stop_grace_period: 1s
networks:
  outside: {}
  inside: {internal: true}
volumes:
  data: {}
"""


class Compose:
    def __init__(self, docker, folder):
        self.environment = dict(os.environ, DOCKER_HOST=docker.host,
                                COMPOSE_PROJECT_NAME="shop",
                                COMPOSE_INTERACTIVE_NO_CLI="1")
        self.folder = folder

    def __call__(self, *args):
        done = subprocess.run(["docker-compose", *args], cwd=self.folder,
                              env=self.environment, text=True, timeout=80,
                              stdin=subprocess.DEVNULL, capture_output=True)
        check(done.returncode == 0, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout


def member(docker, service, number=1):
    """The name of a service's container: of either spelling."""
    names = docker("ps", "--format", "{{.Names}}").out.split()
    for name in names:
        if name.replace("-", "_") == f"shop_{service}_{number}":
            return name
    check(False, f"no container of {service}: {names}")


def an_application(docker):
    if shutil.which("docker-compose") is None:
        return "docker-compose is not installed"
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/docker-compose.yml", "w") as file:
            file.write(APPLICATION)
        compose = Compose(docker, folder)
        compose("up", "-d")
        front, api, store = (member(docker, service)
                             for service in ("front", "api", "store"))
        networks = inspect(docker, "network", "shop_inside")
        equal(networks["Internal"], True)
        equal(len(networks["Containers"]), 3, "members")
        there = [address(docker, api, "shop_inside")]
        for name in ("api", api):
            equal(lookup(docker, front, name), there, name)
        equal(lookup(docker, api, "db"),
              [address(docker, store, "shop_inside")])
        equal(lookup(docker, store, "proxy"),
              [address(docker, front, "shop_inside")])
        check(reaches(docker, front, there[0]), "no way inside")
        equal(eventually("it serves", lambda: fetch(18100)), "stored\n")
        check("stored" in compose("exec", "-T", "store", "cat", "/data/f"),
              "exec")
        check("api is up" in compose("logs", "api"), "logs")
        compose("up", "-d", "--scale", "api=3")
        equal(len(lookup(docker, store, "api")), 3, "answers for a service")
        compose("restart", "-t", "0", "store")
        equal(lookup(docker, front, "db"),
              [address(docker, member(docker, "store"), "shop_inside")])
        compose("down", "-v", "-t", "1")
        left = docker("network", "ls", "--format", "{{.Name}}").out.split()
        equal(sorted(left), ["bridge", "host", "none"])
        equal(docker("ps", "-aq").out + docker("volume", "ls", "-q").out, "")


CASES = [an_application]
