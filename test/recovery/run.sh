#!/bin/bash
# Kills berthd at every failpoint of the source and checks what comes after;
# see life_test.go. In an enclave.
#
#   run.sh [ARGUMENT...]     arguments go to the test program; VERBOSE=1 shows
#                            all output, KEEP=1 keeps the work folder
#
# BERTH_BIN is the folder with berthd, berth-shim and berth-oci.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support

inside() {
  local work=$1 registry status=0
  shift
  registry=$("$support/registry.sh" start "$work/reg" | sed -n 's/^ADDRESS=//p')
  "$support/images.py" build "$work/images"
  "$support/images.py" push "$work/images" "$registry"
  "$work/recovery.test" -test.v -kind="${KIND:-berthd}" -test.timeout=20m -registry="$registry" \
    -support="$support" -scratch="$work/s" -failpoints="$work/failpoints" \
    "$@" || status=$?
  "$support/registry.sh" stop "$work/reg"
  return "$status"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi
work=$(mktemp -d /tmp/berth-rec.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$work"' EXIT
mkdir "$work/s"
# Every failpoint that berthd passes; those of base are its own unit test's.
cd "$here/../.."
grep -rhoE 'Failpoint\("[a-z0-9_.]+"\)' --include='*.cc' --exclude='*_test.cc' \
  cni cri image sandbox shim | sed 's/.*"\(.*\)".*/\1/' | sort -u \
  >"$work/failpoints"
"$support/go.sh" recovery "$work/recovery.test"
{ "$support/enclave.sh" "$here/run.sh" --inside "$work" "$@" 2>&1 || true; } |
  "$support/tally.py" "test/recovery" ${VERBOSE:+--verbose} || status=$?
[ -z "${KEEP:-}" ] || echo "    kept: $work"
exit "${status:-0}"
