#!/bin/bash
# Fuzzes the parsers of foreign bytes: builds each target with clang, libFuzzer
# and the address and undefined behaviour sanitizers, and runs them in turn.
#
#   test/fuzz/run.sh [SECONDS [TARGET...]]     600 seconds each, all of them
#
# Starts from corpus/TARGET and prints a line for each target:
#
#   http_request: 1234567 executions, 0 findings
#
# An input that ends a target is kept as findings/TARGET-*; when the fault is
# mended it belongs into corpus/TARGET. Exit status 1 if there was one.
# BERTH_FUZZ_BIN names a folder with programs that were built before.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
seconds=${1:-600}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  mapfile -t targets < <(
    sed -n '/^fuzz_target($/{n;s/.*name = "\(.*\)",/\1/p}' "$here/BUILD.bazel")
fi
work=$(mktemp -d /tmp/berth-fuzz.XXXXXX) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT

programs=${BERTH_FUZZ_BIN:-}
if [ -z "$programs" ]; then
  programs=$work/bin
  mkdir "$programs"
  ${BAZEL:-bazel} build --noshow_progress --color=no --config=fuzz \
    "${targets[@]/#///test/fuzz:}" || exit 1
  install -t "$programs" "${targets[@]/#/bazel-bin/test/fuzz/}" || exit 1
fi

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
bad=0
for target in "${targets[@]}"; do
  mkdir "$work/$target"
  options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048
    -max_len=16384 -print_final_stats=1 -verbosity=1
    -artifact_prefix="$work/$target-")
  [ ! -e "$here/$target.dict" ] || options+=(-dict="$here/$target.dict")
  "$programs/$target" "${options[@]}" "$work/$target" "$here/corpus/$target" \
    >"$work/$target.log" 2>&1
  status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' \
    "$work/$target.log")
  found=$(find "$work" -maxdepth 1 -name "$target-*" | wc -l)
  # A fault of the start leaves no input.
  [ "$status" = 0 ] || [ "$found" != 0 ] || found=1
  echo "$target: ${executions:-0} executions, $found findings"
  if [ "$found" != 0 ]; then
    bad=1
    grep -nE 'ERROR|runtime error|does not hold|SUMMARY|^ +#[0-9] ' \
      "$work/$target.log" | head -40 | sed 's/^/    /'
    mkdir -p "$here/findings"
    cp "$work/$target-"* "$here/findings/" 2>/dev/null
  fi
done
exit $bad
