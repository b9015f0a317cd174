#!/usr/bin/env python3
"""Fails on what the language offers and a daemon cannot use.

  * <thread>, std::thread, std::jthread, std::async throw when the kernel gives
    no thread, and an exception in one ends the process: base/thread.h;
  * <regex> recurses once for each character: a long input ends the process.
    RE2 does not;
  * nlohmann's JSON throws at a null or a wrong type: base/json.h;
  * "for (x : *F())" lets go of what F returned before the first round, in
    C++20: give it a name.

Tests (*_test.cc, .../testing/, test/) may do all that but the last. A file that still does
is listed in banned_exceptions.txt beside this, as "RULE PATH"; a line there
that is no longer needed is a mistake as well, so that the list only shrinks.

usage: banned.py [ROOT]
"""

import os
import re
import sys

# A field of a message is no temporary: *record.mutable_ports().
DANGLING = r"\bfor \([^;{}]*[^:]:\s+\*(?!(\w+(\.|->))+mutable_)[^;{}()]*\("

RULES = {
    # name: (pattern, the files that may)
    "thread": (r"#\s*include\s*<thread>|\bstd::(j?thread|async)\b", ()),
    "regex": (r"#\s*include\s*<regex>|\bstd::(basic_|w)?regex", ()),
    "nlohmann": (r"\bnlohmann\b", ("base/json_parse.cc",)),
    "dangling": (DANGLING, ()),
}
IN_TESTS = {"dangling"}
EXCEPTIONS = "tools/lint/banned_exceptions.txt"
COMMENT = re.compile(r"//[^\n]*")


def sources(root):
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [d for d in subfolders
                         if not d.startswith((".", "bazel-")) and d != "testdata"]
        for name in names:
            if name.endswith((".cc", ".h")):
                yield os.path.relpath(os.path.join(folder, name), root)


def is_test(path):
    folders = path.split(os.sep)[:-1]
    return (path.endswith("_test.cc") or "testing" in folders
            or folders[:1] == ["test"])


def exceptions(root):
    path = os.path.join(root, EXCEPTIONS)
    if not os.path.exists(path):
        return set()
    with open(path, encoding="utf-8") as f:
        lines = [line.split("#")[0].split() for line in f]
    return {tuple(line) for line in lines if line}


def uses(root, path):
    """(rule, line number) of each use."""
    with open(os.path.join(root, path), encoding="utf-8") as f:
        text = COMMENT.sub("", f.read())
    for rule, (pattern, homes) in RULES.items():
        if path in homes or (is_test(path) and rule not in IN_TESTS):
            continue
        for match in re.finditer(pattern, text):
            yield rule, text.count("\n", 0, match.start()) + 1


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    allowed = exceptions(root)
    problems, needed, files = [], set(), 0
    for path in sorted(sources(root)):
        files += 1
        for rule, line in uses(root, path):
            needed.add((rule, path))
            if (rule, path) not in allowed:
                problems.append(f"{path}:{line}: {rule} does not belong here")
    for entry in sorted(allowed - needed):
        problems.append(f"{EXCEPTIONS}: {' '.join(entry)} is not needed")
    for problem in problems:
        print(problem)
    print(f"banned: {files} files, {len(allowed)} exceptions, "
          f"{len(problems)} problems")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
