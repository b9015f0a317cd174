package cri_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// peakMemory is the most that the daemon has had since forgetPeak, in bytes.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", *daemonPID))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// forgetPeak makes what the daemon has now its peak, and returns that.
func forgetPeak(t *testing.T) int64 {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", *daemonPID), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return peakMemory(t)
}

const usualPasswd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n"

// The number that a user of the image has in a container; or an error.
func userOf(t *testing.T, pod *criclient.Pod, name, reference string) (string, error) {
	t.Helper()
	container, err := pod.TryCreate(t, name, reference, []string{"sleep", "1000"})
	if err != nil {
		return "", err
	}
	defer client.Runtime.RemoveContainer(t.Context(), container.ID)
	if err := client.Runtime.StartContainer(t.Context(), container.ID); err != nil {
		return "", err
	}
	return container.Output(t, "id", "-u"), nil
}

// CVE-2024-40635: 2^32 is not 0. CVE-2026-46680: a number that is too large is
// not a name either, which the image's /etc/passwd gives to root.
func TestAUserNumberIsThatUserOrNone(t *testing.T) {
	pod := client.RunPod(t, logs)
	for i, one := range []struct{ user, may string }{
		{"2147483647", "2147483647"},
		{"2147483648", "2147483648"},
		{"4294967294", "4294967294"},
		{"4294967295", ""}, // "no change" to setuid(2)
		{"4294967296", ""},
		{"4294967297", ""},
		{"99999999999", ""},
		{"18446744073709551616", ""},
		{"00000000000000000000000000000000099999999999", ""},
		{"1000:4294967296", ""},
		{"4294967296:4294967296", ""},
	} {
		t.Run(one.user, func(t *testing.T) {
			as, _, _ := strings.Cut(one.user, ":")
			reference := hostileImage(t, fmt.Sprintf("user-%d", i), map[string]any{"User": one.user}, func(m *imageMaker) {
				m.folder("etc")
				m.file("etc/passwd", 0o644, []byte(usualPasswd+as+":x:0:0::/:/bin/sh\n"))
				m.file("etc/group", 0o644, []byte("root:x:0:\n4294967296:x:0:\n"))
			})
			got, err := userOf(t, pod, fmt.Sprintf("c%d", i), reference)
			t.Logf("%q, %v", got, err)
			if err != nil || got == one.may {
				return
			}
			if peer() {
				t.Skipf("containerd 1.6 has CVE-2024-40635: user %s", got)
			}
			t.Errorf("it runs as %q", got)
		})
	}
}

// CVE-2026-47262: what the image says of users and groups is read to find its
// user, and may be anything.
func TestFilesOfUsersMayBeOfAnySizeAndKind(t *testing.T) {
	size := int64(rounds(128, 1024)) << 20
	cases := map[string]func(*imageMaker){
		"many groups": func(m *imageMaker) {
			m.file("etc/passwd", 0o644, []byte(usualPasswd))
			m.endlessLines("etc/group", "g:x:5:app\n", size)
		},
		"many users": func(m *imageMaker) {
			m.endlessLines("etc/passwd", "u:x:5:5::/:/bin/sh\n", size)
			m.file("etc/group", 0o644, []byte("root:x:0:\n"))
		},
		"one line": func(m *imageMaker) {
			m.file("etc/passwd", 0o644, []byte(usualPasswd))
			m.endlessLines("etc/group", "gggggggg", size)
		},
		"fifos": func(m *imageMaker) {
			m.fifo("etc/passwd")
			m.fifo("etc/group")
		},
		"links to a fifo": func(m *imageMaker) {
			m.fifo("f")
			m.link("etc/passwd", "../f")
			m.link("etc/group", "/f")
		},
		"folders": func(m *imageMaker) {
			m.folder("etc/passwd")
			m.folder("etc/group")
		},
		"links to themselves": func(m *imageMaker) {
			m.link("etc/passwd", "passwd")
			m.link("etc/group", "group")
		},
		"links to the host": func(m *imageMaker) {
			m.link("etc/passwd", "/proc/1/root/etc/passwd")
			m.link("etc/group", "../../../../../../../etc/group")
		},
	}
	for name, fill := range cases {
		t.Run(name, func(t *testing.T) {
			defer stillServing(t)
			if peer() && (strings.HasPrefix(name, "many") || name == "one line" || strings.Contains(name, "fifo")) {
				t.Skip("containerd 1.6 has CVE-2026-47262")
			}
			reference := hostileImage(t, "users-"+strings.ReplaceAll(name, " ", "-"),
				map[string]any{"User": "app"}, func(m *imageMaker) {
					m.folder("etc")
					fill(m)
				})
			pod := client.RunPod(t, logs)
			before := forgetPeak(t)
			got, err := userOf(t, pod, "c", reference)
			t.Logf("%q, %v", got, err)
			if status.Code(err) == codes.DeadlineExceeded {
				t.Errorf("it is not refused, it takes too long: %v", err)
			}
			if err == nil && got != "1000" {
				t.Errorf("it runs as %q", got)
			}
			if more := peakMemory(t) - before; more > 32<<20 {
				t.Errorf("the daemon took %d MiB", more>>20)
			}
		})
	}
}

// CVE-2026-15809, CVE-2022-4318: what looks like another line of /etc/passwd,
// for a runtime that writes one for users which the image does not know.
func TestNoFieldAddsAUser(t *testing.T) {
	pod := client.RunPod(t, logs)
	lines := []string{"/x\nroot2::0:0::/:/bin/sh", "/x:/bin/sh\r\nroot2::0:0::/:/bin/sh", "/x\\nroot2::0:0::/:/bin/sh", "/a:b"}
	for i, home := range lines {
		container, err := pod.TryCreate(t, fmt.Sprintf("c%d", i), busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
			config.Envs = []*cri.KeyValue{{Key: "HOME", Value: []byte(home)}}
			config.WorkingDir = "/"
			config.Linux.SecurityContext.RunAsUser = &cri.Int64Value{Value: 4321}
		})
		if err == nil {
			err = client.Runtime.StartContainer(t.Context(), container.ID)
		}
		if err != nil {
			t.Logf("refused: %v", err)
			continue
		}
		if got := container.Output(t, "cat", "/etc/passwd"); strings.Contains(got, "root2") || strings.Contains(got, "4321") {
			t.Errorf("HOME %q made %q", home, got)
		}
		if got := container.Output(t, "id", "-u"); got != "4321" {
			t.Errorf("it runs as %q", got)
		}
	}
}

// CVE-2026-53488: labels of the image in names that runtimes keep for
// themselves, which would say where the log goes, which devices and mounts there
// are, what the container belongs to.
func TestLabelsOfTheImageHaveNoPower(t *testing.T) {
	folder := t.TempDir()
	touch := "binary:///bin/busybox?touch=" + folder + "/made"
	labels := map[string]string{}
	for _, key := range []string{
		"io.cri-containerd.kind", "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id",
		"io.kubernetes.cri.untrusted-workload", "containerd.io/restart.status", "containerd.io/restart.loguri",
		"io.containerd.runc.v2.group", "io.containerd.shim.log", "io.containerd.image/managed",
		"cdi.k8s.io/x", "org.systemd.property.ExecStartPre", "run.oci.handler", "run.oci.hooks.stderr",
		"module.wasm.image/variant", "berth.io/log", "io.berth.log", "berth.log", "com.docker.compose.project",
		"io.kubernetes.container.name", "io.kubernetes.pod.uid", "io.kubernetes.cri-o.Devices",
		"nvidia.com/gpu", "devices.nri.io/container.c", "io.katacontainers.config.hypervisor.path",
	} {
		labels[key] = touch
	}
	labels["containerd.io/restart.status"] = "running"
	labels["io.cri-containerd.kind"] = "sandbox"
	reference := hostileImage(t, "labels", map[string]any{"Labels": labels}, func(m *imageMaker) {})
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", reference, []string{"sh", "-c", "echo text; sleep 1000"})
	container.WaitLog(t, "text\n")
	status := container.Status(t)
	for _, said := range []map[string]string{status.Labels, status.Annotations} {
		for key, value := range said {
			if value == touch || labels[key] == value {
				t.Errorf("%s: %s", key, value)
			}
		}
	}
	list, err := client.Runtime.ListContainers(t.Context(), &cri.ContainerFilter{PodSandboxId: pod.ID})
	if err != nil || len(list) != 1 || list[0].Labels["io.kubernetes.container.name"] != "c" {
		t.Errorf("listed: %v, %v", list, err)
	}
	if made, _ := os.ReadDir(folder); len(made) != 0 {
		t.Errorf("made: %v", made)
	}
	if peer() {
		return
	}
	for key, value := range annotationsOf(t, container) {
		if value == touch {
			t.Errorf("config.json has the annotation %s", key)
		}
	}
}

// annotationsOf are those that the OCI runtime is given.
func annotationsOf(t *testing.T, container *criclient.Container) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(ownFolders(t)[1], "containers", container.ID, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct{ Annotations map[string]string }
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	return config.Annotations
}

// CVE-2022-23648: the content of a volume is the image's, wherever its path
// leads.
func TestAVolumeOfTheImageIsNotFilledFromTheHost(t *testing.T) {
	secret := filepath.Dir(*canary) // on the host; there is a file in it
	up := strings.Repeat("../", 16)
	fills := map[string]struct {
		volume string
		fill   func(*imageMaker)
	}{
		"link":          {"/vol", func(m *imageMaker) { m.link("vol", secret) }},
		"relative link": {"/vol", func(m *imageMaker) { m.link("vol", up+secret[1:]) }},
		"parent link":   {"/a/" + filepath.Base(secret), func(m *imageMaker) { m.link("a", filepath.Dir(secret)) }},
		"climbing name": {"/" + up + secret[1:], func(m *imageMaker) {}},
		"procfs":        {"/vol", func(m *imageMaker) { m.link("vol", "/proc/1/root"+secret) }},
	}
	for name, one := range fills {
		t.Run(name, func(t *testing.T) {
			defer stillServing(t)
			reference := hostileImage(t, "volume-"+strings.ReplaceAll(name, " ", "-"),
				map[string]any{"Volumes": map[string]any{one.volume: map[string]any{}}}, one.fill)
			pod := client.RunPod(t, logs)
			container, err := pod.TryCreate(t, "c", reference, []string{"sleep", "1000"})
			if err == nil {
				err = client.Runtime.StartContainer(t.Context(), container.ID)
			}
			if err != nil {
				t.Logf("refused: %v", err)
				return
			}
			for _, path := range []string{one.volume, "/vol", secret} {
				out, _, _ := container.Exec(t, "ls", path+"/")
				if strings.Contains(out, filepath.Base(*canary)) {
					t.Errorf("%s holds what the host has: %q", path, out)
				}
			}
			container.Exec(t, "touch", one.volume+"/from-inside")
			if entries, err := os.ReadDir(secret); err != nil || len(entries) != 1 {
				t.Errorf("on the host: %v, %v", entries, err)
			}
		})
	}
}

// CVE-2022-31030: what a program prints is not kept without limit.
func TestOutputOfExecsIsNotKept(t *testing.T) {
	container := sleeper(t)
	before := forgetPeak(t)
	count := rounds(256, 4096)
	script := fmt.Sprintf("dd if=/dev/zero bs=1048576 count=%d; dd if=/dev/zero of=/dev/stderr bs=1048576 count=%d", count, count)
	answer, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"sh", "-c", script}, Timeout: 300})
	t.Logf("%d and %d bytes, %v", len(answer.GetStdout()), len(answer.GetStderr()), err)
	if !peer() && (err != nil || len(answer.Stdout) < 1<<20 || len(answer.Stderr) < 1<<20) {
		t.Errorf("%d and %d bytes, %v", len(answer.GetStdout()), len(answer.GetStderr()), err)
	}
	// containerd 1.6 keeps all of two streams, and fails the call.
	if more := peakMemory(t) - before; more > 96<<20 && !peer() {
		t.Errorf("the daemon took %d MiB", more>>20)
	} else {
		t.Logf("the daemon took %d MiB", more>>20)
	}
	stillServing(t)
}
