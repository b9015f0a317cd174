#!/bin/bash
# Debian's docker-registry on loopback, for tests; all its files under one
# folder, nothing of it left when it stops.
#
#   registry.sh start DIR [OPTION...]   prints ADDRESS=HOST:PORT (and CA=FILE)
#   registry.sh stop DIR                ends it; the content stays in DIR/data
#   registry.sh address DIR
#
# Options of start:
#   --port N         default: a free one
#   --auth basic     user "tester", password "secret" for everything
#   --auth token     bearer tokens from a token server of our own; "public/..."
#                    may be pulled by anybody
#   --tls            https, by a certificate authority made in DIR/tls
#   --readonly       refuse pushes
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
USER_NAME=tester
PASSWORD=secret

die() { echo "registry.sh: $*" >&2; exit 1; }

running() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

free_port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

make_certificates() {
  local tls=$dir/tls
  [ ! -s "$tls/server.crt" ] || return 0
  mkdir -p "$tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 3650 -subj '/CN=berth test authority' \
    -keyout "$tls/ca.key" -out "$tls/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=localhost -keyout "$tls/server.key" -out "$tls/server.csr" \
    2>/dev/null
  openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.crt" \
    -CAkey "$tls/ca.key" -CAcreateserial -days 3650 -out "$tls/server.crt" \
    -extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') 2>/dev/null
}

write_password() {
  # bcrypt through crypt(3): htpasswd is in a package that we do not need.
  local salt
  salt=$(openssl rand -hex 16 | cut -c1-21)
  printf '%s:%s\n' "$USER_NAME" "$(PW=$PASSWORD SALT="\$2b\$04\$${salt}e" \
    perl -e 'print crypt($ENV{PW}, $ENV{SALT})')" >"$dir/htpasswd"
}

write_config() {
  cat >"$dir/config.yml" <<END
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: "$dir/data"}
  redirect: {disable: true}
  delete: {enabled: true}
  maintenance: {readonly: {enabled: $readonly}}
http:
  addr: "$address"
END
  if [ -n "$tls" ]; then
    echo "  tls: {certificate: \"$dir/tls/server.crt\"," \
      "key: \"$dir/tls/server.key\"}" >>"$dir/config.yml"
  fi
  case $auth in
    basic)
      echo "auth: {htpasswd: {realm: berth, path: \"$dir/htpasswd\"}}" ;;
    token)
      echo "auth: {token: {realm: \"http://$token_address/token\"," \
        "service: berth-registry, issuer: berth-tokens," \
        "rootcertbundle: \"$dir/tls/ca.crt\"}}" ;;
  esac >>"$dir/config.yml"
}

# Another server may have the port by now, and would answer as well.
listens() { # FILE with a pid, HOST:PORT
  ss -Hltnp "sport = :${2##*:}" | grep -q "pid=$(cat "$1"),"
}

answers() {
  local scheme=http code
  listens "$dir/pid" "$address" || return 1
  [ -z "$tls" ] || scheme=https
  code=$(curl -sk -o /dev/null -w '%{http_code}' --max-time 2 --noproxy '*' \
    "$scheme://$address/v2/") || return 1
  [ "$code" = 200 ] || [ "$code" = 401 ] || return 1
  [ "$auth" != token ] || listens "$dir/token.pid" "$token_address"
}

start() {
  local port='' auth='' tls='' readonly=false address token_address='' try
  while [ $# -gt 0 ]; do
    case $1 in
      --port) port=$2; shift ;;
      --auth) auth=$2; shift ;;
      --tls) tls=1 ;;
      --readonly) readonly=true ;;
      *) die "start: unknown option $1" ;;
    esac
    shift
  done
  ! running "$dir/pid" || die "$dir: one is running already"
  command -v docker-registry >/dev/null ||
    die 'docker-registry is missing (Debian package docker-registry)'
  mkdir -p "$dir/data"
  if [ -n "$tls" ] || [ "$auth" = token ]; then make_certificates; fi
  case $auth in
    '' | token) ;;
    basic) write_password ;;
    *) die "start: --auth is basic or token, not $auth" ;;
  esac
  # A port that is free now may be taken when it is listened at.
  for ((try = 0; try < 3; try++)); do
    address=127.0.0.1:${port:-$(free_port)}
    ! serve || return 0
    tail -5 "$dir/log" >&2
    stop
    [ -z "$port" ] || break
  done
  die "the registry did not come up on $address"
}

# Starts the servers at their addresses; whether they have come up.
serve() {
  local i
  if [ "$auth" = token ]; then
    token_address=127.0.0.1:$(free_port)
    setsid python3 "$here/token_server.py" "$token_address" "$dir/tls" \
      "$USER_NAME" "$PASSWORD" >"$dir/token.log" 2>&1 </dev/null &
    echo $! >"$dir/token.pid"
  fi
  write_config
  # With an empty environment: the server reads REGISTRY_* of its own.
  env -i PATH="$PATH" OTEL_TRACES_EXPORTER=none \
    setsid docker-registry serve "$dir/config.yml" \
    >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  for ((i = 0; i < 150; i++)); do
    if answers; then
      echo "$address" >"$dir/address"
      echo "ADDRESS=$address"
      [ -z "$tls" ] || echo "CA=$dir/tls/ca.crt"
      return 0
    fi
    running "$dir/pid" || return 1
    sleep 0.1
  done
  return 1
}

stop() {
  local file i
  for file in "$dir/pid" "$dir/token.pid"; do
    running "$file" || { rm -f "$file"; continue; }
    kill "$(cat "$file")" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do running "$file" || break; sleep 0.05; done
    ! running "$file" || kill -9 "$(cat "$file")" 2>/dev/null || true
    rm -f "$file"
  done
}

[ $# -ge 2 ] || { sed -n '2,17p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
verb=$1 dir=$(realpath -m "$2"); shift 2
case $verb in
  start) start "$@" ;;
  stop) stop ;;
  address) cat "$dir/address" ;;
  *) die "unknown verb $verb" ;;
esac
