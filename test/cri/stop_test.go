package cri_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// trapper runs a shell that does something on SIGTERM, and waits until it is
// ready to.
func trapper(t *testing.T, pod *criclient.Pod, action string) *criclient.Container {
	t.Helper()
	container := pod.Run(t, "c", busybox, []string{"sh", "-c",
		"trap '" + action + "' TERM; echo ready; while :; do sleep 0.05; done"})
	container.WaitLog(t, "ready")
	return container
}

// stop ends a container, in a time that a grace of an hour does not fit into.
func stop(t *testing.T, container *criclient.Container, grace int64) *cri.ContainerStatus {
	t.Helper()
	_, err := client.RawRuntime.StopContainer(within(t, criclient.CallTimeout),
		&cri.StopContainerRequest{ContainerId: container.ID, Timeout: grace})
	if err != nil {
		t.Fatalf("StopContainer: %v", err)
	}
	got := container.Status(t)
	if got.State != cri.ContainerState_CONTAINER_EXITED {
		t.Fatalf("state after stop: %v", got.State)
	}
	return got
}

const hour = int64(3600)

func TestStopLetsItEndByItself(t *testing.T) {
	got := stop(t, trapper(t, client.RunPod(t, logs), "echo bye; exit 3"), hour)
	if got.ExitCode != 3 {
		t.Errorf("exit code %d", got.ExitCode)
	}
}

func TestStopKillsAfterTheGrace(t *testing.T) {
	container := trapper(t, client.RunPod(t, logs), "")
	start := time.Now()
	got := stop(t, container, 2)
	// No sooner; how much later is the machine's matter.
	if took := time.Since(start); got.ExitCode != 137 || took < 1900*time.Millisecond {
		t.Errorf("exit code %d after %v", got.ExitCode, took)
	}
}

func TestStopWithoutGraceKills(t *testing.T) {
	got := stop(t, trapper(t, client.RunPod(t, logs), "exit 3"), 0)
	if got.ExitCode != 137 {
		t.Errorf("exit code %d", got.ExitCode)
	}
}

func TestHarderStopOvertakes(t *testing.T) {
	container := trapper(t, client.RunPod(t, logs), "echo told")
	first := make(chan error, 1)
	go func() { first <- client.Runtime.StopContainer(context.Background(), container.ID, hour) }()
	container.WaitLog(t, "told")
	if got := stop(t, container, 1); got.ExitCode != 137 {
		t.Errorf("exit code %d", got.ExitCode)
	}
	select {
	case err := <-first:
		if err != nil {
			t.Errorf("the first stop: %v", err)
		}
	case <-time.After(time.Minute):
		t.Errorf("the first stop does not return")
	}
}

func TestStopTwice(t *testing.T) {
	container := sleeper(t)
	stop(t, container, 0)
	stop(t, container, 5)
}

func TestStopSignalOfTheImage(t *testing.T) {
	name := image("config:latest")
	if _, err := client.Images.PullImage(t.Context(), &cri.ImageSpec{Image: name}, nil, nil); err != nil {
		t.Fatal(err)
	}
	container := client.RunPod(t, logs).Run(t, "c", name, nil,
		func(config *cri.ContainerConfig) { config.Args = []string{"wait"} })
	container.WaitLog(t, "seed=")
	got := stop(t, container, 30)
	if got.ExitCode != 7 {
		t.Errorf("exit code %d, want 7, of the trap for SIGUSR1", got.ExitCode)
	}
}

func TestExitsAreReported(t *testing.T) {
	pod := client.RunPod(t, logs)
	for _, one := range []struct {
		name, script, reason string
		code                 int32
	}{
		{"fine", "exit 0", "Completed", 0},
		{"wrong", "exit 4", "Error", 4},
		{"high", "exit 255", "Error", 255},
	} {
		container := pod.Run(t, one.name, busybox, []string{"sh", "-c", one.script})
		got := container.WaitExit(t, 20*time.Second)
		if got.ExitCode != one.code || got.Reason != one.reason {
			t.Errorf("%s: code %d, reason %q", one.name, got.ExitCode, got.Reason)
		}
		started := got.StartedAt
		if peer() {
			started -= int64(time.Second) // containerd takes the time after the start, which may be after the end
		}
		if got.CreatedAt == 0 || got.StartedAt < got.CreatedAt || got.FinishedAt < started {
			t.Errorf("%s: times %d, %d, %d", one.name, got.CreatedAt, got.StartedAt, got.FinishedAt)
		}
	}
}

func TestAContainerStartsOnce(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	start := &cri.StartContainerRequest{ContainerId: container.ID}
	_, err := client.RawRuntime.StartContainer(t.Context(), start)
	wantCode(t, err, codes.FailedPrecondition)
	stop(t, container, 0)
	_, err = client.RawRuntime.StartContainer(t.Context(), start)
	wantCode(t, err, codes.FailedPrecondition)
}

func TestACommandThatIsNotThere(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Create(t, "c", busybox, []string{"/no/such/program"})
	err := client.Runtime.StartContainer(t.Context(), container.ID)
	if err == nil {
		t.Fatal("no error")
	}
	got := container.Status(t)
	if got.State != cri.ContainerState_CONTAINER_EXITED || got.Reason != "StartError" || got.ExitCode != 128 {
		t.Errorf("state %v, reason %q, code %d", got.State, got.Reason, got.ExitCode)
	}
	if got.Message == "" || got.FinishedAt == 0 {
		t.Errorf("message %q, finished at %d", got.Message, got.FinishedAt)
	}
}

func TestRemoveKillsWhatRuns(t *testing.T) {
	container := sleeper(t)
	if err := client.Runtime.RemoveContainer(t.Context(), container.ID); err != nil {
		t.Fatal(err)
	}
	if err := client.Runtime.RemoveContainer(t.Context(), container.ID); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestStoppedPodKeepsItsAnswers(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	for range 2 {
		if err := client.Runtime.StopPodSandbox(t.Context(), pod.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := pod.Status(t); got.State != cri.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("pod: %v", got.State)
	}
	if got := container.Status(t); got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != 137 {
		t.Errorf("container: %v, %d", got.State, got.ExitCode)
	}
	_, err := pod.TryCreate(t, "late", busybox, []string{"true"})
	if err == nil && peer() {
		return // containerd 1.6 finds out at the start of the container
	}
	wantCode(t, err, codes.FailedPrecondition)
}

func TestProcessesLeftBehindEndWithTheContainer(t *testing.T) {
	share := func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	}
	pod := client.RunPod(t, logs, share)
	witness := pod.Run(t, "witness", busybox, []string{"sleep", "1000"})
	container := pod.Run(t, "c", busybox, []string{"sh", "-c", "sleep 4567 & echo ready; sleep 4568"})
	container.WaitLog(t, "ready")
	stop(t, container, 0)
	err := criclient.Eventually(20*time.Second, func() error {
		out := witness.Output(t, "ps", "-o", "args")
		return absent(out, "sleep 4567")
	})
	if err != nil {
		t.Error(err)
	}
}
