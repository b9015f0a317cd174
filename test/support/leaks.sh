#!/bin/bash
# What is left behind on a machine: a list before, a list after, compared.
#
#   leaks.sh snapshot FILE             writes what there is now
#   leaks.sh compare FILE [SECONDS]    prints what is there now and was not
#                                      then; exit 1 if anything is. Looks again
#                                      for that long (default 10): the kernel
#                                      ends namespaces in its own time.
#
# Kinds: mount, netns, cgroup, process, link, iptables, nft. Only what this
# process sees counts, so in an enclave (enclave.sh) it is what happened there.
#
# Left out, with reasons: kernel threads; zombies of process 1, which are its
# matter; the build server; and the three chains CNI-HOSTPORT-{DNAT,MASQ,
# SETMARK} with the jumps to them, which the portmap plugin makes once and, by
# its design, never removes. Rules inside them do count.
set -Eeuo pipefail
shopt -s nullglob

mounts() {
  # Mount point, type and source; the numbers are not compared.
  awk '{
    for (i = 7; i <= NF; i++) if ($i == "-") break
    print "mount", $5, $(i + 1), $(i + 2), $4
  }' /proc/self/mountinfo
}

netns() {
  local link
  for link in /proc/[0-9]*/ns/net; do readlink "$link" || true; done \
    2>/dev/null | sed 's/^/netns /'
  awk '$(NF - 2) == "nsfs" || / - nsfs / { print "netns", $4, $5 }' \
    /proc/self/mountinfo
}

cgroups() {
  local tree
  for tree in $(awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo |
    sort -u); do
    find "$tree" -mindepth 1 -type d -printf "cgroup %p\n" 2>/dev/null || true
  done
}

processes() {
  local dir pid command stat state parent
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    # It may end between two lines of this.
    { IFS= read -r stat <"$dir/stat"; } 2>/dev/null || continue
    stat=${stat##*) }
    read -r state parent _ <<<"$stat"
    [ "$state" != Z ] || [ "$parent" != 1 ] || continue
    command=$({ tr '\0' ' ' <"$dir/cmdline"; } 2>/dev/null | head -c 300) ||
      continue
    if [ -z "$command" ]; then
      [ "$state" = Z ] || continue # a kernel thread
      command="zombie of $parent"
    fi
    case $command in "bazel("*) continue ;; esac
    [ "$pid" != "$$" ] || continue
    echo "process $pid $command"
  done
}

links() {
  awk -F: 'NR > 2 { sub(/^ +/, "", $1); print "link", $1 }' /proc/net/dev
}

iptables_rules() {
  local program
  for program in iptables-save ip6tables-save; do
    command -v "$program" >/dev/null || continue
    "$program" 2>/dev/null | grep '^[-:*]' | sed 's/ \[[0-9:]*\]$//' |
      grep -Ev '^(:|-A (PREROUTING|OUTPUT|POSTROUTING) .*-j )CNI-HOSTPORT-(DNAT|MASQ|SETMARK)( |$)|^-A CNI-HOSTPORT-(SETMARK|MASQ) -m (comment --comment "CNI portfwd (masquerade )?mark" -j MARK|mark --mark 0x2000)|^-A CNI-HOSTPORT-(SETMARK .*-j MARK|MASQ .*-j MASQUERADE)|^-A POSTROUTING .*-j CNI-HOSTPORT-MASQ$' |
      # Empty built-in chains and tables appear at the first look at them.
      grep -Ev '^\*|^:[A-Z]+ (ACCEPT|DROP)$' | sed "s/^/iptables $program /" ||
      true
  done
}

nft_rules() {
  # What the iptables programs keep there is compared above.
  command -v nft >/dev/null || return 0
  nft list tables 2>/dev/null |
    grep -Ev '^table (ip|ip6) (nat|filter|mangle|raw|security)$' |
    sed 's/^/nft /' || true
}

trap 'echo "leaks.sh: line $LINENO failed" >&2' ERR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# No pipe around all of it, which would be processes of ours in the list.
list() {
  {
    processes; mounts; netns; cgroups; links; iptables_rules; nft_rules
  } >"$work/all"
  sort -u "$work/all"
}

[ $# -ge 2 ] || { sed -n '2,19p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }
case $1 in
  snapshot) list >"$2" ;;
  compare)
    end=$((SECONDS + ${3:-10}))
    while :; do
      # What was there then may be gone; what is new is a leak.
      list >"$work/now"
      new=$(comm -13 "$2" "$work/now")
      [ -n "$new" ] || exit 0
      [ $SECONDS -lt $end ] || break
      sleep 0.3
    done
    echo "$new"
    exit 1 ;;
  *) echo "leaks.sh: unknown verb $1" >&2; exit 2 ;;
esac
