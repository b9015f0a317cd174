#!/bin/bash
# Runs the CRI tests on a runtime that is started for them, in an enclave.
#
#   run.sh KIND [ARGUMENT...]    KIND: containerd (the peer) or berthd; the
#                                arguments go to the test program, such as
#                                -test.run=Stop; VERBOSE=1 shows all output
#
# BERTH_BIN is the folder with berthd, berth-shim and berth-oci.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support

by_shims='Stop|Exit|ExecSync|Streamed|Attach|Input|Limit|Score|UpdateResources'
by_shims+='|Stats|Metrics|Counters|SharesPid|LogFormat|ReopenLog|Status|Mounts'
by_shims+='|Sysctls|Capabilities|Seccomp|ProcessesLeft|HostNetwork|PortForward'
by_shims+='|NRIAdjust|NRIEvents|CDIDeviceIsIn|StuckShim|ZTheHost'

# How many test programs run: berthd is judged by its own shim and by another.
programs() { # KIND ARGUMENT...
  if [ "$1" = berthd ] && [ $# = 1 ]; then echo 2; else echo 1; fi
}

# Inside the enclave: KIND, the work folder, arguments.
inside() {
  local kind=$1 work=$2 plain basic token tls status=0
  shift 2
  address() { "$support/registry.sh" start "$@" | sed -n 's/^ADDRESS=//p'; }
  plain=$(address "$work/plain")
  basic=$(address "$work/basic" --auth basic)
  tls=$(address "$work/tls" --tls)
  "$support/images.py" build "$work/images"
  "$support/images.py" push "$work/images" "$plain"
  local layers=("$work/images/layers" latest)
  "$support/images.py" push-one "${layers[@]}" "$basic" test/layers \
    --user tester:secret >/dev/null
  "$support/images.py" push-one "${layers[@]}" "$tls" test/layers \
    --ca "$work/tls/tls/ca.crt" >/dev/null
  # Tokens are asked of whoever pushes, too: first without, then with them.
  address "$work/token" >/dev/null
  "$support/images.py" push-one "${layers[@]}" "$(cat "$work/token/address")" \
    test/layers >/dev/null
  "$support/registry.sh" stop "$work/token"
  token=$(address "$work/token" --auth token)
  mkdir -p "$work/canary"
  "$support/hostile.py" "$work/hostile" "$work/canary/bird" \
    >"$work/verdicts.tsv"
  mv "$work/verdicts.tsv" "$work/hostile/"
  # An NRI plugin that is installed: the test program's other life.
  mkdir -p "$work/r/nri/plugins" "$work/r/nri/conf.d" "$work/r/nri/notes"
  printf '#!/bin/sh\nexec %s\n' "$work/cri.test" \
    >"$work/r/nri/plugins/90-installed"
  chmod 755 "$work/r/nri/plugins/90-installed"
  echo "$work/r/nri/notes" >"$work/r/nri/conf.d/installed.conf"
  "$support/runtime.sh" start "$kind" "$work/r" --registry "$plain" \
    --registry "$basic" --registry "$token" \
    --registry "$tls=$work/tls/tls/ca.crt" \
    --pause "$plain/test/pause:latest" >"$work/info"
  # shellcheck disable=SC1091
  . "$work/info"
  local oci=runc
  [ "$kind" != berthd ] || oci=$BERTH_BIN/berth-oci
  judge() { # SCRATCH ARGUMENT...
    local scratch=$1
    shift
    mkdir -p "$scratch"
    "$work/cri.test" -test.v -test.timeout=20m -endpoint="$SOCKET" \
      -kind="$kind" -registry="$plain" -registry-basic="$basic" \
      -registry-token="$token" -registry-tls="$tls" -certs="$work/r/certs.d" \
      -support="$support" -scratch="$scratch" -cni-control="$work/r/cni-fault" \
      -hostile="$work/hostile" -canary="$work/canary/bird" \
      -oci-runtime="$(command -v "$oci")" -daemon-pid="$PID" "$@"
  }
  judge "$work/scratch" "$@" || status=$?
  # What a shim has a part in, once more with one that is not ours.
  if [ "$(programs "$kind" "$@")" = 2 ]; then
    judge "$work/foreign" -handler=runc -test.run="$by_shims" |
      sed -u -E 's/^( *--- [A-Z]+: |=== [A-Z]+ +)Test/\1Foreign_Test/' || status=$?
  fi
  if ! "$support/runtime.sh" stop "$work/r"; then
    echo '--- FAIL: TheRuntimeStops (0.00s)'
    status=1
  fi
  for one in plain basic token tls; do "$support/registry.sh" stop "$work/$one"; done
  return "$status"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi
[ $# -ge 1 ] || { sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
kind=$1
shift
work=$(mktemp -d /tmp/berth-cri.XXXXXX)
# Layers may hold folders that only a patient rm can remove.
trap '[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$work"' EXIT
# Heard when the enclave has ended: it writes into the folder until then.
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/scratch"
"$support/go.sh" cri "$work/cri.test"
"$support/go.sh" support/nriplugins "$work/ulimit-adjuster" \
  github.com/containerd/nri/plugins/ulimit-adjuster
"$support/enclave.sh" "$here/run.sh" --inside "$kind" "$work" "$@" 2>&1 |
  "$support/tally.py" "test/cri on $kind" ${VERBOSE:+--verbose} \
    --programs="$(programs "$kind" "$@")" || status=$?
if [ "${status:-0}" != 0 ] && [ -s "$work/r/log" ]; then
  echo "    the last of $kind's log:"
  tail -"${LOG_LINES:-5}" "$work/r/log" | cut -c1-400 | sed 's/^/    | /'
  [ -z "${KEEP:-}" ] || echo "    kept: $work"
fi
exit "${status:-0}"
