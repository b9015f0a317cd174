#!/usr/bin/env python3
"""podman and buildah do the same on this runtime as on runc and crun.

  podman_suite.py RUNTIME [RUNC [CRUN]]   root, in test/support/enclave.sh

Runs lists of steps (steps_*.py) as root and as an ordinary user: on each peer,
and on a copy of the runtime that has the peer's name, for that is how podman
knows what a runtime can do. What a step has to print is checked on the peer
first; then both results are compared, ids and numbers that change left out.
What may differ is in peers.py, with the reason. CRUN may be "none".

ONLY=REGEXP   only the steps whose "PART, PEER: NAME" it is found in
SHOW=1        prints what each step said
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import peers
import one_run

HERE = os.path.dirname(os.path.abspath(__file__))


def results(part, runtime, name, only):
    """What each step of a part said, with the runtime called by that name."""
    with tempfile.TemporaryDirectory(prefix="podman-suite.") as directory:
        answer = os.path.join(directory, "results")
        subprocess.run(
            ["unshare", "--mount", "--propagation", "slave", "--", "sh", "-c",
             one_run.WORLD, directory, sys.executable,
             os.path.join(HERE, "one_run.py"), part, runtime, name, only,
             answer], check=True)
        with open(answer) as f:
            return {key: tuple(value) for key, value in json.load(f).items()}


def passes(result, wanted):
    code, text = result
    return wanted is None or (
        code == 0 and bool(re.search(wanted, text, re.M | re.S)))


def without_texts(result):
    """For crun: of what failed it has words of its own."""
    code, text = result
    return code, re.sub(r"^(Error:|error |writing |level=error |RUNTIME:).*$",
                        "FAILURE", text, flags=re.M)


def judge(part, name, step, theirs, ours):
    """(verdict, what to say of it) of one step."""
    key = (part, name, step[0])
    wanted = step[2] if len(step) > 2 else None
    if isinstance(wanted, dict):
        wanted = wanted[name]
    both = "\n  %s: %s\n  ours: %s" % (name, theirs, ours)
    excused = peers.lookup(peers.PEERS, key)
    if excused:
        if passes(theirs, wanted):
            return "failed", "peers.py has it, but the peer passes" + both
        if not passes(ours, wanted):
            return "failed", "ours does not pass" + both
        return "known", "%s: %s" % (name, excused)
    if not passes(theirs, wanted):
        return "failed", "the peer does not pass" + both
    reason = peers.lookup(peers.DIFFERENCES, key)
    same = theirs == ours or (
        name == "crun" and without_texts(theirs) == without_texts(ours))
    if same and reason:
        return "failed", "peers.py has a difference that is none" + both
    if not same and not reason:
        return "failed", "different" + both
    return ("known", reason) if reason else ("passed", "")


def run_part(part, name, peer, runtime, only):
    tally = {"passed": 0, "failed": 0, "known": 0}
    label = "%s, %s" % (part, name)
    steps = [step for step in one_run.PARTS[part]
             if re.search(only, "%s: %s" % (label, step[0]))]
    if not steps:
        return tally
    theirs = results(part, peer, name, only)
    ours = results(part, runtime, name, only)
    for step in steps:
        if os.environ.get("SHOW"):
            print("%s: %s: %s" % (label, step[0], theirs[step[0]]))
        verdict, text = judge(part, name, step, theirs[step[0]], ours[step[0]])
        tally[verdict] += 1
        if verdict != "passed":
            print("%s: %s: %s: %s" % (verdict.upper() if verdict == "failed"
                                      else verdict, label, step[0], text))
    print("%s: %s" % (label, ", ".join(
        "%d %s" % (count, word) for word, count in tally.items())), flush=True)
    return tally


def main():
    if os.geteuid() != 0 or len(sys.argv) < 2:
        sys.exit(__doc__)
    made = "/sys/fs/cgroup/hugetlb"
    if os.path.exists(made) or not os.path.exists("/sys/fs/cgroup/memory"):
        made = ""
    runtime = os.path.realpath(sys.argv[1])
    for program in ("podman", "buildah", "newuidmap", "slirp4netns"):
        if not shutil.which(program):
            sys.exit("test/podman: %s is not installed" % program)
    found = {name: shutil.which(name) for name in ("runc", "crun")}
    found.update(zip(("runc", "crun"), sys.argv[2:]))
    only = os.environ.get("ONLY", "")
    total = {"passed": 0, "failed": 0, "known": 0}
    for reason in one_run.skipped():
        print("skipped: " + reason)
        total["known"] += 1
    for name, peer in found.items():
        if not peer or peer == "none":
            print("skipped: %s is not here" % name)
            total["known"] += 1
            continue
        for part in one_run.PARTS:
            for word, count in run_part(part, name, peer, runtime,
                                        only).items():
                total[word] += count
    # podman makes directories for the hierarchies that v1 lacks.
    if made and not os.path.ismount(made):
        shutil.rmtree(made, ignore_errors=True)
    print("test/podman: %(passed)d passed, %(failed)d failed, "
          "%(known)d skipped" % total)
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    main()
