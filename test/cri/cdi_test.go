package cri_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// cdiFolder is where the daemon looks for CDI files (support/runtime.sh).
func cdiFolder() string { return filepath.Join(filepath.Dir(*certs), "cdi") }

func needCDI(t *testing.T) {
	t.Helper()
	version, err := client.RawRuntime.Version(t.Context(), &cri.VersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if peer() && strings.HasPrefix(strings.TrimPrefix(version.RuntimeVersion, "v"), "1.6") {
		t.Skipf("containerd %s has no CDI: it came with 1.7", version.RuntimeVersion)
	}
}

// writeCDI gives the host a CDI file until the end of the test.
func writeCDI(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(cdiFolder(), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cdiFolder(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
}

func cdiDevices(names ...string) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) {
		for _, name := range names {
			config.CDIDevices = append(config.CDIDevices, &cri.CDIDevice{Name: name})
		}
	}
}

// The node of the device is the host's /dev/fuse, which a container may open
// only if it was given leave.
func writeTool(t *testing.T) (folder string) {
	t.Helper()
	folder = filepath.Join(*scratch, "cdi-tool")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.WriteFile(filepath.Join(folder, "word"), []byte("tool\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	writeCDI(t, "tool.json", fmt.Sprintf(`{
	  "cdiVersion": "0.5.0", "kind": "berth.test/tool",
	  "containerEdits": {"env": ["ALL_TOOLS=yes"]},
	  "devices": [{"name": "one", "containerEdits": {
	    "env": ["TOOL=one"],
	    "deviceNodes": [{"path": "/dev/tool", "hostPath": "/dev/fuse", "permissions": "rw"}],
	    "mounts": [{"hostPath": %q, "containerPath": "/opt/tool", "options": ["ro", "rbind"]}],
	    "hooks": [{"hookName": "createRuntime", "path": "/usr/bin/touch", "args": ["touch", %q]}]}},
	  {"name": "same", "containerEdits": {
	    "deviceNodes": [{"path": "/dev/fuse"}],
	    "mounts": [{"hostPath": %q, "containerPath": "/opt/tool"}]}}]}`,
		folder, filepath.Join(folder, "hooked"), folder))
	return folder
}

func TestCDIDeviceIsInTheContainer(t *testing.T) {
	needCDI(t)
	folder := writeTool(t)
	writeCDI(t, "broken.json", "{")
	pod := client.RunPod(t, logs)
	with := pod.Run(t, "with", busybox, []string{"sleep", "1000"}, cdiDevices("berth.test/tool=one"))
	if got := with.Output(t, "sh", "-c", "echo $ALL_TOOLS $TOOL; cat /opt/tool/word"); got != "yes one\ntool" {
		t.Errorf("variables and mount: %q", got)
	}
	if got := with.Output(t, "sh", "-c", "tr '\\0' '\\n' </proc/1/environ | grep ^TOOL="); got != "TOOL=one" {
		t.Errorf("process 1: %q", got)
	}
	with.Output(t, "sh", "-c", ": <>/dev/tool")
	if _, _, code := with.Exec(t, "touch", "/opt/tool/word"); code == 0 {
		t.Error("the mount can be written")
	}
	if _, err := os.Stat(filepath.Join(folder, "hooked")); err != nil {
		t.Errorf("the hook: %v", err)
	}
	without := pod.Run(t, "without", busybox, []string{"sleep", "1000"})
	numbers := with.Output(t, "stat", "-c", "0x%t 0x%T", "/dev/tool")
	without.Output(t, "sh", "-c", "mknod /dev/tool c $(printf '%d %d' "+numbers+")")
	if _, _, code := without.Exec(t, "sh", "-c", ": <>/dev/tool"); code == 0 {
		t.Error("a container without the device may open it")
	}
}

// There the runtime binds the host's node of the same path, and the host's
// owner and mode decide who may open it.
func TestCDIDeviceInAUserNamespace(t *testing.T) {
	needCDI(t)
	needUserNamespaces(t)
	writeTool(t)
	pod := client.RunPod(t, logs, inUserNamespace(100000))
	c := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, cdiDevices("berth.test/tool=same"))
	if got := c.Output(t, "stat", "-c", "%u:%g", "/opt/tool/word"); got != "0:0" {
		t.Errorf("the owner of root's file: %s", got)
	}
	c.Output(t, "test", "-c", "/dev/fuse")
}

func TestCDIDeviceThatCannotBeHad(t *testing.T) {
	needCDI(t)
	writeTool(t)
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "absent", busybox, nil, cdiDevices("berth.test/tool=one", "berth.test/tool=two"))
	wantCode(t, err, codes.InvalidArgument)
	if err != nil && !strings.Contains(err.Error(), "unresolvable CDI devices berth.test/tool=two") {
		t.Errorf("the device is not named: %v", err)
	}
	_, err = pod.TryCreate(t, "no-name", busybox, nil, cdiDevices("/dev/fuse"))
	wantCode(t, err, codes.InvalidArgument)
	writeCDI(t, "other.json", `{"cdiVersion": "0.5.0", "kind": "berth.test/tool", "devices": [
	  {"name": "one", "containerEdits": {"env": ["TOOL=other"]}},
	  {"name": "free", "containerEdits": {"env": ["TOOL=free"]}},
	  {"name": "gone", "containerEdits": {"deviceNodes": [{"path": "/dev/absent"}]}}]}`)
	_, err = pod.TryCreate(t, "conflict", busybox, nil, cdiDevices("berth.test/tool=one"))
	wantCode(t, err, codes.InvalidArgument)
	_, err = pod.TryCreate(t, "no-node", busybox, nil, cdiDevices("berth.test/tool=gone"))
	wantCode(t, err, codes.InvalidArgument)
	free := pod.Run(t, "free", busybox, []string{"sleep", "1000"}, cdiDevices("berth.test/tool=free"))
	if got := free.Output(t, "sh", "-c", "echo $TOOL"); got != "free" {
		t.Errorf("beside a conflict: %q", got)
	}
	stillServing(t)
}

// A network interface of the host, by a file of YAML.
func TestCDIOfYAMLMovesAnInterface(t *testing.T) {
	needCDI(t)
	if peer() {
		t.Skip("no released containerd knows CDI 1.1.0")
	}
	if out, err := exec.Command("ip", "link", "add", "cdihost0", "type", "veth", "peer", "name", "cdihost1").CombinedOutput(); err != nil {
		t.Fatalf("ip link add: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", "cdihost1").Run() })
	writeCDI(t, "net.yaml", `---
cdiVersion: 1.1.0
kind: berth.test/net
devices:
- name: 0
  containerEdits:
    env: [NET=off]
    netDevices:
    - hostInterfaceName: cdihost0
      name: fast0
`)
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, cdiDevices("berth.test/net=0"))
	if out := container.Output(t, "sh", "-c", "echo $NET; ls /sys/class/net"); !strings.Contains(out, "off") || !strings.Contains(out, "fast0") {
		t.Errorf("%q", out)
	}
}
