"""Files that the steps find in their folder, which FOLDER stands for."""

FILES = {
    "two.yaml": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  key: value
---
apiVersion: v1
kind: Pod
metadata:
  name: two
spec:
  containers:
  - name: one
    image: localhost/suite:latest
    imagePullPolicy: Never
    command: [sleep, "1000"]
    env:
    - {name: WORD, value: word}
    securityContext:
      runAsUser: 5
      runAsGroup: 6
      readOnlyRootFilesystem: true
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: shared, mountPath: /shared}
  - name: two
    image: localhost/suite:latest
    imagePullPolicy: Never
    command: [sleep, "1000"]
    securityContext:
      capabilities: {drop: [ALL], add: [KILL]}
    volumeMounts:
    - {name: shared, mountPath: /shared}
  volumes:
  - name: conf
    configMap: {name: settings}
  - name: shared
    hostPath: {path: FOLDER/shared, type: Directory}
""",
    "probe.yaml": """
apiVersion: v1
kind: Pod
metadata:
  name: probe
spec:
  restartPolicy: Never
  containers:
  - name: one
    image: localhost/suite:latest
    imagePullPolicy: Never
    command: [sleep, "1000"]
    livenessProbe:
      exec: {command: [test, -e, /ok]}
      initialDelaySeconds: 0
      failureThreshold: 1
      periodSeconds: 10000
""",
    "once.yaml": """
apiVersion: v1
kind: Pod
metadata:
  name: once
spec:
  restartPolicy: Never
  containers:
  - name: one
    image: localhost/suite:latest
    imagePullPolicy: Never
    command: [sh, -c, "echo done; exit 3"]
""",
    # mkdir is refused with EACCES, the mode 777 with EPERM.
    "seccomp.json": """
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
 {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
 {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
  "args": [{"index": 1, "value": 511, "op": "SCMP_CMP_EQ"}]}]}
""",
    "kill.json": """
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
 {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}
""",
    "hook.json": """
{"version": "1.0.0", "when": {"always": true}, "stages": ["prestart"],
 "hook": {"path": "/bin/sh",
          "args": ["sh", "-c", "cat >/dev/null; echo hooked >FOLDER/hooked"]}}
""",
    "says.json": """
{"version": "1.0.0", "when": {"always": true}, "stages": ["prestart"],
 "hook": {"path": "/bin/sh",
          "args": ["sh", "-c", "cat >/dev/null; echo out; echo err >&2"]}}
""",
    "fails.json": """
{"version": "1.0.0", "when": {"always": true}, "stages": ["createRuntime"],
 "hook": {"path": "/bin/sh",
          "args": ["sh", "-c", "cat >/dev/null; echo because >&2; exit 3"]}}
""",
    "state.json": """
{"version": "1.0.0", "when": {"always": true}, "stages": ["createRuntime"],
 "hook": {"path": "/bin/sh", "args": ["sh", "-c", "cat >FOLDER/state"]}}
""",
    "pod.yaml": """
apiVersion: v1
kind: Pod
metadata:
  name: kp
spec:
  containers:
  - name: one
    image: localhost/suite:latest
    imagePullPolicy: Never
    command: [sleep, "1000"]
    resources:
      limits: {memory: 64Mi}
""",
}
