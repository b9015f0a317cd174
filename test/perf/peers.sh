#!/bin/bash
# Makes a root file system with the newest runtimes that Debian has, to measure
# against: run.sh --peers DIR.
#
#   peers.sh DIR [SUITE...]    suites are tried in order: testing, then trixie
#
# About half a minute and 900 MB; what is there already is kept. Prints the
# versions. Needs root, mmdebstrap, and the Debian mirror that apt knows.
set -euo pipefail
PACKAGES='containerd runc crun containernetworking-plugins iptables iproute2'

die() { echo "peers.sh: $*" >&2; exit 1; }

mirror() {
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
    'Created-By: Packages' | awk '$1 == "Debian" && $2 == "Debian" {
      print $3; exit }'
}

versions() {
  # shellcheck disable=SC2086
  dpkg-query --admindir="$1/var/lib/dpkg" -W -f '${Package} ${Version}\n' \
    $PACKAGES
}

make_root() { # SUITE
  rm -rf --one-file-system "$dir.part"
  mmdebstrap --variant=minbase --include="${PACKAGES// /,}" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    "$1" "$dir.part" "deb $uri $1 main" >"$dir.log" 2>&1
}

[ $# -ge 1 ] || { sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
dir=$(realpath -m "$1")
shift
[ $# -gt 0 ] || set -- testing trixie
if [ -e "$dir/usr/bin/crun" ]; then versions "$dir"; exit 0; fi
[ "$(id -u)" = 0 ] || die 'run as root'
[ ! -e "$dir" ] || die "$dir is there, but is none of ours"
command -v mmdebstrap >/dev/null || die 'mmdebstrap is missing'
uri=$(mirror)
[ -n "$uri" ] || die 'apt knows no Debian mirror: run apt-get update'
mkdir -p "$(dirname "$dir")"
for suite in "$@"; do
  if make_root "$suite"; then
    mv "$dir.part" "$dir"
    rm -f "$dir.log"
    versions "$dir"
    exit 0
  fi
  tail -5 "$dir.log" >&2
  echo "peers.sh: no $suite; the next is older" >&2
done
die "none of: $*"
