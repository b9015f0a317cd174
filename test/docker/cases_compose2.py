"""An application by compose v2 (docker-compose of BUILDKIT_BIN): each of its
steps."""
import contextlib
import os
import subprocess
import tempfile

from cases_networks import fetch, lookup
from harness import Reader, check, equal, eventually

APPLICATION = """
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


@contextlib.contextmanager
def application(docker):
    """Runs compose on it: compose("up", "-d"); its folder is compose.folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/web/pages")
        for name, text in (("compose.yaml", APPLICATION),
                           ("key.txt", "secret"),
                           ("web/Dockerfile", DOCKERFILE),
                           ("web/pages/one", "one\n")):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        compose = Compose(docker, folder)
        try:
            yield compose
        finally:
            compose("--profile", "debug", "down", "-v", "-t", "1", "--rmi",
                    "local", code=None)


class Compose:
    def __init__(self, docker, folder):
        self.folder = folder
        plugins = os.path.join(folder, "config", "cli-plugins")
        os.makedirs(plugins)
        for one in ("docker-compose", "docker-buildx"):
            os.symlink(os.path.join(os.environ["BUILDKIT_BIN"], one),
                       os.path.join(plugins, one))
        self.environment = dict(os.environ, DOCKER_HOST=docker.host,
                                DOCKER_CONFIG=folder + "/config")
        self.argv = [docker.program, "compose", "--progress", "plain"]

    def __call__(self, *args, code=0, **kwargs):
        done = subprocess.run([*self.argv, *args], cwd=self.folder, text=True,
                              env=self.environment, timeout=80, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL,
                              **kwargs)
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


def without_compose(docker):
    """Why compose v2 cannot be tried, if so."""
    program = os.path.join(os.environ.get("BUILDKIT_BIN", ""),
                           "docker-compose")
    if not os.path.exists(program):
        return "no docker-compose in BUILDKIT_BIN"
    if docker.engine == "berthd":
        docker("pull", "moby/buildkit:buildx-stable-1")
    docker("pull", "busybox")
    return None


def compose_brings_an_application_up(docker):
    reason = without_compose(docker)
    if reason:
        return reason
    with application(docker) as compose:
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
        equal(docker("ps", "-aq").out + docker("volume", "ls", "-q").out, "")
        equal(sorted(docker("network", "ls", "--format",
                            "{{.Name}}").out.split()),
              ["bridge", "host", "none"])
        check("mart-web" not in docker("images").out, "the image is left")


def compose_scales_a_service(docker):
    reason = without_compose(docker)
    if reason:
        return reason
    with application(docker) as compose:
        compose("up", "-d", "--wait", "--scale", "web=25")
        equal(len(compose("ps", "-q", "web").split()), 25)
        equal(len(lookup(docker, "mart-api-1", "web")), 25, "answers")
        ports = {compose("port", "--index", str(number), "web", "80")
                 for number in range(1, 26)}
        equal(len(ports), 25, "ports")
        compose("up", "-d", "--scale", "web=1")
        equal(len(compose("ps", "-q", "web").split()), 1)
        equal(len(lookup(docker, "mart-api-1", "web")), 1, "answers")


def compose_works_on_what_runs(docker):
    reason = without_compose(docker)
    if reason:
        return reason
    with application(docker) as compose:
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


def compose_follows(docker):
    reason = without_compose(docker)
    if reason:
        return reason
    with application(docker) as compose:
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


CASES = [compose_brings_an_application_up, compose_scales_a_service,
         compose_works_on_what_runs, compose_follows]
