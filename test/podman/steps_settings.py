"""Settings of a container that podman hands to a runtime, as root.

As in steps_verbs.py: name, script, what the peer's output has to match.
"""

STEPS = [
    # ---- security
    ("unmask, all", "$P run --rm --security-opt unmask=ALL $I sh -c "
     "'grep -c \" /proc/\" /proc/mounts; touch /proc/sys/kernel/hostname && "
     "echo may'", "^0\nmay$"),
    ("unmask, one", "$P run --rm --security-opt unmask=/proc/keys:/proc/irq $I "
     "sh -c 'cut -d\" \" -f2 /proc/mounts | grep ^/proc/ | sort; grep -q "
     "keyring /proc/keys && echo keys'",
     "^/proc/bus\n/proc/fs\n/proc/sys\n.*keys$"),
    ("unmask, none", "$P run --rm $I sh -c 'cut -d\" \" -f2 /proc/mounts | "
     "grep ^/proc/ | sort'", "^/proc/irq\n/proc/keys\n/proc/sys\n"),
    ("mask, a file", "$P run --rm --security-opt mask=/etc/passwd $I sh -c "
     "'wc -c </etc/passwd; echo x >/etc/passwd; echo =$?'", "^0\n"),
    ("mask, a folder", "$P run --rm --security-opt mask=/bin:/etc $I ls /etc; "
     "echo =$?", "^=127\n.*not found in"),
    ("mask, some", "$P run --rm --security-opt mask=/etc:/tmp:/none $I sh -c "
     "'ls -A /etc /tmp; touch /tmp/x; echo =$?'", "^/tmp:\n=1\n.*Read-only"),
    ("seccomp, a file", "$P run --rm --security-opt seccomp=$D/seccomp.json $I "
     "sh -c 'mkdir /x; echo =$?; touch /y; echo =$?'",
     "^=1\n=0\n.*Permission denied$"),
    ("seccomp, arguments", "$P run --rm --security-opt "
     "seccomp=$D/seccomp.json $I sh -c 'chmod 777 /tmp; echo =$?; "
     "chmod 700 /tmp; echo =$?'", "^=1\n=0\n.*not permitted$"),
    ("seccomp, killed", "$P run --rm --security-opt "
     "seccomp=$D/kill.json $I mkdir /x; echo =$?", "^=159$"),
    ("seccomp, of exec", "$P run -d --name a --security-opt "
     "seccomp=$D/seccomp.json $I sleep 1000; $P exec a mkdir /x; echo =$?; "
     "$P rm -f -t 0 a", "^=1\n.*Permission denied$"),
    ("seccomp, unknown action", "echo '{\"defaultAction\":\"SCMP_ACT_NONE\"}' "
     ">$D/odd.json; $P run --rm --security-opt seccomp=$D/odd.json $I true; "
     "echo =$?", "=12[56]"),
    ("seccomp, none", "$P run --rm --security-opt seccomp=unconfined $I grep "
     "Seccomp: /proc/self/status", "\t0$"),
    ("proc options", "$P run --rm --security-opt proc-opts=hidepid=2,nosuid $I "
     "grep '^proc /proc proc' /proc/mounts", r"hidepid=(2|invisible)"),
    ("AppArmor and labels off", "$P run --rm --security-opt "
     "apparmor=unconfined --security-opt label=disable $I echo ok", "^ok$"),
    ("no new privileges, exec", "$P run -d --name a --security-opt "
     "no-new-privileges $I sleep 1000; $P exec a grep NoNewPrivs "
     "/proc/self/status; $P rm -f -t 0 a", "NoNewPrivs:\t1"),

    # ---- capabilities
    ("capabilities, all", "$P run --rm --cap-add all $I grep Cap "
     "/proc/self/status", "CapEff:\t000001f"),
    ("capabilities, none", "$P run --rm --cap-drop all $I grep Cap "
     "/proc/self/status", "CapBnd:\t0000000000000000"),
    ("capabilities, one less", "$P run --rm --cap-drop chown $I chown 5 /tmp; "
     "echo =$?", "^=1\n.*not permitted$"),
    ("capabilities of a user", "$P run --rm --user 5 --cap-add net_admin $I "
     "grep Cap /proc/self/status", "CapAmb:\t0000000000001000"),
    ("capabilities of a user, dropped", "$P run --rm --user 5 --cap-drop all "
     "$I "
     "grep Cap /proc/self/status", "CapEff:\t0000000000000000"),
    ("privileged, a user", "$P run --rm --privileged --user 5 $I grep Cap "
     "/proc/self/status", "CapEff:\t0000000000000000"),
    ("privileged, masks", "$P run --rm --privileged $I sh -c 'grep -c \" "
     "/proc/\" "
     "/proc/mounts; grep \" /sys \" /proc/mounts | grep -c \"[ ,]rw,\"'",
     "^0\n1$"),

    # ---- devices
    ("device, read only", "$P run --rm --cap-add syslog --device "
     "/dev/kmsg:/dev/k:r $I sh -c ': </dev/k && echo read; (: >/dev/k); "
     "echo =$?'", "^read\n=[12]\n.*not permitted$"),
    ("device, read and write", "$P run --rm --device /dev/net/tun:/dev/t $I "
     "sh -c ': <>/dev/t && echo both'", "^both$"),
    ("device, mode and owner", "$P run --rm --device /dev/zero:/dev/other $I "
     "stat -c '%a %u:%g %t:%T' /dev/other", "^666 0:0 1:5$"),
    ("device, of a user namespace", "$P run --rm --uidmap 0:10000:1000 "
     "--device /dev/net/tun $I sh -c ': <>/dev/net/tun && echo both'",
     "^both$"),
    ("device, rule", "$P run --rm --cap-add mknod --device-cgroup-rule "
     "'c 10:200 r' $I sh -c 'mknod /t c 10 200; mknod /z c 1 5 && head -c 1 /z "
     "| wc -c; mknod /k c 1 11 && head -c 1 /k; echo =$?'", "^1\n.*=1$"),
    ("device, made but not allowed", "$P run --rm --cap-add mknod $I sh -c "
     "'mknod /m c 1 11; stat -c %t:%T /m; head -c 1 /m; echo =$?'", "=1$"),
    ("devices that all have", "$P run --rm $I sh -c 'cd /dev; ls | sort | "
     "xargs; "
     "for i in null zero full random urandom tty; do stat -c \"%a %u:%g\" $i; "
     "done | sort -u; for i in fd stdin stdout stderr ptmx; do readlink $i; "
     "done'", "^666 0:0\n/proc/self/fd\n.*^pts/ptmx$"),

    # ---- mounts
    ("tmpfs, options", "$P run --rm --tmpfs /t:rw,size=64k,mode=1770,noexec $I "
     "sh -c 'grep \" /t \" /proc/mounts; stat -c %a /t'",
     "noexec.*size=64k.*\n1770$"),
    ("tmpfs, over content", "$P run --rm --tmpfs /etc $I cat /etc/group",
     "^root:x:0:$"),
    ("tmpfs, not over content", "$P run --rm --mount "
     "type=tmpfs,destination=/etc,notmpcopyup $I sh -c 'ls /etc | grep -c "
     "group'; true", "^0$"),
    ("tmpfs, one with a mode", "$P run --rm --mount "
     "type=tmpfs,destination=/t,tmpfs-size=100k,tmpfs-mode=711 $I stat -c %a "
     "/t", "^711$"),
    ("tmpfs, in a user namespace", "$P run --rm --uidmap 0:10000:1000 --tmpfs "
     "/etc $I sh -c 'stat -c %u /etc/group; touch /etc/x && echo may'",
     "^0\nmay$"),
    ("read-only root, temporary folders", "$P run --rm --read-only $I sh -c "
     "'touch /tmp/x /run/x /dev/shm/x && echo may; touch /x'; true",
     "^may\n.*Read-only"),
    ("read-only root without them", "$P run --rm --read-only "
     "--read-only-tmpfs=false $I touch /tmp/x; echo =$?", "^=1\n.*Read-only"),
    ("read-only root, volume", "mkdir -p $D/v; $P run --rm --read-only -v "
     "$D/v:/made/deep:rw $I touch /made/deep/f; echo =$?; rm -r $D/v",
     "=[0-9]+"),
    ("volume, options", "mkdir -p $D/v; $P run --rm -v "
     "$D/v:/v:ro,noexec,nosuid,nodev $I grep ' /v ' /proc/mounts; rm -r $D/v",
     "ro,nosuid,nodev,noexec"),
    ("volume, overlay", "mkdir -p $D/v; echo x >$D/v/f; $P run --rm -v "
     "$D/v:/v:O $I sh -c 'cat /v/f; echo y >/v/f; cat /v/f'; cat $D/v/f; "
     "rm -r $D/v", "^x\ny\nx$"),
    ("volume, of a file", "echo x >$D/f; $P run --rm -v $D/f:/new/dir/f $I cat "
     "/new/dir/f", "^x$"),
    ("volume, through a link", "mkdir -p $D/v; echo x >$D/v/f; $P run --rm -v "
     "$D/v:/bin/../tmp/v $I cat /tmp/v/f; rm -r $D/v", "^x$"),
    ("volume, propagation", "mkdir -p $D/v/m; for o in rslave rprivate "
     "rshared; "
     "do $P run --rm -v $D/v:/v:$o $I sh -c 'sed -n \"s/.* \\/v \\([a-z,]*\\) "
     "\\([a-z]*\\).* - .*/\\2/p\" /proc/self/mountinfo'; done; rm -r $D/v",
     "^master\nshared$"),
    ("volume, mounted later", "mkdir -p $D/v/m; $P run -d --name a -v "
     "$D/v:/v:rslave $I sleep 1000; mount -t tmpfs tmpfs $D/v/m; "
     "touch $D/v/m/later; $P exec a ls /v/m; $P rm -f -t 0 a; umount $D/v/m; "
     "rm -r $D/v", "^later$"),
    ("volume, mapped", "mkdir -p $D/v; echo x >$D/v/f; chown 5:6 $D/v/f; "
     "$P run --rm --uidmap 0:10000:1000 -v $D/v:/v:idmap $I stat -c %u:%g "
     "/v/f; echo =$?; rm -r $D/v",
     {"runc": "^65534:65534\n=0$", "crun": "^5:6\n=0$"}),
    ("image as a mount", "$P run --rm --mount "
     "type=image,source=$I,destination=/i $I ls /i | grep -c bin", "^1$"),
    ("pseudo terminals of its own", "$P run --rm --mount "
     "type=devpts,destination=/pts $I sh -c 'grep \" /pts \" /proc/mounts'",
     "^devpts /pts devpts"),
    ("shared memory's size", "$P run --rm --shm-size 1m $I sh -c "
     "'df -k /dev/shm | tail -1 | tr -s \" \" | cut -d\" \" -f2'", "^1024$"),
    ("root from a folder", "$P run --rm --rootfs $D/image sh -c 'touch /made; "
     "ls -d /made'; ls $D/image/made", "^/made\n.*/made$"),
    ("root from a folder, overlay", "$P run --rm --rootfs $D/image:O sh -c "
     "'touch /over; ls -d /over'; ls $D/image/over; echo =$?", "^/over\n.*=2$"),

    # ---- the process
    ("ulimit, host", "$P run --rm --ulimit host $I sh -c 'ulimit -n'",
     "^[0-9]+$"),
    ("ulimit, several", "$P run --rm --ulimit core=0 --ulimit nofile=64:128 "
     "--ulimit stack=1048576 --ulimit nproc=500:500 $I cat /proc/self/limits",
     r"Max stack size +1048576 +1048576 .*Max core file size +0 +0 "
     r".*Max open files +64 +128 "),
    ("ulimit, of exec", "$P run -d --name a --ulimit nofile=64:128 --ulimit "
     "nproc=500:500 $I sleep 1000; $P exec a sh -c 'ulimit -n; ulimit -Hn'; "
     "$P rm -f -t 0 a", "^(64|128)\n128$"),
    ("ulimit, not allowed", "$P run --rm --ulimit nproc=99999999:99999999 $I "
     "true; echo =$?", "=(0|126)$"),
    ("umask", "$P run --rm --umask 0027 $I sh -c 'umask; touch /f; "
     "stat -c %a /f'", "^0027\n640$"),
    ("umask, of exec", "$P run -d --name a --umask 0027 $I sleep 1000; "
     "$P exec a sh -c umask; $P rm -f -t 0 a", "^00[0-9]*$"),
    ("personality", "$P run --rm --personality LINUX32 $I uname -m", "^i686$"),
    ("score when memory is short", "$P run --rm --oom-score-adj 123 $I cat "
     "/proc/self/oom_score_adj", "^123$"),
    ("sysctl, several", "$P run --rm --sysctl kernel.msgmax=10000 --sysctl "
     "net.ipv4.ip_default_ttl=50 $I sh -c 'cat /proc/sys/kernel/msgmax "
     "/proc/sys/net/ipv4/ip_default_ttl'", "^10000\n50$"),
    ("environment, host's and unset", "SUITE=yes $P run --rm --env-host $I sh "
     "-c "
     "'echo $SUITE $container $HOME'; $P run --rm --unsetenv container $I sh "
     "-c "
     "'echo \"<$container>\"'", "^yes podman /root\n<>$"),
    ("names of users", "$P run --rm --user 77 --passwd-entry "
     "'me:x:77:0::/tmp:/bin/sh' $I sh -c 'id -un; echo $HOME'", "^me\n"),
    ("group by name", "$P run --rm --user root:root --group-add 9 --group-add "
     "7 "
     "$I id", "groups=.*7.*9|groups=.*9.*7"),
    ("program without a shell's line", "$P run --rm $I /bin; echo =$?",
     "=126$"),
    ("long command", "$P run --rm $I sh -c 'echo ${#1}' sh $(head -c 100000 "
     "/dev/zero | tr '\\0' x)", "^100000$"),
    ("output, much", "$P run --rm $I sh -c 'head -c 3000000 /dev/zero' | wc -c",
     "^3000000$"),

    # ---- limits
    ("limits, seen", "$P run --rm -m 64m --memory-swap 64m "
     "--memory-reservation 32m --cpu-shares 512 --cpuset-cpus 0 --cpu-period "
     "50000 --cpu-quota 25000 --pids-limit 77 $I sh -c 'cd /sys/fs/cgroup; cat "
     "memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes "
     "cpu/cpu.shares cpuset/cpuset.cpus cpu/cpu.cfs_period_us "
     "cpu/cpu.cfs_quota_us pids/pids.max'",
     "^67108864\n33554432\n512\n0\n50000\n25000\n77$"),
    ("limits, too many processes", "$P run --rm --pids-limit 5 $I sh -c "
     "'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done' 2>&1 | grep -c fork",
     "^[1-9]"),
    ("limits, memory without a killer", "$P run --rm -m 64m --oom-kill-disable "
     "$I grep oom_kill_disable /sys/fs/cgroup/memory/memory.oom_control",
     "oom_kill_disable 1"),
    ("parent of the cgroup", "$P run --rm --cgroupns host --cgroup-parent "
     "/suite-parent $I sed -n 's/.*:pids://p' /proc/self/cgroup; "
     "for i in /sys/fs/cgroup/*/suite-parent; do rmdir $i; done 2>/dev/null; "
     "true", "^/suite-parent/libpod-"),
    ("no cgroup for conmon", "$P run --rm --cgroups no-conmon $I echo ok",
     "^ok$"),
    ("no cgroup", "$P run --rm --cgroups disabled $I cat /proc/self/cgroup; "
     "echo =$?", {"runc": "^=125\n.*NoCgroups", "crun": "^=0$"}),
    ("split cgroup", "$P run --rm --cgroups split $I true; echo =$?",
     "=[0-9]+$"),
    ("update", "$P run -d --name a -m 64m $I sleep 1000; $P update --memory "
     "96m "
     "--memory-swap 96m --cpus 0.5 --cpu-shares 700 a; "
     "$P exec a sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes "
     "cpu/cpu.cfs_quota_us cpu/cpu.shares'; $P rm -f -t 0 a",
     "^100663296\n50000\n700$"),
    ("update, processors", "$P run -d --name a $I sleep 1000; $P update "
     "--cpuset-cpus 1 a; $P exec a grep Cpus_allowed_list /proc/self/status; "
     "p=$($P inspect a --format '{{.State.Pid}}'); "
     "grep Cpus_allowed_list /proc/$p/status; $P rm -f -t 0 a",
     "_list:\t1\nCpus_allowed_list:\t1$"),
    ("update, processors seen", "$P run -d --name a $I sleep 1000; $P update "
     "--cpuset-cpus 1 a; $P exec a cat /sys/fs/cgroup/cpuset/cpuset.cpus; "
     "$P rm -f -t 0 a", "^1$"),
    ("cgroups that it sees", "$P run --rm $I sh -c 'ls /sys/fs/cgroup | sort | "
     "xargs; cat /sys/fs/cgroup/cpuset/cpuset.cpus "
     "/sys/fs/cgroup/freezer/freezer.self_freezing; test -e "
     "/sys/fs/cgroup/blkio/blkio.weight || test -e "
     "/sys/fs/cgroup/blkio/blkio.reset_stats; echo =$?'", "cpuset.*^0\n=0$"),
    ("update, refused", "$P run -d --name a $I sleep 1000; $P update "
     "--cpuset-cpus 999 a; echo =$?; $P rm -f -t 0 a", "=12[56]"),
    ("update, one that does not run", "$P create --name a $I true; $P update "
     "--memory 96m a; echo =$?; $P rm a", "=[0-9]+"),
    ("stats", "$P run -d --name a -m 64m --pids-limit 50 $I sleep 1000; "
     "$P stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' a | "
     "sed 's/ .*\\// /'; $P rm -f -t 0 a", "^[1-9] *67.11MB$"),
    ("top", "$P run -d --name a --user 5 $I sleep 1000; $P top a "
     "pid user comm capeff seccomp state huser args; $P rm -f -t 0 a",
     "sleep +none +filter +S"),
    ("top, by the container's ps", "$P run -d --name a $I sleep 1000; "
     "$P top a -o pid,args; $P rm -f -t 0 a", "sleep 1000"),

    # ---- annotations
    ("annotation, groups", "setpriv --groups 4321,0 $P run --rm --annotation "
     "run.oci.keep_original_groups=1 $I id -G",
     {"runc": "^0$", "crun": "4321"}),
    ("groups that are kept", "setpriv --groups 4321,0 $P run --rm --group-add "
     "keep-groups $I id -G", {"runc": "^0$", "crun": "4321"}),
    ("hook, its output", "mkdir -p $D/hooks; cp $D/says.json $D/hooks/; "
     "$P --hooks-dir $D/hooks run --rm $I echo ran; echo =$?; rm -r $D/hooks",
     "^ran\n.*=0$"),
    ("annotation, hooks' output", "mkdir -p $D/hooks; cp $D/says.json "
     "$D/hooks/; "
     "$P --hooks-dir $D/hooks run --rm --annotation "
     "run.oci.hooks.stdout=$D/hookout --annotation "
     "run.oci.hooks.stderr=$D/hookerr $I echo ran; cat $D/hookout $D/hookerr; "
     "echo =$?; rm -rf $D/hookout $D/hookerr $D/hooks",
     {"runc": "^ran\n.*=1$", "crun": "^ran\nout\nerr\n=0$"}),
    ("hook, failing", "mkdir -p $D/hooks; cp $D/fails.json $D/hooks/; "
     "$P --hooks-dir $D/hooks run --rm $I echo ran; echo =$?; rm -r $D/hooks",
     "=12[67]$"),
    ("hook, with the container's state", "mkdir -p $D/hooks; cp $D/state.json "
     "$D/hooks/; $P --hooks-dir $D/hooks run --rm --annotation some.key=x $I "
     "true; tr , '\\n' <$D/state | grep -o "
     "'some.key.*\"x\"\\|\"status\":\"[a-z]*\"\\|"
     "\"ociVersion\":\\|\"bundle\":\\|\"pid\":' | sort; rm -r $D/hooks",
     '^"bundle":\n"ociVersion":\n"pid":\n"status":"crea'),
    ("annotation, unknown", "$P run --rm --annotation run.oci.nothing=x $I "
     "echo "
     "ok", "^ok$"),
]
