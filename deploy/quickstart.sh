#!/bin/sh
# From a bare Debian 12 or 13 to a running pod:
#
#   sudo ./deploy/quickstart.sh          install, build, start berthd, run a pod
#   sudo ./deploy/quickstart.sh --stop   take all of it down again
#
# Everything it makes is below three folders ($ROOT, $STATE, $LOGS) and behind
# one bridge ($BRIDGE), apart from any other runtime on the machine.
set -eu

SOURCE=$(cd "$(dirname "$0")/.." && pwd)
ROOT=${BERTH_ROOT:-/var/lib/berth-quickstart}
STATE=${BERTH_STATE:-/run/berth-quickstart}
LOGS=/var/log/berth-quickstart
BRIDGE=berthq0
SUBNET=${BERTH_SUBNET:-10.191.0.0/24}
IMAGE=${BERTH_IMAGE:-busybox}
SOCKET=$STATE/berthd.sock
DOCKER_SOCKET=$STATE/docker.sock
PROTOS=$SOURCE/api/cri/v1

say() { printf '%s\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# The pid of our berthd; fails if it does not run.
daemon_pid() {
  pid=$(cat "$STATE/berthd.pid" 2>/dev/null) || return 1
  case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in
    "$ROOT/bin/berthd" | "$ROOT/bin/berthd (deleted)") echo "$pid" ;;
    *) return 1 ;;
  esac
}

alive() { # PID
  [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

end_daemon() {
  kill "$1"
  tries=0
  while alive "$1"; do
    tries=$((tries + 1))
    # It ends by itself in 15 s at most.
    [ "$tries" -lt 400 ] || kill -9 "$1" || true
    sleep 0.05
  done
}

install_packages() {
  "$SOURCE/deploy/install-deps.sh" run
}

build() {
  cd "$SOURCE"
  say "building (a first build takes some minutes; progress below)"
  bazel build --show_progress_rate_limit=5 \
    //daemon:berthd //shim:berth-shim //oci/cli:berth-oci
  # Bazel's server would wait for the next build for a quarter of an hour.
  bazel shutdown
  mkdir -p "$ROOT/bin"
  for program in daemon/berthd shim/berth-shim oci/cli/berth-oci; do
    target=$ROOT/bin/$(basename "$program")
    cmp -s "bazel-bin/$program" "$target" && continue
    install -m 755 "bazel-bin/$program" "$target.new"
    mv "$target.new" "$target"
  done
}

# What --stop puts back as it was.
remember_host() {
  [ -e "$ROOT/host/chains" ] && return
  mkdir -p "$ROOT/host"
  cat /proc/sys/net/ipv4/ip_forward >"$ROOT/host/ip_forward"
  chains >"$ROOT/host/chains"
}

# The chains that CNI's portmap shares among all pods of the machine. Those of
# a single pod go with the pod.
chains() {
  iptables -t nat -S 2>/dev/null | sed -n 's/^-N \(CNI-HOSTPORT-[A-Z]*\)$/\1/p'
}

write_configuration() {
  cat >"$ROOT/berth.conf" <<EOF
# Written by quickstart.sh; "berthd config default" prints all there is.
cri_socket: "$SOCKET"
docker_socket: "$DOCKER_SOCKET"
shim: "$ROOT/bin/berth-shim"
cgroup_parent: "/berth-quickstart"
network {
  conf_dir: "$ROOT/cni"
  bridge: "$BRIDGE"
  subnet: "$SUBNET"
}
registry { config_dir: "/etc/containerd/certs.d" }
EOF
}

start_daemon() {
  if pid=$(daemon_pid); then
    case "$(readlink "/proc/$pid/exe")" in
      *deleted*) say "a new build: restarting berthd, pods go on"; end_daemon "$pid" ;;
      *) say "berthd runs already (pid $pid)"; return ;;
    esac
  fi
  mkdir -p "$STATE" "$LOGS"
  remember_host
  write_configuration
  rm -f "$SOCKET"
  setsid "$ROOT/bin/berthd" --config "$ROOT/berth.conf" --root "$ROOT" \
    --state "$STATE" >>"$LOGS/berthd.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$STATE/berthd.pid"
  tries=0
  until [ -S "$SOCKET" ]; do
    # Not daemon_pid: for a moment it still is the shell or setsid.
    alive "$pid" || { tail -n 20 "$LOGS/berthd.log" >&2; fail "berthd ended"; }
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail "berthd did not open $SOCKET in 10 s"
    sleep 0.05
  done
  say "berthd started (pid $(cat "$STATE/berthd.pid"), log $LOGS/berthd.log)"
}

run_pod() {
  say "" && say "a pod through $SOCKET:"
  "$SOURCE/deploy/first_pod.py" "$SOCKET" "$PROTOS" --image "$1" --logs "$LOGS/first-light"
}

first_pod() {
  run_pod "$IMAGE" && return
  [ "$IMAGE" = busybox ] || fail "the pod did not run"
  say "" && say "no registry can be reached: making the image from Debian's busybox"
  "$SOURCE/deploy/busybox_image.py" "$STATE/busybox.tar" busybox:latest
  "$ROOT/bin/berthd" image import --config "$ROOT/berth.conf" --state "$STATE" "$STATE/busybox.tar"
  rm -f "$STATE/busybox.tar"
  run_pod busybox || fail "the pod did not run"
}

next_steps() {
  cat <<EOF

what next:
  crictl -r unix://$SOCKET pods
  crictl -r unix://$SOCKET ps -a
EOF
  command -v docker >/dev/null || say "  $(docker_cli)   # no docker CLI here yet"
  cat <<EOF
  docker -H unix://$DOCKER_SOCKET ps -a
  docker -H unix://$DOCKER_SOCKET run -it --rm busybox sh
  sudo $SOURCE/deploy/quickstart.sh --stop
EOF
}

# Debian 12 has the CLI only together with the daemon.
docker_cli() {
  if apt-cache show docker-cli >/dev/null 2>&1; then
    say "sudo apt-get install docker-cli"
  else
    say "sudo apt-get install --no-install-recommends docker.io"
  fi
}

# Only what was not there before, and only if nobody publishes a port.
remove_chains() {
  ! iptables -t nat -S CNI-HOSTPORT-DNAT 2>/dev/null | grep -q '^-A' || return 0
  ours=$(chains | grep -vxFf "$ROOT/host/chains" || true)
  for chain in $ours; do
    iptables -t nat -S | grep -e "-j $chain\$" | sed 's/^-A/-D/' |
      while read -r rule; do eval "iptables -t nat $rule"; done
    iptables -t nat -F "$chain"
  done
  for chain in $ours; do iptables -t nat -X "$chain"; done
}

remove_masquerade() {
  iptables -t nat -S POSTROUTING 2>/dev/null |
    grep -F -- "--comment \"berth: addresses of $BRIDGE\"" |
    sed 's/^-A/-D/' |
    while read -r rule; do eval "iptables -t nat $rule"; done
}

remove_cgroups() {
  for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$top/berth-quickstart" ] || continue
    find "$top/berth-quickstart" -depth -type d -exec rmdir {} \;
  done
}

stop() {
  if pid=$(daemon_pid); then
    "$SOURCE/deploy/first_pod.py" "$SOCKET" "$PROTOS" --remove
    [ ! -S "$DOCKER_SOCKET" ] || remove_docker_containers
    end_daemon "$pid"
  fi
  ip link delete "$BRIDGE" 2>/dev/null || true
  remove_masquerade
  if [ -e "$ROOT/host/chains" ]; then
    remove_chains
    cat "$ROOT/host/ip_forward" >/proc/sys/net/ipv4/ip_forward
  fi
  remove_cgroups
  rm -rf "$STATE" "$ROOT" "$LOGS"
  say "stopped; $STATE, $ROOT and $LOGS are gone"
}

# Over the API, since a docker CLI may not be installed.
remove_docker_containers() {
  /usr/bin/python3 - "$DOCKER_SOCKET" <<'EOF'
import http.client, json, socket, sys

class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])

def ask(verb, path):
    door = Unix("localhost")
    door.request(verb, path)
    answer = door.getresponse()
    return answer.status, answer.read()

status, body = ask("GET", "/containers/json?all=1")
for container in json.loads(body) if status == 200 else []:
    if not container["Names"][0].startswith("/k8s_"):
        ask("DELETE", "/containers/" + container["Id"] + "?force=1&v=1")
EOF
}

[ "$(id -u)" = 0 ] || fail "must run as root: sudo $0 $*"
case "${1:-}" in
  --stop) stop ;;
  "") install_packages; build; start_daemon; first_pod; next_steps ;;
  *) fail "usage: quickstart.sh [--stop]" ;;
esac
