#!/bin/bash
# The Debian package: installed, upgraded, downgraded, removed and purged in a
# bare root without systemd, and in a virtual machine with it.
#
#   BERTH_DEB=berth.deb test/package/run.sh [bare|guest...]
#
# Without BERTH_DEB it is built first. What cannot run here is skipped, with the
# reason. Ends with one line for all. The network is used to make the roots
# (debootstrap); GUEST_CACHE keeps them (support/guest/build-guest.sh).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
guest=$here/../support/guest
cd "$here/../.."
export PYTHONDONTWRITEBYTECODE=1
cache=${GUEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cgroup2-guest}
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# What the tests in the guest use, beside what the package needs.
tools="python3 python3-grpcio python3-protobuf protobuf-compiler busybox-static"

[ "$(id -u)" = 0 ] || { echo 'run.sh: run as root' >&2; exit 2; }
work=$(mktemp -d /tmp/berth-package.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT

lack() { # PROGRAM...: why it cannot be done here
  local program
  for program; do
    command -v "$program" >/dev/null || { echo "no $program"; return; }
  done
}

# Names of the packages that PACKAGE needs, alternatives and versions aside.
needs() {
  dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g'
}

bare() {
  local why base
  why=$(lack debootstrap unshare)
  [ -z "$why" ] || { echo "SKIP bare: $why"; return; }
  base=$cache/bare-$suite.tar
  mkdir -p "$cache"
  if [ ! -e "$base" ]; then
    debootstrap --variant=minbase "$suite" "$work/base" \
      "$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        head -1)" >"$work/log" 2>&1 &&
      tar -C "$work/base" -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf --one-file-system "$work/base"
  fi
  [ -e "$base" ] || { echo 'SKIP bare: debootstrap failed'; return; }
  PACKAGE_BASE=$base unshare --mount --pid --fork --kill-child --mount-proc \
    python3 test/package/bare_suite.py 2>&1 |
    test/support/unittest_tally.py 'package in a bare root'
}

in_guest() {
  local why
  [ "$(uname -m)" = x86_64 ] || why="no guest for $(uname -m)"
  [ -n "${why:-}" ] || why=$(lack qemu-system-x86_64 busybox cpio debootstrap \
    mke2fs modprobe docker)
  [ -z "$why" ] || { echo "SKIP guest: $why"; return; }
  cp "$(command -v docker)" "$work/share/"
  GUEST_EXTRA_PACKAGES="$(echo $(needs "$BERTH_DEB") $tools)" \
    "$guest/run-in-guest.sh" --systemd --root image \
    --share-ro "$work/share:/mnt" --timeout 3000 \
    --env PYTHONDONTWRITEBYTECODE -- \
    /usr/bin/python3 test/package/guest_suite.py 2>&1 |
    test/support/unittest_tally.py 'package with systemd'
}

if [ -z "${BERTH_DEB:-}" ]; then
  bazel build --noshow_progress --color=no //deploy/deb:berth || exit 1
  BERTH_DEB=bazel-bin/deploy/deb/berth.deb
fi
export BERTH_DEB
mkdir "$work/share"
cp "$BERTH_DEB" "$work/share/berth.deb"
# A later one, and an earlier one.
test/support/deb_version.sh "$BERTH_DEB" 9:9 "$work/share/later.deb"
test/support/deb_version.sh "$BERTH_DEB" 0~0 "$work/share/earlier.deb"
export PACKAGE_SHARE=$work/share

[ $# -gt 0 ] || set -- bare guest
said=$work/said
for name; do
  echo "---- $name"
  case $name in
    bare) bare ;;
    guest) in_guest ;;
    *) echo "run.sh: no suite $name" >&2; exit 2 ;;
  esac | tee -a "$said"
done
# A name that gave no line has failed.
awk -v names=$# '/^SKIP / { skipped++; seen++ }
  /: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
    passed += $(NF - 5); failed += $(NF - 3); skipped += $(NF - 1)
    seen++
  } END {
    if (seen < names) failed += names - seen
    printf "test/package: %d passed, %d failed, %d skipped\n", passed, failed,
      skipped
    exit failed > 0
  }' "$said"
