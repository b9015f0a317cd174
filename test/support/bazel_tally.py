#!/usr/bin/env python3
"""Runs bazel tests and counts their cases.

    bazel_tally.py NAME [--config=CONFIG...] TARGET...

Each case of a GoogleTest program counts, other tests as one. A target that was
not built, or did not run, is a failure, and so is a build that broke. Prints
the reason of each skip, and ends with "NAME: N passed, N failed, N skipped".
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases(path):
    """(passed, failed names, {skipped name: why}) of one test.xml."""
    passed, failed, skipped = 0, [], {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "%s.%s" % (case.get("classname", ""), case.get("name", ""))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif skip is not None:
            why = (skip.get("message") or skip.text or "").strip()
            skipped[name] = why.split("\n")[-1]
        elif case.get("status") != "notrun":
            passed += 1
    return passed, failed, skipped


def events(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def count(path):
    passed, failures, skips = 0, [], {}
    configured, ran = set(), set()
    for event in events(path):
        key = event.get("id", {})
        if "targetConfigured" in key and "configured" in event:
            if event["configured"].get("targetKind", "").endswith("test rule"):
                configured.add(key["targetConfigured"]["label"])
        if "testResult" not in key:
            continue
        label = key["testResult"]["label"]
        ran.add(label)
        result = event["testResult"]
        xml = [urllib.parse.urlparse(one["uri"]).path
               for one in result.get("testActionOutput", [])
               if one["name"] == "test.xml"]
        good, bad, skipped = (0, [], {})
        if xml and os.path.exists(xml[0]):
            good, bad, skipped = cases(xml[0])
        if result["status"] != "PASSED" and not bad:
            bad = ["(%s)" % result["status"]]
        elif result["status"] == "PASSED" and good + len(skipped) == 0:
            good = 1
        passed += good
        failures += ["%s %s" % (label, one) for one in bad]
        skips.update({"%s %s" % (label, k): v for k, v in skipped.items()})
    failures += ["%s was not run" % one for one in sorted(configured - ran)]
    return passed, failures, skips


def main():
    name = sys.argv[1]
    flags = [one for one in sys.argv[2:] if one.startswith("--")]
    targets = [one for one in sys.argv[2:] if not one.startswith("--")]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "events.json")
        done = subprocess.run(
            ["bazel", "test", "--keep_going", "--build_tests_only",
             "--test_output=errors", "--test_summary=terse",
             "--noshow_progress", "--color=no",
             "--build_event_json_file=" + path] + flags + ["--"] + targets,
            check=False)
        try:
            passed, failures, skips = count(path)
        except (OSError, ValueError) as error:
            passed, failures, skips = 0, ["no report: %s" % error], {}
    if done.returncode not in (0, 3):
        failures.append("bazel test: exit status %d" % done.returncode)
    elif done.returncode == 3 and not failures:
        failures.append("bazel test says that tests failed")
    for case, why in skips.items():
        print("    skipped: %s: %s" % (case, re.sub(r"\s+", " ", why)))
    for one in failures:
        print("    failed: %s" % one)
    if passed + len(failures) == 0:
        failures.append("no test ran")
    print("%s: %d passed, %d failed, %d skipped" % (
        name, passed, len(failures), len(skips)), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
