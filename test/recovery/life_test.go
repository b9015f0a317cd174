package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// life is one pod from its image to its removal, a call a step. Each step can
// be told again after a crash, as kubelet would.
type life struct {
	t         *testing.T
	n         *node
	config    *cri.PodSandboxConfig
	pod       *criclient.Pod
	container *criclient.Container
	done      map[string]bool
	exitCodes []int32 // that its end may have
}

func newLife(t *testing.T, n *node) *life {
	return &life{t: t, n: n, config: criclient.PodConfig(t, n.dir+".logs"),
		done: map[string]bool{}, exitCodes: []int32{33}}
}

type step struct {
	name string
	call func(*life, context.Context) error
}

var steps = []step{
	{"PullImage", func(l *life, ctx context.Context) error { return l.n.pull(image("busybox:latest")) }},
	{"RunPodSandbox", (*life).runPod},
	{"CreateContainer", (*life).create},
	{"StartContainer", (*life).startContainer},
	{"ExecSync", (*life).exec},
	{"StopContainer", func(l *life, ctx context.Context) error {
		if err := l.n.client.Runtime.StopContainer(ctx, l.container.ID, 30); err != nil {
			return err
		}
		return l.checkExited(ctx)
	}},
	{"RemoveContainer", func(l *life, ctx context.Context) error {
		return l.n.client.Runtime.RemoveContainer(ctx, l.container.ID)
	}},
	{"StopPodSandbox", func(l *life, ctx context.Context) error {
		return l.n.client.Runtime.StopPodSandbox(ctx, l.pod.ID)
	}},
	{"RemovePodSandbox", func(l *life, ctx context.Context) error {
		return l.n.client.Runtime.RemovePodSandbox(ctx, l.pod.ID)
	}},
	{"RemoveImage", func(l *life, ctx context.Context) error {
		return l.n.client.Images.RemoveImage(ctx, &cri.ImageSpec{Image: image("busybox:latest")})
	}},
}

func (l *life) runPod(ctx context.Context) error {
	// What an earlier try left goes first, as kubelet makes it go.
	list, err := l.n.client.Runtime.ListPodSandbox(ctx, &cri.PodSandboxFilter{LabelSelector: l.config.Labels})
	if err != nil {
		return err
	}
	for _, one := range list {
		if one.State == cri.PodSandboxState_SANDBOX_READY {
			l.adoptPod(one.Id)
			return nil
		}
		if err := l.n.client.Runtime.StopPodSandbox(ctx, one.Id); err != nil {
			return err
		}
		if err := l.n.client.Runtime.RemovePodSandbox(ctx, one.Id); err != nil {
			return err
		}
	}
	id, err := l.n.client.Runtime.RunPodSandbox(ctx, l.config, *handler)
	if err == nil {
		l.adoptPod(id)
	}
	return err
}

func (l *life) adoptPod(id string) {
	l.pod = &criclient.Pod{Client: l.n.client, ID: id, Config: l.config}
}

// The container serves a page, says so once, and ends with 33 on SIGTERM.
const script = `trap 'echo bye; exit 33' TERM; echo started
httpd -f -p 8080 -h /www & while :; do sleep 0.05; done`

func (l *life) create(ctx context.Context) error {
	list, err := l.n.client.Runtime.ListContainers(ctx, &cri.ContainerFilter{PodSandboxId: l.pod.ID})
	if err != nil {
		return err
	}
	config := l.pod.ContainerConfig("c", image("busybox:latest"), []string{"sh", "-c", script})
	if len(list) == 1 && list[0].State == cri.ContainerState_CONTAINER_CREATED {
		l.container = &criclient.Container{Pod: l.pod, ID: list[0].Id, Config: config}
		return nil
	}
	for _, one := range list {
		if err := l.n.client.Runtime.RemoveContainer(ctx, one.Id); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(l.config.LogDirectory, config.LogPath)), 0o755); err != nil {
		return err
	}
	id, err := l.n.client.Runtime.CreateContainer(ctx, l.pod.ID, config, l.config)
	if err == nil {
		l.container = &criclient.Container{Pod: l.pod, ID: id, Config: config}
	}
	return err
}

func (l *life) startContainer(ctx context.Context) error {
	answer, err := l.n.client.Runtime.ContainerStatus(ctx, l.container.ID, false)
	if err != nil {
		return err
	}
	switch answer.Status.State {
	case cri.ContainerState_CONTAINER_RUNNING:
		return nil
	case cri.ContainerState_CONTAINER_EXITED:
		// Its start was cut off: kubelet makes another one in its place.
		if answer.Status.ExitCode == 0 || answer.Status.Reason == "Completed" {
			return fmt.Errorf("a start that was cut off is reported as a success: %v", answer.Status)
		}
		if err := l.create(ctx); err != nil {
			return err
		}
	}
	return l.n.client.Runtime.StartContainer(ctx, l.container.ID)
}

func (l *life) exec(ctx context.Context) error {
	out, _, err := l.n.client.Runtime.ExecSync(ctx, l.container.ID, []string{"echo", "alive"}, 10*time.Second)
	if err == nil && string(out) != "alive\n" {
		err = fmt.Errorf("exec says %q", out)
	}
	// A signal before the trap is set would be lost on process 1.
	l.container.WaitLog(l.t, "started\n")
	return err
}

func (l *life) advance() (string, error) {
	for _, one := range steps {
		if l.done[one.name] {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := one.call(l, ctx)
		cancel()
		if err != nil {
			return one.name, err
		}
		l.done[one.name] = true
	}
	return "", nil
}

// resume starts the daemon again and checks what it says of the pod.
func (l *life) resume(diedIn string) {
	l.t.Helper()
	l.n.start("")
	if l.pod != nil {
		l.pod.Client = l.n.client
	}
	if l.done["StartContainer"] && !l.done["StopContainer"] && diedIn != "StopContainer" {
		l.checkRunning()
	}
	if l.done["StopContainer"] && !l.done["RemoveContainer"] && diedIn != "RemoveContainer" {
		if err := l.checkExited(context.Background()); err != nil {
			l.t.Error(err)
		}
	}
}

func (l *life) startOver() {
	l.t.Helper()
	ctx := context.Background()
	if l.pod != nil {
		l.pod.Client = l.n.client
		err := criclient.Eventually(10*time.Second, func() error {
			list, err := l.n.client.Runtime.ListPodSandbox(ctx, &cri.PodSandboxFilter{LabelSelector: l.config.Labels})
			if err == nil && len(list) == 1 && list[0].State == cri.PodSandboxState_SANDBOX_READY {
				err = fmt.Errorf("a pod without its shim is ready")
			}
			return err
		})
		if err != nil {
			l.t.Error(err)
		}
	}
	if l.done["StartContainer"] {
		if err := l.checkExited(ctx); err != nil {
			l.t.Error(err)
		}
	}
	for name := range l.done {
		l.done[name] = name == "PullImage"
	}
}

func (l *life) checkRunning() {
	l.t.Helper()
	if got := l.pod.Status(l.t); got.State != cri.PodSandboxState_SANDBOX_READY {
		l.t.Errorf("the pod is %v", got.State)
	}
	if got := l.container.Status(l.t); got.State != cri.ContainerState_CONTAINER_RUNNING {
		l.t.Fatalf("the container is %v, %d, %s", got.State, got.ExitCode, got.Message)
	}
	if err := l.exec(context.Background()); err != nil {
		l.t.Errorf("exec: %v", err)
	}
	if page, err := l.fetch(); err != nil || page != "hello from the pod\n" {
		l.t.Errorf("the page: %q, %v", page, err)
	}
}

func (l *life) fetch() (page string, err error) {
	plain := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	err = criclient.Eventually(10*time.Second, func() error {
		answer, err := plain.Get("http://" + l.pod.Status(l.t).GetNetwork().GetIp() + ":8080/index.html")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		page = string(data)
		return err
	})
	return page, err
}

func (l *life) checkExited(ctx context.Context) error {
	answer, err := l.n.client.Runtime.ContainerStatus(ctx, l.container.ID, false)
	if err != nil {
		return err
	}
	got := answer.Status
	if got.State != cri.ContainerState_CONTAINER_EXITED || !slices.Contains(l.exitCodes, got.ExitCode) ||
		got.FinishedAt == 0 {
		return fmt.Errorf("the container is %v, exit code %d, finished at %d", got.State, got.ExitCode, got.FinishedAt)
	}
	return nil
}

// finish takes what steps are left; none may fail.
func (l *life) finish() {
	l.t.Helper()
	if step, err := l.advance(); err != nil {
		l.t.Fatalf("%s: %v", step, err)
	}
}

func (l *life) clean() {
	l.t.Helper()
	criclient.RemoveCgroup(l.config.Linux.CgroupParent)
	criclient.RemoveCgroup("/test-pods")
	l.n.clean()
}

// A container's own words about its life: it was started once, and ended by
// its own trap.
func (l *life) checkLog() {
	l.t.Helper()
	text := l.container.LogText(l.t, "")
	if strings.Count(text, "started\n") != 1 {
		l.t.Errorf("the log says %q", text)
	}
}

func TestLifeWithoutACrash(t *testing.T) {
	n := newNode(t, "")
	l := newLife(t, n)
	l.finish()
	l.checkLog()
	l.clean()
}

// A kill between any two calls: nothing is half done, so all has to be as it was.
func TestKilledBetweenCalls(t *testing.T) {
	n := newNode(t, "")
	l := newLife(t, n)
	for _, one := range steps {
		if err := one.call(l, context.Background()); err != nil {
			t.Fatalf("%s: %v", one.name, err)
		}
		l.done[one.name] = true
		n.kill()
		l.resume("")
	}
	l.finish()
	l.checkLog()
	l.clean()
}
