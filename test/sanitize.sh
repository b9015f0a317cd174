#!/bin/bash
# What judges berth, under the sanitizers:
#
#   sanitize.sh [PART...]    all of them, or some of
#
#   unit     unit tests: address and undefined behaviour for all folders,
#            threads for those whose tests have no gRPC in the process
#   doors    test/cri and test/docker against a berthd and a berth-shim with the
#            address and undefined behaviour sanitizers
#   threads  test/docker against a berthd with the thread sanitizer and without
#            the CRI door: Debian's gRPC is not instrumented
#
# A report of a sanitizer is a failure, whatever the suite says; undefined
# behaviour ends its program. Prints a line "NAME: N passed, N failed, N skipped"
# for each suite. As root.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/support
cd "$here/.."
export BERTH_SANITIZED=1
work=$(mktemp -d /tmp/berth-sanitize.XXXXXX) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
# Where //third_party:sanitizer_defaults writes: not a setting, as a shim starts
# with an environment of its own.
reports=/tmp/berth-sanitizer
bad=0

# Folders whose tests start no gRPC server or channel. ThreadSanitizer hangs in
# a child that was cloned past it and goes on without an exec: oci/container,
# shim/runtime and the shim have one thread, and such children.
without_grpc=(//base/... //oci/... //cni/... //image/... //sandbox/...
  //shim/... //docker/... //admin/... -//oci/container/...
  -//shim/runtime/... -//shim:shim_test
  -//test/oci:oci_test)

build() { # FOLDER FLAG...: the programs, in FOLDER
  local folder=$1
  shift
  ${BAZEL:-bazel} build --noshow_progress --color=no "$@" //daemon:berthd \
    //shim:berth-shim //oci/cli:berth-oci || return 1
  mkdir -p "$folder"
  install -m 755 bazel-bin/daemon/berthd bazel-bin/shim/berth-shim \
    bazel-bin/oci/cli/berth-oci "$folder/"
}

# One suite; then what the sanitizers have written meanwhile.
judge() { # NAME COMMAND...
  local name=$1 found
  shift
  rm -rf "$reports"
  mkdir -m 1777 "$reports"
  "$@" || bad=1
  found=$(find "$reports" -type f -size +0 | wc -l)
  if [ "$found" = 0 ]; then
    echo "$name, reports: 1 passed, 0 failed, 0 skipped"
  else
    find "$reports" -type f -size +0 | while read -r report; do
      echo "    $report"
      head -60 "$report" | sed 's/^/    /'
    done
    echo "$name, reports: 0 passed, $found failed, 0 skipped"
    bad=1
  fi
  rm -rf "$reports"
}

unit() {
  "$support/bazel_tally.py" 'unit, addresses' --config=asan --config=ubsan \
    //... -//test/oci:oci_test || bad=1
  "$support/bazel_tally.py" 'unit, threads' --config=tsan \
    "${without_grpc[@]}" || bad=1
}

doors() {
  if ! build "$work/addresses" --config=asan --config=ubsan; then
    echo 'doors: 0 passed, 1 failed, 0 skipped'
    bad=1
    return
  fi
  export BERTH_BIN=$work/addresses
  judge 'test/cri on sanitized berthd' "$here/cri/run.sh" berthd
  judge 'test/docker on sanitized berthd' "$here/docker/run.sh" berthd
}

threads() {
  if ! build "$work/threads" --config=tsan --define=cri_door=off; then
    echo 'threads: 0 passed, 1 failed, 0 skipped'
    bad=1
    return
  fi
  # One thread, and children that go on without an exec: nothing to judge.
  if ! build "$work/plain"; then
    echo 'threads: 0 passed, 1 failed, 0 skipped'
    bad=1
    return
  fi
  cp "$work/plain/berth-shim" "$work/plain/berth-oci" "$work/threads/"
  export BERTH_BIN=$work/threads
  judge 'test/docker on berthd with checked threads' \
    "$here/docker/run.sh" berthd
}

[ $# -gt 0 ] || set -- unit doors threads
for part; do
  case $part in
    unit | doors | threads) "$part" ;;
    *) echo "sanitize.sh: no part $part"; exit 2 ;;
  esac
done
exit $bad
