#!/usr/bin/env python3
"""What clang finds in the sources of berth's programs.

  threads   -Wthread-safety: members touched without the mutex that guards
            them (base/mutex.h), locks taken twice or not given back
  tidy      clang-tidy with the checks of .clang-tidy

A file that was found right is not looked at again until it, a header that it
includes or a flag changes (the stamps are in ~/.cache/berth-lint). The files
that changed last come first. --seconds bounds how long it goes on; what it has
not come to by then is counted aloud and is for a run without a bound.

clang-19 is the version that Debian 12 and 13 both have. Without it: SKIP.

usage: clang.py threads|tidy [--seconds N] [ROOT]
"""

import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

COMPILER, TIDY = "clang++-19", "clang-tidy-19"
FLAGS = [
    "-std=c++20",
    "-isystem/usr/include/libnl3",
    # third_party/BUILD.bazel, boost_asio
    "-DBOOST_ASIO_NO_DEPRECATED",
    "-DBOOST_ASIO_HAS_CO_AWAIT=1",
    "-DBOOST_ASIO_HAS_STD_COROUTINE=1",
]
THREADS = ["-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# Lines that cannot change what is found.
COMMENT = re.compile(r"^\s*//(?!.*NOLINT).*\n", re.M)
# Parsed once for all files: what most of them include.
PREFIX = """
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>
"""
PREFIX_HEADERS = (
    "base/status.h",
    "base/mutex.h",
    "base/context.h",
    "base/json.h",
)


class Tree:
    """The sources below a root, and the digest of all that each is made of."""

    def __init__(self, root, cache):
        self.root, self.cache = root, cache
        self.sources, self.protos = [], []
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = [
                d
                for d in subfolders
                if not d.startswith((".", "bazel-"))
                and d not in ("testing", "testdata", "third_party")
                and not (folder == root and d == "test")
            ]
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith(".proto"):
                    self.protos.append(path)
                elif name.endswith(".cc") and not name.endswith("_test.cc"):
                    self.sources.append(path)
        self.generated = self.generate()
        self.texts, self.reached = {}, {}

    def generate(self):
        """The folder with what protoc makes."""
        digest = hashlib.sha256()
        for path in sorted(self.protos):
            with open(os.path.join(self.root, path), "rb") as f:
                digest.update(f.read())
        folder = os.path.join(self.cache, "proto-" + digest.hexdigest()[:16])
        if self.protos and not os.path.isdir(folder):
            made = f"{folder}.{os.getpid()}"
            os.makedirs(made)
            subprocess.run(
                ["protoc", f"--cpp_out={made}", f"--grpc_out={made}"]
                + [f"--proto_path={self.root}", "--proto_path=/usr/include"]
                + ["--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"]
                + sorted(self.protos),
                cwd=self.root,
                check=True,
            )
            os.rename(made, folder)
        return folder

    def text(self, path):
        if path not in self.texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as f:
                    self.texts[path] = f.read()
            except FileNotFoundError:  # generated, or of a library
                self.texts[path] = ""
        return self.texts[path]

    def closure(self, paths):
        """All files of ours that these include, themselves as well."""
        found, left = set(), list(paths)
        while left:
            path = left.pop()
            if path not in found:
                found.add(path)
                left += INCLUDE.findall(self.text(path))
        return found

    def key(self, paths, *more):
        digest = hashlib.sha256(repr((self.generated, more)).encode())
        for path in sorted(self.closure(paths)):
            code = COMMENT.sub("", self.text(path))
            digest.update(f"{path}\0{code}\0".encode())
        return digest.hexdigest()

    def flags(self):
        return FLAGS + ["-iquote", self.root, "-iquote", self.generated]

    def last_changed_first(self):
        """The sources, by the last commits; what has no commit before all."""

        def git(*args):
            done = subprocess.run(
                ["git", "-C", self.root, *args], capture_output=True, text=True
            )
            return done.stdout.splitlines() if done.returncode == 0 else []

        order = git("diff", "--name-only", "--relative", "HEAD")
        order += git("ls-files", "--others", "--exclude-standard")
        order += git("log", "-100", "--name-only", "--format=", "--relative")
        place = {path: at for at, path in reversed(list(enumerate(order)))}
        return sorted(
            self.sources, key=lambda path: (place.get(path, len(order)), path)
        )


def prefix(tree, folder):
    """Flags that let a file begin with what PREFIX includes.

    Made anew by each run: clang refuses one that is older than its headers.
    """
    header = os.path.join(folder, "prefix.h")
    headers = [h for h in PREFIX_HEADERS if tree.text(h)]
    with open(header, "w", encoding="utf-8") as f:
        f.write(PREFIX + "".join(f'#include "{h}"\n' for h in headers))
    subprocess.run(
        [COMPILER, "-x", "c++-header", *tree.flags(), header]
        + ["-o", header + ".pch"],
        check=True,
    )
    return ["-include-pch", header + ".pch"]


def check(kind, tree, path, before):
    """What clang says of one file; empty if nothing."""
    flags = tree.flags() + before
    if kind == "threads":
        command = [COMPILER, *THREADS, *flags, path]
    else:
        config = os.path.join(tree.root, ".clang-tidy")
        command = [TIDY, "--quiet", "--config-file=" + config, path, "--"]
        command += flags
    done = subprocess.run(
        command, cwd=tree.root, capture_output=True, text=True
    )
    if done.returncode == 0:
        return ""
    # clang-tidy says on standard error how much it has passed over.
    return (done.stdout if done.stdout.strip() else done.stderr).strip()


def run(kind, tree, seconds):
    """(what was said, right, not reached)."""
    config = tree.text(".clang-tidy") if kind == "tidy" else " ".join(THREADS)
    stamps = {}
    for path in tree.last_changed_first():
        stamp = os.path.join(tree.cache, tree.key([path], kind, config, FLAGS))
        if not os.path.exists(stamp):
            stamps[path] = stamp
    end = time.monotonic() + seconds if seconds else None

    def one(path):
        if end and time.monotonic() > end:
            return path, None
        said = check(kind, tree, path, before)
        if not said:
            with open(stamps[path], "w", encoding="utf-8"):
                pass
        return path, said

    with tempfile.TemporaryDirectory() as folder:
        before = prefix(tree, folder) if stamps else []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(one, stamps))
    said = [text for _, text in results if text]
    right = sum(1 for _, text in results if text == "")
    return said, right, sum(1 for _, text in results if text is None)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind", choices=["threads", "tidy"])
    arguments.add_argument("--seconds", type=float, default=0)
    arguments.add_argument("root", nargs="?", default=".")
    options = arguments.parse_intermixed_args()
    program = COMPILER if options.kind == "threads" else TIDY
    if not shutil.which(program):
        print(f"{options.kind}: SKIP: {program} is not installed")
        return 0
    cache = os.environ.get("BERTH_LINT_CACHE") or os.path.expanduser(
        "~/.cache/berth-lint"
    )
    os.makedirs(cache, exist_ok=True)
    tree = Tree(os.path.abspath(options.root), cache)
    said, right, left = run(options.kind, tree, options.seconds)
    # A header's fault is told by each file that includes it.
    for line in dict.fromkeys("\n".join(said).splitlines()):
        print(line)
    known = len(tree.sources) - len(said) - right - left
    print(
        f"{options.kind}: {len(tree.sources)} files, {known} known, "
        f"{right} found right, {left} left for a full run, {len(said)} wrong"
    )
    return 1 if said or not tree.sources else 0


if __name__ == "__main__":
    sys.exit(main())
