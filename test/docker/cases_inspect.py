"""What inspect tells, and fields of a create that only inspect shows."""
import json
import os

from harness import check, equal

# What every dockerd since 20.10 shows of a container on Linux.
HOST_MEMBERS = """
Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy
AutoRemove VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns
DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode
Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize
Runtime Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight
BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps
BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime
CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation
MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent
IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths""".split()


def inspected(docker, name):
    return json.loads(docker("container", "inspect", name).out)[0]


def every_member_of_the_host_config_is_told(docker):
    docker("pull", "-q", "busybox")
    docker("create", "--name", "box", "-m", "64m", "busybox", "true")
    host = inspected(docker, "box")["HostConfig"]
    equal([one for one in HOST_MEMBERS if one not in host], [], "missing")
    equal((host["Memory"], host["MemorySwap"]), (64 << 20, 128 << 20))
    equal((host["PidsLimit"], host["MemorySwappiness"]), (None, None))
    equal((host["IpcMode"], host["CapAdd"], host["Dns"]), ("private", None, []))
    check("/proc/kcore" in host["MaskedPaths"], host["MaskedPaths"])
    check("/proc/sys" in host["ReadonlyPaths"], host["ReadonlyPaths"])
    docker("create", "--name", "free", "--privileged", "busybox", "true")
    host = inspected(docker, "free")["HostConfig"]
    equal((host["MaskedPaths"], host["ReadonlyPaths"]), (None, None))


def mounts_are_told_as_they_are(docker):
    docker("pull", "-q", "busybox")
    docker("create", "--name", "box", "-v", "/var/tmp:/bind:ro,rslave",
           "--mount", "type=tmpfs,dst=/memory", "--tmpfs", "/more",
           "-v", "vol:/vol", "busybox", "true")
    mounts = {one["Destination"]: one for one in inspected(docker, "box")["Mounts"]}
    equal(sorted(mounts), ["/bind", "/memory", "/vol"])
    bind = mounts["/bind"]
    equal((bind["Type"], bind["RW"], bind["Propagation"]),
          ("bind", False, "rslave"))
    equal((mounts["/vol"]["Name"], mounts["/vol"]["RW"]), ("vol", True))
    equal(mounts["/memory"]["Type"], "tmpfs")


def volumes_come_from_another_container(docker):
    docker("pull", "-q", "busybox")
    folder = docker.control.folder + "/taken"
    os.makedirs(folder, exist_ok=True)
    docker("create", "--name", "first", "-v", "shared:/s", "-v", "/anonymous",
           "-v", folder + ":/host", "--tmpfs", "/scratch", "busybox")
    docker.shell("echo one >/s/f; echo two >/anonymous/f; echo three >/host/f",
                 "--volumes-from", "first")
    equal(docker.shell("cat /s/f /anonymous/f /host/f; grep -c /scratch "
                       "/proc/mounts; true", "--volumes-from", "first"),
          "one\ntwo\nthree\n0\n")
    # Read-only; a place of one's own stays; those taken are passed on.
    docker("create", "--name", "second", "--volumes-from", "first:ro",
           "-v", "mine:/s", "busybox")
    equal(docker.shell("ls /s; cat /anonymous/f; touch /anonymous/no 2>&1 |"
                       "grep -c Read-only", "--volumes-from", "second"),
          "two\n1\n")
    # The volume of one that is gone stays as long as somebody has it.
    docker("rm", "-v", "first")
    equal(docker.shell("cat /anonymous/f", "--volumes-from", "second"), "two\n")
    equal(inspected(docker, "second")["HostConfig"]["VolumesFrom"], ["first:ro"])
    err = docker("create", "--volumes-from", "no-such", "busybox", code=1).err
    check("No such container: no-such" in err, err)
    docker("create", "--volumes-from", "second:odd", "busybox", code=1)


def disks_have_rates(docker):
    docker("pull", "-q", "busybox")
    disk = next(("/dev/" + one for one in sorted(os.listdir("/sys/block"))
                 if not one.startswith("loop") and
                 os.path.exists("/dev/" + one)), None)
    if disk is None:
        return "no disk"
    docker("create", "--name", "box", "--device-read-bps", disk + ":1mb",
           "--device-write-iops", disk + ":100", "busybox", "true")
    host = inspected(docker, "box")["HostConfig"]
    equal(host["BlkioDeviceReadBps"], [{"Path": disk, "Rate": 1 << 20}])
    equal(host["BlkioDeviceWriteIOps"], [{"Path": disk, "Rate": 100}])
    docker("rm", "box")
    result = docker("run", "--rm", "--device-read-bps", "/dev/null:1mb",
                    "busybox", "true", code=None)
    check(result.code != 0, result)
    return None


def devices_without_a_driver_are_refused(docker):
    docker("pull", "-q", "busybox")
    result = docker("run", "--rm", "--gpus", "all", "busybox", "true", code=125)
    check('could not select device driver "" with capabilities: [[gpu]]'
          in result.err, result.err)


def annotations_reach_the_runtime(docker):
    if docker.engine == "dockerd":
        return "20.10 has none"
    docker("pull", "-q", "busybox")
    result = docker("create", "--name", "box", "--annotation", "a.b/c=d",
                    "busybox", "sleep", "100", code=None)
    if "unknown flag" in result.err:
        return "this CLI has none"
    equal(inspected(docker, "box")["HostConfig"]["Annotations"], {"a.b/c": "d"})
    return None


def logs_are_marked(docker):
    docker("pull", "-q", "busybox")
    docker("run", "--name", "box", "-l", "stage=a b", "-e", "MINE=1",
           "--log-opt", "labels=stage,none", "--log-opt", "env=MINE",
           "--log-opt", "tag={{.Name}}/{{.ID}}", "busybox", "echo", "hello")
    ident = docker.inspect("box", "{{.Id}}")[:12]
    equal(docker("logs", "--details", "box").out,
          f"MINE=1,stage=a+b,tag=box%2F{ident} hello\n")
    equal(docker("logs", "box").out, "hello\n")
    with open(docker.inspect("box", "{{.LogPath}}")) as file:
        line = json.loads(file.readline())
    equal(line["attrs"], {"MINE": "1", "stage": "a b", "tag": "box/" + ident})
    docker("run", "--name", "plain", "busybox", "echo", "hello")
    equal(docker("logs", "--details", "plain").out, " hello\n")
    docker("create", "--log-opt", "what=x", "busybox", code=1)


def a_local_log_is_read(docker):
    docker("pull", "-q", "busybox")
    docker("run", "--name", "box", "--log-driver", "local", "busybox", "echo",
           "hello")
    equal(docker("logs", "box").out, "hello\n")
    equal(docker.inspect("box", "{{.HostConfig.LogConfig.Type}}"), "local")


def info_is_whole(docker):
    info = json.loads(docker("info", "-f", "{{json .}}").out)
    equal(info["IndexServerAddress"], "https://index.docker.io/v1/")
    registries = info["RegistryConfig"]
    check("127.0.0.0/8" in registries["InsecureRegistryCIDRs"], registries)
    check(registries["IndexConfigs"]["docker.io"]["Official"], registries)
    for count in ("NFd", "NGoroutines", "NCPU", "MemTotal"):
        check(info[count] > 0, (count, info[count]))
    for text in ("ID", "KernelVersion", "OperatingSystem", "OSVersion",
                 "Architecture", "ServerVersion", "DockerRootDir",
                 "CgroupDriver", "DefaultRuntime"):
        check(info[text], text)
    check(info["DefaultRuntime"] in info["Runtimes"], info["Runtimes"])


def containers_are_found_by_their_networks(docker):
    docker("pull", "-q", "busybox")
    network = docker("network", "create", "n1").out.strip()
    docker("network", "create", "n2")
    one = docker.start("--name", "one", "--net", "n1", "busybox", "sleep", "100")
    docker("network", "connect", "n2", "one")
    other = docker.start("--name", "other", "busybox", "sleep", "100")
    for wanted, found in (("n1", [one]), ("n2", [one]), (network, [one]),
                          ("bridge", [other]), ("host", []), ("no-such", [])):
        equal(docker("ps", "-q", "--no-trunc", "--filter",
                     "network=" + wanted).out.split(), found, wanted)


CASES = [logs_are_marked, a_local_log_is_read,
         every_member_of_the_host_config_is_told, mounts_are_told_as_they_are,
         volumes_come_from_another_container, disks_have_rates,
         devices_without_a_driver_are_refused, annotations_reach_the_runtime,
         containers_are_found_by_their_networks, info_is_whole]
