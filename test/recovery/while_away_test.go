package recovery_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// runner is a pod with one container, on a node with the image.
func runner(t *testing.T, n *node, script string, edit ...func(*cri.ContainerConfig)) *criclient.Container {
	t.Helper()
	if err := n.pull(image("busybox:latest")); err != nil {
		t.Fatal(err)
	}
	config := criclient.PodConfig(t, n.dir+".logs")
	id, err := n.client.Runtime.RunPodSandbox(t.Context(), config, *handler)
	if err != nil {
		t.Fatal(err)
	}
	pod := &criclient.Pod{Client: n.client, ID: id, Config: config}
	return pod.Run(t, "c", image("busybox:latest"), []string{"sh", "-c", script}, edit...)
}

func remove(t *testing.T, n *node, containers ...*criclient.Container) {
	t.Helper()
	for _, one := range containers {
		one.Pod.Client = n.client
		one.Pod.Remove(t)
	}
	criclient.RemoveCgroup("/test-pods")
}

func TestAnExitWhileTheDaemonIsAway(t *testing.T) {
	n := newNode(t, "")
	signal := filepath.Join(n.dir, "go")
	os.Mkdir(signal, 0o755)
	c := runner(t, n, "until [ -e /go/now ]; do sleep 0.02; done; echo leaving; exit 42",
		func(config *cri.ContainerConfig) {
			config.Mounts = []*cri.Mount{{HostPath: signal, ContainerPath: "/go"}}
		})
	n.kill()
	if err := os.WriteFile(filepath.Join(signal, "now"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if *kind == "berthd" { // containerd writes logs itself
		c.WaitLog(t, "leaving\n")
	}
	// The exit may be a moment behind the line, and long before what comes.
	time.Sleep(2 * time.Second)
	back := time.Now().UnixNano()
	n.start("")
	c.Pod.Client = n.client
	got := c.WaitExit(t, 20*time.Second)
	if got.ExitCode != 42 || got.Reason != "Error" {
		t.Errorf("exit code %d, reason %q", got.ExitCode, got.Reason)
	}
	if got.FinishedAt < got.StartedAt || got.FinishedAt > back {
		t.Errorf("finished %v before the daemon came back", time.Duration(back-got.FinishedAt))
	}
	remove(t, n, c)
	n.clean()
}

func TestTheLogLosesNothing(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "n=0; while :; do echo line $n; n=$((n+1)); sleep 0.005; done")
	for range 3 {
		n.again()
	}
	c.Pod.Client = n.client
	if err := n.client.Runtime.StopContainer(t.Context(), c.ID, 0); err != nil {
		t.Fatal(err)
	}
	records := c.Log(t)
	if len(records) < 20 {
		t.Errorf("%d lines", len(records))
	}
	for at, record := range records {
		if record.Text != fmt.Sprintf("line %d", at) {
			t.Fatalf("line %d is %q", at, record.Text)
		}
	}
	remove(t, n, c)
	n.clean()
}

func TestAStopThatWasCutOff(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "trap 'echo told' TERM; echo ready; while :; do sleep 0.05; done")
	c.WaitLog(t, "ready")
	result := make(chan error, 1)
	client := n.client
	go func() { result <- client.Runtime.StopContainer(context.Background(), c.ID, 30) }()
	c.WaitLog(t, "told")
	n.kill()
	if err := <-result; err == nil {
		t.Errorf("the stop was answered")
	}
	n.start("")
	c.Pod.Client = n.client
	if err := n.client.Runtime.StopContainer(t.Context(), c.ID, 1); err != nil {
		t.Fatal(err)
	}
	if got := c.Status(t); got.ExitCode != 137 {
		t.Errorf("exit code %d", got.ExitCode)
	}
	remove(t, n, c)
	n.clean()
}

// shims are the processes of the node's shims: those below its folder that are
// neither its daemon nor in a container.
func (n *node) shims() (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		environment, _ := os.ReadFile(filepath.Join(dir, "environ"))
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		ours := strings.Contains(string(command)+string(environment)+cwd, n.dir)
		if pid, _ := strconv.Atoi(filepath.Base(dir)); string(name) == "berth-shim\n" && ours {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestAShimThatIsKilledCostsItsOwnPod(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("daemon away %v", away), func(t *testing.T) {
			n := newNode(t, "")
			victim := runner(t, n, "sleep 1000")
			var shims []int
			err := criclient.Eventually(20*time.Second, func() error {
				shims = n.shims() // what the start made is on its way out
				if len(shims) != 1 {
					return fmt.Errorf("%d of them", len(shims))
				}
				return nil
			})
			if err != nil {
				out, _ := exec.Command("ps", "-eo", "pid,ppid,stat,args").CombinedOutput()
				t.Fatalf("shims: %v\n%s", err, out)
			}
			other := runner(t, n, "sleep 1000")
			if away {
				n.kill()
			}
			syscall.Kill(shims[0], syscall.SIGKILL)
			if away {
				n.start("")
			}
			victim.Pod.Client, other.Pod.Client = n.client, n.client
			got := victim.WaitExit(t, 20*time.Second)
			if got.ExitCode != 255 && got.ExitCode != 137 || got.Reason == "Completed" {
				t.Errorf("exit code %d, reason %q, %s", got.ExitCode, got.Reason, got.Message)
			}
			err = criclient.Eventually(20*time.Second, func() error {
				if state := victim.Pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_NOTREADY {
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
			remove(t, n, victim, other)
			n.clean()
		})
	}
}

// A pod that runs nothing hears of its shim too: at once, and by an event.
func TestAShimThatIsKilledTakesAnIdlePod(t *testing.T) {
	for _, pids := range []cri.NamespaceMode{cri.NamespaceMode_CONTAINER, cri.NamespaceMode_POD} {
		t.Run("pids of the "+strings.ToLower(pids.String()), func(t *testing.T) {
			n := newNode(t, "")
			config := criclient.PodConfig(t, n.dir+".logs", func(config *cri.PodSandboxConfig) {
				config.Linux.SecurityContext.NamespaceOptions.Pid = pids
			})
			client := n.client
			stream := client.Listen(t, n.dir+".logs")
			id, err := client.Runtime.RunPodSandbox(t.Context(), config, *handler)
			if err != nil {
				t.Fatal(err)
			}
			pod := &criclient.Pod{Client: client, ID: id, Config: config}
			await := func(kind cri.ContainerEventType) {
				t.Helper()
				for {
					event, err := stream.Recv()
					if err != nil {
						t.Fatalf("there is no %v: %v", kind, err)
					}
					if event.ContainerId == id && event.ContainerEventType == kind {
						return
					}
				}
			}
			await(cri.ContainerEventType_CONTAINER_STARTED_EVENT)
			shims := n.shims()
			if len(shims) == 0 {
				t.Fatal("it has no shim")
			}
			// A pod's own pid 1 is one by its name, and younger: it must not
			// keep the shim's connections.
			syscall.Kill(slices.Min(shims), syscall.SIGKILL)
			err = criclient.Eventually(20*time.Second, func() error {
				if state := pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_NOTREADY {
					return fmt.Errorf("the pod is %v", state)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			await(cri.ContainerEventType_CONTAINER_STOPPED_EVENT)
			pod.Remove(t)
			criclient.RemoveCgroup("/test-pods")
			n.clean()
		})
	}
}

// Lives that overlap, with kills at no chosen place.
func TestKilledAgainAndAgain(t *testing.T) {
	n := newNode(t, "")
	if err := n.pull(image("busybox:latest")); err != nil {
		t.Fatal(err)
	}
	var lives []*life
	for round := range 12 {
		l := newLife(t, n)
		lives = append(lives, l)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { recover() }()
			for _, one := range steps[:4+round%5] {
				if one.call(l, context.Background()) != nil {
					return
				}
			}
		}()
		time.Sleep(time.Duration(20+round*35) * time.Millisecond)
		n.killUnderway()
		<-ended
		n.disconnect()
		n.start("")
	}
	for _, one := range lives {
		list, err := n.client.Runtime.ListPodSandbox(t.Context(), &cri.PodSandboxFilter{LabelSelector: one.config.Labels})
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range list {
			(&criclient.Pod{Client: n.client, ID: pod.Id, Config: one.config}).Remove(t)
		}
		criclient.RemoveCgroup(one.config.Linux.CgroupParent)
	}
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// killUnderway kills while a call is using the connection.
func (n *node) killUnderway() {
	n.t.Helper()
	syscall.Kill(n.pid, syscall.SIGKILL)
	err := criclient.Eventually(10*time.Second, func() error {
		if n.running() {
			return fmt.Errorf("process %d is still there", n.pid)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}
