#!/bin/bash
# Runs a command where it can break nothing: in mount, process, network, ipc,
# uts and cgroup namespaces of its own, with an empty /run and /var/lib/cni.
#
#   enclave.sh COMMAND [ARGUMENT...]
#
# Root in there is real root, on the machine's own kernel and file systems, so a
# runtime that works here works outside; but its network is new (loopback, up),
# its cgroups are a subtree of the machine's, shown as if they were all, and
# when COMMAND ends so does every process it left. Exit status: COMMAND's.
# Works with cgroup v1, v2 and both at once.
set -euo pipefail
self=$(realpath "${BASH_SOURCE[0]}")

# "MOUNT-POINT OPTIONS" of every hierarchy: "cgroup2" for the unified one, else
# what mount -o wants for the others.
hierarchies() {
  awk '
    / - cgroup2 / && !seen[$5]++ { print $5, "cgroup2" }
    / - cgroup / && !seen[$5]++ {
      options = ""
      n = split($NF, all, ",")
      for (i = 1; i <= n; i++) {
        if (all[i] ~ /^name=/) options = options ",none," all[i]
        else if (all[i] !~ /^(rw|ro|xattr|noprefix|clone_children)$/ &&
                 all[i] !~ /^(cpuset_v2_mode|release_agent=.*)$/)
          options = options "," all[i]
      }
      print $5, substr(options, 2)
    }' /proc/self/mountinfo
}

# Where this process is in the hierarchy that is mounted with those options.
own_group() { # OPTIONS
  local number controllers path first=${1%%,*}
  [ "$first" != none ] || first=${1#none,}
  while IFS=: read -r number controllers path; do
    if [ "$1" = cgroup2 ]; then
      [ "$number" = 0 ] || continue
    else
      case ",$controllers," in *",$first,"*) ;; *) continue ;; esac
    fi
    echo "${path%/}"
    return
  done </proc/self/cgroup
}

# Lets the children of a v2 group have all its controllers. Each by itself: one
# that refuses must not keep the others.
hand_down() { # GROUP
  local one
  for one in $(cat "$1/cgroup.controllers"); do
    echo "+$one" >"$1/cgroup.subtree_control" || true
  done 2>/dev/null
}

# ---- inside: process 1 of the new namespaces

inside() {
  local list=$1 at options status=0
  shift
  mount -t proc proc /proc
  while read -r at options; do
    # The kernel refuses one file system twice at one place.
    umount -l "$at"
    if [ "$options" = cgroup2 ]; then
      mount -t cgroup2 cgroup2 "$at"
      hand_down "$at"
    else
      mount -t cgroup -o "$options" cgroup "$at"
    fi
  done <"$list"
  rm -f "$list"
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/lock
  mount -t tmpfs -o mode=755 tmpfs /var/lib/cni
  mount --make-rshared /
  ip link set lo up
  # As a child: process 1 is to reap, and not to get the command's signals.
  "$@" &
  wait $! || status=$?
  exit "$status"
}

# ---- outside

remove_groups() {
  local at group try
  for ((try = 0; try < 100; try++)); do
    for group in "${groups[@]}"; do
      [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + \
        2>/dev/null || true
    done
    at=
    for group in "${groups[@]}"; do [ ! -d "$group" ] || at=$group; done
    [ -n "$at" ] || return 0
    sleep 0.1
  done
  echo "enclave.sh: $at cannot be removed" >&2
  return 1
}

list='' made_cni='' child='' groups=()

# Whatever ends this script ends the enclave, and takes its groups away.
leave() {
  local status=$?
  trap '' INT TERM HUP
  if [ -n "$child" ]; then
    # What runs in there dies with unshare (--kill-child).
    kill -KILL "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -f "$list"
  [ -z "$made_cni" ] || rmdir /var/lib/cni 2>/dev/null || true
  remove_groups || [ "$status" != 0 ] || status=1
  exit "$status"
}

outside() {
  local at options group status=0 leaf=''
  local -a join=()
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  list=$(mktemp)
  hierarchies >"$list"
  while read -r at options; do
    group=$at$(own_group "$options")/berth-test-$$
    mkdir "$group"
    groups+=("$group")
    [ "$options" != cgroup2 ] || hand_down "${group%/*}"
    # What holds processes hands nothing down, and a user's session has but a
    # few: then it is made at the top, which may do both.
    if [ "$options" = cgroup2 ] && ! cmp -s "$group/cgroup.controllers" \
      "$at/cgroup.controllers"; then
      rmdir "$group"
      group=$at/berth-test-$$
      hand_down "$at"
      mkdir "$group"
      groups+=("$group")
    fi
    if [ -e "$group/cpuset.cpus" ] && [ "$options" != cgroup2 ]; then
      cat "${group%/*}/cpuset.cpus" >"$group/cpuset.cpus"
      cat "${group%/*}/cpuset.mems" >"$group/cpuset.mems"
    fi
    if [ "$options" = cgroup2 ]; then
      # Only leaves may hold processes once controllers are handed down; the
      # namespace's root must stay free of them.
      mkdir "$group/enclave"
      leaf=$group/enclave/cgroup.procs
    fi
    join+=("$group/cgroup.procs")
  done <"$list"
  [ -d /var/lib/cni ] || { mkdir /var/lib/cni; made_cni=1; }
  # In the background: a signal is not heard while a command is waited for.
  (
    trap - EXIT
    for at in "${join[@]}"; do echo "$BASHPID" >"$at"; done
    # The group of this moment becomes the namespace's root.
    exec unshare --cgroup -- bash "$self" --leaf "$leaf" "$list" "$@"
  ) &
  child=$!
  wait "$child" || status=$?
  child=
  exit "$status"
}

[ $# -ge 1 ] || { sed -n '2,11p' "$self" | sed 's/^# \{0,1\}//'; exit 2; }
if [ "$1" = --inside ]; then shift; inside "$@"; fi
if [ "$1" = --leaf ]; then
  [ -z "$2" ] || echo "$$" >"$2"
  shift 2
  exec unshare --mount --pid --net --ipc --uts --fork --kill-child \
    --propagation private -- bash "$self" --inside "$@"
fi
[ "$(id -u)" = 0 ] || { echo 'enclave.sh: run as root' >&2; exit 2; }
outside "$@"
