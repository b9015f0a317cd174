"""Images made and moved here: commit, import, load, history, prune, df."""
import gzip
import json
import subprocess
import tempfile

from cases_copy import archive
from cases_requests import send
from harness import check, equal


def image_json(docker, name):
    return json.loads(docker("image", "inspect", name).out)[0]


def forget(docker, *names):
    docker("rmi", "-f", *names, code=None)


def stopped(docker, script, *options):
    """A container of that name, after a script."""
    docker("pull", "busybox")
    docker("run", "--name", "box", *options, "busybox", "sh", "-c", script)


def a_diff_tells_what_changed(docker):
    stopped(docker, "mkdir /d; echo 1 >/d/f; rm /etc/group; echo x >>/etc/passwd")
    lines = docker("diff", "box").out.splitlines()
    for wanted in ("A /d", "A /d/f", "C /etc", "D /etc/group",
                   "C /etc/passwd"):
        check(wanted in lines, (wanted, lines))
    equal([line for line in lines if "/proc" in line or "/dev" in line], [])
    docker("create", "--name", "untouched", "busybox")
    status, _, data = docker.http("GET", "/containers/untouched/changes")
    equal((status, data.strip()), (200, b"null"))
    equal(docker.http("GET", "/containers/no-such/changes")[0], 404)


def a_commit_has_the_containers_files(docker):
    stopped(docker, "echo new >/new; rm /etc/group; mkdir -p /deep/er;"
                    "ln -s new /link; chmod 4711 /new; rm -r /home; mkdir /home;"
                    "touch /home/mine")
    out = docker("commit", "-m", "words", "-a", "me", "box", "made:v1").out
    try:
        check(out.startswith("sha256:"), out)
        equal(docker.run("made:v1", "cat", "/link").out, "new\n")
        equal(docker.run("made:v1", "sh", "-c",
                         "ls /etc/group 2>/dev/null; stat -c %a /new; ls /home;"
                         "ls -d /deep/er").out, "4711\nmine\n/deep/er\n")
        got = image_json(docker, "made:v1")
        equal((got["Author"], got["Comment"]), ("me", "words"))
        history = docker("history", "--format", "{{.Comment}}|{{.Size}}",
                         "made:v1").out.splitlines()
        check(history[0].startswith("words|"), history)
        # On top of that once more.
        docker("run", "--name", "again", "made:v1", "rm", "/new")
        docker("commit", "again", "made:v2")
        equal(docker.run("made:v2", "sh", "-c", "ls /new; readlink /link",
                         code=None).out, "new\n")
    finally:
        docker.clear()
        forget(docker, "made:v2", "made:v1")


def a_commit_takes_changes(docker):
    stopped(docker, "true", "-e", "MINE=1", "-l", "of=container")
    docker("commit", "-c", 'CMD ["echo", "hello there"]', "-c", "ENV A=b C='d e'",
           "-c", "LABEL x=y", "-c", "EXPOSE 80", "-c", "WORKDIR /tmp",
           "-c", "USER 12:34", "-c", "VOLUME /vol", "box", "made:c")
    try:
        got = image_json(docker, "made:c")["Config"]
        equal(got["Cmd"], ["echo", "hello there"])
        for variable in ("MINE=1", "A=b", "C=d e"):
            check(variable in got["Env"], got["Env"])
        equal(got["Labels"], {"of": "container", "x": "y"})
        equal((got["WorkingDir"], got["User"]), ("/tmp", "12:34"))
        equal((list(got["ExposedPorts"]), list(got["Volumes"])),
              (["80/tcp"], ["/vol"]))
        equal(docker.run("made:c").out, "hello there\n")
        equal(docker.run("made:c", "sh", "-c", "id -u; pwd; echo $A").out,
              "12\n/tmp\nb\n")
        result = docker("commit", "-c", "RUN true", "box", code=1)
        check("not a valid change command" in result.err, result.err)
        docker("commit", "-c", "EXPOSE x", "box", code=1)
        docker("commit", "no-such", code=1)
    finally:
        docker.clear()
        forget(docker, "made:c")


def a_running_container_is_committed(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sh", "-c",
                 "echo here >/f; while :; do sleep 0.1; done")
    out = docker("exec", "box", "sh", "-c",
                 "until [ -s /f ]; do sleep 0.1; done; cat /f").out
    equal(out, "here\n")
    image = docker("commit", "box").out.strip()
    equal(docker.inspect("box", "{{.State.Status}}"), "running")
    equal(docker.run(image, "cat", "/f").out, "here\n")
    # It has no name.
    rows = docker("images", "--no-trunc", "--filter", "dangling=true",
                  "--format", "{{.ID}} {{.Repository}}").out.splitlines()
    check(image + " <none>" in rows, rows)
    docker.clear()
    out = docker("image", "prune", "-f").out
    check(image in out, out)
    docker("inspect", image, code=1)


def an_archive_is_imported(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    done = subprocess.run(docker.argv("export", "box"), check=True,
                          stdout=subprocess.PIPE)
    for data in (done.stdout, gzip.compress(done.stdout)):
        out = docker("import", "-m", "words", "-c", "CMD echo imported",
                     "-c", "ENV X=1", "-", "made:i", stdin=data).out
        check("sha256:" in out, out)
        equal(docker.run("made:i").out, "imported\n")
        equal(docker.run("made:i", "sh", "-c", "echo $X").out, "1\n")
        equal(image_json(docker, "made:i")["Comment"], "words")
        forget(docker, "made:i")
    docker("import", "-", "made:i", stdin=b"no archive" * 1000, code=1)
    docker("image", "inspect", "made:i", code=1)


def what_was_saved_is_loaded(docker):
    docker("pull", "busybox")
    docker("tag", "busybox", "made:one")
    docker("tag", "busybox", "made:two")
    image = image_json(docker, "made:one")["Id"]
    with tempfile.TemporaryDirectory() as folder:
        docker("save", "-o", folder + "/all", "made:one", "made:two")
        with open(folder + "/all", "rb") as file:
            plain = file.read()
        for data in (plain, gzip.compress(plain),
                     subprocess.run(["zstd", "-c"], input=plain, check=True,
                                    stdout=subprocess.PIPE).stdout):
            if docker.engine == "dockerd" and data[:4] == b"\x28\xb5\x2f\xfd":
                continue  # 20.10 does not know it
            forget(docker, "made:one", "made:two")
            out = docker("load", stdin=data).out
            check("Loaded image: made:one" in out, out)
            check("Loaded image: made:two" in out, out)
            equal(image_json(docker, "made:two")["Id"], image)
        docker("save", "-o", folder + "/id", image)
        forget(docker, "made:one", "made:two", "busybox")
        out = docker("load", "-i", folder + "/id").out
        if docker.engine == "berthd":
            check("Loaded image ID: " + image in out, out)
    equal(docker.run(image, "echo", "loaded").out, "loaded\n")
    docker.clear()
    forget(docker, image)
    for data in (b"", b"\0" * 2048, b"x" * 5000, archive(("a", b"b")),
                 archive(("manifest.json", b"[{}]")),
                 archive(("manifest.json", b'[{"Config":"../../etc/passwd"}]')),
                 archive(("index.json", b"null"), ("oci-layout", b"1"))):
        result = docker("load", code=None, stdin=data)
        check("Loaded" not in result.out, result)


def a_history_has_sizes(docker):
    stopped(docker, "dd if=/dev/zero of=/big bs=1M count=3")
    docker("commit", "-c", "ENV A=b", "box", "made:h")
    try:
        status, _, data = docker.http("GET", "/images/made:h/history")
        equal(status, 200)
        steps = json.loads(data)
        check(3 << 20 <= steps[0]["Size"] < 4 << 20, steps[0])
        check(sum(step["Size"] for step in steps[1:]) > 500000, steps)
        equal(steps[0]["Tags"], ["made:h"])
        got = image_json(docker, "made:h")
        check(got["Size"] >= sum(step["Size"] for step in steps) * 0.9, got)
    finally:
        docker.clear()
        forget(docker, "made:h")


def images_are_filtered(docker):
    stopped(docker, "true")
    docker("commit", "-c", "LABEL kind=test", "box", "made:f")
    try:
        def names(*filters):
            words = []
            for one in filters:
                words += ["--filter", one]
            return docker("images", "--format", "{{.Repository}}:{{.Tag}}",
                          *words).out.split()
        equal(names("label=kind=test"), ["made:f"])
        equal(names("label=kind=other"), [])
        check("made:f" in names("since=busybox"), names("since=busybox"))
        check("busybox:latest" in names("before=made:f"), names("before=made:f"))
        check("made:f" not in names("before=made:f"), "an image before itself")
        equal(names("reference=made*"), ["made:f"])
        check("made:f" not in names("dangling=true"), "it has a name")
        docker("images", "--filter", "before=no-such", code=1)
        docker("images", "--filter", "nonsense=1", code=1)
    finally:
        docker.clear()
        forget(docker, "made:f")


def unused_images_are_pruned(docker):
    stopped(docker, "dd if=/dev/zero of=/big bs=1M count=3")
    docker("commit", "-c", "LABEL go=yes", "box", "made:p")
    docker("create", "--name", "user", "made:p")
    prune = ("image", "prune", "-a", "-f", "--filter")
    check("made:p" not in docker(*prune, "label=go=yes").out, "it is in use")
    docker("rm", "user")
    check("made:p" not in docker(*prune, "label=go=no").out, "the label")
    check("made:p" not in docker(*prune, "label=go=yes", "--filter",
                                 "until=1h").out, "the age")
    out = docker(*prune, "label=go=yes").out
    check("made:p" in out and "Total reclaimed space: 0B" not in out, out)
    docker("image", "inspect", "made:p", code=1)
    docker(*prune, "until=never", code=1)


def disk_usage_is_told(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "-v", "vol:/v", "busybox", "sh", "-c",
                 "dd if=/dev/zero of=/big bs=1M count=3;"
                 "dd if=/dev/zero of=/v/big bs=1M count=2; touch /done;"
                 "sleep 1000")
    docker("exec", "box", "sh", "-c", "until [ -e /done ]; do sleep 0.1; done")
    status, _, data = docker.http("GET", "/system/df")
    equal(status, 200, data)
    got = json.loads(data)
    image = [one for one in got["Images"]
             if "busybox:latest" in (one["RepoTags"] or [])][0]
    equal(image["Containers"], 1)
    check(0 <= image["SharedSize"] <= image["Size"], image)
    check(got["LayersSize"] >= image["Size"] * 0.9, got["LayersSize"])
    container, = [one for one in got["Containers"] if "/box" in one["Names"]]
    check(3 << 20 <= container["SizeRw"] < 5 << 20, container["SizeRw"])
    check(container["SizeRootFs"] > container["SizeRw"], container)
    volume, = [one for one in got["Volumes"] if one["Name"] == "vol"]
    check(2 << 20 <= volume["UsageData"]["Size"] < 4 << 20, volume)
    equal(volume["UsageData"]["RefCount"], 1)
    out = docker("system", "df", "-v").out
    check("vol" in out and "busybox" in out, out)
    # What is used of an image is part of all that images take.
    out = docker("system", "df", "--format", "{{.Reclaimable}}").out
    check("-" not in out, out)
    out = docker("ps", "-s", "--format", "{{.Size}}").out
    check(out.startswith("3.1"), out)
    got = json.loads(docker("inspect", "-s", "box").out)[0]
    check(got["SizeRw"] >= 3 << 20, got["SizeRw"])
    if docker.engine == "berthd":  # 20.10 has no such parameter
        status, _, data = docker.http("GET", "/system/df?type=volume")
        equal((status, json.loads(data)["Images"]), (200, None))
        equal(docker.http("GET", "/system/df?type=nothing")[0], 400)


def a_system_is_pruned(docker):
    stopped(docker, "true")
    docker("network", "create", "unused")
    out = docker("system", "prune", "-f").out
    check("Deleted Containers" in out and "unused" in out, out)
    check("Total reclaimed space" in out, out)
    docker("inspect", "box", code=1)
    docker("network", "inspect", "unused", code=1)


def pruned_containers_free_their_space(docker):
    stopped(docker, "dd if=/dev/zero of=/big bs=1M count=3", "-l", "go=yes")
    prune = ("container", "prune", "-f", "--filter", "label=go=yes")
    out = docker(*prune, "--filter", "until=1h").out
    check("Total reclaimed space: 0B" in out, out)
    out = docker(*prune).out
    check("Total reclaimed space: 3.1" in out, out)


def pruned_volumes_free_their_space(docker):
    docker("pull", "busybox")
    docker.shell("dd if=/dev/zero of=/v/big bs=1M count=3", "-v", "gone:/v")
    out = docker("volume", "prune", "-f", "-a",
                 code=None if docker.engine == "dockerd" else 0).out
    if docker.engine == "dockerd" and not out:
        return "20.10 knows no -a"
    check("gone" in out and "Total reclaimed space: 3.1" in out, out)
    return None


def odd_bodies_are_refused(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    kind = {"Content-Type": "application/json"}
    made = []
    for body in (b"[]", b'"x"', b'{"Env":3}', b'{"Env":[3]}', b'{"Cmd":{}}',
                 b'{"Labels":[]}', b'{"User":null}', b"{", b'{"Cmd":[null]}'):
        status, _, data = docker.http("POST", "/commit?container=box", body,
                               kind)
        if status == 201:
            made.append(json.loads(data)["Id"])
        check(status in (201, 400, 500), (body, status, data))
    for path in ("/commit", "/commit?container=box&repo=UPPER",
                 "/commit?container=box&changes=", "/images/load",
                 "/images/create?fromSrc=-&repo=UPPER",
                 "/images/prune?filters=x",
                 "/images/prune?filters={%22until%22:[%22%22]}"):
        status, _, data = docker.http("POST", path)
        if status == 201:
            made.append(json.loads(data)["Id"])
    check(docker.control.alive(), "the engine has ended")
    docker("rm", "box")
    for image in made:
        forget(docker, image)
    # dockerd also commits what it then answers with an error.
    docker("image", "prune", "-f")


def manifests_of_images(docker):
    if docker.engine == "dockerd":
        return "its store keeps no manifests"
    docker("pull", "busybox")
    docker("create", "--name", "c1", "busybox")

    def row_of(path, version="1.48"):
        status, data = send(docker, "GET", path, None, version)
        equal(status, 200, data)
        rows = json.loads(data)
        return next(row for row in (rows if isinstance(rows, list) else [rows])
                    if "busybox:latest" in (row["RepoTags"] or []))
    for path in ("/images/json?manifests=1",
                 "/images/busybox/json?manifests=1"):
        row = row_of(path)
        own = row["Manifests"][0]
        equal((own["Available"], own["Kind"], own["ID"]),
              (True, "image", own["Descriptor"]["digest"]))
        check(own["Size"]["Total"] > own["Size"]["Content"] > 0, own)
        check(own["ImageData"]["Platform"]["os"] == "linux", own)
        equal(len(own["ImageData"]["Containers"]), 1)
        check(row["Descriptor"]["digest"] in str(row["RepoDigests"]), row)
    check("Manifests" not in row_of("/images/json"), "unasked")
    check("Manifests" not in row_of(
        "/images/json?manifests=1", "1.46"), "old")
    check("busybox:latest" in docker("image", "ls", "--tree").out, "no tree")
    docker("inspect", docker.registry + "/test/no/such:1", code=1)
    return None


CASES = [a_diff_tells_what_changed, a_commit_has_the_containers_files,
         a_commit_takes_changes, a_running_container_is_committed,
         an_archive_is_imported, what_was_saved_is_loaded, a_history_has_sizes,
         images_are_filtered, unused_images_are_pruned, disk_usage_is_told,
         a_system_is_pruned,
         pruned_containers_free_their_space, pruned_volumes_free_their_space,
         odd_bodies_are_refused, manifests_of_images]
