"""docker cp, in all its forms, and docker export."""
import base64
import io
import json
import os
import stat
import subprocess
import tarfile
import tempfile
import time

from harness import check, equal, eventually


def path_stat(docker, container, path):
    status, headers, _ = docker.http("HEAD",
                              f"/containers/{container}/archive?path={path}")
    if status != 200:
        return status
    return json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))


def archive(*entries):
    """A tar of (name, content) files, (name, None) directories and TarInfos."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            name, content = entry
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if content is None else 0o644
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def put(docker, container, path, data, query=""):
    status, _, text = docker.http("PUT", f"/containers/{container}/archive?path={path}{query}",
        data, {"Content-Type": "application/x-tar"})
    return status, text.decode(errors="replace")


def get(docker, container, path):
    status, _, data = docker.http("GET",
                           f"/containers/{container}/archive?path={path}")
    check(status == 200, f"{path}: {status} {data[:200]!r}")
    return tarfile.open(fileobj=io.BytesIO(data))


def in_every_state(docker, *options):
    """(name, read) of a created, a running and a stopped container: `read`
    gives what is in a file."""
    docker("create", "--name", "made", *options, "busybox", "cat", "/f")
    docker("run", "-d", "--name", "running", *options, "busybox", "sleep",
           "1000")
    docker("run", "--name", "over", *options, "busybox", "true")
    for name in ("made", "running", "over"):
        yield name, lambda path, name=name: (
            get(docker, name, path).extractfile(os.path.basename(path)).read())


def a_file_goes_in_and_comes_out(docker):
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/up", "w") as file:
            file.write("text\n")
        os.chmod(folder + "/up", 0o640)
        for name, _ in in_every_state(docker):
            docker("cp", folder + "/up", name + ":/etc/there")
            docker("cp", name + ":/etc/there", folder + "/down")
            with open(folder + "/down") as file:
                equal(file.read(), "text\n", name)
            equal(stat.S_IMODE(os.stat(folder + "/down").st_mode), 0o640, name)
    equal(docker("exec", "running", "cat", "/etc/there").out, "text\n")


def what_was_copied_in_is_there_at_the_start(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox", "cat", "/f")
    docker("cp", "-", "box:/", stdin=archive(("f", b"before the start\n")))
    equal(docker("start", "-a", "box").out, "before the start\n")
    docker("cp", "-", "box:/", stdin=archive(("f", b"after the exit\n")))
    equal(docker("start", "-a", "box").out, "after the exit\n")


def a_directory_goes_both_ways(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/d/sub")
        for name in ("one", "sub/two", "sub/" + "n" * 150):
            with open(f"{folder}/d/{name}", "w") as file:
                file.write(name)
        os.symlink("../one", folder + "/d/sub/link")
        docker("cp", folder + "/d", "box:/tmp")
        equal(docker("exec", "box", "cat", "/tmp/d/sub/link").out, "one")
        docker("cp", "box:/tmp/d", folder + "/back")
        done = subprocess.run(["diff", "-r", folder + "/d", folder + "/back"],
                              stdout=subprocess.PIPE, text=True)
        equal(done.stdout, "")
        equal(os.readlink(folder + "/back/sub/link"), "../one")
        # Its content alone, into a directory that is there.
        os.mkdir(folder + "/flat")
        docker("cp", "box:/tmp/d/.", folder + "/flat")
        equal(sorted(os.listdir(folder + "/flat")), ["one", "sub"])
        docker("exec", "box", "mkdir", "/flat")
        docker("cp", folder + "/d/.", "box:/flat")
        equal(docker("exec", "box", "ls", "/flat").out, "one\nsub\n")


def copying_streams_archives(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("cp", "-", "box:/tmp", stdin=archive(("a", None), ("a/b", b"deep")))
    equal(docker("exec", "box", "cat", "/tmp/a/b").out, "deep")
    done = subprocess.run(docker.argv("cp", "box:/tmp/a", "-"),
                          stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        equal(sorted(tar.getnames()), ["a", "a/b"])


def names_in_an_archive_are_dockers(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c", "mkdir -p /x/y; echo z >/x/y/z")
    for path, wanted in (("/x/y", ["y", "y/z"]), ("/x/y/", ["y", "y/z"]),
                         ("/x/y/.", [".", "./z"]), ("x/../x/y", ["y", "y/z"]),
                         ("/x/y/z", ["z"])):
        equal(sorted(get(docker, "box", path).getnames()), wanted, path)
    names = get(docker, "box", "/").getnames()
    check("/x/y/z" in names or "x/y/z" in names, names[:20])


def compressed_archives_are_unpacked(docker):
    import gzip
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    status, text = put(docker, "box", "/tmp",
                       gzip.compress(archive(("packed", b"small"))))
    equal(status, 200, text)
    equal(docker("exec", "box", "cat", "/tmp/packed").out, "small")


def links_are_copied_or_followed(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c",
           "mkdir /real; echo text >/real/file; ln -s /real /dir;"
           "ln -s file /real/near; ln -s ../real/file /tmp/up;"
           "ln -s /no/where /tmp/dangling")
    with tempfile.TemporaryDirectory() as folder:
        docker("cp", "box:/real/near", folder)
        equal(os.readlink(folder + "/near"), "file")
        docker("cp", "-L", "box:/tmp/up", folder + "/followed")
        with open(folder + "/followed") as file:
            equal(file.read(), "text\n")
        docker("cp", "box:/dir/file", folder + "/through")
        with open(folder + "/through") as file:
            equal(file.read(), "text\n")
    docker("cp", "-", "box:/dir", stdin=archive(("new", b"x")))
    equal(docker("exec", "box", "cat", "/real/new").out, "x")
    found = path_stat(docker, "box", "/tmp/up")
    equal(found["linkTarget"], "/real/file")
    equal(path_stat(docker, "box", "/tmp/dangling")["linkTarget"], "/no/where")
    equal(path_stat(docker, "box", "/dir/file")["size"], 5)


def a_stat_is_in_gos_words(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c",
           "mkdir -p /s; cd /s; mkdir d; chmod 1777 d; echo 123 >f; chmod 4751 f;"
           "mkfifo p; ln -s f l; touch -d '2020-01-02 03:04:05' f;"
           "mknod n c 1 3; chmod 600 n p")
    for name, mode in (("d", 1 << 31 | 1 << 20 | 0o777),
                       ("f", 1 << 23 | 0o751), ("p", 1 << 25 | 0o600),
                       ("l", 1 << 27 | 0o777),
                       ("n", 1 << 26 | 1 << 21 | 0o600)):
        found = path_stat(docker, "box", "/s/" + name)
        equal((found["name"], found["mode"]), (name, mode))
    found = path_stat(docker, "box", "/s/f")
    equal((found["size"], found["mtime"], found["linkTarget"]),
          (4, "2020-01-02T03:04:05Z", ""))
    equal(path_stat(docker, "box", "/s/d/")["name"], "d")
    equal(path_stat(docker, "box", "/")["name"], "/")


def what_is_missing_is_404(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    result = docker("cp", "box:/absent", "/tmp", code=1)
    check("Could not find the file /absent in container box" in result.err,
          result.err)
    equal(path_stat(docker, "box", "/absent"), 404)
    equal(path_stat(docker, "box", "/absent/below"), 404)
    equal(path_stat(docker, "no-such", "/etc"), 404)
    equal(docker.http("GET", "/containers/box/archive")[0], 400)
    status, text = put(docker, "box", "/absent", archive(("x", b"")))
    equal(status, 404, text)
    docker("cp", "-", "box:/", stdin=archive(("file", b"")))
    status, text = put(docker, "box", "/file", archive(("x", b"")))
    check(status in (400, 500) and "not a directory" in text, (status, text))


def owners_are_the_archives_or_the_users(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "-u", "daemon", "busybox")
    info = tarfile.TarInfo("f")
    info.uid, info.gid = 77, 88
    equal(put(docker, "box", "/tmp", archive(info)), (200, ""))
    member = get(docker, "box", "/tmp/f").getmember("f")
    equal((member.uid, member.gid), (77, 88))
    equal(put(docker, "box", "/tmp", archive(info), "&copyUIDGID=true"),
          (200, ""))
    member = get(docker, "box", "/tmp/f").getmember("f")
    equal((member.uid, member.gid), (1, 1))


def kinds_are_not_exchanged(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c", "mkdir /tmp/d; touch /tmp/f")
    strict = "&noOverwriteDirNonDir=true"
    status, text = put(docker, "box", "/tmp", archive(("d", b"file")), strict)
    check(status != 200 and "cannot overwrite directory" in text, text)
    status, text = put(docker, "box", "/tmp", archive(("f", None)), strict)
    check(status != 200 and "cannot overwrite non-directory" in text, text)
    with tempfile.TemporaryDirectory() as folder:
        result = docker("cp", folder, "box:/tmp/f", code=1)
        check("cannot" in result.err, result.err)
    equal(put(docker, "box", "/tmp", archive(("d", b"file")))[0], 200)
    equal(docker("exec", "box", "cat", "/tmp/d").out, "file")


def volumes_and_binds_are_inside(docker):
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as host:
        with open(host + "/seen", "w") as file:
            file.write("host")
        options = ("-v", "vol:/data/deep", "-v", host + ":/bound",
                   "-v", host + ":/frozen:ro", "-v", "/anonymous")
        for name, read in in_every_state(docker, *options):
            equal(read("/bound/seen"), b"host", name)
            docker("cp", "-", name + ":/data/deep",
                   stdin=archive((name, name.encode())))
            docker("cp", "-", name + ":/anonymous", stdin=archive(("a", b"b")))
            equal(read("/anonymous/a"), b"b", name)
            docker("cp", "-", name + ":/", stdin=archive(
                ("bound/from-" + name, b"x")))
            check(os.path.exists(host + "/from-" + name), name)
            result = docker("cp", "-", name + ":/frozen",
                            stdin=archive(("no", b"")), code=1)
            check("volume is marked read-only" in result.err, result.err)
        for name in ("made", "running", "over"):
            equal(docker.run("-v", "vol:/v", "busybox", "cat", "/v/" + name).out,
                  name)
        check(not os.path.exists(host + "/no"), "written to a read-only volume")


def a_read_only_root_stays_so(docker):
    docker("pull", "busybox")
    for name, read in in_every_state(docker, "--read-only", "-v", "/data"):
        result = docker("cp", "-", name + ":/tmp",
                        stdin=archive(("no", b"")), code=1)
        check("container rootfs is marked read-only" in result.err, result.err)
        docker("cp", "-", name + ":/data", stdin=archive(("yes", b"y")))
        equal(read("/data/yes"), b"y")


def links_lead_nowhere_outside(docker):
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as outside:
        with open(outside + "/secret", "w") as file:
            file.write("secret")
        docker.start("--name", "box", "busybox", "sleep", "1000")
        docker("exec", "box", "ln", "-s", outside, "/abs")
        docker("exec", "box", "ln", "-s", "../../../../.." + outside, "/rel")
        docker("exec", "box", "ln", "-s", "/proc/1/root" + outside, "/magic")
        for name in ("abs", "rel", "magic"):
            equal(path_stat(docker, "box", f"/{name}/secret"), 404)
            status, _ = put(docker, "box", "/" + name, archive(("bad", b"")))
            check(status != 200, name)
        put(docker, "box", "/", archive(
            ("abs/bad", b""), ("rel/bad", b""), link("own", outside),
            ("own/bad", b""), link("up", "/.."), ("up/bad", b""),
            link("hard", "abs", tarfile.LNKTYPE), ("hard/bad", b"")))
        equal(os.listdir(outside), ["secret"])
        check(not os.path.exists("/bad"), "written to the host's root")


def hostile_archives_are_refused(docker):
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    device = tarfile.TarInfo("whiteout")
    device.type = tarfile.CHRTYPE
    deep = "d/" * 10000 + "x"
    with docker.control.no_trace():
        for data in (archive(("../../escape", b"bad")),
                     archive(link("l", "../../etc/passwd", tarfile.LNKTYPE)),
                     archive((deep, b"")), b"\1" * 2048,
                     archive(("cut", b"x" * 5000))[:3000]):
            status, text = put(docker, "box", "/tmp", data)
            check(status in (400, 409, 500), (status, text))
    check(not os.path.exists("/escape"), "left the root")
    equal(docker("exec", "box", "echo", "well").out, "well\n")


def no_program_of_a_container_decompresses(docker):
    """CVE-2026-41567: xz and bzip2 of the container's own PATH."""
    import bz2
    import lzma
    if docker.engine == "dockerd":
        return "20.10 runs the host's xz"
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c",
           "for one in xz unxz bzip2 bunzip2; do rm -f /bin/$one;"
           "printf '#!/bin/sh\\ntouch /run-me\\n' >/bin/$one;"
           "chmod 755 /bin/$one; done")
    data = archive(("packed", b"small"))
    for packed in (lzma.compress(data), bz2.compress(data)):
        status, text = put(docker, "box", "/tmp", packed)
        check(status == 501 and "not supported" in text, (status, text))
    docker("exec", "box", "ls", "/run-me", code=1)
    return None


def no_library_of_a_container_is_loaded(docker):
    """CVE-2019-14271: whoever looks up users below a container's root loads
    its libnss."""
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/nss.c", "w") as file:
            file.write('#include <fcntl.h>\n__attribute__((constructor)) '
                       'static void loaded(void) { open("/loaded", O_CREAT | '
                       'O_WRONLY, 0600); }\n')
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder + "/nss.so",
                        folder + "/nss.c"], check=True)
        with open(folder + "/nss.so", "rb") as file:
            library = file.read()
    docker.start("--name", "box", "-u", "daemon", "busybox", "sleep", "1000")
    databases = ("passwd", "group", "hosts")
    planted = [("etc/nsswitch.conf", "".join(
        f"{one}: evil files compat\n" for one in databases).encode())]
    for place in ("lib", "lib64", "usr/lib", "lib/x86_64-linux-gnu",
                  "usr/lib/x86_64-linux-gnu"):
        planted.append((place, None))
        planted += [(f"{place}/libnss_{one}.so.2", library)
                    for one in ("evil", "files", "compat", "dns")]
    equal(put(docker, "box", "/", archive(("usr", None), *planted)), (200, ""))
    try:
        for state in ("running", "stopped"):
            put(docker, "box", "/tmp", archive((state, b"x")),
                "&copyUIDGID=true")
            equal(get(docker, "box", "/tmp/" + state).getnames(), [state])
            for command in (("top", "box"), ("export", "box"), ("diff", "box"),
                            ("exec", "-u", "app", "box", "true")):
                subprocess.run(docker.argv(*command),
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            equal(path_stat(docker, "box", "/loaded"), 404, state)
            check(not os.path.exists("/loaded"), "loaded outside")
            docker("stop", "-t0", "box")
    finally:
        if os.path.exists("/loaded"):
            os.unlink("/loaded")


def a_link_that_changes_leads_nowhere(docker):
    """CVE-2018-15664: a directory that becomes a link while it is used."""
    docker("pull", "busybox")
    with tempfile.TemporaryDirectory() as outside:
        with open(outside + "/secret", "w") as file:
            file.write("secret")
        docker.start("--name", "box", "busybox", "sh", "-c",
                     f"mkdir /dir; echo mine >/dir/secret; ln -s {outside} /link;"
                     "while :; do mv /dir /kept; mv /link /dir; "
                     "mv /dir /link; mv /kept /dir; done")
        begun = time.monotonic()
        seen = set()

        # Both are met: the directory, and the link that leads nowhere.
        def enough():
            passed = time.monotonic() - begun
            return passed > 5 and {200, 404} <= seen or passed > 60

        while not enough():
            status, _, data = docker.http(
                "GET", "/containers/box/archive?path=/dir/secret")
            seen.add(status)
            check(b"secret\0" not in data[512:], "the host's file came out")
            put(docker, "box", "/dir", archive(("bad", b"")))
        equal(os.listdir(outside), ["secret"])
        check({200, 404} <= seen, f"statuses {seen}")
        docker("kill", "box")


def a_client_that_stalls_stops_nobody(docker):
    if docker.engine == "dockerd":
        return "dockerd holds the container until its client is done"
    docker("pull", "busybox")
    docker.start("--name", "box", "busybox", "sleep", "1000")
    docker("exec", "box", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=64")
    with docker.control.no_trace():
        reader, writer = (docker.control.connect() for _ in range(2))
        reader.sendall(b"GET /v1.41/containers/box/archive?path=/big HTTP/1.1"
                       b"\r\nHost: x\r\n\r\n")
        writer.sendall(b"PUT /v1.41/containers/box/archive?path=/tmp HTTP/1.1"
                       b"\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
                       + archive(("part", b"x" * 9000))[:4000])
        check(b"200 OK" in reader.recv(1000), "no answer")
        eventually("what was sent is there", lambda: docker(
            "exec", "box", "test", "-e", "/tmp/part", code=None).code == 0)
        equal(docker("exec", "box", "echo", "well").out, "well\n")
        docker("cp", "-", "box:/tmp", stdin=archive(("f", b"x")))
        docker("restart", "-t", "0", "box")
        docker("rm", "-f", "box")
        reader.close()
        writer.close()
    return None


def a_reader_lets_a_container_start(docker):
    docker("pull", "busybox")
    docker("run", "--name", "box", "busybox", "dd", "if=/dev/zero", "of=/big",
           "bs=1M", "count=64")
    with docker.control.no_trace():
        with docker.control.connect() as client:
            client.sendall(b"GET /v1.41/containers/box/archive?path=/big "
                           b"HTTP/1.1\r\nHost: x\r\n\r\n")
            check(b"200 OK" in client.recv(1000), "no answer")
            if docker.engine == "berthd":  # dockerd waits for its client
                docker("start", "box")


def copying_is_told_as_events(docker):
    docker("pull", "busybox")
    docker("create", "--name", "box", "busybox")
    begin = time.time()
    docker("cp", "box:/etc/passwd", "/dev/null", code=None)
    get(docker, "box", "/etc/passwd")
    docker("cp", "-", "box:/tmp", stdin=archive(("x", b"")))
    docker("export", "-o", "/dev/null", "box", code=None)
    docker.http("GET", "/containers/box/export")
    out = docker.events(begin)
    for action in ("archive-path", "extract-to-dir", "export"):
        check(action in out, (action, out))


def an_export_is_the_root_alone(docker):
    docker("pull", "busybox")
    options = ("-v", "vol:/data", "-v", "/tmp:/bound:ro")
    for name, _ in in_every_state(docker, *options):
        docker("cp", "-", name + ":/etc", stdin=archive(("mine", b"text")))
        docker("cp", "-", name + ":/data", stdin=archive(("v", b"")))
        done = subprocess.run(docker.argv("export", name), check=True,
                              stdout=subprocess.PIPE)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            names = tar.getnames()
            equal(tar.extractfile("etc/mine").read(), b"text")
        check("bin/sh" in names or "bin/busybox" in names, names[:20])
        equal([one for one in names if one.startswith(("data/", "bound/"))],
              [], name)


CASES = [a_file_goes_in_and_comes_out, what_was_copied_in_is_there_at_the_start,
         a_directory_goes_both_ways, copying_streams_archives,
         names_in_an_archive_are_dockers, compressed_archives_are_unpacked,
         links_are_copied_or_followed, a_stat_is_in_gos_words,
         what_is_missing_is_404, owners_are_the_archives_or_the_users,
         kinds_are_not_exchanged, volumes_and_binds_are_inside,
         a_read_only_root_stays_so, links_lead_nowhere_outside,
         hostile_archives_are_refused, no_program_of_a_container_decompresses,
         no_library_of_a_container_is_loaded,
         a_link_that_changes_leads_nowhere,
         a_client_that_stalls_stops_nobody, a_reader_lets_a_container_start,
         copying_is_told_as_events, an_export_is_the_root_alone]
