#!/usr/bin/env python3
"""Fails if what we say of the CRI's fields is not so (see tools/cri_fields.py).

  * Each field of a request has one line in fields.tsv, and there is no other.
  * A place is a file of the tree that has that function; the first one reads the
    field, by the accessor that protobuf makes for it.
  * A test is there under that name. Only what is unused may do without.
  * docs/CRI-FIELDS.md is what the generator writes.

usage: fields.py [ROOT]
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import cri_fields  # noqa: E402

USES = ("used", "kept", "refused", "unused")
UNSERVED = "cri/runtime_endpoint.cc"
GO = re.compile(r"^func (Test\w+)\(t \*testing\.T\)", re.M)
CC = re.compile(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", re.M)
PYTHON = re.compile(r"^class (\w+)|^    def (test_\w+)\(", re.M)


def tests(root):
    """The names of all tests below root."""
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if not name.startswith((".", "bazel-"))
        ]
        for name in files:
            if not name.endswith(("_test.go", "_test.cc", "_suite.py")):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                text = f.read()
            found.update(GO.findall(text) if name.endswith(".go") else [])
            found.update(".".join(pair) for pair in CC.findall(text))
            of = ""
            for begun, test in PYTHON.findall(text):
                of = begun or of
                if test:
                    found.add(f"{of}.{test}")
    return found


class Tree:
    """The files that places name, each read once."""

    def __init__(self, root):
        self._root = root
        self._texts = {}

    def text(self, path):
        """"" if there is no such file."""
        if path not in self._texts:
            full = os.path.join(self._root, path)
            self._texts[path] = ""
            if os.path.isfile(full):
                with open(full, encoding="utf-8") as f:
                    self._texts[path] = f.read()
        return self._texts[path]

    def functions(self, path, name):
        """The texts of its functions of that name: all begin in column 0."""
        begins = rf"^[^\s/#].*?\b{re.escape(name)}\("
        text = self.text(path)
        for found in re.finditer(begins, text, re.M):
            end = text.find("\n}", found.end())
            yield text[found.end():end]

    def reads(self, path, name, field):
        accessor = re.compile(
            rf"[.>](?:has_|mutable_)?{field.lower()}_?(?:_size)?\("
        )
        return any(map(accessor.search, self.functions(path, name)))


def check_places(fact, tree, by_name, requests):
    """What is wrong with the places of a line."""
    for number, place in enumerate(fact.places):
        kind, _, name = place.partition(":")
        if kind == "in":
            other = by_name.get(name)
            if other is None or other.use != fact.use:
                yield f"{name} is not {fact.use}"
        elif kind == "call":
            if requests.get(name) != fact.message:
                yield f"{fact.message} is not the request of {name}"
            elif f"ABSENT({name}," not in tree.text(UNSERVED):
                yield f"{UNSERVED} serves {name}"
        elif not tree.text(kind):
            yield f"there is no {kind}"
        elif next(tree.functions(kind, name), None) is None:
            yield f"{kind} has no function {name}"
        elif number == 0 and not tree.reads(kind, name, fact.field):
            yield f"{name} of {kind} does not read {fact.field}"


def check_line(fact, tree, by_name, requests, known):
    """What is wrong with a line."""
    if fact.use not in USES:
        yield f"{fact.use!r} is none of {', '.join(USES)}"
    inherits = any(place.startswith("in:") for place in fact.places)
    if fact.use == "unused" and not inherits:
        if fact.places or not fact.note:
            yield "unused: it has no places, and a note that says why"
    elif not fact.places:
        yield "no place"
    elif not fact.tests and not inherits:
        yield "no test"
    yield from check_places(fact, tree, by_name, requests)
    for test in fact.tests:
        if test not in known:
            yield f"there is no test {test}"


def check(root):
    """(problems, number of fields)."""
    interface = cri_fields.Interface(root)
    lines = cri_fields.facts(root)
    fields = [
        f"{message}.{field}"
        for message in interface.requests()
        for field in interface.fields.get(message, {})
    ]
    by_name, problems = {}, []
    for fact in lines:
        name = f"{fact.message}.{fact.field}"
        where = f"{cri_fields.FACTS}:{fact.line}: {name}"
        if name in by_name:
            problems.append(f"{where}: a second line")
        elif name not in fields:
            problems.append(f"{where}: no field of a request")
        by_name[name] = fact
    problems += [
        f"{cri_fields.FACTS}: {name} has no line"
        for name in fields
        if name not in by_name
    ]
    tree, known, requests = Tree(root), tests(root), dict(interface.calls)
    for name, fact in by_name.items():
        for problem in check_line(fact, tree, by_name, requests, known):
            problems.append(
                f"{cri_fields.FACTS}:{fact.line}: {name}: {problem}"
            )
    written = tree.text(cri_fields.DOCUMENT)
    if written != cri_fields.document(interface, lines):
        problems.append(
            f"{cri_fields.DOCUMENT}: not what tools/cri_fields.py writes"
        )
    return problems, len(fields)


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    try:
        problems, fields = check(root)
    except (OSError, ValueError) as error:
        problems, fields = [str(error)], 0
    for problem in problems:
        print(problem)
    print(f"fields: {fields} fields of requests, {len(problems)} problems")
    return 1 if problems or fields == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
