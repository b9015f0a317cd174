"""What podman asks of any runtime, as root.

Name, and what a shell runs: $P is podman with its options, $I an image of
busybox, $D a folder, $RUNTIME the runtime.
"""

STEPS = [
    ("run", "$P run --rm $I echo hello"),
    ("exit code", "$P run --rm $I sh -c 'exit 7'"),
    ("missing program", "$P run --rm $I no-such-program"),
    ("program that may not run", "$P run --rm $I /etc/passwd"),
    ("standard input", "echo in | $P run --rm -i $I cat"),
    ("standard error", "$P run --rm $I sh -c 'echo err >&2'"),
    ("terminal", "$P run --rm -t $I tty"),
    ("user", "$P run --rm --user 5:6 $I id"),
    ("groups", "$P run --rm --group-add 7 $I id -G"),
    ("environment", "$P run --rm -e A=b $I sh -c 'echo $A'"),
    ("directory", "$P run --rm -w /tmp $I pwd"),
    ("host name", "$P run --rm -h name $I hostname"),
    ("read-only root", "$P run --rm --read-only $I touch /x"),
    ("tmpfs", "$P run --rm --tmpfs /t:size=64k $I grep ' /t ' /proc/mounts"),
    ("bind", "mkdir -p $D/v; echo x >$D/v/f; "
             "$P run --rm -v $D/v:/v:ro $I sh -c 'cat /v/f; touch /v/g'"),
    ("capabilities", "$P run --rm --cap-drop all --cap-add chown $I "
                     "grep Cap /proc/self/status"),
    ("privileged", "$P run --rm --privileged $I "
                   "sh -c 'grep CapEff /proc/self/status; ls /dev | wc -l'"),
    ("no new privileges", "$P run --rm --security-opt no-new-privileges $I "
                          "grep NoNewPrivs /proc/self/status"),
    ("filter", "$P run --rm $I grep Seccomp: /proc/self/status"),
    ("no filter", "$P run --rm --security-opt seccomp=unconfined $I "
                  "grep Seccomp: /proc/self/status"),
    ("masks", "$P run --rm $I sh -c 'cat /proc/keys | wc -c; "
              "touch /proc/sys/x'"),
    ("memory", "$P run --rm -m 64m $I "
               "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ("out of memory", "$P run --rm -m 16m $I "
                      "sh -c 'x=$(head -c 64000000 /dev/zero | tr \"\\0\" x)'"),
    ("processor", "$P run --rm --cpus 0.5 $I "
                  "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    ("processes", "$P run --rm --pids-limit 50 $I "
                  "cat /sys/fs/cgroup/pids/pids.max"),
    ("no limit of processes", "$P run --rm --pids-limit -1 $I sh -c 'ls | wc "
     "-l'"),
    ("rlimits", "$P run --rm --ulimit nofile=100:200 --ulimit nproc=500:500 $I "
                "sh -c 'ulimit -n; ulimit -Hn'"),
    ("sysctl", "$P run --rm --sysctl net.ipv4.ip_forward=1 $I "
               "cat /proc/sys/net/ipv4/ip_forward"),
    ("device", "$P run --rm --device /dev/null:/dev/other $I "
               "test -c /dev/other"),
    ("init", "$P run --rm --init $I sh -c 'readlink /proc/1/exe || "
             "cat /proc/1/comm'"),
    ("no network", "$P run --rm --network none $I ip link"),
    ("host's network", "$P run --rm --network host $I true"),
    ("host's processes", "$P run --rm --pid host $I sh -c "
                         "'test -d /proc/2 && echo yes'"),
    ("host's ipc and uts", "$P run --rm --ipc host --uts host $I true"),
    ("user namespace", "$P run --rm --uidmap 0:10000:1000 --gidmap "
     "0:10000:1000 "
                       "$I cat /proc/self/uid_map"),
    ("user namespace, another user",
     "$P run --rm --uidmap 0:10000:1000 --gidmap 0:10000:1000 --user 3 $I id"),
    ("volume", "$P volume create vol; $P run --rm -v vol:/v $I "
               "sh -c 'echo kept >/v/f'; $P run --rm -v vol:/v $I cat /v/f; "
               "$P volume rm vol"),
    ("volume of an image's folder",
     "$P run --rm -v copied:/etc $I cat /etc/passwd; $P volume rm copied"),
    ("secret", "echo word | $P secret create sec -; "
               "$P run --rm --secret sec $I cat /run/secrets/sec; "
               "$P secret rm sec"),
    ("timeout", "$P run --rm --timeout 1 $I sleep 100"),
    ("create and start", "$P create --name one $I echo started; "
                         "$P start -a one; $P rm one"),
    ("background", "$P run -d --name a $I sh -c 'echo line; sleep 1000'"),
    ("ps", "$P ps --format '{{.Names}} {{.Image}} {{.State}}'"),
    ("inspect", "$P inspect a --format '{{.State.Status}} {{.OCIRuntime}} "
                "{{.State.ExitCode}}' | sed \"s|$RUNTIME|RUNTIME|\""),
    ("logs", "$P logs a"),
    ("exec", "$P exec a id"),
    ("exec, exit code", "$P exec a sh -c 'exit 5'"),
    ("exec, missing program", "$P exec a no-such-program"),
    ("exec, options", "$P exec -e A=b -w /tmp -u 5:6 a sh -c 'echo $A; pwd; "
     "id'"),
    ("exec, terminal", "$P exec -t a tty"),
    ("exec, input", "echo in | $P exec -i a cat"),
    ("exec, background", "$P exec -d a touch /made; "
                         "$P exec a timeout 30 sh -c 'until [ -e /made ]; do "
                         "sleep 0.1; done; ls /made'"),
    ("exec, privileged", "$P exec --privileged a grep CapEff "
                         "/proc/self/status"),
    ("top", "$P top a comm"),
    ("stats", "$P stats --no-stream --format '{{.Name}}' a"),
    ("pause", "$P pause a; $P ps --format '{{.State}}'; $P exec a true"),
    ("unpause", "$P unpause a; $P ps --format '{{.State}}'"),
    ("cp into", "echo text >$D/f; $P cp $D/f a:/tmp/f; $P exec a cat /tmp/f"),
    ("cp from", "$P cp a:/etc/passwd $D/p; cat $D/p"),
    ("diff", "$P exec a touch /changed; $P diff a | grep changed"),
    ("update", "$P update --memory 100m a"),
    ("commit", "$P commit -q a suite:new; $P run --rm suite:new ls /changed; "
               "$P rmi -f suite:new"),
    ("export", "$P export a | tar t | grep -c changed"),
    ("port", "$P port a"),
    ("kill", "$P kill -s USR1 a; $P kill a; $P wait a"),
    ("restart", "$P restart -t 0 a; $P ps --format '{{.State}}'"),
    ("stop", "$P stop -t 1 a; $P inspect a --format "
             "'{{.State.Status}} {{.State.ExitCode}}'"),
    ("rm", "$P rm a; $P ps -a --format '{{.Names}}'"),
    ("rm of one that runs", "$P run -d --name b $I sleep 1000; $P rm b; "
                            "$P rm -f -t 0 b"),
    ("restart policy", "$P run --name c --restart on-failure:1 $I false; "
                       "$P inspect c --format '{{.RestartCount}}'; $P rm -f c"),
    ("healthcheck", "$P run -d --name h --health-cmd 'test -e /ok' "
                    "--health-interval disable $I sleep 1000; "
                    "$P healthcheck run h; $P exec h touch /ok; "
                    "$P healthcheck run h; $P rm -f -t 0 h"),
    ("pod", "$P pod create --name p --infra=false; "
            "$P run -d --pod p --name p1 $I sleep 1000; "
            "$P pod ps --format '{{.Name}} {{.Status}}'"),
    ("pod, a second", "$P run --rm --pod p $I echo second"),
    ("pod, pause", "$P pod pause p; $P pod unpause p"),
    ("pod, stop", "$P pod stop -t 0 p; $P pod start p"),
    ("pod, inspect", "$P pod inspect p --format '{{.State}}'"),
    ("pod, rm", "$P pod rm -f -t 0 p; $P pod ps -q"),
    ("shared pids", "$P run -d --name s $I sleep 1000; "
                    "$P run --rm --pid container:s $I sh -c "
                    "'ps | grep -c [s]leep'"),
    ("shared network", "$P run --rm --network container:s $I true"),
    ("shared ipc", "$P run --rm --ipc container:s $I true; $P rm -f -t 0 s"),
    ("kube play", "$P kube play $D/pod.yaml --network none | grep -c .; "
                  "$P exec kp-one echo inside; $P kube play --down $D/pod.yaml "
                  "| grep -c ."),
    ("kube generate", "$P run -d --name g $I sleep 1000; "
                      "$P kube generate g | grep -c 'image:'; "
                      "$P rm -f -t 0 g"),
    ("hook", "mkdir -p $D/hooks; cp $D/hook.json $D/hooks/; "
             "$P --hooks-dir $D/hooks run --rm $I true; cat $D/hooked"),
    ("build", "printf 'FROM %s\\nRUN echo built >/b\\n' $I >$D/Containerfile; "
              "$P build -q --network none -t suite:built $D >/dev/null; "
              "$P run --rm suite:built cat /b; $P rmi -f suite:built"),
    ("prune", "$P system prune -f | grep -c ."),
]
