#!/usr/bin/env python3
"""Fails on a file or function that has grown past what one reads at once.

Limits (docs/ARCHITECTURE.md, section 9): a source file 600 lines, a header
300, a BUILD.bazel 200, a function 70. Functions are found by clang-format's
layout: a body opens with "{" at the end of a line and closes with a "}" in
the column where its statement began.

usage: sizes.py [ROOT]
"""

import os
import re
import sys

LIMITS = {".cc": 600, ".h": 300, ".py": 600, ".go": 600, ".sh": 600}
BUILD_LIMIT = 200
FUNCTION_LIMIT = 70
NOT_A_FUNCTION = re.compile(
    r"^\s*(namespace|class|struct|union|enum|extern|constexpr|const|static const"
    r"|inline constexpr|#)\b|^\s*[\w:<>, ]*=\s*\{|^\s*[}\])]|=\s*\{$"
)


def functions(lines):
    """(first line number, length) of every function body in formatted C++."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            opens = line.rstrip().endswith("{") and ")" in line
            if not opens or NOT_A_FUNCTION.match(line):
                continue
            first = number
            # The signature may have begun on lines above.
            while first > 1 and not re.search(
                r"^$|[;{}:]\s*$|^\s*//", lines[first - 2]
            ):
                first -= 1
            head = lines[first - 1]
            indent = len(head) - len(head.lstrip())
            if indent <= 4:
                start = (first, indent)
        elif line.startswith(" " * start[1] + "}"):
            yield start[0], number - start[0] + 1
            start = None


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
    problems, files = [], 0
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [
            d
            for d in subfolders
            if not d.startswith((".", "bazel-")) and d != "testdata"
        ]
        for name in names:
            path = os.path.join(folder, name)
            limit = LIMITS.get(os.path.splitext(name)[1])
            if name == "BUILD.bazel" and "third_party" not in folder:
                limit = BUILD_LIMIT
            if limit is None:
                continue
            files += 1
            with open(path, encoding="utf-8") as f:
                lines = f.read().split("\n")
            shown = os.path.relpath(path, root)
            if len(lines) > limit:
                problems.append(f"{shown}: {len(lines)} lines, limit {limit}")
            if name.endswith((".cc", ".h")):
                for first, length in functions(lines):
                    if length > FUNCTION_LIMIT:
                        problems.append(
                            f"{shown}:{first}: a function of {length} lines,"
                            f" limit {FUNCTION_LIMIT}"
                        )
    for problem in sorted(problems):
        print(problem)
    print(f"sizes: {files} files, {len(problems)} problems")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
