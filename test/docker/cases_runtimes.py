"""Containers of a runtime that is not the engine's default: dockerd has "runc"
by itself, berthd by its configuration, there with containerd's shim."""
from harness import check, equal, eventually

RUNTIME = ("--runtime", "runc")


def another_runtime_is_listed_and_told(docker):
    names = docker("info", "-f", "{{range $k, $v := .Runtimes}}{{$k}} {{end}}")
    check("runc" in names.out.split(), names)
    name = docker.start(*RUNTIME, "busybox", "sleep", "100")
    equal(docker.inspect(name, "{{.HostConfig.Runtime}}"), "runc")
    equal(docker.inspect(name, "{{.State.Status}}"), "running")


def another_runtime_gives_output_and_code(docker):
    result = docker("run", "--rm", *RUNTIME, "busybox", "sh", "-c",
                    "echo out; echo err >&2; exit 7", code=7)
    equal(result.out, "out\n")
    equal(result.err, "err\n")
    for _ in range(5):  # one that is over at once
        equal(docker("run", "--rm", *RUNTIME, "busybox", "echo", "x").out, "x\n")


def another_runtime_reads_input_to_its_end(docker):
    given = b"".join(b"line %d\n" % n for n in range(20000))
    out = docker("run", "--rm", "-i", *RUNTIME, "busybox", "md5sum",
                 stdin=given).out
    wanted = docker("run", "--rm", "-i", "busybox", "md5sum", stdin=given).out
    equal(out, wanted)


def another_runtime_logs(docker):
    name = docker.start(*RUNTIME, "busybox", "sh", "-c",
                        "for i in 1 2 3; do echo line $i; done; echo e >&2")
    docker("wait", name)
    result = docker("logs", name)
    equal(result.out, "line 1\nline 2\nline 3\n")
    equal(result.err, "e\n")


def another_runtime_takes_execs_signals_and_limits(docker):
    name = docker.trapping("TERM", "exit 5", *RUNTIME, "-m", "64m")
    equal(docker("exec", name, "echo", "hi").out, "hi\n")
    equal(docker("exec", "-i", name, "cat", stdin=b"given").out, "given")
    docker("exec", name, "sh", "-c", "exit 3", code=3)
    equal(docker("stats", "--no-stream", "--format", "{{.MemUsage}}",
                 name).out.strip().split(" / ")[1], "64MiB")
    docker("pause", name)
    equal(docker.inspect(name, "{{.State.Status}}"), "paused")
    docker("unpause", name)
    docker("stop", name)
    equal(docker.inspect(name, "{{.State.ExitCode}}"), "5")
    docker("start", name)
    eventually("it runs again", lambda: docker.inspect(
        name, "{{.State.Status}}") == "running")
    equal(docker("exec", name, "echo", "again").out, "again\n")


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__]
