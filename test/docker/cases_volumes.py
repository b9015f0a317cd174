"""Volumes, and what their driver's options say."""
import json
import os
import tempfile

from cases_requests import send
from harness import check, equal, eventually


def options(**values):
    return [word for key, value in values.items()
            for word in ("-o", f"{key}={value}")]


def a_volume_is_a_directory_of_the_host(docker):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/there", "w") as file:
            file.write("theirs")
        docker("volume", "create", *options(type="none", device=folder,
                                            o="bind"), "shared")
        docker("pull", "busybox")
        point = docker("volume", "inspect", "-f", "{{.Mountpoint}}",
                       "shared").out.strip()
        equal(docker.shell("cat /v/there; echo ours > /v/new", "-v",
                           "shared:/v"), "theirs")
        with open(folder + "/new") as file:
            equal(file.read(), "ours\n")
        # Seen by docker cp of one that does not run, and read-only.
        docker("create", "--name", "idle", "-v", "shared:/v:ro", "busybox",
               "touch", "/v/x")
        docker("cp", "idle:/v/there", folder + "/copy")
        check("ead-only" in docker("start", "-a", "idle", code=1).err, "ro")
        eventually("it is unmounted", lambda: not os.listdir(point))
        docker("rm", "idle")
        docker("volume", "rm", "shared")
        equal(sorted(os.listdir(folder)), ["copy", "new", "there"])


def containers_share_a_tmpfs(docker):
    docker("volume", "create", *options(type="tmpfs", device="tmpfs",
                                        o="size=1m,mode=700"), "fast")
    first = docker.start("-v", "fast:/v", "busybox", "sleep", "100")
    docker("exec", first, "sh", "-c", "echo here > /v/f")
    equal(docker.shell("cat /v/f; stat -c %a /v", "-v", "fast:/v"),
          "here\n700\n")
    full = docker("exec", first, "dd", "if=/dev/zero", "of=/v/big", "bs=1M",
                  "count=2", code=1)
    check("No space left" in full.err, full.err)
    docker("rm", "-f", first)
    # Nobody used it in between.
    point = docker("volume", "inspect", "-f", "{{.Mountpoint}}",
                   "fast").out.strip()
    eventually("it is unmounted", lambda: not os.path.ismount(point))
    equal(docker.shell("ls /v", "-v", "fast:/v"), "")


def a_create_may_say_what_its_volume_is(docker):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/there", "w") as file:
            file.write("theirs")
        mount = ("type=volume,src=said,dst=/v,volume-opt=type=none,"
                 f"volume-opt=o=bind,volume-opt=device={folder}")
        equal(docker.run("--mount", mount, "busybox", "cat", "/v/there").out,
              "theirs")
        docker("volume", "rm", "said")


def options_that_say_nothing_are_refused(docker):
    for words, why in ((options(x="y"), 'invalid option: "x"'),
                       (options(device="/x"),
                        'missing required option: "type"'),
                       (options(type="none"),
                        'missing required option: "device"')):
        result = docker("volume", "create", *words, "odd", code=1)
        check(why in result.err, result.err)
    docker("volume", "create", *options(type="none", device="/no/such/place",
                                        o="bind"), "lost")
    docker("pull", "busybox")
    result = docker("run", "--rm", "-v", "lost:/v", "busybox", "true",
                    code=None)
    check(result.code in (125, 127) and
          "failed to mount local volume" in result.err, result)
    result = docker("volume", "create", "a/b", code=1)
    check("includes invalid characters for a local volume name" in result.err,
          result.err)
    result = docker("volume", "create", "-d", "nodrv", "v", code=1)
    check("error looking up volume plugin nodrv" in result.err, result.err)


def a_killed_engine_unmounts_what_ended_meanwhile(docker):
    if docker.engine == "dockerd":
        return "dockerd mounts it a second time"
    docker("volume", "create", *options(type="tmpfs", device="tmpfs"), "fast")
    point = docker("volume", "inspect", "-f", "{{.Mountpoint}}",
                   "fast").out.strip()
    stays = docker.start("-v", "fast:/v", "busybox", "sleep", "100")
    docker("exec", stays, "touch", "/v/kept")
    docker.control.kill()
    docker.control.start()
    equal(docker.shell("ls /v", "-v", "fast:/v"), "kept\n")
    pid = int(docker.inspect(stays, "{{.State.Pid}}"))
    docker.control.kill()
    os.kill(pid, 9)
    docker.control.start()
    eventually("it has ended", lambda: docker.inspect(
        stays, "{{.State.Running}}") == "false")
    eventually("it is unmounted", lambda: not os.path.ismount(point))
    docker("rm", "-f", stays)
    docker("volume", "rm", "fast")
    check(not os.path.exists(point), "the volume's files are left")
    return None


def the_inside_of_a_volume(docker):
    if docker.older_than("1.45"):
        return "newer than this engine"
    docker("volume", "create", "vol")
    docker.shell("mkdir -p /v/a/b; echo deep > /v/a/b/f; ln -s /etc /v/out; "
                 "ln -s a/b /v/in; echo one > /v/one", "-v", "vol:/v")
    mount = "type=volume,src=vol,dst=/m,volume-subpath="
    equal(docker.shell("cat /m/f; touch /m/new", "--mount", mount + "a/b"),
          "deep\n")
    equal(docker.shell("cat /m/f", "--mount", mount + "in"), "deep\n")
    equal(docker.shell("cat /m", "--mount", mount + "one"), "one\n")
    equal(docker.shell("ls /v/a/b", "-v", "vol:/v"), "f\nnew\n")
    check("ead-only" in docker.run("--mount", mount + "a/b,readonly",
                                   "busybox", "touch", "/m/x", code=1).err,
          "read-only")
    for outside in ("out", "absent", "../v", "/a"):
        check(docker.run("--mount", mount + outside, "busybox", "true",
                         code=None).code in (125, 126, 127), outside)
    container = docker.start("--mount", mount + "a/b", "busybox", "sleep",
                             "1000")
    equal(docker.inspect(container, "{{(index .Mounts 0).Name}}"), "vol")
    with tempfile.TemporaryDirectory() as folder:
        docker("cp", container + ":/m/f", folder + "/f")
        docker("restart", "-t0", container)
        equal(docker("exec", container, "cat", "/m/f").out, "deep\n")
        docker("stop", "-t0", container)
        docker("cp", container + ":/m/f", folder + "/g")
        equal(sorted(os.listdir(folder)), ["f", "g"])
    return None


def options_of_a_tmpfs(docker):
    script = "cp /bin/busybox /t/busybox && /t/busybox echo ran; grep ' /t ' /proc/mounts"
    out = docker.shell(script, "--tmpfs", "/t:exec,size=16m,uid=7")
    check(out.startswith("ran\n") and "noexec" not in out and "nosuid" in out,
          out)
    out = docker.shell(script + "; true", "--tmpfs", "/t:size=16m")
    check("noexec" in out and "ran" not in out, out)
    out = docker.shell("grep ' /t ' /proc/mounts; stat -c %a /t", "--mount",
                       "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700")
    check("size=1024k" in out and out.endswith("\n700\n"), out)


def words_of_a_bind(docker):
    with tempfile.TemporaryDirectory() as folder:
        new = folder + "/new/below"
        docker.run("--mount", f"type=bind,src={new},dst=/m", "busybox", "true",
                   code=125)
        os.makedirs(folder + "/tree/sub")
        mount = f"type=bind,src={folder}/tree,dst=/m,"
        for words in ("bind-recursive=enabled", "bind-recursive=disabled",
                      "readonly,bind-recursive=writable"):
            equal(docker.shell("ls /m", "--mount", mount + words), "sub\n")
        if docker.older_than("1.42"):
            return
        status, text = send(docker, "POST", "/containers/create?name=c1",
                            json.dumps({"Image": "busybox", "Cmd": ["true"],
                                        "HostConfig": {"Mounts": [{
                                            "Type": "bind", "Source": new,
                                            "Target": "/m", "BindOptions": {
                                                "CreateMountpoint": True}}]}}),
                            "1.42")
        equal(status, 201, text)
        docker("start", "-a", "c1")
        check(os.path.isdir(new), "it is not made")


CASES = [a_volume_is_a_directory_of_the_host, containers_share_a_tmpfs,
         a_create_may_say_what_its_volume_is,
         options_that_say_nothing_are_refused,
         a_killed_engine_unmounts_what_ended_meanwhile, the_inside_of_a_volume,
         options_of_a_tmpfs, words_of_a_bind]
