#!/usr/bin/env python3
"""Measures berth against its peers; see run.sh for the usual call.

    measure.py --bin DIR --work DIR --out DIR [--peers DIR] [--before DIR]
               [--no-peers] [PART...]

PART: oci, pods, memory, docker, pull (all of them). --bin holds berthd,
berth-shim, berth-oci, stopwatch and podclient; --before holds the first three
of another build; --work is a folder on a real file system.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time

import commands
import report

PARTS = ("oci", "pods", "memory", "docker", "pull")


def version_of(root, package):
    """Debian's upstream version of a package in that root; None if absent."""
    database = os.path.join(root, "var/lib/dpkg")
    found = subprocess.run(
        ["dpkg-query", f"--admindir={database}", "-W", "-f",
         "${db:Status-Status} ${Version}", package],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        check=False).stdout.split()
    if len(found) != 2 or found[0] != "installed":
        return None
    version = found[1].split(":")[-1]
    for end in "~+-":
        version = version.split(end)[0]
    return version


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    cgroup = "v2"
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        if any(" - cgroup " in line for line in file):
            cgroup = "v1"
    return {"cpu": model, "cores": os.cpu_count(),
            "kernel": platform.release(), "cgroup": cgroup,
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "load": os.getloadavg()[0]}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--peers")
    parser.add_argument("--before")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--rest", type=int, default=100,
                        help="milliseconds of rest between measurements, "
                        "besides none")
    parser.add_argument("--pods", type=int, default=20,
                        help="number of pods at which memory is read")
    parser.add_argument("--containers", type=int, default=10,
                        help="the same, of docker's containers")
    parser.add_argument("parts", nargs="*", default=PARTS)
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"no part {part}")
    return options


def main():
    options = arguments()
    work = os.path.join(os.path.abspath(options.work), f"perf-{os.getpid()}")
    os.makedirs(work)
    os.makedirs(options.out, exist_ok=True)
    program = lambda name: os.path.join(os.path.abspath(options.bin), name)
    peers = os.path.abspath(options.peers) if options.peers else None
    before = os.path.abspath(options.before) if options.before else None
    ask = (lambda root, package: None) if options.no_peers else version_of
    gaps = sorted({0, options.rest})
    results = {"machine": machine(), "rounds": options.rounds}
    try:
        if "oci" in options.parts:
            found = commands.targets(program("berth-oci"), peers, ask, before)
            results["oci"] = report.summary(commands.measure(
                program("stopwatch"), os.path.join(work, "oci"), found,
                options.rounds, gaps))
        if "pods" in options.parts or "memory" in options.parts:
            import pods
            runtimes = pods.runtimes(options.bin, peers, ask, before)
            if "pods" in options.parts:
                results["pods"] = pods.measure(
                    program("podclient"), os.path.join(work, "pods"),
                    runtimes, options.rounds, gaps)
            if "memory" in options.parts:
                results["memory"] = pods.memory(
                    program("podclient"), os.path.join(work, "memory"),
                    runtimes, (1, options.pods))
        if "pull" in options.parts:
            import pods
            import pulls
            runtimes = pulls.one_of_each_daemon(
                pods.runtimes(options.bin, peers, ask, before))
            results["pull"] = pulls.measure(
                program("podclient"), os.path.join(work, "pull"), runtimes,
                max(3, options.rounds // 4))
        if "docker" in options.parts:
            import engines
            all_engines = engines.found(options.bin, ask, before)
            results["docker"] = {
                "cli": engines.cli_version(),
                "times": engines.measure(
                    program("stopwatch"), os.path.join(work, "docker"),
                    all_engines, options.rounds, gaps),
                "memory": engines.memory(
                    os.path.join(work, "docker-memory"), all_engines,
                    options.containers)}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    results["machine"]["load at the end"] = os.getloadavg()[0]
    stem = os.path.join(options.out, "results")
    with open(stem + ".json", "w", encoding="ascii") as file:
        json.dump(results, file, indent=1)
    text = report.tables(results)
    with open(stem + ".md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(stem + ".svg", "w", encoding="utf-8") as file:
        file.write(report.plot(results))
    print(text)


if __name__ == "__main__":
    sys.exit(main())
