#!/bin/bash
# The docker CLI, unmodified, against one engine: every case of cases*.py.
#
#   run.sh dockerd          Debian's docker engine, which must pass first
#   run.sh berthd [BIN]     berthd, berth-shim from the folder BIN
#                           (default: bazel-bin)
#
# Runs in an enclave (test/support/enclave.sh): a network, mounts, processes and
# cgroups of its own, so that nothing is left on the machine. Ends with one line
# "N passed, N failed, N skipped".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support

inside() {
  local engine=$1 bin=$2 dir=$3 address socket=/run/engine.sock
  address=$("$support/registry.sh" start "$dir/registry" | sed -n 's/^ADDRESS=//p')
  /usr/bin/python3 "$here/images.py" "$dir/images" "$address"
  "start_$engine" "$bin" "$dir" "$address" "$socket"
  /usr/bin/python3 "$here/cases.py" --host "unix://$socket" \
    --registry "$address" --engine "$engine"
}

start_dockerd() {
  local dir=$2 address=$3 socket=$4
  dockerd -H "unix://$socket" --data-root "$dir/docker" --group root \
    --exec-root /run/docker --pidfile /run/docker.pid \
    --storage-driver overlay2 --registry-mirror "http://$address" \
    >"$dir/engine.log" 2>&1 &
  await "$socket" $! "$dir/engine.log"
}

start_berthd() {
  local bin=$1 dir=$2 address=$3 socket=$4
  mkdir -p "$dir/certs.d/docker.io" "$dir/root" /run/berth
  printf 'server = "http://%s"\n' "$address" >"$dir/certs.d/docker.io/hosts.toml"
  cat >"$dir/berth.conf" <<EOF
docker_socket: "$socket"
shim: "$bin/shim/berth-shim"
network { conf_dir: "$dir/cni" }
registry { config_dir: "$dir/certs.d" }
EOF
  "$bin/daemon/berthd" --config "$dir/berth.conf" --root "$dir/root" \
    --state /run/berth >"$dir/engine.log" 2>&1 &
  await "$socket" $! "$dir/engine.log"
}

# Until the engine answers.
await() {
  local socket=$1 pid=$2 log=$3
  for _ in $(seq 300); do
    curl -sf --unix-socket "$socket" http://engine/_ping >/dev/null && return
    [ -d "/proc/$pid" ] || break
    sleep 0.1
  done
  tail -n 30 "$log" >&2
  echo "the engine did not come up" >&2
  return 1
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi
engine=${1:?dockerd or berthd}
bin=$(realpath "${2:-$here/../../bazel-bin}")
dir=$(mktemp -d /var/tmp/berth-docker.XXXXXX)
status=0
"$support/enclave.sh" "$here/run.sh" --inside "$engine" "$bin" "$dir" || status=$?
[ "$status" = 0 ] || [ -z "${KEEP:-}" ] || { echo "kept: $dir"; exit "$status"; }
rm -rf "$dir"
exit "$status"
