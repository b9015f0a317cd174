"""Docker's own client library for Go, and testcontainers for Go, at the newest
version of the API that both sides know: a case for each test of goclient/."""
import glob
import os
import re
import subprocess

from harness import Failure

HERE = os.path.dirname(os.path.abspath(__file__))


def make_case(test):
    def case(docker):
        program = os.environ.get("GOCLIENT")
        if not program:
            return "the Go module proxy gave no modules, see above"
        done = subprocess.run(
            [program, "-test.v", f"-test.run=^{test}$", "-test.timeout=85s",
             "-kind", docker.engine, "-registry", docker.registry,
             *(["-facts"] if os.environ.get("FACTS") else [])],
            env={**os.environ, "DOCKER_HOST": docker.host}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        if os.environ.get("FACTS"):
            print(done.stdout)
        if done.returncode != 0 or f"--- SKIP: {test}" in done.stdout:
            said = re.findall(r"^ +\w+_test\.go:\d+: (.*)", done.stdout, re.M)
            reason = "; ".join(said) or done.stdout[-2000:]
            if done.returncode == 0:
                return reason
            raise Failure(reason)
        return None
    words = re.sub(r"(?<!^)([A-Z])", r" \1", test.removeprefix("Test")).lower()
    case.__name__ = "Go: " + words
    return case


def tests():
    for path in sorted(glob.glob(HERE + "/goclient/*_test.go")):
        with open(path) as file:
            yield from re.findall(r"^func (Test[A-Z]\w+)\(t \*", file.read(),
                                  re.M)


CASES = [make_case(test) for test in tests()]
