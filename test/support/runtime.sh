#!/bin/bash
# Starts and stops a CRI runtime for tests: berthd, or a peer to compare with.
# All its files are under one folder, and so are its network's.
#
#   runtime.sh start KIND DIR [OPTION...]   KIND: berthd, containerd; prints
#                                           SOCKET=, PID= and the like
#   runtime.sh stop DIR                     ends it, takes its bridge and the
#                                           address lists away, keeps DIR
#   runtime.sh kill DIR                     SIGKILL, nothing more; start again
#                                           with the same KIND and DIR
#   runtime.sh info DIR
#
# Options of start:
#   --registry HOST:PORT[=CA]   plain http is fine there; with CA, https by
#                          that authority (again for more)
#   --pause IMAGE          for runtimes that want a pause image
#   --env NAME=VALUE       for the daemon (again for more)
#   --cni-conf DIR         instead of the bridge network made here
#   --cni-bin DIR          default: /usr/lib/cni
# Settings: BERTH_BIN, the folder of berthd and its programs.
#
# DIR is best short: sockets lie in it (107 bytes).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() { echo "runtime.sh: $*" >&2; exit 1; }

# A zombie whose parent is slow to reap it is not alive.
alive() {
  local stat
  [ -n "${1:-}" ] && stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  case ${stat##*) } in [ZX]*) return 1 ;; esac
}

write_network() {
  mkdir -p "$dir/cni"
  cat >"$dir/cni/10-test.conflist" <<END
{"cniVersion": "1.0.0", "name": "test-$bridge", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": true,
   "promiscMode": true, "ipam": {"type": "host-local", "dataDir": "$dir/addresses",
     "ranges": [[{"subnet": "10.92.0.0/16"}]],
     "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}},
  {"type": "cni_fault.sh", "control": "$dir/cni-fault"}]}
END
  # The real plugins, and one that fails on order.
  mkdir -p "$dir/cni-bin"
  ln -sf "$cni_bin"/* "$here/cni_fault.sh" "$dir/cni-bin/"
  cni_bin=$dir/cni-bin
}

write_mirrors() {
  local given registry ca scheme
  for given in "${registries[@]}"; do
    registry=${given%%=*} ca= scheme=http
    if [ "$given" != "$registry" ]; then ca=${given#*=} scheme=https; fi
    mkdir -p "$dir/certs.d/$registry"
    cat >"$dir/certs.d/$registry/hosts.toml" <<END
server = "$scheme://$registry"

[host."$scheme://$registry"]
  capabilities = ["pull", "resolve"]
END
    [ -z "$ca" ] || echo "  ca = \"$ca\"" >>"$dir/certs.d/$registry/hosts.toml"
  done
}

configure_containerd() {
  cat >"$dir/config.toml" <<END
version = 2
root = "$dir/data"
state = "$dir/state"
[grpc]
  address = "$socket"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "$dir/nri/nri.sock"
  plugin_path = "$dir/nri/plugins"
  plugin_config_path = "$dir/nri/conf.d"
[plugins."io.containerd.internal.v1.opt"]
  path = "$dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_cdi = true
  cdi_spec_dirs = ["$dir/cdi"]
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$dir/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni_bin"
    conf_dir = "$cni_conf"
END
  command=(containerd --config "$dir/config.toml")
}

configure_berthd() {
  local bin=${BERTH_BIN:-}
  [ -n "$bin" ] || die 'BERTH_BIN is not set'
  cat >"$dir/berth.conf" <<END
cri_socket: "$socket"
docker_socket: "$dir/docker.sock"
shim: "$bin/berth-shim"
network { conf_dir: "$cni_conf" bin_dirs: "$cni_bin" write_default: false }
registry { config_dir: "$dir/certs.d" }
pods {
  cdi_spec_dirs: "$dir/cdi"
  extras { annotations: "io.berth.shm-size" annotations: "io.berth.ulimits" }
}
runtime_handlers {
  name: "runc"
  shim: "io.containerd.runc.v2"
  extras { annotations: "io.berth.shm-size" annotations: "io.berth.ulimits" }
}
runtime_handlers { name: "small" extras { shm_size: "3m" ulimits: "nofile=77" } }
nri {
  enable: true
  socket: "$dir/nri/nri.sock"
  plugin_dir: "$dir/nri/plugins"
  plugin_config_dir: "$dir/nri/conf.d"
}
END
  command=("$bin/berthd" --config "$dir/berth.conf" --root "$dir/data"
    --state "$dir/state")
}

# It listens; whether it serves every verb yet is for the client to ask.
answers() {
  [ -S "$socket" ] && python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket" 2>/dev/null
}

start() {
  local kind=$1 registries=() pause='' env=() cni_conf='' cni_bin=/usr/lib/cni
  local socket=$dir/$1.sock command=() pid i
  local bridge
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --registry) registries+=("$2") ;;
      --pause) pause=$2 ;;
      --env) env+=("$2") ;;
      --cni-conf) cni_conf=$2 ;;
      --cni-bin) cni_bin=$2 ;;
      *) die "start: unknown option $1" ;;
    esac
    shift 2
  done
  mkdir -p "$dir"
  if [ -s "$dir/info" ]; then
    # shellcheck disable=SC1091
    pid=$(. "$dir/info"; echo "$PID")
    ! alive "$pid" || die "$dir: one is running already"
  fi
  # A link's name has 15 bytes at most; the folder's name decides, so that a
  # second start finds the same one.
  bridge=bt$(printf '%s' "$dir" | cksum | cut -d' ' -f1)
  if [ -z "$cni_conf" ]; then
    write_network
    cni_conf=$dir/cni
  fi
  write_mirrors
  case $kind in
    containerd | berthd) "configure_$kind" ;;
    *) die "start: no runtime $kind" ;;
  esac
  rm -f "$socket"
  env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 "${env[@]}" \
    setsid "${command[@]}" >>"$dir/log" 2>&1 </dev/null &
  pid=$!
  {
    echo "KIND=$kind"
    echo "SOCKET=$socket"
    echo "PID=$pid"
    echo "BRIDGE=$bridge"
    echo "LOG=$dir/log"
  } >"$dir/info"
  for ((i = 0; i < 300; i++)); do
    if answers; then cat "$dir/info"; return 0; fi
    alive "$pid" || break
    sleep 0.1
  done
  tail -20 "$dir/log" >&2
  ! alive "$pid" || kill -9 "$pid"
  die "$kind did not come up"
}

end() { # SIGNAL
  local i
  ! alive "$PID" || kill "-$1" "$PID"
  for ((i = 0; i < 200; i++)); do
    alive "$PID" || return 0
    sleep 0.05
  done
  die "process $PID does not end"
}

[ $# -ge 2 ] || { sed -n '2,24p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
verb=$1
shift
if [ "$verb" = start ]; then
  kind=$1 dir=$(realpath -m "$2")
  shift 2
  start "$kind" "$@"
  exit 0
fi
dir=$(realpath -m "$1")
[ -s "$dir/info" ] || { [ "$verb" = stop ] && exit 0; die "$dir: no runtime"; }
# shellcheck disable=SC1091
. "$dir/info"
case $verb in
  info) cat "$dir/info" ;;
  kill) end KILL ;;
  stop)
    (end TERM) || end KILL
    # The bridge plugin leaves its bridge when the last pod has gone.
    ip link delete "$BRIDGE" 2>/dev/null || true
    rm -rf "$dir/addresses" "$dir/info" ;;
  *) die "unknown verb $verb" ;;
esac
