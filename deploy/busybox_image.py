#!/usr/bin/python3
"""Makes a small image from Debian's busybox-static package.

usage: busybox_image.py ARCHIVE NAME
  ARCHIVE  the file to write: an OCI image layout (image-layout.md) as a tar
  NAME     what the image is to be called, for example busybox:latest
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile

BUSYBOX = "/bin/busybox"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
}


def add(archive, name, kind, mode, data=b"", link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, link
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def root_file_system():
    """An uncompressed layer: busybox with a link for each of its applets."""
    out = io.BytesIO()
    applets = subprocess.run(
        [BUSYBOX, "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "var"):
            add(tar, folder, tarfile.DIRTYPE, 0o755)
        add(tar, "tmp", tarfile.DIRTYPE, 0o1777)
        with open(BUSYBOX, "rb") as program:
            add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, program.read())
        for applet in applets:
            if applet != "busybox":
                add(tar, "bin/" + applet, tarfile.SYMTYPE, 0o777, link="busybox")
        for name, text in FILES.items():
            add(tar, name, tarfile.REGTYPE, 0o644, text.encode())
    return out.getvalue()


def descriptor(media_type, data):
    return {
        "mediaType": "application/vnd.oci.image." + media_type,
        "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }


def main():
    target, name = sys.argv[1:]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    plain = root_file_system()
    layer = gzip.compress(plain, mtime=0)
    config = json.dumps(
        {
            "architecture": machine[
                subprocess.check_output(["uname", "-m"], text=True).strip()
            ],
            "os": "linux",
            "config": {
                "Cmd": ["sh"],
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()],
            },
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar+gzip", layer)],
        }
    ).encode()
    entry = descriptor("manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    with tarfile.open(target, "w") as tar:
        add(tar, "oci-layout", tarfile.REGTYPE, 0o644, b'{"imageLayoutVersion":"1.0.0"}')
        add(tar, "index.json", tarfile.REGTYPE, 0o644, index)
        for blob in (layer, config, manifest):
            path = "blobs/sha256/" + hashlib.sha256(blob).hexdigest()
            add(tar, path, tarfile.REGTYPE, 0o644, blob)


if __name__ == "__main__":
    main()
