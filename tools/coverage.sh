#!/bin/bash
# Which lines the unit tests reach and which branches they take, by folder:
#
#   coverage.sh [FOLDER...]    all folders, or these alone: base oci ...
#   coverage.sh --table REPORT [FOLDER...]    of a report in lcov's form
#
# Runs the tests of these folders; a line counts whichever of them reaches it.
# The report stays in bazel-out/_coverage/_coverage_report.dat
# (lcov's form, for genhtml). Branches that only an exception takes do not
# count. A process writes what it has reached when it calls exit: a forked child
# that ends in _exit or execve, or is killed, writes nothing (much of oci/init).
# Neither does what only the suites of test/ reach count.
#
# As root, like the tests. BAZEL is the program to build with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The table of a report, of these folders; without any, of all.
table() { # REPORT FOLDER...
  local report=$1
  shift
  awk -F '[:,/]' -v only=" $* " '
    function share(hit, all) {
      return all ? sprintf("%6.1f %%", 100 * hit / all) : "     -  "
    }
    function row(name) {
      printf "%-8s %7d %s %9d %s\n", name, lf[name], share(lh[name], lf[name]),
             bf[name], share(bh[name], bf[name])
    }
    function add(sums) {
      if (!shown) return
      sums[folder] += $2
      sums["all"] += $2
    }
    $1 == "SF" {
      folder = $2
      shown = $0 !~ "/testing/" && (only == "  " || index(only, " " folder " "))
      if (shown && !(folder in lf)) names[++n] = folder
    }
    $1 == "LF" { add(lf) }
    $1 == "LH" { add(lh) }
    $1 == "BRF" { add(bf) }
    $1 == "BRH" { add(bh) }
    END {
      printf "%-8s %7s %8s %9s %8s\n", "folder", "lines", "reached", "branches",
             "taken"
      for (i = 1; i <= n; i++) row(names[i])
      row("all")
      exit n == 0
    }' "$report"
}

if [ "${1:-}" = --table ]; then
  shift
  table "$@"
  exit
fi
targets=()
for folder; do targets+=("//$folder/..."); done
[ $# -gt 0 ] || targets=(//... -//test/...)
report=bazel-out/_coverage/_coverage_report.dat
rm -f "$report"
status=0
# A test that fails has reached its lines all the same.
${BAZEL:-bazel} coverage --noshow_progress --color=no --keep_going \
  --config=coverage -- "${targets[@]}" >&2 || status=$?
table "$report" "$@"
exit "$status"
