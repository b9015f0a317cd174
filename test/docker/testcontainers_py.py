"""testcontainers for Python: what its containers, networks, images and waiting
need of an engine, which DOCKER_HOST names. cases_testcontainers.py runs it.

With the argument "build" images are built, too.
"""
import os
import pathlib
import sys
import tempfile
import urllib.request

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
# pylint: disable=wrong-import-position
from testcontainers.core.container import DockerContainer  # noqa: E402
from testcontainers.core.image import DockerImage  # noqa: E402
from testcontainers.core.network import Network  # noqa: E402
from testcontainers.core.wait_strategies import (  # noqa: E402
    CompositeWaitStrategy, ContainerStatusWaitStrategy, ExecWaitStrategy,
    HealthcheckWaitStrategy, HttpWaitStrategy,
    LogMessageWaitStrategy, PortWaitStrategy)

SERVER = ("sh -c 'sleep 0.3; echo a page >/tmp/index.html; echo ready; "
          "exec httpd -f -p 80 -h /tmp'")


def equal(got, wanted, what):
    if got != wanted:
        raise SystemExit(f"{what}: {got!r}, wanted {wanted!r}")


def server(strategy):
    health = {"test": ["CMD", "test", "-e", "/tmp/index.html"],
              "interval": 200_000_000, "retries": 50}
    return (DockerContainer("busybox", healthcheck=health).with_command(SERVER)
            .with_exposed_ports(80).waiting_for(strategy))


def page(container):
    url = (f"http://{container.get_container_host_ip()}:"
           f"{container.get_exposed_port(80)}/index.html")
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def waits():
    http = HttpWaitStrategy(80, "/index.html").for_status_code(200)
    for strategy in (http, LogMessageWaitStrategy("ready"),
                     PortWaitStrategy(80), HealthcheckWaitStrategy(),
                     ContainerStatusWaitStrategy(),
                     ExecWaitStrategy(["test", "-e", "/tmp/index.html"])):
        both = CompositeWaitStrategy(strategy, http)
        with server(both.with_startup_timeout(20)) as container:
            equal(page(container), "a page\n", type(strategy).__name__)


def files_and_exec():
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "one").write_text("of the host\n")
        with (DockerContainer("busybox").with_command("sleep 300")
              .with_env("A", "b")
              .with_copy_into_container(b"bytes\n", "/deep/bytes", 0o640)
              .with_volume_mapping(folder, "/host", "ro")) as container:
            equal(container.exec("cat /deep/bytes /host/one").output,
                  b"bytes\nof the host\n", "files")
            code, out = container.exec(["sh", "-c", "echo $A; exit 5"])
            equal((code, out), (5, b"b\n"), "exec")
            container.copy_into_container(pathlib.Path(folder) / "one",
                                          "/tmp/one")
            there = pathlib.Path(folder) / "back"
            container.copy_from_container("/tmp/one", there)
            equal(there.read_text(), "of the host\n", "copy out")


def logs_and_restart():
    with (DockerContainer("busybox").with_name("tc-py")
          .with_command("sh -c 'trap exit TERM; echo out; echo err >&2; "
                        "while :; do sleep 0.1; done'")
          .waiting_for(LogMessageWaitStrategy("err"))) as container:
        equal(container.get_logs(), (b"out\n", b"err\n"), "logs")
        wrapped = container.get_wrapped_container()
        wrapped.restart(timeout=3)
        wrapped.reload()
        equal(wrapped.status, "running", "status")
        wrapped.stop(timeout=3)
        equal(container.wait(), 0, "exit code")
        equal(container.get_logs()[0], b"out\nout\n", "logs")


def networks():
    with Network() as network:
        with (DockerContainer("busybox").with_network(network)
              .with_network_aliases("web")
              .with_command("httpd -f -p 80 -h /etc")):
            with (DockerContainer("busybox").with_network(network)
                  .with_command("sleep 300")) as client:
                code, out = client.exec("wget -qO- http://web/passwd")
                equal((code, b"root:" in out), (0, True), str(out))


def build():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "Dockerfile").write_text(
            "FROM busybox\nARG WORD\nRUN echo $WORD >/built\n"
            "COPY file /file\nCMD cat /built /file\n")
        (path / "file").write_text("of the context\n")
        with DockerImage(folder, tag="tc-py:1",
                         buildargs={"WORD": "care"}) as image:
            with DockerContainer(str(image)) as container:
                equal(container.wait(), 0, "exit code")
                equal(container.get_logs()[0], b"care\nof the context\n",
                      "output")


def main():
    waits()
    files_and_exec()
    logs_and_restart()
    networks()
    if "build" in sys.argv:
        build()


if __name__ == "__main__":
    main()
