"""Applications of several services: by docker-compose as Debian has it, and by
compose v2 (docker-compose of BUILDKIT_BIN), each of its steps."""
import contextlib
import os
import shutil
import subprocess
import tempfile

from cases_build import BUILDER
from cases_networks import address, fetch, inspect, lookup, reaches
from harness import Reader, check, equal, eventually

FIRST = """
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

SECOND = """
name: mart
services:
  web:
    build: {context: ./web, args: {WORD: built}}
    networks: [outside, inside]
    depends_on:
      api: {condition: service_healthy}
      store: {condition: service_started}
      setup: {condition: service_completed_successfully}
    ports: ["18200-18230:80"]
    stop_grace_period: 1s
    develop:
      watch: [{action: sync, path: ./web/pages, target: /pages}]
  api:
    image: busybox
    command: sh -c 'sleep 1; touch /ready; echo api is up; exec sleep 1000'
    networks: {inside: {aliases: [backend]}}
    healthcheck:
      {test: ["CMD", "test", "-e", "/ready"], interval: 300ms, retries: 30}
    secrets: [key]
    configs: [{source: settings, target: /etc/settings}]
    extra_hosts: ["host.docker.internal:host-gateway"]
    stop_grace_period: 1s
  store:
    image: busybox
    command: sh -c 'echo stored > /data/f; exec sleep 1000'
    networks: {inside: {aliases: [db]}}
    volumes: ["data:/data"]
    stop_grace_period: 1s
  setup: {image: busybox, command: "true", network_mode: none}
  debug:
    image: busybox
    command: sleep 1000
    profiles: [debug]
    networks: [inside]
    stop_grace_period: 1s
networks:
  outside: {}
  inside: {internal: true}
volumes: {data: {}}
secrets: {key: {file: ./key.txt}}
configs: {settings: {content: "mode=inline"}}
"""

DOCKERFILE = """FROM busybox
ARG WORD
RUN --mount=type=cache,target=/c echo x >> /c/n; echo $WORD > /word
COPY pages /pages
CMD ["sh", "-c", "while nc -l -p 80 -e cat /pages/one; do :; done"]
"""


class Compose:
    """compose("up", "-d") in the folder of an application: what it prints."""

    def __init__(self, docker, folder, argv, **environment):
        self.folder, self.argv = folder, argv
        self.environment = dict(os.environ, DOCKER_HOST=docker.host,
                                **environment)

    def __call__(self, *args, code=0):
        done = subprocess.run([*self.argv, *args], cwd=self.folder, text=True,
                              env=self.environment, timeout=80, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        check(code is None or done.returncode == code,
              f"{args}: {done.returncode}, {done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, *args):
        """What it prints, while it runs."""
        with subprocess.Popen([*self.argv, *args], cwd=self.folder,
                              env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            try:
                yield Reader(process.stdout.fileno())
            finally:
                process.terminate()


@contextlib.contextmanager
def folder_of(files):
    """A folder of its own with these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        yield folder


def nothing_is_left(docker):
    equal(docker("ps", "-aq").out + docker("volume", "ls", "-q").out, "")
    left = docker("network", "ls", "--format", "{{.Name}}").out.split()
    equal(sorted(left), ["bridge", "host", "none"])


# ---- Debian's

@contextlib.contextmanager
def first(docker):
    with folder_of({"docker-compose.yml": FIRST}) as folder:
        yield Compose(docker, folder, ["docker-compose"],
                      COMPOSE_PROJECT_NAME="shop",
                      COMPOSE_INTERACTIVE_NO_CLI="1")


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
    with first(docker) as compose:
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
        nothing_is_left(docker)


# ---- compose v2

@contextlib.contextmanager
def second(docker):
    files = {"compose.yaml": SECOND, "key.txt": "secret",
             "web/Dockerfile": DOCKERFILE, "web/pages/one": "one\n"}
    with folder_of(files) as folder:
        plugins = folder + "/config/cli-plugins"
        os.makedirs(plugins)
        for one in ("docker-compose", "docker-buildx"):
            os.symlink(os.path.join(os.environ["BUILDKIT_BIN"], one),
                       os.path.join(plugins, one))
        compose = Compose(
            docker, folder, [docker.program, "compose", "--progress", "plain"],
            DOCKER_CONFIG=folder + "/config")
        try:
            yield compose
        finally:
            compose("--profile", "debug", "down", "-v", "-t", "1", "--rmi",
                    "local", code=None)


def with_second(case):
    """A case that is given compose v2 in the folder of its application."""
    def outer(docker):
        program = os.path.join(os.environ.get("BUILDKIT_BIN", ""),
                               "docker-compose")
        if not os.path.exists(program):
            return "no docker-compose in BUILDKIT_BIN"
        if docker.engine == "berthd":
            docker("pull", BUILDER)
        docker("pull", "busybox")
        with second(docker) as compose:
            return case(docker, compose)
    outer.__name__, outer.__module__ = case.__name__, case.__module__
    return outer


@with_second
def compose_brings_an_application_up(docker, compose):
    compose("up", "-d", "--wait", "--build")
    equal(sorted(compose("ps", "-a", "--format",
                         "{{.Service}} {{.State}} {{.Health}}")
                 .splitlines()),
          ["api running healthy", "setup exited ", "store running ",
           "web running "])
    equal(compose("exec", "-T", "api", "cat", "/run/secrets/key",
                  "/etc/settings"), "secretmode=inline")
    check("host.docker.internal" in
          compose("exec", "-T", "api", "cat", "/etc/hosts"), "no gateway")
    equal(compose("exec", "-T", "web", "cat", "/word"), "built\n")
    port = int(compose("port", "web", "80").rpartition(":")[2])
    check(18200 <= port <= 18230, f"port {port}")
    equal(eventually("it serves", lambda: fetch(port)), "one\n")
    for name in ("backend", "db"):
        equal(len(lookup(docker, "mart-web-1", name)), 1, name)
    # Again, with nothing to be done.
    before = docker("ps", "-q").out
    compose("up", "-d", "--wait", "--build")
    equal(docker("ps", "-q").out, before)
    compose("--profile", "debug", "up", "-d")
    check("debug" in compose("ps", "--services").split(), "profile")
    compose("--profile", "debug", "down", "-v", "-t", "1", "--rmi", "local")
    nothing_is_left(docker)
    check("mart-web" not in docker("images").out, "the image is left")


@with_second
def compose_scales_a_service(docker, compose):
    compose("up", "-d", "--wait", "--scale", "web=25")
    equal(len(compose("ps", "-q", "web").split()), 25)
    equal(len(lookup(docker, "mart-api-1", "web")), 25, "answers")
    ports = {compose("port", "--index", str(number), "web", "80")
             for number in range(1, 26)}
    equal(len(ports), 25, "ports")
    compose("up", "-d", "--scale", "web=1")
    equal(len(compose("ps", "-q", "web").split()), 1)
    equal(len(lookup(docker, "mart-api-1", "web")), 1, "answers")


@with_second
def compose_works_on_what_runs(docker, compose):
    compose("up", "-d", "--wait")
    source = compose.folder + "/key.txt"
    compose("cp", source, "api:/tmp/copied")
    compose("cp", "api:/tmp/copied", compose.folder + "/back")
    with open(compose.folder + "/back") as file:
        equal(file.read(), "secret")
    compose("exec", "-T", "-e", "A=b", "-w", "/tmp", "api", "sh", "-c",
            "test $PWD$A = /tmpb")
    equal(compose("run", "--rm", "-T", "api", "echo", "ran"), "ran\n")
    compose("pause", "api")
    check("Paused" in compose("ps", "api"), "paused")
    compose("unpause", "api")
    compose("kill", "-s", "KILL", "store")
    compose("start", "store")
    compose("restart", "-t", "0", "api")
    check("sleep 1000" in compose("top", "store"), "top")
    check("busybox" in compose("images", "store"), "images")
    check("mart-store-1" in compose("stats", "--no-stream", "store"),
          "stats")
    check("mart" in compose("ls"), "ls")
    compose("export", "-o", compose.folder + "/tar", "store")
    check(os.path.getsize(compose.folder + "/tar") > 1000, "export")
    compose("commit", "store", "kept:1")
    docker("rmi", "kept:1")
    compose("stop", "-t", "0", "store")
    equal(compose("ps", "-a", "store", "--format", "{{.State}}"),
          "exited\n")


@with_second
def compose_follows(docker, compose):
    compose("up", "-d", "--wait")
    with compose.running("logs", "-f", "api", "store") as said:
        eventually("the log", lambda: said.has(b"api is up"))
        docker("exec", "mart-store-1", "sh", "-c",
               "echo later > /proc/1/fd/1")
        eventually("what comes later", lambda: said.has(b"later"))
    with compose.running("watch") as said:
        eventually("it watches", lambda: said.has(b"Watch enabled"), 30)
        with open(compose.folder + "/web/pages/one", "w") as file:
            file.write("two\n")
        eventually("the new page", lambda: docker(
            "exec", "mart-web-1", "cat", "/pages/one").out == "two\n", 30)
    with compose.running("events", "--json") as said:
        def told():
            docker("restart", "-t", "0", "mart-store-1")
            return said.has(b'"restart"')
        eventually("an event", told)


CASES = [an_application, compose_brings_an_application_up,
         compose_scales_a_service, compose_works_on_what_runs,
         compose_follows]
