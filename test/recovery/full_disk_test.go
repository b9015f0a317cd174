package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// smallDisk gives the next node a root folder on a file system of its own.
func smallDisk(t *testing.T, size string) (folder string) {
	t.Helper()
	folder = filepath.Join(*scratch, fmt.Sprintf("n%d", nodes+1), "data")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(folder, unix.MNT_DETACH) })
	return folder
}

// fill takes all the room there is.
func fill(t *testing.T, folder string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(folder, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
}

// How a container ended is known after the daemon was killed on a full disk.
func TestAnExitOnAFullDiskOutlivesTheDaemon(t *testing.T) {
	disk := smallDisk(t, "128m")
	n := newNode(t, "")
	c := runner(t, n, "trap 'exit 7' TERM; while :; do sleep 0.05; done")
	away := runner(t, n, "sleep 3; exit 9")
	fill(t, disk)
	if err := n.client.Runtime.StopContainer(t.Context(), c.ID, 10); err != nil {
		t.Errorf("StopContainer: %v", err)
	}
	n.kill()
	n.start("")
	c.Pod.Client, away.Pod.Client = n.client, n.client
	away.WaitExit(t, 10*time.Second)
	for container, want := range map[*criclient.Container]int32{c: 7, away: 9} {
		if got := container.Status(t); got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != want {
			t.Errorf("it is %v with exit code %d, not %d", got.State, got.ExitCode, want)
		}
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	remove(t, n, c, away)
	n.clean()
}

// A policy of restarts acts on an exit that the disk had no room for.
func TestARestartPolicyOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "128m")
	n := newNode(t, "")
	l := newEngineLife(t, n)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(engineSteps[0].call(l)) // the pull
	must(l.post("/containers/create?name=c1", map[string]any{
		"Image": image("busybox:latest"), "Cmd": []string{"sleep", "1000"},
		"HostConfig": map[string]any{"NetworkMode": "none", "RestartPolicy": map[string]any{"Name": "always"}}}, nil))
	must(l.post("/containers/c1/start", nil, nil))
	pid := func() int {
		var answer struct{ State struct{ Pid int } }
		must(l.call("GET", "/containers/c1/json", nil, &answer))
		return answer.State.Pid
	}
	first := pid()
	if first <= 1 {
		t.Fatalf("its pid is %d", first)
	}
	fill(t, disk)
	must(syscall.Kill(first, syscall.SIGKILL))
	err := criclient.Eventually(20*time.Second, func() error {
		if pid() == first {
			return fmt.Errorf("it is said to run")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	must(os.Remove(filepath.Join(disk, "filler")))
	err = criclient.Eventually(2*time.Minute, func() error {
		got, err := l.inspect()
		if err == nil && (got.State.Status != "running" || got.RestartCount == 0) {
			err = fmt.Errorf("it is %+v", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	must(l.remove("/containers/c1?force=1"))
	must(l.remove("/images/" + image("busybox:latest")))
	l.clean()
}

// What ends and frees works without room; what needs room says so.
func TestAFullDisk(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("started again %v", again), func(t *testing.T) {
			disk := smallDisk(t, "128m")
			n := newNode(t, "")
			c := runner(t, n, "trap 'exit 7' TERM; while :; do sleep 0.05; done")
			ends := runner(t, n, "sleep 0.1; exit 9")
			ends.WaitExit(t, 10*time.Second)
			fill(t, disk)
			if again {
				n.again()
				c.Pod.Client, ends.Pod.Client = n.client, n.client
			}
			_, err := n.client.RawRuntime.RunPodSandbox(t.Context(),
				&cri.RunPodSandboxRequest{Config: criclient.PodConfig(t, n.dir+".logs")})
			if code := status.Code(err); code != codes.ResourceExhausted {
				t.Errorf("a new pod: %v", err)
			}
			if err := n.client.Runtime.StopContainer(t.Context(), c.ID, 10); err != nil {
				t.Errorf("StopContainer: %v", err)
			}
			if got := c.Status(t); got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != 7 {
				t.Errorf("it is %v with exit code %d", got.State, got.ExitCode)
			}
			if err := n.client.Runtime.RemoveContainer(t.Context(), c.ID); err != nil {
				t.Errorf("RemoveContainer: %v", err)
			}
			remove(t, n, c, ends)
			if err := n.client.Images.RemoveImage(t.Context(), &cri.ImageSpec{Image: image("busybox:latest")}); err != nil {
				t.Errorf("RemoveImage: %v", err)
			}
			if list, err := n.client.Images.ListImages(t.Context(), nil); err != nil || len(list) != 0 {
				t.Errorf("images: %v, %v", list, err)
			}
			// Room again, and no need of a restart.
			if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
				t.Fatal(err)
			}
			fresh := runner(t, n, "sleep 1000")
			remove(t, n, fresh)
			n.clean()
		})
	}
}
