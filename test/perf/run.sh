#!/bin/bash
# Measures berth against runc, crun, containerd and dockerd, on this machine, in one
# interleaved run; writes a table and a plot.
#
#   sudo test/perf/run.sh [OPTION...] [PART...]
#
# PART: oci      `run` of /bin/true by berth-oci, runc and crun
#       pods     start, exec and end of pods through the CRI
#       memory   of the daemons and of their shims
#       docker   the docker CLI against Debian's dockerd; memory of both
#       pull     an image of four layers from a registry on loopback
#       (all of them)
#
#   --peers DIR     measure the newest releases too; DIR is made by peers.sh
#                   when it is not there
#   --before DIR    measure berth's programs in DIR too, as "berth before", and
#                   print what the others are of them
#   --no-peers      measure berth alone
#   --rounds N      40 by default; medians are printed
#   --rest MS       100 by default: everything is measured back to back, and
#                   once more with that much rest before each measurement
#   --out DIR       test/perf/results by default
#   --bin DIR       programs that are built already, instead of building
#   --work DIR      /var/tmp by default; must not be on an overlay
#
# Debian's own runtimes are measured by default. Nothing is left behind but the
# results. About twenty minutes on two cores; wants an otherwise idle machine.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)

die() { echo "run.sh: $*" >&2; exit 1; }

build() { # DIR
  (cd "$top" && bazel build --show_progress_rate_limit=10 //daemon:berthd \
    //shim:berth-shim //oci/cli:berth-oci)
  for program in daemon/berthd shim/berth-shim oci/cli/berth-oci; do
    # As installed: without debug information.
    strip -o "$1/${program##*/}" "$top/bazel-bin/$program"
    chmod 755 "$1/${program##*/}"
  done
}

build_tools() { # DIR
  cc -Os -static -Wall -Wextra -o "$1/stopwatch" "$here/stopwatch.c"
  "$top/test/support/go.sh" perf/podclient "$1/podclient"
}

[ "$(id -u)" = 0 ] || die 'run as root'
peers='' before='' bin='' out=$here/results work=/var/tmp pass=()
while [ $# -gt 0 ]; do
  case $1 in
    --peers) peers=$(realpath -m "$2"); shift 2 ;;
    --before) before=$(realpath "$2"); shift 2 ;;
    --no-peers) pass+=("$1"); shift ;;
    --rounds | --rest) pass+=("$1" "$2"); shift 2 ;;
    --out) out=$(realpath -m "$2"); shift 2 ;;
    --bin) bin=$(realpath "$2"); shift 2 ;;
    --work) work=$(realpath "$2"); shift 2 ;;
    -*) sed -n '2,30p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    *) break ;;
  esac
done

[ -n "$bin" ] || "$top/deploy/install-deps.sh" test
if [ -n "$peers" ]; then
  command -v mmdebstrap >/dev/null ||
    apt-get install -y --no-install-recommends mmdebstrap
  "$here/peers.sh" "$peers"
  pass+=(--peers "$peers")
fi
tools=$(mktemp -d "$work/berth-perf.XXXXXX")
trap 'rm -rf "$tools"' EXIT
strip_all() { # FROM TO
  local program
  for program in berthd berth-shim berth-oci; do
    [ ! -e "$1/$program" ] || strip -o "$2/$program" "$1/$program"
  done
}
if [ -n "$before" ]; then
  mkdir "$tools/before"
  strip_all "$before" "$tools/before"
  pass+=(--before "$tools/before")
fi
if [ -n "$bin" ]; then
  strip_all "$bin" "$tools"
else
  build "$tools"
fi
build_tools "$tools"
"$here/measure.py" --bin "$tools" --work "$work" --out "$out" "${pass[@]}" "$@"
