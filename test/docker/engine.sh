#!/bin/bash
# Starts and kills the engine that the cases talk to.
#
#   engine.sh start KIND DIR [NAME=VALUE...]   KIND: dockerd, berthd; waits
#                                              until it answers
#   engine.sh kill DIR                         SIGKILL, and nothing else
#
# All of its files are in DIR, what it prints in DIR/engine.log; a second start
# is on what the first has left. NAME=VALUE is for its environment. Settings:
# ENGINE_SOCKET, the socket to serve; REGISTRY, HOST:PORT of the default
# domain's mirror; BERTH_BIN, the folder of berthd and berth-shim; BUILD_IDLE,
# after how many seconds the builder is removed. It serves 127.0.0.1:2376 too,
# to clients with a certificate of DIR/tls/ca.pem.
set -euo pipefail

# DIR/tls: an authority, the engine's certificate, a client's, and a client's of
# another authority.
make_certificates() {
  local name new=(openssl req -x509 -newkey ec -nodes -days 3650
    -pkeyopt ec_paramgen_curve:P-256)
  [ ! -d "$dir/tls" ] || return 0
  mkdir -p "$dir/tls"
  cd "$dir/tls"
  for name in ca other-ca; do
    "${new[@]}" -subj "/CN=$name" -keyout $name-key.pem -out $name.pem
  done 2>>"$dir/engine.log"
  for name in engine client other; do
    local authority=ca
    [ $name != other ] || authority=other-ca
    "${new[@]}" -CA $authority.pem -CAkey $authority-key.pem -subj "/CN=$name" \
      -addext basicConstraints=CA:FALSE -addext subjectAltName=IP:127.0.0.1 \
      -keyout $name-key.pem -out $name.pem
  done 2>>"$dir/engine.log"
  cd - >/dev/null
}

configure_dockerd() {
  # Containers outlive the engine only with live-restore.
  command=(dockerd -H "unix://$ENGINE_SOCKET" -H "tcp://$tcp" --tlsverify
    --tlscacert "$dir/tls/ca.pem" --tlscert "$dir/tls/engine.pem"
    --tlskey "$dir/tls/engine-key.pem" --data-root "$dir/docker"
    --group root --exec-root /run/docker --pidfile /run/docker.pid
    --storage-driver overlay2 --live-restore
    --registry-mirror "http://$REGISTRY")
}

configure_berthd() {
  mkdir -p "$dir/certs.d/docker.io" "$dir/root" /run/berth
  printf 'server = "http://%s"\n' "$REGISTRY" >"$dir/certs.d/docker.io/hosts.toml"
  cat >"$dir/berth.conf" <<EOF
docker_socket: "$ENGINE_SOCKET"
cri_socket: "/run/berth/cri.sock"
docker_tcp {
  address: "$tcp"
  ca_cert: "$dir/tls/ca.pem"
  cert: "$dir/tls/engine.pem"
  key: "$dir/tls/engine-key.pem"
}
shim: "$BERTH_BIN/berth-shim"
network { conf_dir: "$dir/cni" }
registry { config_dir: "$dir/certs.d" }
build { idle_seconds: ${BUILD_IDLE:-600} }
runtime_handlers { name: "runc" shim: "io.containerd.runc.v2" }
EOF
  command=("$BERTH_BIN/berthd" --config "$dir/berth.conf" --root "$dir/root"
    --state /run/berth)
}

# Until the engine answers.
await() { # PID
  local i
  for ((i = 0; i < 300; i++)); do
    curl -sf --unix-socket "$ENGINE_SOCKET" http://engine/_ping >/dev/null &&
      return
    [ -d "/proc/$1" ] || break
    sleep 0.1
  done
  tail -n 30 "$dir/engine.log" >&2
  echo 'the engine did not come up' >&2
  return 1
}

verb=$1
shift
case $verb in
  start)
    kind=$1 dir=$2
    shift 2
    tcp=127.0.0.1:2376
    make_certificates
    "configure_$kind"
    env "$@" setsid "${command[@]}" >>"$dir/engine.log" 2>&1 </dev/null &
    echo $! >"$dir/engine.pid"
    await $! ;;
  kill)
    pid=$(cat "$1/engine.pid")
    kill -9 "$pid"
    # Process 1 may take its time to reap it.
    for ((i = 0; i < 1000; i++)); do
      stat=$(cat "/proc/$pid/stat" 2>/dev/null) || exit 0
      case ${stat##*) } in [ZX]*) exit 0 ;; esac
      sleep 0.01
    done
    echo "process $pid does not end" >&2
    exit 1 ;;
  *) sed -n '2,15p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
