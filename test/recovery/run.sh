#!/bin/bash
# Makes berthd and its shims die and fail at every failpoint of the source, and
# checks what comes after; see failpoints_test.go. In two enclaves, each with a
# half of the failpoints; the first has all other tests too.
#
#   run.sh [ARGUMENT...]     arguments go to the test programs; VERBOSE=1 shows
#                            all output, KEEP=1 keeps the work folder, PARTS=N
#                            is the number of enclaves
#
# BERTH_BIN is the folder with berthd, berth-shim and berth-oci.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support

inside() {
  local work=$1 part=$2 registry status=0
  shift 2
  registry=$("$support/registry.sh" start "$work/reg" | sed -n 's/^ADDRESS=//p')
  "$support/images.py" build "$work/images"
  "$support/images.py" push "$work/images" "$registry"
  mkdir "$work/s"
  "$work/../recovery.test" -test.v -kind="${KIND:-berthd}" -test.timeout=20m \
    -registry="$registry" -support="$support" -scratch="$work/s" \
    -layouts="$work/images" -failpoints="$work/../failpoints" -shards="$parts" -shard="$part" \
    "$@" || status=$?
  "$support/registry.sh" stop "$work/reg"
  return "$status"
}

# One part, in its enclave; its output is the tally's.
part() { # PART ARGUMENT...
  local part=$1 name="test/recovery, part $(($1 + 1)) of $parts"
  shift
  [ "$part" = 0 ] || set -- -test.run='^Test(KilledAt|ErrorAt)$' "$@"
  mkdir "$work/$part"
  { "$support/enclave.sh" "$here/run.sh" --inside "$work/$part" "$part" "$@" \
    2>&1 || true; } | "$support/tally.py" "$name" ${VERBOSE:+--verbose}
}

foreign() { # PART
  local killed='^TestKilledAt$/^(shim\.(launch|destroy)|container\.(start\.(bundle|executed|recorded|saved)|exit|stop))\.?'
  local name="test/recovery on a foreign shim"
  mkdir "$work/$1"
  { "$support/enclave.sh" "$here/run.sh" --inside "$work/$1" 0 -shards=1 \
    -handler=runc -test.run="$killed|^Test(AnExit|TheLog|AStop|AShim|KilledAgain)" \
    2>&1 || true; } | "$support/tally.py" "$name" ${VERBOSE:+--verbose}
}

export PARTS=${PARTS:-2}
parts=$PARTS
if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi
work=$(mktemp -d /tmp/berth-rec.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$work"' EXIT
# Every failpoint of berthd and berth-shim; those of base are its own test's.
cd "$here/../.."
grep -rhoE '(Failpoint|Passed)\("[a-z0-9_.]+"\)' --include='*.cc' --exclude='*_test.cc' \
  cni cri docker image sandbox shim | sed 's/.*"\(.*\)".*/\1/' | sort -u \
  >"$work/failpoints"
"$support/go.sh" recovery "$work/recovery.test"
for ((i = 0; i < parts; i++)); do
  part "$i" "$@" >"$work/$i.log" &
done
wait
# What a shim has a part in, once more with one that is not ours.
if [ $# = 0 ]; then
  foreign "$parts" >"$work/$parts.log" 2>&1 || true
  parts=$((parts + 1))
fi
cat "$work"/[0-9]*.log
[ -z "${KEEP:-}" ] || echo "    kept: $work"
cat "$work"/[0-9]*.log | awk -v parts="$parts" '
  /: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
    passed += $(NF - 5); failed += $(NF - 3); skipped += $(NF - 1); seen++
  }
  END {
    failed += parts - seen # one that did not come to its end
    printf "test/recovery: %d passed, %d failed, %d skipped\n",
      passed, failed, skipped
    exit failed > 0
  }'
