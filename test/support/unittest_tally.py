#!/usr/bin/env python3
"""Counts a Python unittest program's results: COMMAND 2>&1 | unittest_tally.py NAME

Passes the output on, and ends with "NAME: N passed, N failed, N skipped". A
program that did not come to its last line failed.
"""
import re
import sys

RAN = re.compile(r"^Ran (\d+) tests? in ")
END = re.compile(r"^(OK|FAILED)(?: \((.*)\))?$")


def main():
    ran, end, numbers = 0, None, {}
    for line in sys.stdin:
        line = line.rstrip("\n")
        if RAN.match(line):
            ran = int(RAN.match(line).group(1))
        found = END.match(line)
        if found:
            end = found.group(1)
            pairs = re.findall(r"([a-z ]+)=(\d+)", found.group(2) or "")
            numbers = {key.strip(): int(value) for key, value in pairs}
        if line.strip(".sFExu"):
            print("    " + line, flush=True)
    failed = sum(numbers.get(k, 0) for k in
                 ("failures", "errors", "unexpected successes"))
    skipped = numbers.get("skipped", 0) + numbers.get("expected failures", 0)
    if end is None or ran == 0 or (end == "FAILED" and failed == 0):
        failed = max(failed, 1)
    print("%s: %d passed, %d failed, %d skipped" % (
        sys.argv[1], max(ran - failed - skipped, 0), failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
