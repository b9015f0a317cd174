"""Options of the CLI that no other case has: what they do, and what is said of
values that cannot be."""
import os
import tempfile

from cases_requests import server_major
from harness import check, equal, eventually


def refused(docker, words, *why):
    """A run with these options fails, for that reason."""
    result = docker("run", "--rm", *words, "busybox", "true", code=None)
    check(result.code == 125 and any(one.lower() in result.err.lower()
                                     for one in why),
          f"wanted {why}: {result}")


def limits_that_cannot_be(docker):
    docker("pull", "busybox")
    for words, why in (
            (["--cpus", "1000"], "range of CPUs is from 0.01"),
            (["--cpu-period", "5"], "CPU cfs period can not be less than"),
            (["--cpu-quota", "5"], "CPU cfs quota can not be less than"),
            (["-m", "32m", "--memory-reservation", "64m"],
             "can not be less than memory reservation limit"),
            (["-m", "64m", "--memory-swap", "32m"],
             "memoryswap limit should be larger than memory limit"),
            (["--memory-swap", "32m"], "always set the Memory limit"),
            (["-m", "1m"], "Minimum memory limit allowed is 6MB"),
            (["--memory-swappiness", "140"], "swappiness"),
            (["--oom-score-adj", "5000"], "oom"),
            (["--cpus", "0.5", "--cpu-quota", "50000"],
             "Conflicting options")):
        refused(docker, words, why)
    name = docker.start("busybox", "sleep", "100")
    for words in (["--cpus", "1000"], ["-m", "1m"], ["--cpu-period", "5"]):
        result = docker("update", *words, name, code=1)
        check("Error response" in result.err, result.err)


def values_that_contradict_themselves(docker):
    docker("pull", "busybox")
    for words, why in (
            (["-w", "relative"],
             "the working directory 'relative' is invalid"),
            (["-v", "/tmp:/x:ro,rw"], "invalid mode"),
            (["-v", "/tmp:/x:z,Z"], "invalid mode"),
            (["-v", "/tmp:/x:rslave,rshared"], "invalid mode"),
            (["--isolation", "hyperv"], "invalid isolation"),
            (["--security-opt", "odd=1"], "odd"),
            (["--network", "container:nobody"], "nobody"),
            (["--volumes-from", "nobody"], "No such container: nobody")):
        refused(docker, words, why)
    docker.run("--isolation", "default", "busybox", "true")
    name = docker.start("busybox", "sleep", "100")
    for signal in ("0", "NONE"):
        result = docker("kill", "-s", signal, name, code=1)
        check("nvalid signal" in result.err, result.err)
    equal(docker.inspect(name, "{{.State.Running}}"), "true")
    result = docker("rm", "-l", name, code=1)
    check("cannot remove the default link name" in result.err, result.err)


def files_of_the_client(docker):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/environment", "w") as file:
            file.write("# of the file\nFILED=yes\n")
        with open(folder + "/labels", "w") as file:
            file.write("com.example.filed=yes\n")
        name = docker.start("--env-file", folder + "/environment",
                            "--label-file", folder + "/labels", "--cidfile",
                            folder + "/id", "busybox", "sleep", "100")
        with open(folder + "/id") as file:
            equal(file.read(), name)
        equal(docker.inspect(
            name, '{{index .Config.Labels "com.example.filed"}}'), "yes")
        equal(docker("exec", name, "sh", "-c", "echo $FILED").out, "yes\n")
        equal(docker("exec", "--env-file", folder + "/environment", "-e",
                     "FILED=no", name, "sh", "-c", "echo $FILED").out, "no\n")
        check(os.path.exists(folder + "/id"), "the file of the id")


def what_the_kernel_is_told(docker):
    for words, script, wanted in (
            (["--cpuset-cpus", "0", "--cpuset-mems", "0"],
             "grep -c '^Cpus_allowed_list:.0$' /proc/self/status", "1"),
            (["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj", "500"),
            (["--group-add", "55"], "id -G", "0 55"),
            (["--domainname", "example.org", "-h", "box"],
             "cat /proc/sys/kernel/domainname", "example.org"),
            (["--device-cgroup-rule", "c 1:3 rwm"], "echo x > /dev/null", ""),
            (["--stop-timeout", "3", "--stop-signal", "USR1"], "echo", ""),
            (["--ipc", "shareable"], "echo", ""),
            (["--ipc", "private"], "echo", ""),
            (["--uts", "host"], "echo", ""),
            (["--userns", "host"], "echo", ""),
            (["--cgroupns", "host"], "echo", ""),
            (["--platform", "linux/amd64"], "uname -s", "Linux"),
            (["--pull", "always", "-q"], "echo pulled", "pulled"),
            (["--runtime", runtime(docker)], "echo run", "run")):
        equal(docker.shell(script, *words).strip(), wanted, str(words))


def runtime(docker):
    return docker("info", "-f", "{{.DefaultRuntime}}").out.strip()


def flags_of_filters_are_true_or_false(docker):
    docker("pull", "busybox")
    for words in (["images"], ["network", "ls"], ["volume", "ls"]):
        result = docker(*words, "-f", "dangling=odd", code=1)
        check("dangling" in result.err, result.err)
        docker(*words, "-f", "dangling=false")
    result = docker("network", "ls", "-f", "type=odd", code=1)
    check("'type'='odd'" in result.err, result.err)


def an_image_of_another_platform(docker):
    """What names the platform of this machine works as without it."""
    if server_version(docker) < 28:
        return "dockerd knows these since 28"
    docker("pull", "busybox")
    own, other = "linux/" + machine(docker), "linux/s390x"
    with tempfile.TemporaryDirectory() as folder:
        tar = folder + "/tar"
        equal(docker("image", "inspect", "--platform", own, "-f", "{{.Os}}",
                     "busybox").out, "linux\n")
        check(docker("history", "--platform", own, "-q", "busybox").out, "none")
        docker("save", "--platform", own, "-o", tar, "busybox")
        docker("load", "--platform", own, "-i", tar)
        for words in (["image", "inspect", "--platform", other, "busybox"],
                      ["history", "--platform", other, "busybox"],
                      ["save", "--platform", other, "-o", tar + "2",
                       "busybox"]):
            result = docker(*words, code=1)
            check("platform" in result.err, result.err)
    return None


def server_version(docker):
    """dockerd's first number; of another engine, more than any."""
    if docker.engine != "dockerd":
        return 1000
    return int(docker("version", "-f",
                      "{{.Server.Version}}").out.partition(".")[0])


def machine(docker):
    return docker("version", "-f", "{{.Server.Arch}}").out.strip()


def an_image_is_mounted(docker):
    if server_version(docker) < 28:
        return "dockerd has it since 28"
    docker("pull", "ubuntu")
    name = docker.start("--mount", "type=image,src=ubuntu,dst=/image",
                        "busybox", "sleep", "100")
    check("PS1" in docker("exec", name, "cat", "/image/root/.bashrc").out,
          "not the image")
    result = docker("exec", name, "touch", "/image/x", code=1)
    check("ead-only" in result.err, result.err)
    equal(docker.inspect(name, "{{(index .Mounts 0).Type}} "
                         "{{(index .Mounts 0).Destination}}"), "image /image")
    result = docker("run", "--rm", "--mount", "type=image,src=nobody,dst=/x",
                    "busybox", "true", code=125)
    check("nobody" in result.err, result.err)
    docker("rm", "-f", name)
    docker("rmi", "ubuntu")
    return None


def ports_are_bound_where_the_network_says(docker):
    docker("network", "create", "-o", "com.docker.network.bridge."
           "host_binding_ipv4=127.0.0.1", "local")
    name = docker.start("--network", "local", "-p", "18120:80", "-p",
                        "0.0.0.0:18121:81", "busybox", "sleep", "100")
    eventually("the ports", lambda: docker("port", name).out.count("\n") >= 2)
    check("127.0.0.1:18120" in docker("port", name, "80").out.split(),
          docker("port", name).out)
    check("0.0.0.0:18121" in docker("port", name, "81").out.split(),
          docker("port", name).out)
    result = docker("network", "create", "-o", "com.docker.network.bridge."
                    "host_binding_ipv4=odd", "bad", code=1)
    check("host_binding_ipv4" in result.err or "odd" in result.err, result.err)


def the_host_has_a_name_on_every_network(docker):
    if docker.engine == "dockerd" and server_major(docker) < 28:
        return "an older dockerd has no address for it on some networks"
    docker("network", "create", "--internal", "inner")
    docker("network", "create", "outer")
    # dockerd knows the address once its default network has been used.
    docker.run("busybox", "true")
    for network in ("inner", "outer", "bridge", "host", "none"):
        hosts = docker.run("--network", network, "--add-host",
                           "theirs:host-gateway", "busybox", "grep", "theirs",
                           "/etc/hosts").out.split()
        equal((hosts[0].count("."), hosts[1:]), (3, ["theirs"]), network)
    return None


def networks_that_cannot_be(docker):
    for words, why in (
            (["--scope", "swarm"], "when swarm is not active"),
            (["--ingress"], "Ingress network can only be global scope"),
            (["--ipam-driver", "nobody"], 'plugin "nobody" not found'),
            (["-d", "overlay"], "This node is not a swarm manager")):
        result = docker("network", "create", *words, "bad", code=1)
        check(why in result.err, result.err)
    result = docker("plugin", "inspect", "nobody", code=1)
    check('plugin "nobody" not found' in result.err, result.err)


def options_that_contradict_each_other(docker):
    for options, words in (
            (("--uts", "host", "--hostname", "x"), "hostname and the UTS mode"),
            (("--security-opt", "no-new-privileges=x"), "--security-opt")):
        got = docker("run", "--rm", *options, "busybox", "true", code=125)
        check(words in got.err, got.err)


def columns_of_top(docker):
    name = docker.start("busybox", "sleep", "1000")
    out = docker("top", name, "-o", "pid,args").out.splitlines()
    check(len(out) == 2 and "sleep 1000" in out[1], out)
    check("sleep 1000" in docker("top", name, "aux").out, "aux")


CASES = [limits_that_cannot_be, values_that_contradict_themselves,
         files_of_the_client, what_the_kernel_is_told,
         flags_of_filters_are_true_or_false, an_image_of_another_platform,
         an_image_is_mounted, ports_are_bound_where_the_network_says,
         the_host_has_a_name_on_every_network, networks_that_cannot_be,
         options_that_contradict_each_other, columns_of_top]
