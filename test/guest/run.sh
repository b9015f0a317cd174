#!/bin/bash
# berth on other machines than this one: cgroup v2, and systemd as the manager,
# in a virtual machine without a display (support/guest; emulated where there
# is no /dev/kvm, so it takes some ten times as long).
#
#   BERTH_BIN=folder-with-the-programs test/guest/run.sh [NAME...]
#
# NAME is one of: peer-systemd (runc with systemd) systemd (berth-oci with
# systemd) v2 (berth-oci with cgroupfs on v2) enclave (both in one, of
# support/enclave.sh) node (berthd with systemd)
# apparmor selinux (berthd with that security module); all of them by default. What cannot run here is skipped, with the reason. Ends with
# one line for all.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
guest=$here/../support/guest
cd "$here/../.."
bin=$(realpath "${BERTH_BIN:?the folder with the programs}")
export OCI_DEADLINE=200 PYTHONDONTWRITEBYTECODE=1

lack() { # why the guest cannot be had here
  local program
  [ "$(uname -m)" = x86_64 ] || { echo "no guest for $(uname -m)"; return; }
  for program in qemu-system-x86_64 busybox cpio debootstrap mke2fs modprobe \
    systemctl runc apparmor_parser secilc; do
    command -v "$program" >/dev/null || { echo "no $program"; return; }
  done
  "$guest/build-guest.sh" --systemd >/dev/null ||
    echo 'its image could not be built'
}

# suite NAME PROGRAM [CASES...]: a program of unit tests in the guest, which is
# started with the options `init` and `more`; `before` comes before the program.
suite() {
  local name=$1 program=$2
  shift 2
  "$guest/run-in-guest.sh" ${init[@]+"${init[@]}"} ${more[@]+"${more[@]}"} \
    --share-ro "$bin" --timeout 3000 \
    --env OCI_DEADLINE --env PYTHONDONTWRITEBYTECODE --env BERTH_BIN="$bin" \
    --env OCI_RUNTIME="${runtime:-}" -- ${before[@]+"${before[@]}"} \
    /usr/bin/python3 "$program" "$@" 2>&1 |
    test/support/unittest_tally.py "$name"
}

oci() { # NAME RUNTIME [CASES...]
  local name=$1 runtime=$2
  shift 2
  suite "$name" test/oci/oci_suite.py "$@"
}

one() { # NAME
  local init=(--systemd) more=() before=()
  case $1 in
    peer-systemd)
      oci 'runc with systemd' '/usr/sbin/runc --systemd-cgroup' \
        Scope ScopeEnds ScopeName ;;
    systemd) oci 'berth-oci with systemd' "$bin/berth-oci --systemd-cgroup" ;;
    v2) oci 'berth-oci on v2' "$bin/berth-oci" ;;
    enclave)
      # As all the other suites run on such a machine: with every controller.
      before=(test/support/enclave.sh)
      oci 'runc in an enclave' /usr/sbin/runc Limits Updates
      oci 'berth-oci in an enclave' "$bin/berth-oci" Limits Updates ;;
    node) suite 'berthd with systemd' test/guest/node_suite.py ;;
    apparmor)
      suite 'berthd with AppArmor' test/guest/lsm_suite.py AppArmorDocker \
        AppArmorPods ;;
    selinux)
      # A shell as process 1: systemd would look for its own policy.
      init=() more=(--lsm lockdown,capability,landlock,yama,selinux,bpf)
      suite 'berthd with SELinux' test/guest/lsm_suite.py SelinuxDocker \
        SelinuxPods ;;
    *) echo "run.sh: no suite $1" >&2; exit 2 ;;
  esac
}

[ $# -gt 0 ] || set -- peer-systemd systemd v2 enclave node apparmor selinux
why=$(lack)
if [ -n "$why" ]; then
  for name; do echo "SKIP $name: $why"; done
  echo "test/guest: 0 passed, 0 failed, $# skipped"
  exit 0
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for name; do
  echo "---- $name"
  one "$name" | tee -a "$said"
done
# A name that gave no line has failed.
awk -v names=$# '/: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
    passed += $(NF - 5); failed += $(NF - 3); skipped += $(NF - 1)
    seen++
  } END {
    if (seen < names) failed += names - seen
    printf "test/guest: %d passed, %d failed, %d skipped\n", passed, failed,
      skipped
    exit failed > 0
  }' "$said"
