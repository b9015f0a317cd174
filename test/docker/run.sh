#!/bin/bash
# The docker CLI, unmodified, against one engine: every case of cases*.py.
#
#   run.sh dockerd          Debian's docker engine, which must pass first
#   run.sh berthd [BIN]     berthd and berth-shim, from the folder BIN
#                           (default: BERTH_BIN, else bazel-bin)
#
# BUILDKIT_BIN is a folder of test/support/buildkit.sh: without it the cases of
# docker build are skipped. The Go module proxy is asked for the client libraries
# of goclient: without them its cases are skipped.
#
# Runs in an enclave (test/support/enclave.sh): a network, mounts, processes and
# cgroups of its own, so that nothing is left on the machine. Ends with one line
# "N passed, N failed, N skipped".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support

inside() {
  local engine=$1 dir=$2
  REGISTRY=$("$support/registry.sh" start "$dir/registry" |
    sed -n 's/^ADDRESS=//p')
  export REGISTRY ENGINE_SOCKET=/run/engine.sock
  /usr/bin/python3 "$here/images.py" "$dir/images" "$REGISTRY"
  "$here/engine.sh" start "$engine" "$dir"
  PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/cases.py" --engine "$engine" --folder "$dir"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi
engine=${1:?dockerd or berthd}
bin=$(realpath "${2:-${BERTH_BIN:-$here/../../bazel-bin}}")
dir=$(mktemp -d /var/tmp/berth-docker.XXXXXX)
trap 'rm -rf "$dir"' EXIT
# Heard when the enclave has ended: it writes into the folder until then.
trap 'exit 130' INT
trap 'exit 143' TERM
export BERTH_BIN=$dir/bin
mkdir "$BERTH_BIN"
for one in daemon/berthd shim/berth-shim oci/cli/berth-oci; do
  [ -e "$bin/$one" ] || one=${one##*/}
  ln -s "$bin/$one" "$BERTH_BIN/"
done
# What cannot be fetched is skipped; all else that goes wrong is a fault.
# shellcheck source=../support/go_env.sh
if (. "$support/go_env.sh" && cd "$here/goclient" && go mod download) \
  >"$dir/go.log" 2>&1; then
  export GOCLIENT=$dir/goclient
  "$support/go.sh" docker/goclient "$GOCLIENT"
else
  tail -3 "$dir/go.log"
  grep -qE 'dial tcp|lookup |timeout|: [45][0-9][0-9] ' "$dir/go.log"
fi
status=0
"$support/enclave.sh" "$here/run.sh" --inside "$engine" "$dir" || status=$?
[ "$status" = 0 ] || [ -z "${KEEP:-}" ] || { echo "kept: $dir"; trap - EXIT; }
exit "$status"
