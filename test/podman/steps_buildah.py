"""buildah, whose `run` is the runtime's caller without conmon between.

As in steps_verbs.py; $B is buildah with its options, $R its options of what
runs, $C a working container that all steps have. The same for root and for an
ordinary user; BOTH are for both, ROOT for root.
"""



BOTH = [
    ("from, run", "$B run $R $C echo hello", "^hello$"),
    ("exit code", "$B run $R $C sh -c 'exit 7'; echo =$?", "=7$"),
    ("missing program", "$B run $R $C no-such-program; echo =$?", "=[1-9]"),
    ("input", "echo in | $B run $R $C cat", "^in$"),
    ("error", "$B run $R $C sh -c 'echo err >&2' 2>&1 >/dev/null", "^err$"),
    ("terminal", "script -qec \"$B run $R -t $C sh -c 'tty; stat -c %u "
     "/dev/console'\" /dev/null </dev/null | tr -d '^@'",
     "^/dev/pts/0\n0$"),
    ("user", "$B run $R --user 5:6 $C sh -c 'id; grep Cap /proc/self/status'",
     "uid=5 gid=6"),
    ("environment", "$B run $R -e A=b $C sh -c 'echo $A'", "^b$"),
    ("folder", "$B run $R --workingdir /tmp $C pwd", "^/tmp$"),
    ("host name", "$B run $R --hostname named $C hostname", "^named$"),
    ("capabilities", "$B run $R --cap-drop CAP_CHOWN --cap-add CAP_SYS_TIME $C "
     "grep Cap /proc/self/status", "CapBnd:\t00000000820405fa"),
    ("filter", "$B run $R $C grep Seccomp: /proc/self/status", "2$"),
    ("masks", "$B run $R $C sh -c 'cat /proc/keys | wc -c; touch /proc/sys/x; "
     "grep -c \" /proc/\" /proc/mounts'", "^0\n"),
    ("no network", "$B run $R --network none $C ls /sys/class/net", "^lo$"),
    ("host's network", "$B run $R --network host $C readlink "
     "/proc/self/ns/net >$D/one; readlink /proc/self/ns/net >$D/two; "
     "cmp $D/one $D/two && echo same", "^same$"),
    ("host's processes", "$B run $R --pid host $C readlink /proc/self/ns/pid "
     ">$D/one; readlink /proc/self/ns/pid >$D/two; cmp $D/one $D/two && "
     "echo same", "^same$"),
    ("host's ipc and uts", "$B run $R --ipc host --uts host $C echo ok",
     "^ok$"),
    ("volume", "mkdir -p $D/v; echo x >$D/v/f; $B run $R -v $D/v:/v:ro $C "
     "sh -c 'cat /v/f; touch /v/g'; rm -r $D/v", "^x\n.*Read-only"),
    ("mounts", "$B run $R --mount type=tmpfs,dst=/t,tmpfs-size=64k $C grep "
     "' /t ' /proc/mounts", "size=64k"),
    ("signal", "$B run $R --pid host $C sh -c 'kill -KILL $$'; echo =$?",
     "=[1-9]"),
    ("files stay", "$B run $R $C sh -c 'echo kept >/kept; chown 5:6 /kept'; "
     "$B run $R $C sh -c 'cat /kept; stat -c %u:%g /kept'", "^kept\n5:6$"),
    ("config", "$B config --env A=c --workingdir /tmp --user 7 $C; "
     "$B run $R $C sh -c 'echo $A; pwd; id -u'; $B config --user 0 "
     "--workingdir / $C", "^c\n/tmp\n7$"),
    ("commit", "$B commit -q $C suite:two >/dev/null; c=$($B from "
     "suite:two); $B run $R $c cat /kept; $B rm $c >/dev/null; $B rmi "
     "suite:two "
     ">/dev/null", "^kept$"),
    ("bud", "printf 'FROM localhost/suite\\nENV A=b\\nRUN echo $A >/b\\n"
     "USER 5\\nWORKDIR /tmp\\nRUN id -u && pwd\\nRUN exit 0\\n' "
     ">$D/Containerfile; $B bud $BR -t suite:bud $D; "
     "$B rmi -f suite:bud >/dev/null", "^5\n/tmp\n"),
    ("bud, failing", "printf 'FROM localhost/suite\\nRUN exit 9\\n' "
     ">$D/Containerfile; $B bud $BR -t suite:bud $D; echo =$?", "=9$|=1$"),
    ("bud, mounts", "mkdir -p $D/ctx; echo from context >$D/ctx/f; "
     "echo hidden >$D/word; printf 'FROM localhost/suite\\n"
     "RUN --mount=type=bind,source=f,target=/f cat /f\\n"
     "RUN --mount=type=secret,id=word cat /run/secrets/word\\n"
     "RUN --mount=type=tmpfs,target=/t grep -c \" /t \" /proc/mounts\\n"
     "RUN --mount=type=cache,target=/c echo cached >/c/x\\n"
     "RUN --mount=type=cache,target=/c cat /c/x\\n' >$D/ctx/Containerfile; "
     "$B bud $BR --secret id=word,src=$D/word -t suite:bud $D/ctx; "
     "$B rmi -f suite:bud >/dev/null; rm -r $D/ctx",
     "^from context\n.*^hidden\n.*^1\n.*^cached\n"),
    ("bud, stages", "printf 'FROM localhost/suite AS one\\nRUN echo made >/m\\n"
     "FROM localhost/suite\\nCOPY --from=one /m /n\\nRUN cat /n\\n' "
     ">$D/Containerfile; $B bud $BR -t suite:bud $D; "
     "$B rmi -f suite:bud >/dev/null", "^made\n"),
    ("bud, options", "printf 'FROM localhost/suite\\nRUN hostname; ulimit -n; "
     "ls -d /v; grep Cap /proc/self/status; df -k /dev/shm | tail -1 | tr -s "
     "\" \" | cut -d\" \" -f2\\n' >$D/Containerfile; mkdir -p $D/v; $B bud $BR "
     "--ulimit nofile=64:128 --cap-drop all --cap-add kill --shm-size 1m -v "
     "$D/v:/v:ro -t suite:bud $D; $B rmi -f suite:bud >/dev/null; rm -r $D/v",
     "^64\n/v\n.*CapBnd:\t0000000000000020.*^1024\n"),
    ("bud, filter of the caller", "printf 'FROM localhost/suite\\nRUN mkdir "
     "/x || echo refused\\n' >$D/Containerfile; $B bud $BR --security-opt "
     "seccomp=$D/seccomp.json -t suite:bud $D; "
     "$B rmi -f suite:bud >/dev/null", "^refused\n.*Permission denied$"),
    ("bud, shell and process", "printf 'FROM localhost/suite\\nRUN [\"sh\", "
     "\"-c\", \"cat /proc/1/comm; echo /proc/[0-9]*\"]\\n' >$D/Containerfile; "
     "$B bud $BR -t suite:bud $D; $B rmi -f suite:bud >/dev/null",
     "^sh\n/proc/1\n"),
]

ROOT = [
    ("limits", "printf 'FROM localhost/suite\\nRUN cat "
     "/sys/fs/cgroup/memory/memory.limit_in_bytes "
     "/sys/fs/cgroup/cpu/cpu.shares\\n' >$D/Containerfile; $B bud $BR --memory "
     "64m --cpu-shares 300 -t suite:bud $D; $B rmi -f suite:bud >/dev/null",
     "^67108864\n300\n"),
    ("user namespace", "C2=$($B from --userns-uid-map 0:10000:1000 "
     "--userns-gid-map 0:10000:1000 localhost/suite); $B run $R $C2 cat "
     "/proc/self/uid_map; $B rm $C2 >/dev/null", r"^ +0 +10000 +1000$"),
    ("device", "$B run $R --device /dev/zero:/dev/z $C sh -c 'head -c 1 /dev/z "
     "| wc -c'; echo =$?", "=[0-9]+$"),
    ("parent of the cgroup", "printf 'FROM localhost/suite\\nRUN sed -n "
     "s/.*:pids://p /proc/self/cgroup\\n' >$D/Containerfile; $B bud $BR "
     "--cgroup-parent /suite-build -t suite:bud $D; $B rmi -f suite:bud "
     ">/dev/null; for i in /sys/fs/cgroup/*/suite-build; do rmdir $i; done "
     "2>/dev/null; true", "^/suite-build$"),
    ("descriptors", "$B run $R $C sh -c 'ls /proc/self/fd | "
     "wc -l'", "^4$"),
]
