package cri_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

func sleeper(t *testing.T, edit ...func(*cri.ContainerConfig)) *criclient.Container {
	t.Helper()
	return client.RunPod(t, logs).Run(t, "c", busybox, []string{"sleep", "100000"}, edit...)
}

func TestExecSyncKeepsStreamsAndCodeApart(t *testing.T) {
	out, errout, code := sleeper(t).Exec(t, "sh", "-c", "echo to out; echo to err >&2; exit 3")
	if out != "to out\n" || errout != "to err\n" || code != 3 {
		t.Errorf("%q, %q, %d", out, errout, code)
	}
}

func TestExecSyncReportsASignal(t *testing.T) {
	if _, _, code := sleeper(t).Exec(t, "sh", "-c", "kill -9 $$"); code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

func TestExecSyncRunsAsTheContainer(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) {
		config.WorkingDir = "/var/empty"
		config.Envs = []*cri.KeyValue{{Key: "COLOUR", Value: []byte("blue sky")}}
		config.Linux.SecurityContext.RunAsUser = &cri.Int64Value{Value: 1000}
		config.Linux.SecurityContext.RunAsGroup = &cri.Int64Value{Value: 1000}
	})
	got := container.Output(t, "sh", "-c", `pwd; echo "$COLOUR"; id -u; grep CapEff /proc/self/status`)
	want := "/var/empty\nblue sky\n1000\nCapEff:\t0000000000000000"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestExecSyncTimeLimit(t *testing.T) {
	container := sleeper(t)
	script := "sleep 4321 & sleep 4322"
	if peer() {
		// containerd 1.6 kills the one process and then waits, for ever, for
		// what still holds its pipes.
		script = "exec sleep 4322"
	}
	start := time.Now()
	ctx := within(t, time.Minute)
	_, err := client.RawRuntime.ExecSync(ctx, &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"sh", "-c", script}, Timeout: 1})
	if status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil {
		t.Errorf("error %v, want the runtime's DeadlineExceeded", err)
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("it took no more than %v", took)
	}
	gone := func(what string) error {
		if out := container.Output(t, "ps", "-o", "args"); strings.Contains(out, what) {
			return fmt.Errorf("%s still runs:\n%s", what, out)
		}
		return nil
	}
	for _, one := range []string{"sleep 4322", "sleep 4321"} {
		if err := criclient.Eventually(20*time.Second, func() error { return gone(one) }); err != nil {
			t.Error(err)
		}
	}
}

func TestExecSyncCapsItsOutput(t *testing.T) {
	container := sleeper(t)
	script := "head -c 20000000 /dev/zero | tr '\\0' a; echo done >&2"
	answer, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"sh", "-c", script}, Timeout: 60})
	if peer() && status.Code(err) == codes.ResourceExhausted {
		// containerd 1.6 keeps 16 MiB, which with the rest of the answer is
		// more than its own server sends.
		stillServing(t)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.ExitCode != 0 || string(answer.Stderr) != "done\n" {
		t.Errorf("exit code %d, stderr %q", answer.ExitCode, answer.Stderr)
	}
	const mebi = 1 << 20
	if n := len(answer.Stdout); n < 15*mebi || n > 16*mebi {
		t.Errorf("%d bytes of output, want up to 16 MiB of it", n)
	}
	if strings.Trim(string(answer.Stdout), "a") != "" {
		t.Errorf("the output has other bytes than were written")
	}
	stillServing(t)
}

func TestExecSyncFitsIntoKubeletsMessage(t *testing.T) {
	if peer() {
		t.Skip("containerd fills 16 MiB, and kubelet's client, which takes 16 MiB a message, then fails")
	}
	// Kubernetes' client, not the bare one: its limit is the point.
	container := sleeper(t)
	out, errout, code := container.Exec(t, "sh", "-c",
		"head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; exit 5")
	if code != 5 || len(out) == 0 || len(errout) == 0 {
		t.Errorf("code %d, %d and %d bytes", code, len(out), len(errout))
	}
}

func TestExecSyncDoesNotWaitForWhatItLeft(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 waits until the last holder of the pipe has gone")
	}
	container := sleeper(t)
	answer, err := client.RawRuntime.ExecSync(within(t, time.Minute), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"sh", "-c", "sleep 1000 & echo started"}, Timeout: 900})
	if err != nil || string(answer.Stdout) != "started\n" || answer.ExitCode != 0 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestExecSyncOfWhatIsNotThere(t *testing.T) {
	container := sleeper(t)
	answer, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"/no/such/program"}, Timeout: 10})
	if err == nil && answer.ExitCode == 0 {
		t.Errorf("no error and exit code 0")
	}
	if got := container.Output(t, "echo", "fine"); got != "fine" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestExecSyncManyAtOnce(t *testing.T) {
	container := sleeper(t)
	var group sync.WaitGroup
	for n := range 24 {
		group.Add(1)
		go func() {
			defer group.Done()
			answer, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
				ContainerId: container.ID, Cmd: []string{"sh", "-c", fmt.Sprintf("echo %d; exit %d", n, n)}, Timeout: 60})
			if err != nil || int(answer.ExitCode) != n || string(answer.Stdout) != fmt.Sprintf("%d\n", n) {
				t.Errorf("number %d: %v, %v", n, answer, err)
			}
		}()
	}
	group.Wait()
}

func TestExecSyncOnlyWhileRunning(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Create(t, "c", busybox, []string{"true"})
	request := &cri.ExecSyncRequest{ContainerId: container.ID, Cmd: []string{"true"}, Timeout: 5}
	_, err := client.RawRuntime.ExecSync(t.Context(), request)
	wantCode(t, err, codes.FailedPrecondition)
	container.Start(t)
	container.WaitExit(t, 20*time.Second)
	_, err = client.RawRuntime.ExecSync(t.Context(), request)
	wantCode(t, err, codes.FailedPrecondition)
}

// Probes meet containers that are just ending: whatever step they had come to,
// they are told that it does not run, not that their command is wrong.
func TestExecSyncWhileTheContainerEnds(t *testing.T) {
	pod := client.RunPod(t, logs)
	for round := range 5 {
		container := pod.Run(t, fmt.Sprintf("c%d", round), busybox, []string{"sleep", "100000"})
		var begun, group sync.WaitGroup
		for range 8 {
			begun.Add(1)
			group.Add(1)
			go func() {
				defer group.Done()
				execUntilEnded(t, container.ID, begun.Done)
			}()
		}
		begun.Wait()
		_, err := client.RawRuntime.StopContainer(t.Context(), &cri.StopContainerRequest{ContainerId: container.ID})
		if err != nil {
			t.Error(err)
		}
		group.Wait()
	}
}

// execUntilEnded runs one command after another in a container, until one is
// refused. It tells when the first has run.
func execUntilEnded(t *testing.T, id string, begun func()) {
	first := sync.OnceFunc(begun)
	for {
		_, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
			ContainerId: id, Cmd: []string{"true"}, Timeout: 20})
		if peer() && status.Code(err) == codes.Unknown {
			first()
			return // with the words of runc, whatever they are
		}
		if err != nil {
			wantCode(t, err, codes.FailedPrecondition)
			first()
			return
		}
		first()
	}
}
