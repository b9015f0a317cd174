package cri_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// shimOf finds the process that holds a container's first one.
func shimOf(t *testing.T, container *criclient.Container) int {
	t.Helper()
	text, err := os.ReadFile(firstProcess(t, container) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, "PPid:"); found {
			pid, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil || pid <= 1 {
				t.Fatalf("no shim: %q", line)
			}
			return pid
		}
	}
	t.Fatal("no PPid")
	return 0
}

// within gives a request some time that no healthy one needs.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// A shim that is stopped answers nothing and keeps its connection. Its pod can
// be stopped and removed; nobody else notices.
func TestAStuckShimCostsItsPodOnly(t *testing.T) {
	if peer() {
		t.Skip("containerd waits for ever for a shim that does not answer")
	}
	defer stillServing(t)
	pod := client.RunPod(t, logs)
	stuck := pod.Run(t, "stuck", busybox, []string{"sleep", "100000"})
	second := pod.Run(t, "second", busybox, []string{"sleep", "100000"})
	healthy := trapper(t, client.RunPod(t, logs), "")
	if err := syscall.Kill(shimOf(t, stuck), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	// Queries do not ask it.
	if _, err := client.Runtime.ListContainers(within(t, 5*time.Second), nil); err != nil {
		t.Errorf("ListContainers: %v", err)
	}
	if _, err := client.RawRuntime.ContainerStatus(within(t, 5*time.Second),
		&cri.ContainerStatusRequest{ContainerId: stuck.ID, Verbose: true}); err != nil {
		t.Errorf("ContainerStatus: %v", err)
	}
	if _, err := client.RawRuntime.ListContainerStats(within(t, 5*time.Second),
		&cri.ListContainerStatsRequest{}); err != nil {
		t.Errorf("ListContainerStats: %v", err)
	}
	// A deadline holds, even if nobody is there to keep it.
	_, err := client.RawRuntime.ExecSync(within(t, 20*time.Second),
		&cri.ExecSyncRequest{ContainerId: stuck.ID, Cmd: []string{"true"}, Timeout: 1})
	wantCode(t, err, codes.DeadlineExceeded, codes.Unavailable)

	// Graceful stops of several of its containers hold up nobody else's kill.
	stopped := make(chan error, 2)
	for _, container := range []*criclient.Container{stuck, second} {
		go func() {
			stopped <- client.Runtime.StopContainer(context.Background(), container.ID, 1)
		}()
	}
	if got := stop(t, healthy, 2); got.ExitCode != 137 {
		t.Errorf("a healthy container: exit code %d", got.ExitCode)
	}
	if len(stopped) != 0 {
		t.Error("a healthy container's stop waited for those of the stuck shim")
	}
	if err := client.Runtime.StopPodSandbox(within(t, time.Minute), pod.ID); err != nil {
		t.Errorf("StopPodSandbox: %v", err)
	}
	for range 2 {
		if err := <-stopped; err != nil {
			t.Errorf("StopContainer: %v", err)
		}
	}
	got := stuck.Status(t)
	if got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != 255 || got.Message == "" {
		t.Errorf("%v, exit code %d, reason %q, message %q", got.State, got.ExitCode, got.Reason, got.Message)
	}
	if err := client.Runtime.RemovePodSandbox(within(t, time.Minute), pod.ID); err != nil {
		t.Errorf("RemovePodSandbox: %v", err)
	}
}

// One container of a pod whose shim is stuck can be removed alone; the pod is
// not ready from then on.
func TestAContainerOfAStuckShimCanBeRemoved(t *testing.T) {
	if peer() {
		t.Skip("containerd waits for ever for a shim that does not answer")
	}
	pod := client.RunPod(t, logs)
	stuck := pod.Run(t, "stuck", busybox, []string{"sleep", "100000"})
	if err := syscall.Kill(shimOf(t, stuck), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := client.Runtime.RemoveContainer(within(t, time.Minute), stuck.ID); err != nil {
		t.Errorf("RemoveContainer: %v", err)
	}
	notReady(t, pod)
}

func notReady(t *testing.T, pod *criclient.Pod) {
	t.Helper()
	err := criclient.Eventually(20*time.Second, func() error {
		if state := pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_NOTREADY {
			return fmt.Errorf("%v", state)
		}
		return nil
	})
	if err != nil {
		t.Errorf("the pod: %v", err)
	}
}

// Without pid 1 of its pid namespace nothing can start in a pod any more.
func TestAPodWithoutItsPidOneIsNotReady(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext = &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Pid: cri.NamespaceMode_POD}}
	})
	shared := func(config *cri.ContainerConfig) {
		config.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{Pid: cri.NamespaceMode_POD}
	}
	container := pod.Run(t, "c", busybox, []string{"sleep", "100000"}, shared)
	if err := syscall.Kill(firstInNamespace(t, firstProcess(t, container)), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	notReady(t, pod)
	if got := container.WaitExit(t, 20*time.Second); got.ExitCode != 137 {
		t.Errorf("exit code %d", got.ExitCode)
	}
	_, err := pod.TryCreate(t, "late", busybox, []string{"true"}, shared)
	wantCode(t, err, codes.FailedPrecondition)
}

// firstInNamespace finds pid 1 of the pid namespace that a process is in.
func firstInNamespace(t *testing.T, process string) int {
	t.Helper()
	namespace, err := os.Readlink(process + "/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		text, err := os.ReadFile("/proc/" + entry.Name() + "/status")
		if err != nil {
			continue
		}
		if other, _ := os.Readlink("/proc/" + entry.Name() + "/ns/pid"); other != namespace {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "NSpid:" && fields[len(fields)-1] == "1" {
				pid, _ := strconv.Atoi(entry.Name())
				return pid
			}
		}
	}
	t.Fatalf("no pid 1 in %s", namespace)
	return 0
}

// A retry that comes while the first try is cleaned up waits for it, and is
// never told that something was not found.
func TestARetryOfARunThatHangs(t *testing.T) {
	defer stillServing(t)
	config := criclient.PodConfig(t, logs)
	order(t, "hang-add")
	request := &cri.RunPodSandboxRequest{Config: config}
	for try := range 3 {
		_, err := client.RawRuntime.RunPodSandbox(within(t, 2*time.Second), request)
		if code := status.Code(err); code == codes.NotFound || code == codes.OK {
			t.Errorf("try %d: %v", try, err)
		}
	}
	order(t, "")
	noPod(t, config)
}

// What is missing inside of a container is not the container.
func TestCodesOfInnerSteps(t *testing.T) {
	container := sleeper(t)
	_, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"/no/such/program"}, Timeout: 10})
	wantCode(t, err, codes.InvalidArgument)
	pod := client.RunPod(t, logs)
	broken := pod.Create(t, "broken", busybox, []string{"/no/such/program"})
	wantCode(t, client.Runtime.StartContainer(t.Context(), broken.ID), codes.InvalidArgument)
	wantCode(t, client.Runtime.StartContainer(t.Context(), broken.ID), codes.FailedPrecondition)
	err = client.Runtime.UpdateContainerResources(t.Context(), container.ID, &cri.ContainerResources{
		Linux: &cri.LinuxContainerResources{CpusetCpus: "0-99999"}})
	wantCode(t, err, codes.InvalidArgument)
	_, err = pod.TryCreate(t, "seccomp", busybox, []string{"true"}, func(config *cri.ContainerConfig) {
		config.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{
			ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "/no/such/profile.json"}
	})
	wantCode(t, err, codes.InvalidArgument)
	wantCode(t, client.Runtime.StartContainer(t.Context(), strings.Repeat("0", 64)), codes.NotFound)
}

// A child that keeps the output open does not keep the answer beyond the time
// limit of the command.
func TestExecSyncDrainsWithinItsTimeLimit(t *testing.T) {
	container := sleeper(t)
	response, err := client.RawRuntime.ExecSync(within(t, time.Minute), &cri.ExecSyncRequest{
		ContainerId: container.ID, Cmd: []string{"sh", "-c", "echo out; sleep 4000 & exit 3"}, Timeout: 1})
	if peer() {
		return // containerd waits for ever, or fails, as it is configured
	}
	if err != nil || response.ExitCode != 3 || string(response.Stdout) != "out\n" {
		t.Fatalf("%v, %v", response, err)
	}
}

// The server of a volume dies between the check of its path and the mount: what
// hangs then is a child of the shim, not a daemon. The start ends with its
// deadline, or with the container's end, and the pod goes on.
func TestAPathThatDiesWhileItIsMounted(t *testing.T) {
	if peer() {
		t.Skip("containerd waits for the runtime, for ever")
	}
	defer stillServing(t)
	pod := client.RunPod(t, logs)
	for n, way := range []string{"its deadline", "Stop", "Remove"} {
		place := filepath.Join(*scratch, fmt.Sprintf("picky%d", n))
		volume := mountPicky(t, place, "shim")
		mount := func(config *cri.ContainerConfig) {
			config.Mounts = []*cri.Mount{{HostPath: place + "/volume", ContainerPath: "/v"}}
		}
		container := pod.Create(t, "c-"+strings.ReplaceAll(way, " ", "-"), busybox, []string{"true"}, mount)
		limit := time.Minute
		if way == "its deadline" {
			limit = 3 * time.Second
		}
		started := make(chan error, 1)
		go func() {
			_, err := client.RawRuntime.StartContainer(within(t, limit),
				&cri.StartContainerRequest{ContainerId: container.ID})
			started <- err
		}()
		select {
		case <-volume.dead:
		case <-time.After(20 * time.Second):
			t.Fatal("nobody asks for the volume")
		}
		switch way {
		case "its deadline":
			wantCode(t, <-started, codes.DeadlineExceeded)
		case "Stop":
			if err := client.Runtime.StopContainer(within(t, 20*time.Second), container.ID, 0); err != nil {
				t.Errorf("StopContainer: %v", err)
			}
		}
		if err := client.Runtime.RemoveContainer(within(t, 20*time.Second), container.ID); err != nil {
			t.Errorf("%s: RemoveContainer: %v", way, err)
		}
		if way != "its deadline" {
			if err := <-started; err == nil || status.Code(err) == codes.DeadlineExceeded {
				t.Errorf("%s: StartContainer: %v", way, err)
			}
		}
	}
	if out := pod.Run(t, "after", busybox, []string{"sleep", "1000"}).Output(t, "echo", "well"); out != "well" {
		t.Errorf("%q", out)
	}
	pod.Remove(t)
}
