"""Pods, clones and health checks of podman's.

As in steps_verbs.py: name, script, what the peer's output has to match. An
infra container's image is made by podman itself, of catatonit.
"""

STEPS = [
    # ---- pods
    ("pod with infra, shared", "$P pod create --name p --hostname pod-name; "
     "$P run -d --pod p --name a $I sleep 1000; "
     "$P run -d --pod p --name b $I sleep 1000; for n in net ipc uts pid mnt; "
     "do [ $($P exec a readlink /proc/self/ns/$n) = "
     "$($P exec b readlink /proc/self/ns/$n) ] && echo $n; done; "
     "$P exec a hostname; $P pod rm -f -t 0 p",
     "^net\nipc\nuts\npod-name$"),
    ("pod with infra, pids too", "$P pod create --name p --share pid,net; "
     "$P run -d --pod p --name a $I sleep 1000; $P exec a cat /proc/1/comm; "
     "$P run --rm --pod p $I sh -c 'ps | grep -c [s]leep'; "
     "$P pod rm -f -t 0 p", "catatonit\n1$"),
    ("pod, shared loopback", "$P pod create --name p --network none; "
     "$P run -d --pod p --name a $I sh -c "
     "'echo page >/tmp/index.html; httpd -f -p 127.0.0.1:8000 -h /tmp'; "
     "$P run --rm --pod p $I sh -c 'i=0; until wget -qO- "
     "http://127.0.0.1:8000/; do i=$((i+1)); [ $i -lt 100 ] || exit; sleep "
     "0.1; "
     "done 2>/dev/null'; $P pod rm -f -t 0 p", "^page$"),
    ("pod, shared memory", "$P pod create --name p; "
     "$P run --rm --pod p $I sh -c 'echo kept >/dev/shm/f'; "
     "$P run --rm --pod p $I cat /dev/shm/f; $P pod rm -f -t 0 p", "^kept$"),
    ("pod, user namespace", "$P pod create --name p --userns auto:size=1000; "
     "$P run --rm --pod p $I cat /proc/self/uid_map; $P pod rm -f -t 0 p",
     r" +0 +1000000 +1000"),
    ("pod, cgroup of its own", "$P pod create --name p --cgroup-parent "
     "/suite-pod; $P run --rm --cgroupns host --pod p $I sed -n "
     "'s/.*:pids://p' /proc/self/cgroup; $P pod rm -f -t 0 p; "
     "for i in /sys/fs/cgroup/*/suite-pod; do rmdir $i; done 2>/dev/null; "
     "true", "^/suite-pod/"),
    ("pod, limits", "$P pod create --name p --cpus 0.5 --memory 64m; "
     "$P run -d --pod p --name a $I sleep 1000; $P pod inspect p --format "
     "'{{.CPUQuota}} {{.MemoryLimit}}'; $P pod rm -f -t 0 p", "50000"),
    ("pod, all verbs", "$P pod create --name p; "
     "$P run -d --pod p --name a $I sleep 1000; $P pod pause p | wc -l; "
     "$P pod ps --format '{{.Status}}'; $P pod unpause p | wc -l; "
     "$P pod restart -t 0 p | wc -l; $P pod top p comm | sort | xargs; "
     "$P pod kill p | wc -l; $P pod rm -f -t 0 p | wc -l",
     "^Paused\n.*COMMAND .*sleep"),
    ("pod, stats", "$P pod create --name p; $P run -d --pod p --name a $I "
     "sleep 1000; $P pod stats --no-stream --format '{{.Name}}' p | "
     "grep '^a$'; $P pod rm -f -t 0 p", "^a$"),
    ("pod, clone", "$P pod create --name p; $P create --pod p --name a $I "
     "sleep 1000; $P pod clone --start p q; $P ps --format '{{.Names}}' | "
     "grep '^a-clone'; $P exec a-clone echo in; $P pod rm -f -t 0 p q | wc -l",
     "^a-clone\n.*^in$"),
    ("pod, infra ends last", "$P pod create --name p --exit-policy stop; "
     "$P run --pod p --name a $I true; i=0; until [ $($P pod inspect p "
     "--format '{{.State}}') = Exited ]; do i=$((i+1)); [ $i -lt 100 ] || "
     "break; sleep 0.1; done; $P pod inspect p --format '{{.State}}'; "
     "$P pod rm -f -t 0 p", "^Exited$"),

    # ---- kube
    ("kube, two containers", "$P kube play --network none $D/two.yaml | "
     "grep -c .; $P exec two-one sh -c 'hostname; id; echo $WORD; cat "
     "/conf/key; echo; touch /x; echo made >/shared/made'; $P exec two-two sh "
     "-c "
     "'cat /shared/made; grep CapEff /proc/self/status'; "
     "$P pod rm -f -t 0 two",
     "^two\nuid=5\\S* gid=6.*^word\nvalue.*^made\nCapEff:\t0000000000000020"),
    ("kube, probe", "$P kube play --network none $D/probe.yaml | grep -c .; "
     "$P healthcheck run probe-one; $P exec probe-one touch /ok; "
     "$P healthcheck run probe-one; echo =$?; $P pod rm -f -t 0 probe",
     "unhealthy.*^=0$"),
    ("kube, restarts nothing", "$P kube play --network none $D/once.yaml | "
     "grep -c .; $P wait once-one; $P logs once-one; "
     "$P kube down $D/once.yaml | grep -c .", "^3\ndone$"),
    ("kube, generated and played", "$P pod create --name g --network none; "
     "$P create --pod g --name in-g -e A=b --cap-drop chown $I sh -c "
     "'echo $A; sleep 1000'; $P kube generate g >$D/g.yaml; $P pod rm -f g; "
     "$P kube play --network none $D/g.yaml | grep -c .; "
     "$P exec g-in-g grep CapBnd /proc/self/status; "
     "$P pod rm -f -t 0 g", "CapBnd:\t00000000800405fa"),

    # ---- clones
    ("clone", "$P run -d --name a -e A=b $I sleep 1000; "
     "$P container clone --run a b; $P exec b sh -c 'echo $A'; "
     "$P rm -f -t 0 a b | wc -l", "^b$"),
    ("clone, instead of it", "$P run -d --name a --stop-timeout 1 $I sleep "
     "1000; $P container clone -f --destroy a b; $P start b; "
     "$P inspect -f '{{.State.Status}}' b; $P ps -aq | wc -l; "
     "$P rm -f -t 0 b", "^running\n1$"),
    ("clone, with limits", "$P run -d --name a -m 64m $I sleep 1000; "
     "$P container clone --run --memory 96m --cpus 0.5 a b; $P exec b sh -c "
     "'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes "
     "cpu/cpu.cfs_quota_us'; $P rm -f -t 0 a b | wc -l", "^100663296\n50000$"),

    # ---- health
    ("health, states", "$P run -d --name a --health-cmd 'test -e /ok' "
     "--health-interval disable --health-retries 1 $I sleep 1000; "
     "$P healthcheck run a; echo =$?; $P inspect a --format "
     "'{{.State.Health.Status}}'; $P exec a touch /ok; $P healthcheck run a; "
     "echo =$?; $P inspect a --format '{{.State.Health.Status}}'; "
     "$P rm -f -t 0 a", "=1\nunhealthy\n=0\nhealthy$"),
    ("health, output", "$P run -d --name a --health-cmd 'echo said; exit 3' "
     "--health-interval disable $I sleep 1000; $P healthcheck run a; "
     "$P inspect a --format '{{range .State.Health.Log}}{{.ExitCode}} "
     "{{.Output}}{{end}}'; $P rm -f -t 0 a", "^1 said"),
    ("health, missing program", "$P run -d --name a --health-cmd "
     "'[\"/none\"]' --health-interval disable $I sleep 1000; "
     "$P healthcheck run a; echo =$?; $P rm -f -t 0 a", "=1(25)?$"),
    ("health, kill when bad", "$P run -d --name a --health-cmd false "
     "--health-interval disable --health-retries 1 --health-on-failure kill $I "
     "sleep 1000; $P healthcheck run a; $P wait a; $P rm -f -t 0 a",
     "^137$"),
    ("health, of a paused", "$P run -d --name a --health-cmd true "
     "--health-interval disable $I sleep 1000; $P pause a; "
     "$P healthcheck run a; echo =$?; $P unpause a; $P rm -f -t 0 a",
     "=125$"),
]
