"""OCI image layouts made by hand, and their way into a registry.

Only the standard library, so that a test image needs no other tool, no
network, and can be as wrong as a test wants it: nothing here validates.
"""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import ssl
import subprocess
import tarfile
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"

TIME = 1700000000  # of every file, so that equal input gives equal digests


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Tree:
    """The entries of one layer, in the order they were added."""

    def __init__(self):
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w",
                                 format=tarfile.PAX_FORMAT)

    def _add(self, name, kind, mode, owner, data=None, link="", device=(0, 0)):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime, info.linkname = kind, mode, TIME, link
        info.uid, info.gid = owner
        info.devmajor, info.devminor = device
        info.size = len(data) if data else 0
        self._tar.addfile(info, io.BytesIO(data) if data else None)

    def directory(self, name, mode=0o755, owner=(0, 0)):
        self._add(name, tarfile.DIRTYPE, mode, owner)

    def file(self, name, data, mode=0o644, owner=(0, 0)):
        if isinstance(data, str):
            data = data.encode()
        self._add(name, tarfile.REGTYPE, mode, owner, data)

    def symlink(self, name, target):
        self._add(name, tarfile.SYMTYPE, 0o777, (0, 0), link=target)

    def hardlink(self, name, target):
        self._add(name, tarfile.LNKTYPE, 0o644, (0, 0), link=target)

    def bytes(self):
        self._tar.close()
        return self._bytes.getvalue()


def compress(data, how):
    """Returns the blob and the suffix that its media type takes."""
    if how == "none":
        return data, ""
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0), "+gzip"
    if how == "zstd":
        done = subprocess.run(["zstd", "-q", "-c"], input=data,
                              stdout=subprocess.PIPE, check=True)
        return done.stdout, "+zstd"
    raise ValueError("compression " + how)


class Layout:
    """An OCI image layout in a folder, made anew."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "blobs", "sha256"))
        self._tags = []
        self._write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self._save()

    def _write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(data)

    def _save(self):
        top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._tags}
        self._write("index.json", json.dumps(top).encode())

    def blob(self, data, media_type):
        digest = digest_of(data)
        self._write("blobs/" + digest.replace(":", "/"), data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def layer(self, tree, how="gzip"):
        """Returns (descriptor, diff id) of a Tree or of a tar's bytes."""
        data = tree.bytes() if isinstance(tree, Tree) else tree
        packed, suffix = compress(data, how)
        return self.blob(packed, LAYER + suffix), digest_of(data)

    def manifest(self, layers, config, platform=None, docker=False):
        """One image: layers from layer(), config as the image's "config"."""
        platform = platform or {"architecture": "amd64", "os": "linux"}
        document = dict(platform, created="2023-11-14T22:13:20Z", config=config,
                        rootfs={"type": "layers",
                                "diff_ids": [diff for _, diff in layers]},
                        history=[{"created_by": "berth tests"}
                                 for _ in layers])
        stored = self.blob(json.dumps(document).encode(),
                           DOCKER_CONFIG if docker else CONFIG)
        found = [dict(one) for one, _ in layers]
        for one in found:
            if docker:
                one["mediaType"] = DOCKER_LAYER
        kind = DOCKER_MANIFEST if docker else MANIFEST
        body = {"schemaVersion": 2, "mediaType": kind, "config": stored,
                "layers": found}
        return dict(self.blob(json.dumps(body).encode(), kind),
                    platform=platform)

    def index(self, manifests):
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return self.blob(json.dumps(body).encode(), INDEX)

    def tag(self, name, descriptor):
        self._tags.append(dict(descriptor, annotations={REF_NAME: name}))
        self._save()

    def archive(self, path):
        """The layout as one tar, what "docker save" and skopeo write."""
        with tarfile.open(path, "w") as out:
            for name in sorted(os.listdir(self.folder)):
                out.add(os.path.join(self.folder, name), name)


class Registry:
    """Pushes layouts byte for byte, whatever they hold."""

    def __init__(self, address, ca=None, credentials=None):
        self.address = address
        self._ca = ca
        self._headers = {}
        if credentials:
            pair = base64.b64encode(credentials.encode()).decode()
            self._headers["Authorization"] = "Basic " + pair
        self._link = self._connect()

    def _connect(self):
        if not self._ca:
            return http.client.HTTPConnection(self.address, timeout=60)
        context = ssl.create_default_context(cafile=self._ca)
        return http.client.HTTPSConnection(self.address, timeout=60,
                                           context=context)

    def call(self, method, path, body=None, headers=None):
        all_headers = dict(self._headers, **(headers or {}))
        self._link.request(method, path, body=body, headers=all_headers)
        answer = self._link.getresponse()
        text = answer.read()
        return answer.status, dict(answer.getheaders()), text

    def _must(self, method, path, body, headers, codes):
        status, got, text = self.call(method, path, body, headers)
        if status not in codes:
            raise RuntimeError("%s %s: %d %s" % (method, path, status,
                                                 text[:300]))
        return got

    def _push_blob(self, name, digest, data):
        status, _, _ = self.call("HEAD", "/v2/%s/blobs/%s" % (name, digest))
        if status == 200:
            return
        got = self._must("POST", "/v2/%s/blobs/uploads/" % name, b"", None,
                         (202,))
        where = urllib.parse.urlsplit(got["Location"])
        query = where.query + ("&" if where.query else "") + "digest=" + digest
        self._must("PUT", where.path + "?" + query, data,
                   {"Content-Type": "application/octet-stream"}, (201,))

    def push(self, folder, tag, name, as_tag=None):
        """Pushes the reference `tag` of a layout as NAME:AS_TAG."""
        blobs = os.path.join(folder, "blobs", "sha256")
        for file in sorted(os.listdir(blobs)):
            with open(os.path.join(blobs, file), "rb") as data:
                self._push_blob(name, "sha256:" + file, data.read())
        with open(os.path.join(folder, "index.json"), "rb") as file:
            tags = json.load(file)["manifests"]
        top = [t for t in tags if t["annotations"][REF_NAME] == tag][0]
        self._push_manifest(folder, name, top, as_tag or tag)
        return top["digest"]

    def _push_manifest(self, folder, name, descriptor, reference):
        path = os.path.join(folder, "blobs",
                            descriptor["digest"].replace(":", "/"))
        with open(path, "rb") as file:
            data = file.read()
        for child in json.loads(data).get("manifests", []):
            # A document may claim children that are nowhere.
            if os.path.exists(os.path.join(
                    folder, "blobs", child["digest"].replace(":", "/"))):
                self._push_manifest(folder, name, child, child["digest"])
        self._must("PUT", "/v2/%s/manifests/%s" % (name, reference), data,
                   {"Content-Type": descriptor["mediaType"]}, (201,))
