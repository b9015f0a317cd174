#!/usr/bin/env python3
"""Fails on an include that no dependency of the target accounts for.

The compiler accepts a header that reaches it through another target; Bazel 4
does not object. The walls of the root BUILD.bazel hold only if every include
is declared, so this reads the BUILD files (with no build) and checks:

  * a quoted include names a header of the target itself, or of a target that
    it names in deps (implementation and test files included); two libraries of
    the system are included so as well, by targets that name them in deps;
  * a system library's header (<google/protobuf/...>, <grpcpp/...>, ...) stays
    in the folders that may use it (docs/ARCHITECTURE.md, section 3).

usage: includes.py [ROOT]
"""

import ast
import glob
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
RULES = {
    "cc_library",
    "cc_binary",
    "cc_test",
    "fuzz_target",
    "static_binary",
    "syslib",
}

# header prefix -> folders (or single files) that may include it.
LIBRARIES = {
    "grpcpp/": ("cri/", "daemon/", "docker/build/", "door/grpc/", "test/"),
    "grpc/": ("cri/", "daemon/", "docker/build/", "door/grpc/", "test/"),
    "nlohmann/": ("base/json_parse.cc",),
    "re2/": ("docker/convert/patterns.cc",),
    "sqlite3.h": ("base/store/",),
    "curl/": ("base/http/",),
    "boost/": ("door/http/", "third_party/"),
    "openssl/": ("base/digest", "door/"),
    "zlib.h": ("door/stream/", "image/layer/", "shim/process/"),
    "archive": ("image/layer/",),
    "yaml.h": ("sandbox/cdi/",),
    "zstd.h": ("image/layer/",),
    "isa-l": ("image/layer/",),
    "seccomp.h": ("oci/init/",),
    "sys/capability.h": ("oci/init/",),
    "netlink/": ("base/sys/",),
    "gflags/": ("daemon/main.cc", "oci/cli/main.cc", "shim/main.cc", "test/"),
    "absl/status": ("base/status", "base/testing/"),
}

# Headers outside of this tree that are included with quotes -> their target.
QUOTED = {
    "absl/": "//third_party:absl",
    "glog/": "//third_party:glog",
}


class Target:
    def __init__(self, package, rule, attrs):
        self.label = "//" + package + ":" + attrs["name"]
        self.rule = rule
        self.hdrs = [join(package, h) for h in attrs.get("hdrs", [])]
        self.srcs = [join(package, s) for s in attrs.get("srcs", [])]
        self.deps = [absolute(package, d) for d in attrs.get("deps", [])]


def join(package, name):
    if name.startswith("//"):
        return name[2:].replace(":", "/")
    return os.path.join(package, name.lstrip(":"))


def absolute(package, label):
    if label.startswith(":"):
        return "//" + package + label
    if ":" not in label:
        return label + ":" + label.split("/")[-1]
    return label


def literal(node):
    """The strings of a list expression; select() branches are all taken, and
    the patterns of a glob() are kept as "glob:PATTERN" and "not:PATTERN"."""
    if isinstance(node, ast.List):
        return [e.value for e in node.elts if isinstance(e, ast.Constant)]
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "select":
        return [s for v in node.args[0].values for s in literal(v)]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "glob":
        found = ["glob:" + pattern for pattern in literal(node.args[0])]
        for keyword in node.keywords:
            if keyword.arg == "exclude":
                found += ["not:" + name for name in literal(keyword.value)]
        return found
    if isinstance(node, ast.Constant):
        return node.value
    return []


def expand(folder, names):
    """The files that a list of sources stands for."""
    files = []
    for name in names:
        kind, _, pattern = name.rpartition(":")
        found = glob.glob(os.path.join(folder, pattern))
        found = sorted(os.path.relpath(f, folder) for f in found)
        if kind == "glob":
            files += found
        elif kind == "not":
            files = [f for f in files if f not in found]
        else:
            files.append(name)
    return files


def protos(package, attrs):
    """What cc_proto generates, as one target."""
    hdrs = []
    for src in attrs.get("srcs", []):
        stem = src[: -len(".proto")]
        hdrs += [stem + ".pb.h", stem + ".grpc.pb.h"]
    return Target(package, "cc_proto", dict(attrs, hdrs=hdrs, srcs=[]))


def load(root):
    targets = {}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [
            d for d in subfolders if not d.startswith((".", "bazel-"))
        ]
        if "BUILD.bazel" not in files:
            continue
        package = os.path.relpath(folder, root)
        package = "" if package == "." else package
        if package.startswith("bazel"):
            continue
        with open(os.path.join(folder, "BUILD.bazel")) as f:
            tree = ast.parse(f.read())
        for statement in tree.body:
            call = getattr(statement, "value", None)
            if not isinstance(call, ast.Call):
                continue
            rule = getattr(call.func, "id", "")
            attrs = {k.arg: literal(k.value) for k in call.keywords}
            for kind in ("srcs", "hdrs"):
                attrs[kind] = expand(folder, attrs.get(kind, []))
            if rule == "fuzz_target":  # its macro adds this one
                attrs["deps"] += ["//test/fuzz/driver:fuzz_target"]
            if rule == "cc_proto":
                target = protos(package, attrs)
            elif rule in RULES:
                target = Target(package, rule, attrs)
            else:
                continue
            targets[target.label] = target
    return targets


def includes_of(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return INCLUDE.findall(f.read())


def misplaced(path, header):
    for prefix, homes in LIBRARIES.items():
        if header.startswith(prefix):
            return not path.startswith(homes)
    return False


def check(root, targets):
    problems = []
    for target in targets.values():
        if target.rule == "cc_proto":
            continue
        allowed = set(target.hdrs + target.srcs)
        for dep in target.deps:
            if dep in targets:
                allowed.update(targets[dep].hdrs)
        outside = tuple(p for p, dep in QUOTED.items() if dep in target.deps)
        for path in target.hdrs + target.srcs:
            if not os.path.exists(os.path.join(root, path)):
                continue
            for quoted, angled in includes_of(root, path):
                header = quoted or angled
                if misplaced(path, header):
                    problems.append(f"{path}: <{header}> does not belong here")
                if not quoted or quoted in allowed:
                    continue
                if quoted.startswith(outside):
                    continue
                problems.append(
                    f'{path}: "{quoted}" is in no dep of {target.label}'
                )
    return problems


def unclaimed(root, targets):
    """Sources that no target compiles: dead files."""
    claimed = {p for t in targets.values() for p in t.hdrs + t.srcs}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [
            d
            for d in subfolders
            if not d.startswith((".", "bazel")) and d != "testdata"
        ]
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            if name.endswith((".cc", ".h")) and path not in claimed:
                yield f"{path}: in no BUILD.bazel target"


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    targets = load(root)
    problems = check(root, targets) + list(unclaimed(root, targets))
    for problem in sorted(set(problems)):
        print(problem)
    print(f"includes: {len(targets)} targets, {len(set(problems))} problems")
    return 1 if problems or not targets else 0


if __name__ == "__main__":
    sys.exit(main())
