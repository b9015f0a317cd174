package cri_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// answers fails the test if what only asks does not answer.
func answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if _, err := client.RawRuntime.Version(ctx, &cri.VersionRequest{}); err != nil {
		t.Errorf("Version: %v", err)
	}
	if _, err := client.RawRuntime.Status(ctx, &cri.StatusRequest{}); err != nil {
		t.Errorf("Status: %v", err)
	}
	if _, err := client.RawRuntime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{}); err != nil {
		t.Errorf("ListPodSandbox: %v", err)
	}
	if _, err := client.RawRuntime.ListContainers(ctx, &cri.ListContainersRequest{}); err != nil {
		t.Errorf("ListContainers: %v", err)
	}
	if _, err := client.Images.ListImages(ctx, nil); err != nil {
		t.Errorf("ListImages: %v", err)
	}
}

// hang makes many calls that do not come back until the returned function is
// called, which waits for them all.
func hang(t *testing.T, count int, call func(ctx context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var begun, ended sync.WaitGroup
	for range count {
		begun.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			begun.Done()
			_ = call(ctx)
		}()
	}
	begun.Wait()
	time.Sleep(500 * time.Millisecond) // until they are at the other side
	return func() {
		cancel()
		ended.Wait()
	}
}

func TestQueriesAnswerBesideManyVerbsThatHang(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := trapper(t, pod, "")
	end := hang(t, 300, func(ctx context.Context) error {
		_, err := client.RawRuntime.StopContainer(ctx,
			&cri.StopContainerRequest{ContainerId: container.ID, Timeout: 1000})
		return err
	})
	answers(t)
	end()
	// Those that waited in line have gone with their clients.
	stop(t, container, 0)
}

func TestProbesOfAPodThatHangLeaveRoomForOthers(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6: a probe of another pod runs out of its 30 s")
	}
	bad, good := sleeper(t), sleeper(t)
	end := hang(t, 200, func(ctx context.Context) error {
		_, err := client.RawRuntime.ExecSync(ctx, &cri.ExecSyncRequest{
			ContainerId: bad.ID, Cmd: []string{"sleep", "1000"}, Timeout: 40})
		return err
	})
	for range 5 {
		if out := good.Output(t, "echo", "alive"); out != "alive" {
			t.Errorf("%q", out)
		}
	}
	answers(t)
	end()
	if out := bad.Output(t, "echo", "alive"); out != "alive" {
		t.Errorf("%q", out)
	}
}

func TestEventStreamsOfAClientThatLeaksThem(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 has no GetContainerEvents")
	}
	for range 40 {
		if _, err := client.RawRuntime.GetContainerEvents(t.Context(), &cri.GetEventsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	stream := client.Listen(t, logs)
	pod := client.RunPod(t, logs)
	for {
		event, err := stream.Recv()
		if err != nil {
			t.Fatalf("the newest stream: %v", err)
		}
		if event.ContainerId == pod.ID {
			break
		}
	}
	answers(t)
}

func TestManyConnectionsThatDoNothing(t *testing.T) {
	var idle []net.Conn
	defer func() {
		for _, one := range idle {
			_ = one.Close()
		}
	}()
	for n := range 2000 {
		conn, err := net.Dial("unix", strings.TrimPrefix(*endpoint, "unix://"))
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		idle = append(idle, conn)
		switch n % 3 {
		case 1:
			_, _ = conn.Write([]byte("PRI * HT"))
		case 2:
			_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		}
	}
	answers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	other, err := criclient.Connect(ctx, *endpoint, 20*time.Second)
	if err != nil {
		t.Fatalf("a new client: %v", err)
	}
	other.Close()
}

// doesNotAnswer wants the runtime's own error, and no limit of a client's.
func doesNotAnswer(t *testing.T, err error) {
	t.Helper()
	wantCode(t, err, codes.DeadlineExceeded, codes.Unavailable)
	if err != nil && !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("it does not blame the file system: %v", err)
	}
}

// A volume on a file system whose server is dead; kubelet tries more often than
// there are threads.
func TestAHostPathThatDoesNotAnswer(t *testing.T) {
	if peer() {
		t.Skip("it waits for the file system, for ever")
	}
	place := filepath.Join(*scratch, "dead")
	mountDead(t, place)
	pod := client.RunPod(t, logs)
	var group sync.WaitGroup
	for n := range 300 {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := pod.TryCreate(t, fmt.Sprintf("dead%d", n), busybox, []string{"true"},
				func(config *cri.ContainerConfig) {
					config.Mounts = []*cri.Mount{{HostPath: place + "/volume", ContainerPath: "/v"}}
				})
			doesNotAnswer(t, err)
		}()
	}
	answers(t)
	if out := sleeper(t).Output(t, "echo", "alive"); out != "alive" {
		t.Errorf("%q", out)
	}
	group.Wait()
	if out := pod.Run(t, "c", busybox, []string{"sleep", "1000"}).Output(t, "echo", "well"); out != "well" {
		t.Errorf("%q", out)
	}
}

// importImages asks berthd for what its command --import asks. StringValue is
// as ImportImagesRequest is on the wire: one string, number 1.
func importImages(t *testing.T, path string) error {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(*endpoint, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.Invoke(within(t, time.Minute), "/berth.admin.v1.Admin/ImportImages",
		wrapperspb.String(path), &wrapperspb.StringValue{})
}

// An image archive and a device on a file system whose server is dead.
func TestOtherPathsThatDoNotAnswer(t *testing.T) {
	if peer() {
		t.Skip("it waits for the file system, for ever")
	}
	place := filepath.Join(*scratch, "dead")
	mountDead(t, place)
	doesNotAnswer(t, importImages(t, place+"/image.tar"))
	wantCode(t, importImages(t, "/dev/null"), codes.InvalidArgument)
	wantCode(t, importImages(t, *scratch+"/nothing.tar"), codes.NotFound)
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "dead", busybox, []string{"true"}, func(config *cri.ContainerConfig) {
		config.Devices = []*cri.Device{{HostPath: place + "/device", ContainerPath: "/dev/x", Permissions: "rw"}}
	})
	doesNotAnswer(t, err)
	// A folder of devices that has it inside.
	pod.TryCreate(t, "around", busybox, []string{"true"}, func(config *cri.ContainerConfig) {
		config.Devices = []*cri.Device{{HostPath: filepath.Dir(place), ContainerPath: "/dev/x", Permissions: "rw"}}
	})
	answers(t)
}

// pidsOfDaemon is the folder with the pids controller's files of a new cgroup that
// has the daemon in it; it is undone at the end.
func pidsOfDaemon(t *testing.T) string {
	t.Helper()
	root, name := "/sys/fs/cgroup/pids", "pids"
	if unified() {
		root, name = "/sys/fs/cgroup", ""
	}
	now, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", *daemonPID))
	if err != nil {
		t.Fatal(err)
	}
	before := ""
	for _, line := range strings.Split(strings.TrimSpace(string(now)), "\n") {
		if parts := strings.SplitN(line, ":", 3); parts[1] == name {
			before = filepath.Join(root, parts[2])
		}
	}
	folder := filepath.Join(root, "berth-few-threads")
	pid := []byte(strconv.Itoa(*daemonPID))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(before, "cgroup.procs"), pid, 0); err != nil {
			t.Errorf("move the daemon back: %v", err)
		}
		_ = os.Remove(folder)
	})
	if _, err := os.Stat(filepath.Join(folder, "pids.max")); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), pid, 0); err != nil {
		t.Skip(err)
	}
	return folder
}

func TestADaemonWithoutThreadsAnswersAndGoesOn(t *testing.T) {
	if peer() {
		t.Skip("a Go program ends when it can make no thread")
	}
	container := sleeper(t)
	limit := filepath.Join(pidsOfDaemon(t), "pids.max")
	set := func(value string) {
		if err := os.WriteFile(limit, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	// No thread is idle beside those that stay.
	set("1")
	defer set("max")
	var refused atomic.Bool
	end := hang(t, 64, func(ctx context.Context) error {
		_, err := client.RawRuntime.ExecSync(ctx, &cri.ExecSyncRequest{
			ContainerId: container.ID, Cmd: []string{"sleep", "1000"}})
		switch status.Code(err) {
		case codes.ResourceExhausted:
			refused.Store(true)
		case codes.Unimplemented:
			t.Errorf("without threads: %v", err)
		}
		return err
	})
	answers(t)
	end()
	if !refused.Load() {
		t.Error("nothing was refused")
	}
	set("max")
	answers(t)
	if out := container.Output(t, "echo", "alive"); out != "alive" {
		t.Errorf("%q", out)
	}
}
