package cri_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// aThief runs support/thief.c in a pod of one's own: it tries to get to the
// host through every process that it can see.
func aThief(t *testing.T, pod *criclient.Pod, edit ...func(*cri.ContainerConfig)) *criclient.Container {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "thief")
	out, err := exec.Command("gcc", "-static", "-O2", "-o", program, filepath.Join(*support, "thief.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	all := append([]func(*cri.ContainerConfig){func(config *cri.ContainerConfig) {
		config.Mounts = []*cri.Mount{{HostPath: folder, ContainerPath: "/bag"}}
		config.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	}}, edit...)
	thief := pod.Run(t, "thief", busybox, []string{"/bag/thief", *canary}, all...)
	thief.WaitLog(t, "ready\n")
	return thief
}

// loot is what a thief says that it got, if it has looked at anything at all.
func loot(t *testing.T, thief *criclient.Container) string {
	t.Helper()
	if err := client.Runtime.StopContainer(t.Context(), thief.ID, 30); err != nil {
		t.Fatal(err)
	}
	thief.WaitLog(t, " pidfd ")
	text := thief.LogText(t, "stdout")
	t.Logf("%s", text)
	var looked int
	_, after, _ := strings.Cut(text, "looked ")
	if fmt.Sscan(after, &looked); looked < 100 {
		t.Errorf("it looked at %d things only", looked)
	}
	if strings.HasSuffix(text, "root 0 cwd 0 fd 0 pidfd 0\n") {
		return ""
	}
	return text
}

// CVE-2016-9962, and the way in that it left: whatever enters a container is a
// process in there before it is the container's program.
func TestAThiefGetsNothingFromExecs(t *testing.T) {
	pod := client.RunPod(t, logs)
	thief := aThief(t, pod, security(func(c *cri.LinuxContainerSecurityContext) {
		c.Capabilities = &cri.Capability{AddCapabilities: []string{"SYS_PTRACE"}}
	}))
	const atOnce = 4
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for range rounds(200, 2000) / atOnce {
				if _, _, err := client.Runtime.ExecSync(t.Context(), thief.ID, []string{"true"}, time.Minute); err != nil {
					t.Errorf("ExecSync: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	got := loot(t, thief)
	if got != "" && peer() {
		t.Skip("runc 1.1 has its own sockets open while it enters a container")
	}
	if got != "" {
		t.Errorf("it got to the host:\n%s", got)
	}
}

// The same where a container is born into a pid namespace that others are in.
func TestAThiefGetsNothingFromContainerStarts(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.Privileged = true
		config.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	})
	thief := aThief(t, pod, security(func(c *cri.LinuxContainerSecurityContext) {
		c.Privileged = true
		c.MaskedPaths, c.ReadonlyPaths, c.Seccomp = nil, nil, nil
	}))
	for i := range rounds(20, 200) {
		victim := pod.Run(t, fmt.Sprintf("victim-%d", i), busybox, []string{"true"})
		victim.WaitExit(t, 20*time.Second)
		if err := client.Runtime.RemoveContainer(context.Background(), victim.ID); err != nil {
			t.Fatal(err)
		}
	}
	got := loot(t, thief)
	if got != "" && peer() {
		t.Skip("runc 1.1 joins the pid namespace while it has the host's root")
	}
	if got != "" {
		t.Errorf("it got to the host:\n%s", got)
	}
}
