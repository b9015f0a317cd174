#!/usr/bin/env python3
"""Writes docs/CRI-FIELDS.md: where each field of a CRI request takes effect, and
which test proves it.

usage: cri_fields.py [ROOT]

It reads the table of the interface (cri-v1.tsv) and what we say of each field
(fields.tsv beside it), of which a line is

  message, field, use, places, tests, note      separated by tabs; "-" is none

use     used     it decides something
        kept     it is checked, stored and shown, and decides nothing
        refused  a request that has it fails, and the error names it
        unused   nobody reads it
places  FILE:FUNCTION ...  the first reads it from the message, the last is where
                           it takes effect
        in:MESSAGE.FIELD   it shares the fate of a field that it is inside of
        call:VERB          the call as a whole is not served
tests   TestName of Go, Suite.Name of C++, Class.test_name of Python
note    what a reader has to know besides; for what is unused, why

tools/lint/fields.py checks all of that.
"""

import collections
import os
import sys

INTERFACE = "api/cri/v1/testdata/cri-v1.tsv"
FACTS = "api/cri/v1/testdata/fields.tsv"
DOCUMENT = "docs/CRI-FIELDS.md"

Fact = collections.namedtuple(
    "Fact", "line message field use places tests note"
)

HEAD = """\
# Fields of CRI requests

What becomes of each field of a request, where, and which test proves it.
Written by `tools/cri_fields.py` from
`{facts}`: change that file, not this one.
`tools/lint/fields.py` fails if a field has no line there, or if a file, function
or test that a line names does not exist.

The interface is that of Kubernetes {version}; a message that several others
contain is listed once. The first place of a field reads it from the message,
the last is where it takes effect. *{kept}*: checked, stored and shown, and it
decides nothing. *{refused}*: a request that has it fails by name.

{counts}
"""
KEPT, REFUSED, UNUSED = "kept", "refused", "not used"


class Interface:
    """The messages of the interface and what they hold."""

    def __init__(self, root):
        self.fields = collections.OrderedDict()  # message -> {field: type}
        self.calls = []  # (verb, request)
        self.version = ""
        with open(os.path.join(root, INTERFACE), encoding="utf-8") as f:
            for line in f:
                self._read(line.rstrip("\n").split("\t"))

    def _read(self, cells):
        if cells[0] == "#meta":
            facts = dict(cell.split("=", 1) for cell in cells[1:])
            self.version = facts["kubernetes"]
        elif cells[0] == "rpc":
            self.calls.append((cells[2], cells[4]))
        elif cells[0] == "message":
            self.fields.setdefault(cells[2], collections.OrderedDict())
        elif cells[0] == "field":
            self.fields.setdefault(cells[1], collections.OrderedDict())[
                cells[2]
            ] = cells[5]

    def requests(self):
        """Each message of a request once -> the fields that it is in."""
        found = collections.OrderedDict()
        todo = [request for _, request in self.calls]
        for message in todo:
            found[message] = []
        for message in todo:
            for field, kind in self.fields.get(message, {}).items():
                if kind not in self.fields:
                    continue
                if kind not in found:
                    found[kind] = []
                    todo.append(kind)
                found[kind].append(f"{message}.{field}")
        return found


def facts(root):
    """The lines of fields.tsv. ValueError for one of another form."""
    found = []
    with open(os.path.join(root, FACTS), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#"):
                continue
            cells = line.rstrip("\n").split("\t")
            if len(cells) != 6 or not all(cells):
                raise ValueError(f"{FACTS}:{number}: not six cells")
            cells = ["" if cell == "-" else cell for cell in cells]
            found.append(
                Fact(number, cells[0], cells[1], cells[2], cells[3].split(),
                     cells[4].split(), cells[5])
            )
    return found


def _places(fact):
    said = []
    for place in fact.places:
        kind, _, name = place.partition(":")
        if kind == "in":
            said.append(f"with `{name}`")
        elif kind == "call":
            said.append(f"`{name}` is not served")
        else:
            said.append(f"`{kind}` `{name}`")
    return "<br>".join(said)


def _row(fact):
    word = {"kept": KEPT, "refused": REFUSED, "unused": UNUSED}.get(fact.use)
    what = [f"*{word}*"] if word else []
    if fact.note:
        what.append(fact.note)
    tests = "<br>".join(f"`{test}`" for test in fact.tests)
    cells = [f"`{fact.field}`", ": ".join(what), _places(fact), tests]
    return ("| " + " | ".join(cells) + " |").replace("  |", " |")


def document(interface, lines):
    """The text of CRI-FIELDS.md."""
    by_message = collections.defaultdict(dict)
    for fact in lines:
        by_message[fact.message][fact.field] = fact
    uses = collections.Counter(fact.use for fact in lines)
    counts = (
        f"{sum(uses.values())} fields: {uses['used']} take effect, "
        f"{uses['kept']} are kept, {uses['refused']} are refused, "
        f"{uses['unused']} are not used."
    )
    text = HEAD.format(facts=FACTS, version=interface.version, kept=KEPT,
                       refused=REFUSED, counts=counts)
    for message, parents in interface.requests().items():
        fields = interface.fields.get(message, {})
        if not fields:
            continue
        text += f"\n## {message}\n\n"
        if parents:
            text += "In " + ", ".join(f"`{p}`" for p in parents) + ".\n\n"
        text += "| field | note | where | test |\n|---|---|---|---|\n"
        for field in fields:
            if field in by_message[message]:
                text += _row(by_message[message][field]) + "\n"
    return text


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    text = document(Interface(root), facts(root))
    with open(os.path.join(root, DOCUMENT), "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
