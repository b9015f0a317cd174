"""podman run by an ordinary user, who has subordinate ids.

As in steps_verbs.py. On cgroup v1 podman asks a user's runtime for no cgroup,
and itself refuses what needs one: pausing, statistics, limits, updates.
"""

STEPS = [
    ("run", "$P run --rm $I echo hello", "^hello$"),
    ("exit code", "$P run --rm $I sh -c 'exit 7'; echo =$?", "^=7$"),
    ("missing program", "$P run --rm $I no-such-program; echo =$?", "=127$"),
    ("maps", "$P run --rm $I cat /proc/self/uid_map /proc/self/gid_map "
     "/proc/self/setgroups",
     r"^ +0 +54321 +1\n +1 +700000 +65536\n +0 +54321 +1\n.*^allow$"),
    ("terminal", "$P run --rm -t $I sh -c 'tty; stat -c %u $(tty)'",
     "^/dev/pts/0\n0"),
    ("input", "echo in | $P run --rm -i $I cat", "^in$"),
    ("user", "$P run --rm --user 5:6 $I sh -c 'id; grep Cap "
     "/proc/self/status'", "^uid=5.* gid=6.*CapEff:\t0000000000000000"),
    ("user beyond the ids", "$P run --rm --user 99999 $I id; echo =$?",
     "=12[67]$"),
    ("groups", "$P run --rm --group-add 7 $I id -G", "7"),
    ("files of several owners", "$P run --rm $I sh -c 'touch /f; chown 5:6 /f; "
     "stat -c %u:%g /f'", "^5:6$"),
    ("masks", "$P run --rm $I sh -c 'cat /proc/keys | wc -c; touch "
     "/proc/sys/x; grep -c \" /proc/\" /proc/mounts'", "^0\n"),
    ("own folders of /proc and /sys", "$P run --rm $I sh -c 'grep -E "
     "\"^(proc|sysfs|mqueue|devpts|shm) \" /proc/mounts | sed \"s/,.*//\" | "
     "sort'", "^proc /proc proc rw\n.*^sysfs /sys sysfs ro$"),
    ("devices", "$P run --rm $I sh -c 'cd /dev; for i in null zero full random "
     "urandom tty; do test -c $i && echo $i; done; head -c 1 zero | wc -c; "
     "echo x >null; readlink fd; readlink ptmx'", "^null\nzero\nfull.*^1\n"),
    ("device of the machine", "$P run --rm --device /dev/zero:/dev/z $I sh -c "
     "'head -c 1 /dev/z | wc -c'", "^1$"),
    ("capabilities", "$P run --rm --cap-drop all --cap-add chown $I grep Cap "
     "/proc/self/status", "CapEff:\t0000000000000001"),
    ("privileged", "$P run --rm --privileged $I sh -c 'grep CapEff "
     "/proc/self/status; mount -t tmpfs tmpfs /mnt 2>/dev/null; ls /dev | "
     "grep -c null'", "CapEff:\t000001f.*^1$"),
    ("filter", "$P run --rm $I grep Seccomp: /proc/self/status; $P run --rm "
     "--security-opt seccomp=unconfined $I grep Seccomp: /proc/self/status",
     "2\n.*0$"),
    ("unmask", "$P run --rm --security-opt unmask=ALL $I grep -c ' /proc/' "
     "/proc/mounts; true", "^0$"),
    ("mask", "$P run --rm --security-opt mask=/etc $I sh -c 'ls /etc | wc -l'",
     "^0$"),
    ("init", "$P run --rm --init $I cat /proc/1/comm", "^podman-init$"),
    ("read-only root", "$P run --rm --read-only $I touch /x; echo =$?",
     "^=1\n.*Read-only"),
    ("tmpfs", "$P run --rm --tmpfs /t:size=64k,mode=711 $I sh -c 'stat -c %a "
     "/t; grep \" /t \" /proc/mounts'", "^711\n.*size=64k"),
    ("volumes", "mkdir -p $D/v; echo x >$D/v/f; $P run --rm -v $D/v:/v:ro $I "
     "sh -c 'cat /v/f; touch /v/g'; rm -r $D/v; $P volume create vol; $P run "
     "--rm -v vol:/v $I sh -c 'echo kept >/v/f'; $P run --rm -v vol:/v $I cat "
     "/v/f; $P volume rm vol", "^x\n.*^kept\n.*Read-only"),
    ("rlimits", "$P run --rm --ulimit nofile=100:200 $I sh -c 'ulimit -n; "
     "ulimit -Hn'", "^100\n200$"),
    ("rlimit that only root may raise", "$P run --rm --ulimit "
     "nofile=99999999:99999999 $I true; echo =$?", "=[0-9]+$"),
    ("sysctl", "$P run --rm --sysctl net.ipv4.ip_default_ttl=50 $I cat "
     "/proc/sys/net/ipv4/ip_default_ttl", "^50$"),
    ("score", "$P run --rm --oom-score-adj 500 $I cat "
     "/proc/self/oom_score_adj", "^500$"),
    ("low score", "$P run --rm --oom-score-adj=-500 $I cat "
     "/proc/self/oom_score_adj; echo =$?", "=[0-9]+$"),

    # ---- maps
    ("keep-id", "$P run --rm --userns keep-id $I sh -c 'id; cat "
     "/proc/self/uid_map; grep CapEff /proc/self/status; echo x >/tmp/f; "
     "stat -c %u /tmp/f'", "^uid=54321.*CapEff:\t0000000000000000\n54321$"),
    ("keep-id, volume", "mkdir -p $D/v; $P run --rm --userns keep-id -v "
     "$D/v:/v $I touch /v/f; stat -c %u $D/v/f; rm -r $D/v", "^54321$"),
    ("keep-id, as another", "$P run --rm --userns keep-id --user 0 $I sh -c "
     "'id -u; chown 5 /tmp && echo may'", "^0\nmay$"),
    ("keep-id, exec and terminal", "$P run -d --name a --userns keep-id $I "
     "sleep 1000; $P exec a id -u; $P exec -u 0 a id -u; $P exec -t a tty; "
     "$P rm -f -t 0 a", "^54321\n0\n/dev/pts"),
    ("nomap", "$P run --rm --userns nomap $I sh -c 'id -u; cat "
     "/proc/self/uid_map'", r"^0\n +0 +1 +65536$"),
    ("auto", "$P run --rm --userns auto:size=1000 $I cat /proc/self/uid_map",
     r"^ +0 +1 +1000$"),
    ("host", "$P run --rm --userns host $I cat /proc/self/uid_map",
     r"^ +0 +54321 +1$"),
    ("mappings of the caller", "$P run --rm --uidmap 0:1:500 --gidmap 0:1:500 "
     "$I cat /proc/self/uid_map", r"^ +0 +1 +500$"),
    ("groups that are kept", "$P run --rm --group-add keep-groups $I sh -c "
     "'id -G; grep Groups /proc/self/status'", "Groups:"),
    ("annotation, groups", "$P run --rm --annotation "
     "run.oci.keep_original_groups=1 $I grep Groups /proc/self/status",
     "Groups:"),

    # ---- network
    ("own network", "$P run --rm $I ip -4 addr show tap0",
     r"inet 10\.0\.2\.100/24"),
    ("own network, traffic", "mkdir -p $D/www; echo page >$D/www/index.html; "
     "busybox httpd -f -p 127.0.0.1:8765 -h $D/www & n=$!; "
     "$P run --rm --network slirp4netns:allow_host_loopback=true $I sh -c "
     "'i=0; until wget -qO- http://10.0.2.2:8765/; do i=$((i+1)); "
     "[ $i -lt 100 ] || exit; sleep 0.1; done 2>/dev/null'; kill $n",
     "^page$"),
    ("port", "$P run -d --name a -p 127.0.0.1:8766:80 $I sh -c "
     "'echo page >/tmp/index.html; httpd -f -p 80 -h /tmp'; i=0; "
     "until busybox wget -qO- http://127.0.0.1:8766/; do i=$((i+1)); "
     "[ $i -lt 100 ] || exit; sleep 0.1; done 2>/dev/null; $P rm -f -t 0 a",
     "^page$"),
    ("no network", "$P run --rm --network none $I ls /sys/class/net", "^lo$"),
    ("host's network", "$P run --rm --network host $I readlink "
     "/proc/self/ns/net >$D/one; readlink /proc/self/ns/net >$D/two; "
     "cmp $D/one $D/two && echo same", "^same$"),
    ("host's processes", "$P run --rm --pid host $I readlink "
     "/proc/self/ns/pid >$D/one; readlink /proc/self/ns/pid >$D/two; "
     "cmp $D/one $D/two && echo same", "^same$"),
    ("host's ipc and uts", "$P run --rm --ipc host --uts host $I echo ok",
     "^ok$"),
    ("all of the host", "$P run --rm --network host --pid host --ipc host "
     "--uts host $I echo ok", "^ok$"),

    # ---- what lives on
    ("background", "$P run -d --name a $I sh -c 'echo line; sleep 1000'; "
     "$P inspect -f '{{.State.Status}}' a", "^running$"),
    ("exec", "$P exec a id; $P exec -e A=b -w /tmp -u 5:6 a sh -c "
     "'echo $A; pwd; id'", "^b\n/tmp\nuid=5.* gid=6"),
    ("exec, exit code", "$P exec a sh -c 'exit 5'; echo =$?", "^=5$"),
    ("exec, missing program", "$P exec a no-such-program; echo =$?", "=127$"),
    ("exec, terminal", "$P exec -t a sh -c 'tty; stat -c %u $(tty)'",
     "^/dev/pts/0\n0"),
    ("exec, descriptors", "echo three >$D/3; $P exec --preserve-fds 1 a sh -c "
     "'cat <&3' 3<$D/3", "^three$"),
    ("exec, background", "$P exec -d a touch /made; $P exec a sh -c "
     "'until [ -e /made ]; do sleep 0.1; done; ls /made'", "^/made$"),
    ("exec, privileged", "$P exec --privileged a grep CapEff "
     "/proc/self/status", "CapEff:\t000001f"),
    ("logs and top", "$P logs a; $P top a user,comm; $P top a huser,comm",
     "^line\n.*^root +sleep\n.*^54321 +sleep\n"),
    ("copies", "echo text >$D/f; $P cp $D/f a:/tmp/f; $P exec a cat /tmp/f; "
     "$P cp a:/etc/group $D/g; cat $D/g", "^text\n"),
    ("commit", "$P exec a touch /changed; $P commit -q a suite:new; "
     "$P run --rm suite:new ls /changed; $P rmi -f suite:new | "
     "grep -c Untagged", "^/changed\n1$"),
    ("pause", "$P pause a; echo =$?", "^=125\n.*cgroup V1"),
    ("stats", "$P stats --no-stream a; echo =$?", "^=125\n.*cgroups v2$"),
    ("shared", "$P run --rm --pid container:a --network container:a --ipc "
     "container:a --uts container:a $I sh -c 'ps | grep -c [s]leep'", "1$"),
    ("shared user namespace", "$P run -d --userns keep-id --name k $I sleep "
     "1000; $P run --rm --userns container:k $I readlink "
     "/proc/self/ns/user >$D/one; $P exec k readlink /proc/self/ns/user "
     ">$D/two; cmp $D/one $D/two && echo same; $P rm -f -t 0 k", "^same$"),
    ("kill", "$P kill -s USR1 a; $P kill a; $P wait a", "^(137|138)$"),
    ("restart", "$P restart -t 0 a; $P inspect -f '{{.State.Status}}' a",
     "^running$"),
    ("stop", "$P stop -t 1 a; $P inspect a --format "
     "'{{.State.Status}} {{.State.ExitCode}}'", "^exited 137$"),
    ("rm", "$P rm a; $P ps -aq | wc -l", "^0$"),
    ("timeout", "$P run --rm --timeout 1 $I sleep 1000; echo =$?", "=255|=137"),
    ("clone", "$P run -d --name a $I sleep 1000; $P container clone --run a b; "
     "$P exec b echo in; $P rm -f -t 0 a b | wc -l", "^in$"),
    ("healthcheck", "$P run -d --name a --health-cmd 'test -e /ok' "
     "--health-interval disable $I sleep 1000; $P healthcheck run a; "
     "$P exec a touch /ok; $P healthcheck run a; echo =$?; $P rm -f -t 0 a",
     "unhealthy.*^=0$"),
    ("pod", "$P pod create --name p; $P run -d --pod p --name a $I sleep 1000; "
     "$P run -d --pod p --name b $I sleep 1000; for n in user net ipc uts pid; "
     "do [ $($P exec a readlink /proc/self/ns/$n) = "
     "$($P exec b readlink /proc/self/ns/$n) ] && echo $n; done; "
     "$P pod stop -t 0 p | wc -l; $P pod rm -f -t 0 p | wc -l",
     "^user\nnet\nipc\nuts\n"),
    ("pod, keep-id", "$P pod create --name p --userns keep-id; $P run --rm "
     "--pod p $I id -u; $P pod rm -f -t 0 p", "^54321$"),
    ("kube play", "$P kube play --network none $D/two.yaml | grep -c .; "
     "$P exec two-one sh -c 'hostname; id; echo $WORD; cat /conf/key; "
     "echo; echo made >/shared/made'; $P exec two-two cat /shared/made; "
     "$P pod rm -f -t 0 two", "^two\nuid=5\\S* gid=6.*^word\nvalue.*^made$"),
    ("hook", "mkdir -p $D/hooks; cp $D/hook.json $D/hooks/; $P --hooks-dir "
     "$D/hooks run --rm $I true; cat $D/hooked", "^hooked$"),
    ("build", "printf 'FROM %s\\nRUN echo built >/b; id -u\\n' $I "
     ">$D/Containerfile; $P build -q --network none -t suite:built $D "
     ">/dev/null; $P run --rm suite:built cat /b; $P rmi -f suite:built | "
     "grep -c Untagged", "^built$"),
    ("root from a folder", "$P run --rm --rootfs $D/image sh -c 'touch /made; "
     "ls -d /made'", "^/made$"),
    ("no cgroup", "$P run --rm --cgroups disabled $I echo ok; echo =$?",
     {"runc": "^=125\n.*NoCgroups", "crun": "^ok\n=0$"}),
    ("limits are ignored", "$P run --rm -m 64m $I echo ok", "^ok$"),
    ("checkpoint", "$P run -d --name a $I sleep 1000; $P container checkpoint "
     "a; echo =$?; $P rm -f -t 0 a", "^=125\n.*root$"),
    ("overlay storage", "O=$(echo $P | sed 's/--storage-driver vfs/--root "
     "D\\/o --runroot D\\/or --storage-driver overlay/' | sed "
     "\"s|D/|$D/|g\"); tar -C $D/image -c . | $O import - $I >/dev/null 2>&1; "
     "$O run --rm $I /bin/sh -c '/bin/echo x >/made; /bin/cat /made; /bin/grep "
     "-c \"^overlay / \\|^fuse-overlayfs / \" /proc/mounts'; $O system migrate",
     "^x\n1$"),
]
