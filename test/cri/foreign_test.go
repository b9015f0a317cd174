package cri_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// The handler whose shim is containerd's, here and on the peer. run.sh runs
// most of the other tests on it as well (-handler).
const foreignHandler = "runc"

func foreignPod(t *testing.T, edit ...func(*cri.PodSandboxConfig)) *criclient.Pod {
	t.Helper()
	foreign := *client
	foreign.Handler = foreignHandler
	return foreign.RunPod(t, logs, edit...)
}

func nameOf(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

func TestAForeignShimHoldsTheContainersOfItsHandler(t *testing.T) {
	pod := foreignPod(t)
	first := pod.Run(t, "first", busybox, []string{"sleep", "1000"})
	second := pod.Run(t, "second", busybox, []string{"sleep", "1000"})
	shim := shimOf(t, first)
	if name := nameOf(shim); name != "containerd-shim" {
		t.Errorf("process %d of %q holds it", shim, name)
	}
	if other := shimOf(t, second); other != shim {
		t.Errorf("processes %d and %d hold containers of one pod", shim, other)
	}
	if got := pod.Status(t).RuntimeHandler; got != foreignHandler {
		t.Errorf("its handler is %q", got)
	}
	stop(t, first, 0)
	if out := second.Output(t, "echo", "fine"); out != "fine" {
		t.Errorf("the second: %q", out)
	}
	pod.Remove(t)
	err := criclient.Eventually(10*time.Second, func() error {
		if name := nameOf(shim); name == "containerd-shim" {
			return fmt.Errorf("its shim %d is still there", shim)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheLogOfAForeignShimIsWholeAtTheExit(t *testing.T) {
	pod := foreignPod(t)
	for at := range 5 {
		container := pod.Run(t, fmt.Sprintf("c%d", at), busybox, []string{"sh", "-c",
			"i=0; while [ $i -lt 3000 ]; do echo line $i; echo error $i >&2; i=$((i+1)); done; printf end"})
		if got := container.WaitExit(t, 30*time.Second); got.ExitCode != 0 {
			t.Fatalf("exit code %d", got.ExitCode)
		}
		want := strings.Builder{}
		for line := range 3000 {
			fmt.Fprintf(&want, "line %d\n", line)
		}
		if got := container.LogText(t, "stdout"); got != want.String()+"end" {
			t.Errorf("%d bytes of %d", len(got), want.Len()+3)
		}
		if got := strings.Count(container.LogText(t, "stderr"), "\n"); got != 3000 {
			t.Errorf("%d lines of errors", got)
		}
	}
}

// Whichever of the two is killed: the pod is lost, and what there is of it can
// be removed.
func TestAForeignShimThatIsKilledCostsItsPod(t *testing.T) {
	if peer() {
		t.Skip("containerd has no second process, and its pod stays ready")
	}
	for _, name := range []string{"containerd-shim", "berth-shim"} {
		t.Run(name, func(t *testing.T) {
			pod := foreignPod(t)
			container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
			other := foreignPod(t).Run(t, "other", busybox, []string{"sleep", "1000"})
			killed := 0
			for _, pid := range processesIn(pod.ID[:24]) {
				if nameOf(pid) == name {
					syscall.Kill(pid, syscall.SIGKILL)
					killed++
				}
			}
			if killed != 1 {
				t.Fatalf("%d processes %s", killed, name)
			}
			got := container.WaitExit(t, 20*time.Second)
			if got.ExitCode != 255 && got.ExitCode != 137 || got.Reason == "Completed" {
				t.Errorf("exit code %d, reason %q, %s", got.ExitCode, got.Reason, got.Message)
			}
			err := criclient.Eventually(20*time.Second, func() error {
				if state := pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_NOTREADY {
					return fmt.Errorf("its pod is %v", state)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if out := other.Output(t, "echo", "fine"); out != "fine" {
				t.Errorf("the other pod: %q", out)
			}
		})
	}
}

// processesIn are those whose working directory is a pod's: what that is called
// has as much of the pod's id at least.
func processesIn(pod string) (pids []int) {
	all, _ := os.ReadDir("/proc")
	for _, one := range all {
		var pid int
		if _, err := fmt.Sscan(one.Name(), &pid); err != nil {
			continue
		}
		if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); strings.Contains(cwd, pod) {
			pids = append(pids, pid)
		}
	}
	return pids
}
