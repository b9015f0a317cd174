#!/bin/sh
# Runs the suite on the berth-oci that was just built.
set -eu
if [ "$(id -u)" != 0 ] || [ ! -x /bin/busybox ]; then
  echo "skipped: needs root and busybox-static"
  exit 0
fi
cp -L oci/cli/berth-oci "$TEST_TMPDIR/berth-oci"
export OCI_RUNTIME="$TEST_TMPDIR/berth-oci"
exec python3 test/oci/oci_suite.py
