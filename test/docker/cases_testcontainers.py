"""testcontainers for Python, unmodified. Debian does not have it: the variable
TESTCONTAINERS_PYTHON names an interpreter that does (a virtual environment
after `pip install testcontainers`). That for Go is in goclient/."""
import os
import subprocess

from harness import Failure

HERE = os.path.dirname(os.path.abspath(__file__))


def testcontainers_for_python(docker):
    python = os.environ.get("TESTCONTAINERS_PYTHON")
    if not python:
        return "TESTCONTAINERS_PYTHON is not set"
    builds = docker.engine == "dockerd" or os.environ.get("BUILDKIT_BIN")
    if docker.engine == "berthd" and builds:
        docker("pull", "-q", "moby/buildkit:buildx-stable-1")
    done = subprocess.run(
        [python, os.path.join(HERE, "testcontainers_py.py"),
         *(["build"] if builds else [])],
        env={**os.environ, "DOCKER_HOST": docker.host}, text=True,
        capture_output=True, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr[-2000:])
    return None


CASES = [testcontainers_for_python]
