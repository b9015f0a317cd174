"""Part one: `run` of /bin/true by each runtime's command line."""
import os
import random
import time

import bundle
from box import Stopwatch

WARMUP = 3


def targets(berth_oci, peers, version_of, before=None):
    """(name, root, program) of each; the peers' roots hold their own."""
    found = [("berth-oci", "/", berth_oci)]
    if before:
        found.append(("berth-oci before", "/",
                      os.path.join(before, "berth-oci")))
    for root, label in (("/", ""), (peers, "")):
        if root is None:
            continue
        for program in ("crun", "runc"):
            version = version_of(root, program)
            if version:
                found.append((f"{program} {version}{label}", root, program))
    return found


def watch_all(stopwatch, work, found):
    """A stopwatch for every target and profile."""
    watches = {}
    for with_seccomp in (False, True):
        profile = "seccomp" if with_seccomp else "plain"
        for number, (name, root, program) in enumerate(found):
            folder = os.path.join(work, f"{profile}{number}")
            bundle.write(os.path.join(folder, "bundle"), with_seccomp)
            if os.path.isabs(program):
                own = os.path.join(folder, os.path.basename(program))
                os.link(program, own)
                program = own
            watches[(name, profile)] = Stopwatch(
                stopwatch, root, folder,
                [program, "run", "-b", os.path.join(folder, "bundle"),
                 "perf-{n}"])
    busybox = os.path.join(work, "plain0/bundle/rootfs/bin/busybox")
    watches[("busybox, no container", "plain")] = Stopwatch(
        stopwatch, "/", os.path.join(work, "floor"),
        ["/bin/sh", "-c", f"cd {os.path.dirname(busybox)}; exec ./busybox true"]
        if not os.path.exists("/bin/busybox") else ["/bin/busybox", "true"])
    return watches


def measure(stopwatch, work, found, rounds, gaps):
    """{gap: {(name, profile): [sample, ...]}}

    Every round runs each target once, in a new random order: a fixed order
    would let what one leaves for the kernel's background hit always the same
    next one.
    """
    watches = watch_all(stopwatch, work, found)
    order = random.Random(1)
    results = {}
    try:
        for gap in gaps:
            samples = {key: [] for key in watches}
            for number in range(WARMUP + rounds):
                for key in order.sample(list(watches), len(watches)):
                    if gap:
                        time.sleep(gap / 1000)
                    sample = watches[key].run(f"{gap}-{number}")
                    if number >= WARMUP:
                        samples[key].append(sample)
            results[gap] = samples
    finally:
        for watch in watches.values():
            watch.end()
    return results
