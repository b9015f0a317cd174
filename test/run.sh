#!/bin/bash
# Everything that judges berth, from a bare Debian 12 or 13 with git only:
#
#   sudo ./test/run.sh             installs, builds, runs every suite
#   sudo ./test/run.sh SUITE...    runs those alone, of: lint unit oci cri
#                                  recovery docker machine
#   sudo ./test/run.sh full        runs the longer suites, for hours: recovery
#                                  (which has the failpoints) analysis (lint
#                                  by clang, of all files) sanitize fuzz
#                                  podman (beside runc) guest (cgroup v2,
#                                  systemd, AppArmor and SELinux, in a virtual
#                                  machine) package (the .deb); or name some of
#                                  these
#
# Each suite prints a line "NAME: N passed, N failed, N skipped"; the last line
# of all is their sum. A suite that does not come to its line has failed. Where
# a peer exists, a suite passes there first, so that it is known to be true.
# What is skipped says why. Exit status 1 if anything failed.
#
# The suites but for the unit tests run in an enclave (support/enclave.sh); at
# the end the whole machine is compared with what it was.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/support
cd "$here/.."
export CI=true LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
exec </dev/null

say() { printf '\n==== [%4ds] %s\n' "$SECONDS" "$*"; }
die() { echo "run.sh: $*"; echo '0 passed, 1 failed, 0 skipped'; exit 1; }

passed=0 failed=0 skipped=0 lines=() faults=() buildkit= building=

# A line that begins what some suite says of one failed case.
fault='^ *(--- )?(FAIL|FAILED|ERROR|failed|did not end|left behind)[: ]'

# suite NAME SECONDS COMMAND...: runs one, and adds what its last line says.
suite() {
  local name=$1 limit=$2 line numbers
  shift 2
  say "$name"
  timeout --kill-after=30 "$limit" "$@" 2>&1 | tee "$work/output"
  line=$(grep -E '(^|: )[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' \
    "$work/output" | tail -1)
  if [ -z "$line" ]; then
    line="0 passed, 1 failed, 0 skipped"
    echo "    $name did not come to its end (limit $limit s)"
  fi
  line=${line##*: }
  read -ra numbers <<<"${line//[^0-9 ]/}"
  if [ "${numbers[1]}" != 0 ]; then
    faults+=("$name:" "$(grep -E "$fault" "$work/output" | head -30)")
  fi
  passed=$((passed + numbers[0]))
  failed=$((failed + numbers[1]))
  skipped=$((skipped + numbers[2]))
  lines+=("$name: $line")
}

wanted() { # SUITE: was it asked for?
  local one
  [ ${#only[@]} -gt 0 ] || return 0
  for one in "${only[@]}"; do [ "$one" != "$1" ] || return 0; done
  return 1
}

asked() { # SUITE: by name? The longer ones are not run otherwise.
  [ ${#only[@]} -gt 0 ] && wanted "$1"
}

build() {
  bazel build --noshow_progress --color=no //daemon:berthd //shim:berth-shim \
    //oci/cli:berth-oci || return 1
  mkdir -p "$work/bin"
  install -m 755 bazel-bin/daemon/berthd bazel-bin/shim/berth-shim \
    bazel-bin/oci/cli/berth-oci "$work/bin/"
}

oci() { # NAME PROGRAM
  OCI_RUNTIME=$2 "$support/enclave.sh" python3 "$here/oci/oci_suite.py" 2>&1 |
    "$support/unittest_tally.py" "$1"
}

# What is checked without running anything of it. With arguments: these checks.
lint() {
  local one good=0 bad=0 skip=0 said code checks=("$@")
  [ $# -gt 0 ] || checks=(includes.py banned.py sizes.py interfaces.py
    fields.py lint_test.py format.sh 'clang.py threads --seconds 60'
    'clang.py tidy --seconds 30')
  for one in "${checks[@]}"; do
    # shellcheck disable=SC2086 # its arguments
    said=$("$here/../tools/lint/"$one 2>&1)
    code=$?
    echo "$said" | tail -20 | sed 's/^/    /'
    if [ "$code" != 0 ]; then
      echo "    FAIL $one: $(tail -1 <<<"$said")"
      bad=$((bad + 1))
    elif [[ $said == *SKIP* ]]; then
      skip=$((skip + 1))
    else
      good=$((good + 1))
    fi
  done
  echo "lint: $good passed, $bad failed, $skip skipped"
}

# Each target of test/fuzz for ten minutes (BERTH_FUZZ_SECONDS).
fuzz() {
  local said good bad
  said=$("$here/fuzz/run.sh" "${BERTH_FUZZ_SECONDS:-600}")
  echo "$said"
  good=$(grep -c ' executions, 0 findings$' <<<"$said")
  bad=$(grep -c ' executions, [1-9][0-9]* findings$' <<<"$said")
  [ $((good + bad)) -gt 0 ] || bad=1
  echo "test/fuzz: $good passed, $bad failed, 0 skipped"
}

await_build() {
  wait "$building"
  local status=$?
  building=
  cat "$work/build.log"
  return "$status"
}

# What compiles BuildKit: a group of its own.
end_buildkit() {
  [ -z "$buildkit" ] || kill -KILL -- "-$buildkit" 2>/dev/null
  buildkit=
}

# What still compiles goes with this script.
clean_up() {
  end_buildkit
  [ -z "$building" ] || kill -KILL -- "-$building" 2>/dev/null
  rm -rf --one-file-system "$work"
}

# Most of it is done when this is called: two minutes more; `full` has time.
await_buildkit() {
  local patience=120
  [ "$group" != full ] || patience=3600
  [ -n "$buildkit" ] || return 0
  if timeout "$patience" tail -f /dev/null --pid="$buildkit" &&
    wait "$buildkit"; then
    export BUILDKIT_BIN=$work/buildkit
  else
    tail -5 "$work/buildkit.log" | sed 's/^/    /'
    echo '    SKIP: without it the cases of docker build are skipped'
  fi
  end_buildkit
}

# The machine after all of it, against what it was before.
machine() {
  local left
  if left=$("$support/leaks.sh" compare "$work/machine" 20); then
    echo 'the machine is as it was: 1 passed, 0 failed, 0 skipped'
  else
    echo "$left" | sed 's/^/    left behind: /'
    echo 'the machine is as it was: 0 passed, 1 failed, 0 skipped'
  fi
}
# timeout(1) runs programs, not functions.
[ "${1:-}" != --function ] || { shift; "$@"; exit; }

[ "$(id -u)" = 0 ] || die 'run as root'
group=test only=()
for one; do
  case $one in
    full)
      group=full
      only+=(recovery analysis sanitize fuzz podman guest package machine)
      ;;
    sanitize | fuzz | podman | guest | package) group=full only+=("$one") ;;
    *) only+=("$one") ;;
  esac
done
say 'packages'
./deploy/install-deps.sh "$group" || die 'the packages could not be installed'
work=$(mktemp -d /tmp/berth-test.XXXXXX) || die 'no folder in /tmp'
trap clean_up EXIT
export work BERTH_BIN=$work/bin
"$support/leaks.sh" snapshot "$work/machine"

# Beside all that follows, with what time that leaves: compiling BuildKit takes
# a quarter of an hour of one processor.
if wanted docker && [ -z "${BUILDKIT_BIN:-}" ]; then
  TMPDIR=$work setsid nice -n 19 "$support/buildkit.sh" "$work/buildkit" \
    >"$work/buildkit.log" 2>&1 &
  buildkit=$!
fi

call=("$here/run.sh" --function)
# The peers need nothing of the build, and wait more than they work.
setsid nice -n 5 "${call[@]}" build >"$work/build.log" 2>&1 &
building=$!
if wanted oci; then
  suite 'test/oci on runc' 300 "${call[@]}" oci 'test/oci on runc' \
    "$(command -v runc)"
fi
if wanted cri; then
  suite 'test/cri on containerd' 900 "$here/cri/run.sh" containerd
fi
say 'build'
await_build || die 'the build failed'

if wanted lint; then
  suite lint 400 "${call[@]}" lint
fi
if asked analysis; then
  suite 'lint, all files' 10800 "${call[@]}" lint 'clang.py threads' \
    'clang.py tidy'
fi
if wanted unit; then
  # test/oci runs below, where its cases are counted.
  suite unit 3000 "$support/bazel_tally.py" unit //... -//test/oci:oci_test
fi
if wanted oci; then
  suite 'test/oci on berth-oci' 300 "${call[@]}" oci 'test/oci on berth-oci' \
    "$BERTH_BIN/berth-oci"
fi
if wanted cri; then
  suite 'test/cri on berthd' 900 "$here/cri/run.sh" berthd
fi
if wanted recovery; then
  suite 'test/recovery' 1200 "$here/recovery/run.sh"
fi
if wanted docker; then
  say 'BuildKit, from the Go module proxy'
  await_buildkit
  suite 'test/docker on dockerd' 900 "$here/docker/run.sh" dockerd
  suite 'test/docker on berthd' 900 "$here/docker/run.sh" berthd
fi
if asked sanitize; then
  for part in unit doors threads; do
    suite "test/sanitize, $part" 10800 "$here/sanitize.sh" "$part"
  done
fi
if asked podman; then
  suite 'test/podman' 5400 "$support/enclave.sh" python3 \
    "$here/podman/podman_suite.py" "$BERTH_BIN/berth-oci"
fi
if asked guest; then
  suite 'test/guest' 10800 "$here/guest/run.sh"
fi
if asked package; then
  suite 'test/package' 5400 "$here/package/run.sh"
fi
if asked fuzz; then
  suite 'test/fuzz' 21600 "${call[@]}" fuzz
fi
bazel shutdown
if wanted machine; then
  # Not inside suite(), whose own processes would be found.
  machine >"$work/machine.said"
  suite 'the machine is as it was' 10 cat "$work/machine.said"
fi

if [ "$failed" != 0 ]; then
  say 'what failed'
  printf '%s\n' "${faults[@]}"
fi
say 'all suites'
printf '%s\n' "${lines[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
