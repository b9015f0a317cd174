#!/usr/bin/env python3
"""Counts a Go test program's results: COMMAND -test.v | tally.py NAME

Shows what failed, with its output, and the reason of each skip; all else only
with --verbose. Ends with "NAME: N passed, N failed, N skipped" and exit status
1 if anything failed, or if the program, or one of several (--programs=N), did
not come to its end. Only the leaves count: a test with subtests is those.
"""
import re
import sys

RESULT = re.compile(r"^ *--- (PASS|FAIL|SKIP): (\S.*) \(\d+\.\d+s\)$")
BEGIN = re.compile(r"^=== (RUN|NAME|CONT|PAUSE) +(\S.*)$")
REASON = re.compile(r"^\s+\w+\.go:\d+: (.*)$")


def main():
    name = sys.argv[1]
    verbose = "--verbose" in sys.argv
    programs = next((int(one.partition("=")[2]) for one in sys.argv
                     if one.startswith("--programs=")), 1)
    results, text, current, ended = {}, {}, None, 0
    for line in sys.stdin:
        line = line.rstrip("\n")
        if verbose:
            print(line, flush=True)
        begin, result = BEGIN.match(line), RESULT.match(line)
        if begin:
            current = begin.group(2)
            results.setdefault(current, "UNFINISHED")
        elif result:
            kind, current = result.groups()
            results[current] = kind
            if not verbose and kind == "FAIL":
                print("\n".join([line] + text.get(current, [])), flush=True)
            elif kind == "SKIP":
                said = [REASON.match(l) for l in text.get(current, [])]
                why = "; ".join(m.group(1) for m in said if m)
                print("    skipped: %s: %s" % (current, why), flush=True)
        elif line in ("PASS", "FAIL"):
            ended += 1
            current = None
        elif current:
            text.setdefault(current, []).append(line)
        elif not verbose and line:
            print(line, flush=True)
    parents = {t.rsplit("/", n)[0] for t in results
               for n in range(1, t.count("/") + 1)}
    # A parent that failed by itself counts, or its failure would be lost.
    leaves = {t: r for t, r in results.items()
              if t not in parents or (r == "FAIL" and not any(
                  results[c] == "FAIL" for c in results
                  if c.startswith(t + "/")))}
    count = {k: sum(r == k for r in leaves.values())
             for k in ("PASS", "FAIL", "SKIP", "UNFINISHED")}
    failed = count["FAIL"] + count["UNFINISHED"]
    for test, result in leaves.items():
        if result == "UNFINISHED":
            print("    did not end: %s" % test)
            print("\n".join(text.get(test, [])[-60:]))
    if ended < programs:
        print("    failed: %d of %d programs did not come to their end" % (
            programs - ended, programs))
        failed = max(failed, 1)
    if count["PASS"] + failed == 0:
        print("    no test ran")
        failed = 1
    print("%s: %d passed, %d failed, %d skipped" % (
        name, count["PASS"], failed, count["SKIP"]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
