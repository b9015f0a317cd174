#!/bin/bash
# Makes the Debian package out of what the build has made.
#
#   build.sh BERTHD BERTH-SHIM BERTH-OCI MANUAL.PY FOLDER OUTPUT.deb
#
# FOLDER: this one. Needs no network and no root: dpkg-deb writes root as the
# owner of all. The libraries of the Debian that it runs on become the
# dependencies, so a package is for the Debian it was built on.
set -euo pipefail
berthd=$(realpath "$1") shim=$(realpath "$2") oci=$(realpath "$3")
manual=$(realpath "$4") from=$(realpath "$5") output=$(realpath "$6")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
export LC_ALL=C
umask 022

program() { # FILE NAME
  strip --strip-unneeded -o "$root/usr/bin/$2" "$1"
  chmod 755 "$root/usr/bin/$2"
}
mkdir -p "$root"/{DEBIAN,etc/berth,usr/bin,usr/lib/systemd/system} \
  "$root"/usr/lib/tmpfiles.d "$root"/usr/share/doc/berth
program "$berthd" berthd
program "$shim" berth-shim
program "$oci" berth-oci
install -m 644 "$from"/berthd.service "$from"/berthd.socket \
  "$root/usr/lib/systemd/system/"
install -m 644 "$from/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/berth.conf"
install -m 644 "$from/copyright" "$root/usr/share/doc/berth/"
python3 "$manual" "$berthd" "$oci" "$root"
gzip -9n "$root"/usr/share/man/man*/*

version=$("$berthd" --version | awk '{ print $2 }')
printf 'berth (%s) unstable; urgency=medium\n\n  * See the history of the source.\n\n -- The berth authors <berth@localhost>  Thu, 01 Jan 1970 00:00:00 +0000\n' \
  "$version" | gzip -9n >"$root/usr/share/doc/berth/changelog.gz"

# What the programs are linked with, in the versions that they need at least.
mkdir -p "$work/source/debian"
printf 'Source: berth\n\nPackage: berth\nArchitecture: any\n' \
  >"$work/source/debian/control"
shlibs=$(cd "$work/source" && dpkg-shlibdeps -O "$root/usr/bin/berthd" \
  2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$shlibs" ] || { echo 'build.sh: no libraries were found' >&2; exit 1; }

install -m 755 "$from"/preinst "$from"/postinst "$from"/prerm \
  "$from"/postrm "$root/DEBIAN/"
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) \
  >"$root/DEBIAN/md5sums"
sed -e "s|@VERSION@|$version|; s|@SHLIBS@|$shlibs|" \
  -e "s|@ARCHITECTURE@|$(dpkg --print-architecture)|" \
  -e "s|@SIZE@|$(du -sk --exclude=DEBIAN "$root" | cut -f1)|" \
  "$from/control.in" >"$root/DEBIAN/control"
# The same input gives the same package.
export SOURCE_DATE_EPOCH=0
find "$root" -exec touch -h -d @0 {} +
dpkg-deb --root-owner-group -Zxz -z6 --build "$root" "$output" >/dev/null
