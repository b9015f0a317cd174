#!/usr/bin/env python3
"""Fails on a class of a header that offers too much, or does not say from how
many threads it may be used.

  * A class or struct has at most twelve public verbs (headers.py, Class.verbs:
    what counts as one). Some have more: interface_exceptions.txt beside this
    names each with its number of verbs, which may only shrink, and the reason.
  * A class with a verb, and whatever holds a mutex or a thread, has one of the
    words thread-safe, thread-compatible, single-threaded in the comment above
    it. A struct is data: it needs none.

usage: interfaces.py [ROOT]
"""

import os
import re
import sys

import headers

LIMIT = 12
EXCEPTIONS = "tools/lint/interface_exceptions.txt"
WORDS = re.compile(r"thread-safe|thread-compatible|single-threaded", re.I)


def exceptions(root):
    """class -> (number of verbs, reason)."""
    path = os.path.join(root, EXCEPTIONS)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        lines = [line.split(None, 2) for line in f if not line.startswith("#")]
    return {
        line[0]: (int(line[1]), line[2].strip())
        for line in lines
        if len(line) == 3
    }


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    allowed = exceptions(root)
    problems, found, files = [], set(), 0
    for path in sorted(headers.sources(root)):
        files += 1
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
        space = headers.namespace(text)
        for one in headers.classes(text):
            name = one.name if not space else f"{space}::{one.name}"
            where = f"{path}:{one.line}: {name}"
            verbs = len(one.verbs())
            limit, reason = allowed.get(name, (LIMIT, ""))
            if verbs > limit:
                problems.append(f"{where} has {verbs} verbs, limit {limit}")
            elif verbs > LIMIT:
                found.add(name)
                print(f"{where} has {verbs} verbs: {reason}")
                if verbs < limit:
                    problems.append(
                        f"{EXCEPTIONS}: {name} has {verbs} verbs only"
                    )
            states = one.locks or (one.kind == "class" and verbs > 0)
            if states and not WORDS.search(one.comment):
                problems.append(f"{where} does not say its thread word")
    for name in sorted(set(allowed) - found):
        problems.append(f"{EXCEPTIONS}: {name} is not needed")
    for problem in problems:
        print(problem)
    print(f"interfaces: {files} headers, {len(found)} exceptions, "
          f"{len(problems)} problems")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
