"""What podman asks of a runtime that docker does not, as root.

Name, what a shell runs, and what its output has to match on the peer: $P is
podman with its options, $I an image of busybox, $D a folder, $RUNTIME the
runtime. The last command's exit code has to be 0 on the peer.
"""

STEPS = [
    # ---- pause
    ("paused, killed", "$P run -d --name a $I sleep 1000; $P pause a; "
     "$P kill a; $P rm -f -t 0 a; $P ps -aq | wc -l", r"^0$"),
    ("paused, removed", "$P run -d --name a $I sleep 1000; $P pause a; "
     "$P rm -f -t 0 a; $P ps -aq | wc -l", r"^0$"),
    ("paused, refused", "$P create --name a $I true; $P pause a; $P unpause a; "
     "$P rm a", "is not running.*is not paused"),
    ("paused, all", "$P run -d --name a $I sleep 1000; "
     "$P run -d --name b $I sleep 1000; $P pause -a | wc -l; "
     "$P inspect -f '{{.State.Status}}' a b; $P unpause -a | wc -l; "
     "$P inspect -f '{{.State.Status}}' a b; $P rm -fa -t 0 | wc -l",
     r"^2\npaused\npaused\n2\nrunning\nrunning\n2$"),
    ("paused, copied into", "$P run -d --name a $I sleep 1000; $P pause a; "
     "echo text >$D/f; $P cp $D/f a:/tmp/f; $P unpause a; $P exec a cat "
     "/tmp/f; "
     "$P rm -f -t 0 a", "^text$"),
    ("paused, freezer", "$P run -d --name a $I sleep 1000; $P pause a; "
     "p=$($P inspect a --format '{{.State.Pid}}'); "
     "g=$(sed -n 's/.*:freezer://p' /proc/$p/cgroup); "
     "cat /sys/fs/cgroup/freezer$g/freezer.state; $P unpause a; "
     "cat /sys/fs/cgroup/freezer$g/freezer.state; $P rm -f -t 0 a",
     "FROZEN.*THAWED"),

    # ---- birth in two steps
    ("init, start", "$P create --name a $I sh -c 'echo begun; sleep 1000'; "
     "$P init a; $P inspect -f '{{.State.Status}}' a; $P logs a; $P start a; "
     "until $P logs a | grep begun; do sleep 0.1; done; $P rm -f -t 0 a",
     "^initialized\\n.*^begun$"),
    ("init, removed", "$P create --name a $I sleep 1000; $P init a; "
     "$P rm -f -t 0 a; $P ps -aq | wc -l", "^0$"),
    ("attach", "$P run -di --name a $I sh -c 'read x; echo got $x'; "
     "echo word | $P attach a; $P wait a; $P logs a; $P rm a", "^got word$"),
    ("start, input", "$P create -i --name a $I cat; echo word | $P start -ai "
     "a; "
     "$P rm a", "^word$"),
    ("rename, restart", "$P run -d --name a $I sleep 1000; $P rename a b; "
     "$P restart -t 0 b; $P inspect b --format '{{.State.Status}}'; "
     "$P rm -f -t 0 b", "^running$"),
    ("stop signal", "$P run -d --name a --stop-signal USR1 $I sh -c "
     "'trap \"exit 9\" USR1; touch /on; while :; do sleep 0.1; done'; "
     "$P exec a sh -c 'until [ -e /on ]; do sleep 0.1; done'; $P stop -t 60 a; "
     "$P inspect a --format '{{.State.ExitCode}}'; $P rm a", "^9$"),
    ("signals by proxy", "$P run --name a $I sh -c 'trap \"exit 9\" TERM; "
     "touch /on; while :; do sleep 0.1; done' & n=$!; "
     "until $P exec a test -e /on; do sleep 0.1; done 2>/dev/null; "
     "kill $n; wait $n; echo =$?; $P rm a", "^=9$"),
    ("notify, by conmon", "$P run -d --name a --sdnotify conmon $I sh -c "
     "'echo \"<$NOTIFY_SOCKET>\"'; $P wait a; $P logs a; $P rm a", "^<>$"),

    # ---- checkpoints
    ("checkpoint", "$P run -d --name a $I sleep 1000; PATH=/none "
     "$(echo $P | sed \"s|^podman|$(command -v podman)|\") "
     "container checkpoint a; $P inspect -f '{{.State.Status}}' a; $P rm -f "
     "-t 0 a",
     "^running\n.*requires at least CRIU"),

    # ---- exec
    ("exec, descriptors", "$P run -d --name a $I sleep 1000; echo three >$D/3; "
     "echo four >$D/4; $P exec --preserve-fds 2 a sh -c 'cat <&3; cat <&4' "
     "3<$D/3 4<$D/4; $P rm -f -t 0 a", "^three\nfour$"),
    ("exec, no other descriptors", "$P run -d --name a $I sleep 1000; "
     "echo x >$D/3; $P exec a sh -c 'ls /proc/self/fd | xargs' "
     "3<$D/3; $P rm -f -t 0 a", "^0 1 2 3$"),
    ("run, descriptors", "echo three >$D/3; $P run --rm --preserve-fds 1 $I "
     "sh -c 'cat <&3' 3<$D/3", "^three$"),
    ("exec, signal", "$P run -d --name a $I sleep 1000; $P exec a sh -c "
     "'kill -KILL $$'; echo =$?; $P rm -f -t 0 a", "^=137$"),
    ("exec, of a user without a name", "$P run -d --name a $I sleep 1000; "
     "$P exec -u 12:34 a sh -c 'id; grep CapEff /proc/self/status'; "
     "$P rm -f -t 0 a", "uid=12 gid=34.*CapEff:\t0000000000000000"),
    ("exec, unknown user", "$P run -d --name a $I sleep 1000; "
     "$P exec -u nobody-here a true; echo =$?; $P rm -f -t 0 a", "^=255$"),
    ("exec, in a folder that is missing", "$P run -d --name a $I sleep 1000; "
     "$P exec -w /nowhere a true; echo =$?; $P rm -f -t 0 a", "^=12[67]$"),
    ("exec, capabilities of the container", "$P run -d --name a --cap-drop all "
     "--cap-add net_raw,kill $I sleep 1000; $P exec a grep Cap "
     "/proc/self/status; $P rm -f -t 0 a",
     "CapBnd:\t0000000000002020"),
    ("exec, in a terminal with input", "$P run -d --name a $I sleep 1000; "
     "echo 'stty size >/dev/null && echo tty; exit 3' | script -qec "
     "\"$P exec -it a sh\" /dev/null >$D/out; echo =$?; grep -c '^tty' $D/out; "
     "$P rm -f -t 0 a", "^=3\n1$"),
    ("exec, many at once", "$P run -d --name a $I sleep 1000; "
     "for i in 1 2 3 4; do $P exec a sh -c \"echo $i >>/n\" & done; wait; "
     "$P exec a sort /n; $P rm -f -t 0 a", "^1\n2\n3\n4$"),

    # ---- an init of podman's
    ("init program, zombies", "$P run --rm --init $I sh -c "
     "'(sleep 0.1 &); sleep 1; ps -o stat | grep -c Z'; true", "^0$"),
    ("init program, signal", "$P run -d --name a --init $I sleep 1000; "
     "$P exec a cat /proc/1/comm; $P stop -t 60 a; $P inspect a --format "
     "'{{.State.ExitCode}}'; $P rm a", "^podman-init\\n.*^143$"),

    # ---- user namespaces
    ("userns, auto", "$P run --rm --userns auto:size=2000 $I sh -c "
     "'cat /proc/self/uid_map; id; stat -c %u:%g /bin/busybox'",
     r"^ +0 +1000000 +2000\n.*uid=0\S* gid=0.*^0:0$"),
    ("userns, auto, two", "$P run -d --name a --userns auto:size=1000 $I "
     "sleep 1000; $P run --rm --userns auto:size=1000 $I cat "
     "/proc/self/uid_map; $P rm -f -t 0 a", r"^ +0 +1001000 +1000$"),
    ("userns, auto, mappings", "$P run --rm --userns "
     "auto:size=100,uidmapping=50:2000000:1,gidmapping=50:2000000:1 $I "
     "cat /proc/self/uid_map", r"^ +50 +2000000 +1$"),
    ("userns, of another", "$P run -d --name a --userns auto:size=1000 $I "
     "sleep 1000; $P run --rm --userns container:a $I readlink "
     "/proc/self/ns/user >$D/one; $P exec a readlink /proc/self/ns/user "
     ">$D/two; "
     "grep -c user $D/one; cmp $D/one $D/two && echo same; $P rm -f -t 0 a",
     "^1\nsame$"),
    ("userns, by path", "$P run -d --name a --userns auto:size=1000 $I "
     "sleep 1000; n=/proc/$($P inspect a --format '{{.State.Pid}}')/ns/user; "
     "$P run --rm --userns ns:$n $I cat /proc/self/uid_map; echo =$?; "
     "$P rm -f -t 0 a", "^=126\n.*[Pp]ermission denied"),
    ("userns, by names", "$P run --rm --subuidname containers --subgidname "
     "containers $I cat /proc/self/uid_map", r"^ +0 +1000000 "),
    ("userns, terminal", "$P run --rm -t --uidmap 0:10000:1000 $I sh -c "
     "'tty; stat -c %u:%g $(tty)'", "^/dev/pts/0\n0:"),
    ("userns, exec", "$P run -d --name a --uidmap 0:10000:1000 --user 5 $I "
     "sleep 1000; $P exec a sh -c 'id; grep CapEff /proc/self/status'; "
     "$P exec -u 0 a sh -c 'id; grep CapEff /proc/self/status'; "
     "$P exec -t a tty; $P rm -f -t 0 a",
     "uid=5.*uid=0.*CapEff:\t00000000[0-9a-f]*[1-9a-f][0-9a-f]*\n/dev/pts"),
    ("userns, volume", "mkdir -p $D/v; chown 10005 $D/v; chmod 700 $D/v; "
     "$P run --rm --uidmap 0:10000:1000 --user 5 -v $D/v:/v $I touch /v/f; "
     "stat -c %u $D/v/f; rm -r $D/v", "^10005$"),
    ("userns, volume with owner", "mkdir -p $D/v; $P run --rm --uidmap "
     "0:10000:1000 --user 7 -v $D/v:/v:U $I touch /v/f; stat -c %u $D/v "
     "$D/v/f; "
     "rm -r $D/v", "^10007\n10007$"),
    ("userns, network of another", "$P run -d --name a --network none $I "
     "sleep 1000; $P run --rm --uidmap 0:10000:1000 --network container:a $I "
     "ip link | grep -c mtu; $P rm -f -t 0 a", "^1$"),
    ("userns, host's network", "$P run --rm --uidmap 0:10000:1000 --network "
     "host $I readlink /proc/self/ns/net >$D/one; readlink /proc/self/ns/net "
     ">$D/two; cmp $D/one $D/two && echo same", "^same$"),
    ("userns, host's processes", "$P run --rm --uidmap 0:10000:1000 --pid host "
     "$I readlink /proc/self/ns/pid >$D/one; readlink /proc/self/ns/pid "
     ">$D/two; cmp $D/one $D/two && echo same", "^same$"),

    # ---- namespaces of another
    ("shared pids, killed", "$P run -d --name a $I sleep 1000; "
     "$P run -d --name b --pid container:a $I sleep 2000; "
     "$P run --rm --pid container:a $I sh -c 'ps | grep -c \"[s]leep\"'; "
     "$P rm -f -t 0 b; $P exec a ps | grep -c '[s]leep'; $P rm -f -t 0 a",
     "^2\n.*^1$"),
    ("shared pids, exec", "$P run -d --name a $I sleep 1000; "
     "$P run -d --name b --pid container:a $I sleep 2000; "
     "$P exec b sh -c 'cat /proc/1/cmdline | tr \"\\0\" \" \"'; "
     "$P rm -f -t 0 b; $P rm -f -t 0 a", "^sleep 1000"),
    ("shared pids, of one that has not begun", "$P create --name a $I sleep "
     "1000; $P run --rm --pid container:a $I sh -c 'ps | grep -c [s]leep'; "
     "$P rm -f -t 0 a", "^1$"),
    ("shared uts", "$P run -d --name a -h first $I sleep 1000; "
     "$P run --rm --uts container:a $I hostname; $P rm -f -t 0 a", "^first$"),
    ("shared ipc, memory", "$P run -d --name a $I sh -c 'echo x >/dev/shm/f; "
     "sleep 1000'; $P exec a sh -c 'until [ -s /dev/shm/f ]; do sleep 0.1; "
     "done'; "
     "$P run --rm --ipc container:a $I cat /dev/shm/f; $P rm -f -t 0 a", "^x$"),
    ("no ipc", "$P run --rm --ipc none $I sh -c 'mount | grep -c /dev/shm'; "
     "true", "^0$"),
    ("shared cgroup namespace", "$P run -d --name a --cgroupns private $I "
     "sleep 1000; $P run --rm --cgroupns container:a $I readlink "
     "/proc/self/ns/cgroup >$D/one; $P exec a readlink /proc/self/ns/cgroup "
     ">$D/two; cmp $D/one $D/two && echo same; $P rm -f -t 0 a", "^same$"),
    ("private cgroup namespace", "$P run --rm --cgroupns private $I "
     "sed -n 's/.*:memory://p' /proc/self/cgroup", "^/$"),
    ("host's cgroup namespace", "$P run --rm --cgroupns host $I "
     "sed -n 's/.*:memory://p' /proc/self/cgroup", "^/libpod_parent/"),
    ("all of another", "$P run -d --name a -h first $I sleep 1000; "
     "for n in net ipc uts pid; do set -- $($P run --rm --$n container:a $I "
     "readlink /proc/self/ns/$n) $($P exec a readlink /proc/self/ns/$n); "
     "[ $1 = $2 ] && echo $n; done; $P rm -f -t 0 a", "^net\nipc\nuts\npid$"),
    ("by path", "$P run -d --name a -h first $I sleep 1000; "
     "n=/proc/$($P inspect a --format '{{.State.Pid}}')/ns; "
     "$P run --rm --network ns:$n/net --uts ns:$n/uts --ipc ns:$n/ipc "
     "--pid ns:$n/pid $I hostname; $P rm -f -t 0 a", "^first$"),
]
