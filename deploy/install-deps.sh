#!/bin/sh
# The one list of Debian packages that berth needs, for Debian 12 and 13.
#
#   install-deps.sh build          to compile berth
#   install-deps.sh run            to compile and run it (quickstart)
#   install-deps.sh test           to compile, run and test it, peers included
#   install-deps.sh full           that, and the longer suites (test/run.sh full)
#   install-deps.sh arm64          what tools/arm64.sh needs beside `build`
#   install-deps.sh --list GROUP   print the names and do nothing
#
# Installs what is missing and is quick when nothing is. Needs root.
set -eu

BUILD="
bazel-bootstrap dpkg-dev g++ git python3 protobuf-compiler protobuf-compiler-grpc
libabsl-dev libboost-dev libcap-dev libcurl4-openssl-dev
libgflags-dev libgmock-dev libgoogle-glog-dev libgrpc++-dev libgtest-dev
libisal-dev liblzma-dev libnl-3-dev libnl-route-3-dev libprotobuf-dev
libre2-dev libseccomp-dev libsqlite3-dev libssl-dev libtomlplusplus-dev libunwind-dev
libyaml-dev libzstd-dev nlohmann-json3-dev pkgconf zlib1g-dev
"

RUN="
busybox-static ca-certificates protobuf-compiler python3-grpcio python3-protobuf containernetworking-plugins iproute2 iptables
"

# Peers are installed so that the suites can run on them first; their services
# are never started (see policy_rc_d below).
TEST="
attr clang-19 clang-tidy-19 containerd crun curl docker-compose docker-registry docker.io
e2fsprogs
golang-go jq libcap2-bin openssl procps psmisc python3-matplotlib runc skopeo
strace uidmap umoci util-linux zstd
"

# libFuzzer, of the clang that both have; podman and buildah, which run on
# berth-oci (test/podman); and a virtual machine (test/guest).
FULL="
libclang-rt-19-dev llvm-19
buildah catatonit podman slirp4netns
apparmor cpio debootstrap kmod man-db qemu-system-x86 secilc xz-utils
"

# The cross compiler, and what runs its programs.
ARM64="
g++-aarch64-linux-gnu qemu-user-static
"

# The formatting check knows one version, which Debian 13 does not have.
case $(. /etc/os-release && echo "${VERSION_ID:-}") in
  12) FORMAT=clang-format-14 ;;
  *) FORMAT= ;;
esac

names() {
  case "$1" in
    build) echo $BUILD ;;
    run) echo $BUILD $RUN ;;
    test) echo $BUILD $RUN $TEST $FORMAT ;;
    full) echo $BUILD $RUN $TEST $FORMAT $FULL $ARM64 ;;
    arm64) echo $BUILD $ARM64 ;;
    *) echo "usage: install-deps.sh [--list] build|run|test|full|arm64" >&2; exit 2 ;;
  esac
}

missing() {
  for name in $(names "$1"); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) || true
    [ "$status" = installed ] || echo "$name"
  done
}

# Debian starts a service when its package is installed. berth wants the
# programs only, so starting is forbidden while this script runs.
policy_rc_d() {
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
}

# apt's status lines (APT::Status-Fd) as one line for each tenth of the way;
# fails if they end with "failed".
progress() {
  awk -F: '
    $1 == "failed" { bad = 1 }
    $1 == "dlstatus" || $1 == "pmstatus" {
      doing = $1 == "dlstatus" ? "downloading" : "unpacking"
      tenth = int($3 / 10)
      if (doing != last || tenth > shown) {
        printf "  %s: %d %%\n", doing, 10 * tenth
        fflush()
      }
      last = doing
      shown = tenth
    }
    END { exit bad }'
}

if [ "${1:-}" = --list ]; then
  names "${2:-run}" | tr ' ' '\n'
  exit 0
fi
group=${1:-run}
wanted=$(missing "$group")
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "install-deps.sh: run as root to install:" $wanted >&2
  exit 1
fi
policy_rc_d
export DEBIAN_FRONTEND=noninteractive
echo "installing:" $wanted
apt-get update -qq
{
  apt-get install -y -qq --no-install-recommends -o APT::Status-Fd=3 \
    $wanted 3>&1 >/dev/null || echo failed
} | progress
