"""docker build: by BuildKit's protocol and by the one before it."""
import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

from harness import Connection, check, equal, eventually

BUILDER = "moby/buildkit:buildx-stable-1"
LABEL = "label=io.berth.builder"
PROGRAMS = os.environ.get("BUILDKIT_BIN", "")


def builds(case):
    """A case that builds: the engine has what it needs for that."""
    def run(docker):
        if docker.engine == "berthd":
            if not PROGRAMS:
                return ("BUILDKIT_BIN is not set: test/support/buildkit.sh "
                        "makes that folder")
            if docker("image", "inspect", BUILDER, code=None).code != 0:
                docker("pull", BUILDER)
        return case(docker)
    run.__name__ = case.__name__
    run.__module__ = case.__module__
    return run


class Folder:
    """A context of a build: files by their names."""

    def __init__(self, **files):
        self.path = tempfile.mkdtemp(prefix="berth-build.")
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w") as file:
            file.write(text)

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.add(self.path, ".")
        return out.getvalue()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def post_build(docker, query, body):
    """The status and the objects of the answer to POST /build."""
    connection = Connection(docker.control.socket, 80)
    connection.request("POST", "/build?" + query, body,
                       {"Content-Type": "application/x-tar"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, [json.loads(line) for line in text.splitlines()
                           if line]


def texts(lines):
    return "".join(line.get("stream", "") for line in lines)


def plugged(docker, program, *args, code=0, environment=None, timeout=80):
    """Runs a docker CLI that has the plugin for BuildKit."""
    home = os.path.join(docker.control.folder, "docker-home")
    os.makedirs(home + "/cli-plugins", exist_ok=True)
    plugin = home + "/cli-plugins/docker-buildx"
    if program != "/usr/bin/docker" and not os.path.exists(plugin):
        os.symlink(PROGRAMS + "/docker-buildx", plugin)
    variables = dict(os.environ, DOCKER_CONFIG=home,
                     **(environment or {}))
    done = subprocess.run([program, "-H", docker.host, *args],
                          capture_output=True, env=variables, timeout=timeout,
                          check=False)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    check(code is None or done.returncode == code,
          f"{args}: exit code {done.returncode}: {done.out} {done.err}")
    return done


def buildx(docker, *args, **kwargs):
    return plugged(docker, "docker", "buildx", "build", "--progress=plain",
                   *args, **kwargs)


SIMPLE = """FROM busybox
ARG WHO=nobody
LABEL one=1
ENV WHO=$WHO
COPY a.txt /a
RUN echo hello $WHO; cat /a > /b
CMD ["cat", "/b"]
"""


def a_node_without_a_builder_says_what_to_pull(docker):
    if docker.engine == "dockerd":
        return "dockerd brings its own"
    docker("rmi", "-f", BUILDER, code=None)
    with Folder(Dockerfile="FROM busybox\n") as context:
        status, lines = post_build(docker, "", context.tar())
        equal(status, 409)
        check("pull or load the image " + BUILDER in lines[0]["message"],
              lines)
        if PROGRAMS:
            done = buildx(docker, context.path, code=1)
            check("pull or load the image " + BUILDER in done.err, done.err)
    # What asks for everything goes on.
    docker("system", "df")
    docker("system", "prune", "-f")


@builds
def classic_build(docker):
    with Folder(Dockerfile=SIMPLE, **{"a.txt": "from a\n"}) as context:
        query = 't=built:1&t=built:2&buildargs={"WHO":"Ann"}&labels={"two":"2"}'
        status, lines = post_build(docker, query, context.tar())
        equal(status, 200)
        out = texts(lines)
        check(" : FROM " in out and "RUN echo hello" in out, out)
        check("hello Ann" in out and "Successfully tagged built:2" in out, out)
        image = [line["aux"]["ID"] for line in lines if "aux" in line][-1]
        equal(docker.inspect("built:2", "{{.Id}}"), image)
        equal(docker.inspect("built:1", "{{json .Config.Labels}}"),
              '{"one":"1","two":"2"}')
        equal(docker.run("built:1").out, "from a\n")
        status, lines = post_build(docker, query, context.tar())
        check("Using cache" in texts(lines), texts(lines))
        if docker.engine == "berthd":
            history = docker("history", "--no-trunc", "--format",
                             "{{.Comment}}", "built:1").out
            check("buildkit.dockerfile.v0" in history, history)
    docker("rmi", "built:1", "built:2")


@builds
def classic_build_by_the_cli(docker):
    with Folder(Dockerfile=SIMPLE, **{"a.txt": "x\n"}) as context:
        done = plugged(docker, "/usr/bin/docker", "build", "-q", "-t",
                       "by-cli", context.path,
                       environment={"DOCKER_BUILDKIT": "0"})
        equal(done.out.strip(), docker.inspect("by-cli", "{{.Id}}"))
    docker("rmi", "by-cli")


@builds
def classic_build_tells_a_command_that_fails(docker):
    with Folder(Dockerfile="FROM busybox\nRUN echo before; exit 3\n") as one:
        status, lines = post_build(docker, "", one.tar())
        equal(status, 200)
        detail = lines[-1]["errorDetail"]
        equal(detail["code"], 3)
        check("'/bin/sh -c echo before; exit 3' returned a non-zero code: 3"
              in detail["message"], detail)
        check("before" in texts(lines), lines)


@builds
def classic_build_refuses_what_cannot_be_built(docker):
    with Folder(Dockerfile="FROM busybox\nBUILD x\n") as one:
        status, lines = post_build(docker, "", one.tar())
        equal(status, 400)
        check("unknown instruction: BUILD" in lines[0]["message"], lines)
    with Folder(Dockerfile="FROM busybox\n") as one:
        for query in ("buildargs=[]", "t=UPPER", "labels={"):
            status, _ = post_build(docker, query, one.tar())
            check(400 <= status < 501, f"{query}: {status}")
        status, lines = post_build(docker, "target=nowhere", one.tar())
        check(status in (400, 200) and "nowhere" in json.dumps(lines), lines)
        for junk in (b"", b"junk" * 5000, one.tar()[:700]):
            status, lines = post_build(docker, "", junk)
            check(status in (400, 500) or "errorDetail" in lines[-1],
                  f"{status} {lines}")


@builds
def a_base_that_only_this_node_has(docker):
    docker("pull", "busybox")
    docker("tag", "busybox", "only-here:1")
    with Folder(Dockerfile="FROM only-here:1\nRUN echo x > /x\n") as context:
        status, lines = post_build(docker, "t=on-local", context.tar())
        equal(status, 200)
        check("Successfully tagged on-local:latest" in texts(lines), lines)
        context.write("Dockerfile", "FROM on-local\nRUN cat /x\n")
        status, lines = post_build(docker, "", context.tar())
        check("x\n" in texts(lines), lines)
    docker("rmi", "on-local", "only-here:1")


STAGES = """# two stages, of which the last is the image
FROM busybox AS one
RUN --mount=type=cache,target=/c echo cached >> /c/f; cat /c/f > /n
RUN --mount=type=secret,id=s cat /run/secrets/s > /length && wc -c < /length
FROM busybox
COPY --from=one /length /length
COPY . /context
CMD ["ls", "/context"]
"""


@builds
def buildx_build(docker):
    if not PROGRAMS:
        return "BUILDKIT_BIN is not set"
    with Folder(Dockerfile=STAGES, **{"a.txt": "a", "b.log": "b"}) as context:
        context.write(".dockerignore", "*.log\n")
        with Folder(secret="hidden") as outside:
            secret, ids = outside.path + "/secret", outside.path + "/ids"
            done = buildx(docker, "-t", "by-buildx:1", "-t", "by-buildx:2",
                          "--secret", "id=s,src=" + secret, "--iidfile", ids,
                          context.path)
            check("6" in done.err, done.err)
            with open(ids) as file:
                equal(file.read(), docker.inspect("by-buildx:2", "{{.Id}}"))
            listed = docker.run("by-buildx:1").out.split()
            check("a.txt" in listed and "b.log" not in listed, listed)
            done = buildx(docker, "-t", "by-buildx:1", "--secret",
                          "id=s,src=" + secret, context.path)
            check("CACHED" in done.err, done.err)
            out = outside.path + "/out"
            buildx(docker, "--secret", "id=s,src=" + secret, "--output",
                   "type=local,dest=" + out, context.path)
            with open(out + "/context/a.txt") as file:
                equal(file.read(), "a")
    docker("rmi", "by-buildx:1", "by-buildx:2")


@builds
def buildx_pushes(docker):
    if not PROGRAMS:
        return "BUILDKIT_BIN is not set"
    name = docker.registry + "/test/by-buildx"
    with Folder(Dockerfile="FROM busybox\nRUN echo pushed > /p\n") as context:
        buildx(docker, "--push", "-t", name, context.path)
    docker("rmi", name, code=None)
    equal(docker.run(name, "cat", "/p").out, "pushed\n")
    docker("rmi", name)


@builds
def buildx_with_a_builder_of_its_own(docker):
    """The driver docker-container: BuildKit as a container like any other."""
    if docker.engine == "dockerd":
        return "Debian's engine starts no privileged container in an enclave"
    base = docker.registry + "/library/busybox"
    create = ["buildx", "create", "--name", "own", "--driver",
              "docker-container", "--driver-opt", "network=host",
              "--driver-opt", "image=" + BUILDER, "--bootstrap"]
    plugged(docker, "docker", *create,
            environment={"DOCKER_HOST": docker.host})
    try:
        with Folder(Dockerfile=f"FROM {base}\nRUN echo own > /o\n") as one:
            buildx(docker, "--builder", "own", "--load", "-t", "by-own",
                   one.path)
        equal(docker.run("by-own", "cat", "/o").out, "own\n")
    finally:
        plugged(docker, "docker", "buildx", "rm", "own")
    docker("rmi", "by-own")


@builds
def buildkit_by_an_old_cli(docker):
    """Debian's, which has BuildKit's client inside."""
    with Folder(Dockerfile=SIMPLE, **{"a.txt": "old\n"}) as context:
        done = plugged(docker, "/usr/bin/docker", "build", "--progress=plain",
                       "-t", "by-old", context.path,
                       environment={"DOCKER_BUILDKIT": "1"})
        check("hello nobody" in done.err, done.err)
        equal(docker.run("by-old").out, "old\n")
        context.write("Dockerfile", "FROM busybox\nRUN exit 9\n")
        done = plugged(docker, "/usr/bin/docker", "build", context.path,
                       code=None, environment={"DOCKER_BUILDKIT": "1"})
        check(done.returncode != 0 and "exit code: 9" in done.err, done.err)
    docker("rmi", "by-old")


@builds
def build_by_the_python_client(docker):
    try:
        import docker as client
    except ImportError:
        return "python3-docker is not installed"
    with Folder(Dockerfile=SIMPLE, **{"a.txt": "py\n"}) as context:
        engine = client.DockerClient(docker.host, timeout=80)
        image, _ = engine.images.build(path=context.path, tag="by-python",
                                       buildargs={"WHO": "Bob"}, rm=True)
        equal(image.id, docker.inspect("by-python", "{{.Id}}"))
        engine.close()
    docker("rmi", "by-python")


@builds
def the_builder_is_hidden_and_its_cache_is_not(docker):
    if docker.engine == "dockerd":
        return "dockerd builds in itself"
    with Folder(Dockerfile="FROM busybox\nRUN echo some > /cache\n") as one:
        post_build(docker, "", one.tar())
    equal(docker("ps", "-aq").out, "")
    check(docker("ps", "-q", "--filter", LABEL).out.strip(), "no builder")
    usage = json.loads(docker("system", "df", "--format", "{{json .}}")
                       .out.splitlines()[3])
    check(usage["Type"] == "Build Cache" and usage["TotalCount"] != "0", usage)
    out = docker("builder", "prune", "-af").out
    check("Total reclaimed space" in out, out)
    usage = json.loads(docker("system", "df", "--format", "{{json .}}")
                       .out.splitlines()[3])
    equal(usage["TotalCount"], "0")


def begin_build(docker, query, dockerfile):
    """Sends a build, and answers its connection when it has begun to run."""
    with Folder(Dockerfile=dockerfile) as context:
        body = context.tar()
    connection = docker.control.connect(60)
    connection.sendall((f"POST /build?{query} HTTP/1.1\r\nHost: x\r\n"
                        "Content-Type: application/x-tar\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
    seen = b""
    while b"begun" not in seen.replace(b"RUN echo begun", b""):
        piece = connection.recv(65536)
        check(piece, f"the build has ended: {seen}")
        seen += piece
    return connection


def sleeping(mark):
    done = subprocess.run(["pgrep", "-f", "^sleep " + mark],
                          capture_output=True, check=False)
    return done.returncode == 0


@builds
def a_client_that_vanishes_ends_its_build(docker):
    with docker.control.no_trace():
        connection = begin_build(docker, "nocache=1",
                                 "FROM busybox\nRUN echo begun; sleep 4321\n")
        check(sleeping("4321"), "nothing runs")
        connection.close()
        eventually("the build ends", lambda: not sleeping("4321"), 30)


@builds
def a_build_can_be_cancelled(docker):
    if docker.engine == "dockerd":
        return "of the old builder nothing can be cancelled"
    connection = begin_build(docker, "nocache=1&buildid=mine",
                             "FROM busybox\nRUN echo begun; sleep 4322\n")
    equal(docker.http("POST", "/build/cancel?id=mine")[0], 200)
    eventually("the build ends", lambda: not sleeping("4322"), 30)
    rest = b""
    while not rest.endswith(b"0\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            break
        rest += piece
    check(b"errorDetail" in rest, rest)
    connection.close()


@builds
def hostile_calls(docker):
    if docker.engine == "dockerd":
        return "it is ours that is judged"
    with docker.control.no_trace():
        for path in ("/grpc", "/session"):
            for junk in (b"", b"\xff" * 70000, b"GET / HTTP/1.1\r\n\r\n",
                         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9000):
                one = docker.control.connect()
                one.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nUpgrade: h2c"
                            "\r\nConnection: Upgrade\r\n\r\n".encode())
                check(b"101" in one.recv(20), "no upgrade")
                try:
                    one.sendall(junk)
                except OSError:
                    pass
                one.close()
    docker("version")


@builds
def nothing_is_told_without_the_secret(docker):
    """The port that the builder pushes to is open to every local user."""
    if docker.engine == "dockerd":
        return "dockerd has no such port"
    docker("pull", "busybox")
    with Folder(Dockerfile="FROM busybox\n") as one:
        equal(post_build(docker, "", one.tar())[0], 200)
    with open(docker.control.folder + "/root/builder/receiver") as file:
        address, secret = file.read().split()
    manifest = "library/busybox/manifests/latest"
    for method, path, wanted in (
            ("GET", f"/v2/{secret}/{manifest}", 200),
            ("HEAD", f"/v2/{secret}/{manifest}", 200),
            ("GET", f"/v2/{secret[:-1]}z/{manifest}", 404),
            ("GET", f"/v2//{manifest}", 404), ("GET", f"/v2/{manifest}", 404),
            ("GET", f"/context/{secret}/context.tar", 404),
            ("PUT", f"/v2/{secret}/image/manifests/latest", 501),
            ("POST", f"/v2/{secret[1:]}/image/blobs/uploads/", 404),
            ("GET", f"/v2/{secret}/x/blobs/sha256:../../meta.db", 400),
            ("GET", f"/v2/{secret}/no/such/manifests/image", 404),
            ("GET", "/" * 5000, 404)):
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request(method, path)
        equal((method, path, connection.getresponse().status),
              (method, path, wanted))
        connection.close()


@builds
def a_killed_engine_leaves_no_build_behind(docker):
    if docker.engine == "dockerd":
        return "dockerd's builds are its own processes"
    before = docker("ps", "-q", "--filter", LABEL).out.strip()
    connection = begin_build(docker, "nocache=1",
                             "FROM busybox\nRUN echo begun; sleep 4323\n")
    builder = docker("ps", "-q", "--filter", LABEL).out.strip()
    check(before in ("", builder), "another builder")
    docker.control.kill()
    connection.close()
    docker.control.start()
    eventually("the build ends", lambda: not sleeping("4323"), 30)
    equal(docker("ps", "-q", "--filter", LABEL).out.strip(), builder)
    with Folder(Dockerfile="FROM busybox\nRUN echo after\n") as one:
        status, lines = post_build(docker, "t=after-kill", one.tar())
        equal(status, 200)
        check("Successfully tagged after-kill:latest" in texts(lines), lines)
    equal(docker("ps", "-q", "--filter", LABEL).out.strip(), builder)
    docker("rmi", "after-kill")


@builds
def an_idle_builder_goes_and_its_cache_stays(docker):
    if docker.engine == "dockerd":
        return "dockerd builds in itself"
    os.environ["BUILD_IDLE"] = "1"  # of the engine's configuration
    try:
        docker.control.kill()
        docker.control.start()
        with Folder(Dockerfile="FROM busybox\nRUN echo idle > /i\n") as one:
            equal(post_build(docker, "", one.tar())[0], 200)
            eventually("the builder goes", lambda: not docker(
                "ps", "-aq", "--filter", LABEL).out.strip(), 30)
            lines = post_build(docker, "", one.tar())[1]
            check("Using cache" in texts(lines), lines)
    finally:
        del os.environ["BUILD_IDLE"]
        docker.control.kill()
        docker.control.start()


@builds
def nothing_is_left_of_the_builder(docker):
    """The last of these cases: others count what runs."""
    if docker.engine == "dockerd":
        return "dockerd builds in itself"
    for one in docker("ps", "-aq", "--filter", LABEL).out.split():
        docker("rm", "-f", one)
    cache = docker.control.folder + "/root/builder/cache"
    docker("rmi", BUILDER)
    # Nobody is there who could choose; all of it needs no choice.
    docker("builder", "prune", "-f")
    check(os.listdir(cache), "the cache has gone")
    docker("builder", "prune", "-af")
    check(not os.path.exists(cache), "the cache is there")
    docker("builder", "prune", "-af")
    equal(docker.control.left(), [])


CASES = [a_node_without_a_builder_says_what_to_pull, classic_build,
         classic_build_by_the_cli, classic_build_tells_a_command_that_fails,
         classic_build_refuses_what_cannot_be_built,
         a_base_that_only_this_node_has, buildx_build, buildx_pushes,
         buildx_with_a_builder_of_its_own,
         buildkit_by_an_old_cli, build_by_the_python_client,
         the_builder_is_hidden_and_its_cache_is_not,
         a_client_that_vanishes_ends_its_build, a_build_can_be_cancelled,
         hostile_calls, nothing_is_told_without_the_secret,
         a_killed_engine_leaves_no_build_behind,
         an_idle_builder_goes_and_its_cache_stays,
         nothing_is_left_of_the_builder]
