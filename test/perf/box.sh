#!/bin/bash
# Inside an enclave (test/support/enclave.sh): sets up what measured programs
# see, then becomes COMMAND.
#
#   box.sh ROOT FOLDER COMMAND [ARGUMENT...]
#
# ROOT: "/" for this machine's own programs, or a folder of peers.sh. FOLDER is
# this machine's and is there at the same path; / may be written to, but nothing
# of it stays.
#
# Of cgroups on a hybrid machine only v1 is left: crun refuses to run where
# there is also a v2 tree with controllers in it.
set -euo pipefail
root=$1 folder=$2
shift 2

if grep -q ' - cgroup .*[,]memory' /proc/self/mountinfo; then
  for at in $(awk '/ - cgroup2 / { print $5 }' /proc/self/mountinfo); do
    umount -l "$at"
  done
fi

if [ "$root" != / ]; then
  # pivot_root wants mounts that are shared with nobody.
  mount --make-rprivate /
  new=/mnt
  mount -t tmpfs -o mode=755 tmpfs "$new"
  mkdir "$new"/{upper,work,root}
  mount -t overlay \
    -o "lowerdir=$root,upperdir=$new/upper,workdir=$new/work" overlay \
    "$new/root"
  new=$new/root
  mkdir -p "$new"/{proc,sys,dev,run,tmp,.old} "$new/$folder"
  for at in /proc /sys /dev /run "$folder"; do
    mount --rbind "$at" "$new$at"
  done
  mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
  cd "$new"
  pivot_root . .old
  umount -l /.old
  mount --make-rshared /
  cd /
fi
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
