#!/bin/bash
# A Debian package like another one, with another version.
#
#   deb_version.sh PACKAGE.deb VERSION OUTPUT.deb
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$1" "$work/root"
sed -i "s/^Version: .*/Version: $2/" "$work/root/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/root" "$3" >/dev/null
