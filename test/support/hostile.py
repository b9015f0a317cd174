#!/usr/bin/env python3
"""Images that attack, or merely puzzle, whoever unpacks them.

    hostile.py DIR CANARY    > verdicts.tsv

Makes DIR/<case>/, OCI layouts with the one tag <case>. CANARY is the path on
the host that the escaping entries aim at; make it with known bytes first: it
has to be there, unchanged, after every case. Standard output is a table:
case, verdict, what it is about. Verdicts:

    reject   the pull has to fail, and leave nothing that can be used
    contain  it may fail; if not, every path stays inside the root
    accept   odd, but legal: it has to work
    bounded  it has to end soon, for better or worse, without filling memory
             or disk
"""
import gzip
import json
import os
import sys
import tarfile

from oci_layout import CONFIG, LAYER, Layout, MANIFEST, digest_of

UP = "../" * 12
END = b"\0" * 1024
EVIL = b"escaped\n"


# ---- tar entries as bytes, so that a header may lie

def entry(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o644, pax=None,
          size=None, device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    info.mtime = 1700000000
    info.devmajor, info.devminor = device
    info.size = len(data) if size is None else size
    if pax:
        info.pax_headers = pax
    header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return header + data + b"\0" * (-len(data) % 512)


def folder(name, mode=0o755, pax=None):
    return entry(name, kind=tarfile.DIRTYPE, mode=mode, pax=pax)


def symlink(name, target):
    return entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name, target):
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def tar(*entries):
    return b"".join(entries) + END


def patched(header, at, new):
    """A header with other bytes, its checksum made good again."""
    header = bytearray(header)
    header[at:at + len(new)] = new
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def gnu_long_name(name):
    """The header that names the next entry, as GNU tar writes it."""
    return entry("././@LongLink", name.encode() + b"\0",
                 kind=tarfile.GNUTYPE_LONGNAME)


def zstd_frame(data, window_log):
    """One frame of one raw block, that asks for such a window (RFC 8878)."""
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return (b"\x28\xb5\x2f\xfd\0" + bytes([(window_log - 10) << 3]) + block +
            data)


class Maker:
    def __init__(self, out):
        self.out = out

    def add(self, case, verdict, about, *layers, blobs=None, diffs=None,
            rootfs=None, edit=None, packed="+gzip"):
        """layers: tars. blobs: compressed layers as they are, instead.
        diffs, rootfs: what the configuration says. edit: the manifest's.
        packed: the end of the layers' media type."""
        layout = Layout(os.path.join(self.out, case))
        if blobs is None:
            blobs = [gzip.compress(t, 6, mtime=0) for t in layers]
        if diffs is None:
            diffs = [digest_of(t) for t in layers]
        config = {"architecture": "amd64", "os": "linux",
                  "config": {"Cmd": ["/bin/sh"]},
                  "rootfs": rootfs or {"type": "layers", "diff_ids": diffs}}
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": layout.blob(json.dumps(config).encode(), CONFIG),
            "layers": [layout.blob(b, LAYER + packed) for b in blobs]}
        if edit:
            edit(manifest)
        layout.tag(case, layout.blob(json.dumps(manifest).encode(), MANIFEST))
        print(case, verdict, about, sep="\t")


OK = entry("ok", b"fine\n")


def paths(make, canary):
    bare, parent = canary.lstrip("/"), os.path.dirname(canary)
    name = os.path.basename(canary)
    into = entry("esc/" + name, EVIL)
    add = make.add
    add("dotdot", "contain", "a name that climbs out",
        tar(OK, entry(UP + bare, EVIL)))
    add("dotdot-middle", "contain", "the same from inside a folder",
        tar(folder("a"), entry("a/" + UP + bare, EVIL)))
    add("dotdot-dir", "contain", "folders above the root keep their modes",
        tar(folder(".."), folder("../..", 0o777), OK))
    add("dotdot-slashes", "contain", "dots and slashes without end",
        tar(OK, entry("./..//" * 12 + bare, EVIL)))
    add("absolute", "accept", "/abs is inside the root",
        tar(entry("/abs", b"inside\n")))
    add("symlink-parent", "contain", "through a relative link",
        tar(symlink("esc", UP + parent.lstrip("/")), into))
    add("symlink-parent-absolute", "contain", "through an absolute link",
        tar(symlink("esc", parent), into))
    add("symlink-lower-layer", "contain", "through a link of a lower layer",
        tar(symlink("esc", parent)), tar(into))
    add("symlink-chain", "contain", "through three links",
        tar(symlink("a", "b"), symlink("b", "c"), symlink("c", parent),
            entry("a/" + name, EVIL)))
    add("symlink-as-file", "contain", "the link is replaced, not written to",
        tar(symlink("f", canary), entry("f", EVIL)))
    add("symlink-dir-entry", "contain", "a host folder keeps its mode",
        tar(symlink("esc", parent), folder("esc", 0o700)))
    add("symlink-proc", "contain", "not out through /proc/self/root",
        tar(symlink("esc", "/proc/self/root" + parent), into))


def hard_links(make, canary):
    add = make.add
    add("hardlink-out", "reject", "no link to the host's passwd",
        tar(hardlink("pw", UP + "etc/passwd")))
    add("hardlink-absolute", "reject", "inside the root it is missing",
        tar(hardlink("pw", "/etc/passwd")))
    add("hardlink-through-symlink", "contain", "no link to the host's passwd",
        tar(symlink("esc", "/etc"), hardlink("pw", "esc/passwd"),
            entry("pw", EVIL)))
    add("hardlink-to-symlink", "contain", "the link itself gets the name",
        tar(symlink("s", canary), hardlink("h", "s"), entry("h", EVIL)))
    add("hardlink-self", "reject", "links to itself", tar(hardlink("x", "x")))
    add("hardlink-to-dir", "reject", "links to a folder",
        tar(folder("dir"), hardlink("x", "dir")))
    add("hardlink-whiteout", "reject", "a whiteout that is a hard link",
        tar(OK, hardlink(".wh.ok", "ok")))


def whiteouts(make, canary):
    parent, name = os.path.dirname(canary), os.path.basename(canary)
    add = make.add
    add("whiteout-bare", "reject", "names nothing", tar(OK), tar(entry(".wh.")))
    add("whiteout-dot", "reject", "never removes the root",
        tar(OK), tar(entry(".wh..")))
    add("whiteout-dotdot", "reject", "never removes the root's parent",
        tar(OK), tar(entry(".wh...")))
    add("whiteout-through-symlink", "contain", "removes nothing of the host",
        tar(symlink("esc", parent)), tar(entry("esc/.wh." + name)))
    add("opaque-through-symlink", "contain", "empties no folder of the host",
        tar(symlink("esc", parent)), tar(entry("esc/.wh..wh..opq")))
    add("opaque-root", "contain", "of the root itself",
        tar(OK), tar(entry(".wh..wh..opq"), entry("new", b"x")))
    add("whiteout-dir", "contain", "a folder named as a whiteout",
        tar(folder("dir"), folder(".wh.dir"), entry(".wh.dir/f", EVIL)))
    add("whiteout-aufs-meta", "accept", "names of aufs itself are skipped",
        tar(folder(".wh..wh.plnk"), entry(".wh..wh.plnk/1.2", b"x"),
            entry(".wh..wh.aufs", b"x"), OK))
    opaque = {"SCHILY.xattr.trusted.overlay.opaque": "y"}
    redirect = {"SCHILY.xattr.trusted.overlay.redirect": "/etc"}
    add("overlay-xattr", "contain", "a layer sets no overlay markers",
        tar(folder("d"), entry("d/f", b"lower\n")),
        tar(folder("d", pax=opaque), entry("r", b"", pax=redirect)))
    add("overlay-chardev", "contain", "a 0/0 device is no whiteout",
        tar(entry("f", b"lower\n")), tar(entry("f", kind=tarfile.CHRTYPE)))


def order(make, canary):
    add = make.add
    add("duplicate-file", "contain", "the last one wins",
        tar(entry("f", b"one"), entry("f", b"two")))
    add("duplicate-link-then-file", "contain", "link, file, link",
        tar(symlink("f", canary), entry("f", EVIL), symlink("f", canary)))
    add("file-then-child", "contain", "a file where a folder should be",
        tar(entry("f", b"x"), entry("f/g", b"y")))
    add("root-as-file", "reject", "the root is a folder",
        tar(entry(".", EVIL)))
    add("root-as-link", "reject", "the root is a folder",
        tar(symlink(".", os.path.dirname(canary)), OK))
    add("empty-name", "contain", "no name at all", tar(entry("", EVIL), OK))
    add("nul-name", "contain", "a zero byte in a name",
        tar(entry("x", b"1", pax={"path": "a\0b"}), OK))
    add("name-too-long", "reject", "300 bytes", tar(entry("n" * 300, b"x")))
    add("path-too-long", "contain", "beyond PATH_MAX",
        tar(entry("/".join(["d" * 200] * 40), b"x")))
    add("deep", "bounded", "5000 folders deep", tar(entry("a/" * 5000 + "f",
                                                         b"x")))


def kinds(make):
    add = make.add
    add("device-null", "accept", "a character device",
        tar(entry("null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666)))
    add("device-disk", "accept", "a node; its use is for others to decide",
        tar(entry("sda", kind=tarfile.BLKTYPE, device=(8, 0), mode=0o666)))
    add("kind-unknown", "contain", "type flag Z",
        tar(entry("odd", b"x", kind=b"Z"), OK))
    add("fifo-then-file", "contain", "a file where a fifo is, and a link to it",
        tar(entry("f", kind=tarfile.FIFOTYPE)),
        tar(entry("f", b"file\n"), hardlink("g", "f")))
    add("fifo-linked", "contain", "a fifo with two names, then a file",
        tar(entry("f", kind=tarfile.FIFOTYPE), hardlink("g", "f"),
            entry("g", b"file\n")))
    add("device-then-file", "contain", "nothing is written to the device",
        tar(entry("f", kind=tarfile.CHRTYPE, device=(1, 1))),
        tar(entry("f", b"file\n")))
    add("setuid", "accept", "mode 6755 survives",
        tar(entry("su", b"#!/bin/sh\n", mode=0o6755)))


def sizes(make):
    add = make.add
    add("size-negative", "reject", "a base-256 size with the sign bit",
        patched(entry("f"), 124, b"\xff" * 12) + END)
    add("size-lies", "reject", "1 GiB announced, the stream ends",
        entry("f", b"short", size=1 << 30))
    add("size-exabyte", "reject", "4 EiB announced",
        entry("f", b"short", size=1 << 62))
    add("pax-size-conflict", "contain", "pax and header differ",
        tar(entry("f", b"A" * 512, pax={"size": "99999999999"})))
    add("pax-huge-header", "bounded", "a pax record of 64 MiB",
        tar(entry("f", b"x", pax={"comment": "c" * (64 << 20)})))
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
              "GNU.sparse.name": "sparse", "GNU.sparse.realsize": str(8 << 40)}
    map_block = b"1\n8796093022208\n512\n".ljust(512, b"\0")
    add("sparse-huge", "bounded", "8 TiB with one block of data",
        tar(entry("s", map_block + b"D" * 512, pax=sparse)))
    many = b"1000000\n" + b"0\n0\n" * 1000000
    add("sparse-map-long", "bounded", "a map of a million holes",
        tar(entry("s", many + b"\0" * (-len(many) % 512), pax=sparse)))
    add("pax-size-negative", "reject", "a size of -1",
        tar(entry("f", b"x", pax={"size": "-1"}), OK))
    add("pax-size-overflow", "reject", "a size beyond 64 bits",
        tar(entry("f", b"x", pax={"size": "9" * 30}), OK))
    add("pax-time-overflow", "contain", "a time beyond 64 bits",
        tar(entry("f", b"x", pax={"mtime": "9" * 30}), OK))
    add("pax-ids-overflow", "contain", "a user beyond 32 bits is not root",
        tar(entry("f", b"x", mode=0o4755, pax={"uid": str(1 << 32)}), OK))
    add("pax-newline", "contain", "a newline in a name",
        tar(entry("x", b"1", pax={"path": "a\n/etc/b"}), OK))
    long_name = gnu_long_name("n" * 100)
    add("long-name-chain", "contain", "20,000 long names before one entry",
        tar(long_name * 20000, OK))
    add("long-name-huge", "bounded", "a long name of 16 MiB",
        tar(gnu_long_name("n" * (16 << 20)), OK))
    add("xattr-huge", "contain", "an attribute of 1 MiB",
        tar(entry("f", b"x", pax={"SCHILY.xattr.user.big": "v" * (1 << 20)})))
    broken = OK[:148] + b"000000\0 " + OK[156:]
    add("checksum-bad", "reject", "header checksum", tar(broken))
    add("many-entries", "bounded", "200,000 empty files",
        tar(*(entry("m/%06d" % i) for i in range(200000))))


def compression(make):
    one = [digest_of(tar(OK))]
    good = gzip.compress(tar(OK), 6, mtime=0)
    zeros = gzip.compress(b"\0" * (64 << 20), 9, mtime=0)
    bomb = (gzip.compress(entry("zeros", size=4 << 30), 9, mtime=0) +
            zeros * 64 + gzip.compress(END, 9, mtime=0))
    add = make.add
    add("bomb-gzip", "bounded", "4 GiB of zeros in 4 MiB", blobs=[bomb],
        diffs=["sha256:" + "1" * 64])
    add("gzip-truncated", "reject", "9 bytes short", blobs=[good[:-9]],
        diffs=one)
    add("gzip-crc-bad", "reject", "wrong checksum",
        blobs=[good[:-8] + b"\0" * 4 + good[-4:]], diffs=one)
    add("gzip-trailing-garbage", "contain", "bytes after the end",
        blobs=[good + b"garbage"], diffs=one)
    halves = [gzip.compress(part, 6, mtime=0)
              for part in (tar(OK)[:512], tar(OK)[512:])]
    add("gzip-two-members", "accept", "two members are one stream",
        blobs=[b"".join(halves)], diffs=one)
    empty = gzip.compress(b"", 6, mtime=0)
    add("gzip-many-members", "bounded", "100,000 empty members before one",
        blobs=[empty * 100000 + good], diffs=one)
    add("zstd-window", "bounded", "a window of 2 GiB", packed="+zstd",
        blobs=[zstd_frame(tar(OK), 31)], diffs=one)
    add("zstd-small-window", "accept", "a window of 1 MiB", packed="+zstd",
        blobs=[zstd_frame(tar(OK), 20)], diffs=one)
    add("not-gzip", "contain", "a bare tar under the gzip media type",
        blobs=[tar(OK)], diffs=one)
    add("tar-trailing-data", "accept", "bytes after the end of the archive",
        tar(OK) + b"Z" * 5000)
    add("tar-no-end", "accept", "no end of archive", OK)


def metadata(make):
    # Each case has bytes of its own: a layer that was unpacked for another
    # image need not be fetched again, and then nobody looks at its blob.
    add = make.add

    def own(case):
        return tar(OK, entry("of-" + case))

    def one(case, verdict, about, **wrong):
        add(case, verdict, about, own(case), **wrong)

    def layer(**fields):
        return lambda manifest: manifest["layers"][0].update(fields)

    one("diffid-wrong", "reject", "not the digest of what was unpacked",
        diffs=["sha256:" + "0" * 64])
    few = own("diffid-too-few")
    add("diffid-too-few", "reject", "two layers, one diff id",
        few, tar(entry("b", b"b")), diffs=[digest_of(few)])
    one("rootfs-type", "reject", "rootfs.type is not layers",
        rootfs={"type": "blocks", "diff_ids": [digest_of(own("rootfs-type"))]})
    one("size-mismatch", "reject", "the descriptor's size is wrong",
        edit=lambda m: m["layers"][0].update(size=m["layers"][0]["size"] + 1))
    one("layer-missing", "reject", "a layer that is nowhere",
        edit=layer(digest="sha256:" + "a" * 64))
    one("digest-traversal", "reject", "a digest that is a path",
        edit=layer(digest="sha256:../../../../etc/passwd"))
    one("digest-md5", "reject", "an algorithm nobody registered",
        edit=layer(digest="md5:" + "a" * 32))
    other = {"mediaType": MANIFEST, "digest": "sha256:" + "b" * 64, "size": 3}
    one("manifest-and-index", "reject", "layers and manifests in one",
        edit=lambda m: m.update(manifests=[other]))
    one("layer-foreign-url", "contain", "no fetch from such a URL",
        edit=layer(
            mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar."
            "gzip", urls=["file:///etc/passwd",
                          "http://169.254.169.254/latest/meta-data"]))


def main():
    out, canary = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    make = Maker(out)
    paths(make, canary)
    hard_links(make, canary)
    whiteouts(make, canary)
    order(make, canary)
    kinds(make)
    sizes(make)
    compression(make)
    metadata(make)
    return 0


if __name__ == "__main__":
    sys.exit(main())
