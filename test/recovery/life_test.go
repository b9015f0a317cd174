package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
}

func newLife(t *testing.T, n *node) *life {
	return &life{t: t, n: n, config: criclient.PodConfig(t, n.dir+".logs"), done: map[string]bool{}}
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
		return l.n.client.Runtime.StopContainer(ctx, l.container.ID, 10)
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
	id, err := l.n.client.Runtime.RunPodSandbox(ctx, l.config, "")
	if err == nil {
		l.adoptPod(id)
	}
	return err
}

func (l *life) adoptPod(id string) {
	l.pod = &criclient.Pod{Client: l.n.client, ID: id, Config: l.config}
}

// The container serves a page, says so once, and ends with 33 on SIGTERM.
const script = `echo started; trap 'echo bye; exit 33' TERM
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
	return err
}

// runUntil takes the steps until the daemon dies; the name of the step that it
// died in, or "" if it did not. Any other error is the test's end.
func (l *life) runUntil() string {
	l.t.Helper()
	for _, one := range steps {
		if l.done[one.name] {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := one.call(l, ctx)
		cancel()
		if err == nil {
			l.done[one.name] = true
			continue
		}
		// A dead daemon is seen as a closed connection a moment earlier.
		gone := criclient.Eventually(time.Second, func() error {
			if l.n.running() {
				return err
			}
			return nil
		})
		if gone != nil {
			l.t.Fatalf("%s: %v", one.name, err)
		}
		l.n.waitDead()
		return one.name
	}
	if !l.n.running() { // after the answer of the last step
		l.n.waitDead()
		return "the end"
	}
	return ""
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
		l.checkExited()
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

func (l *life) checkExited() {
	l.t.Helper()
	got := l.container.Status(l.t)
	if got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != 33 || got.FinishedAt == 0 {
		l.t.Errorf("the container is %v, exit code %d, finished at %d", got.State, got.ExitCode, got.FinishedAt)
	}
}

// finish takes what steps are left; the daemon has to live through them.
func (l *life) finish() {
	l.t.Helper()
	if died := l.runUntil(); died != "" {
		l.t.Fatalf("the daemon died again, in %s", died)
	}
	criclient.RemoveCgroup(l.config.Linux.CgroupParent)
	criclient.RemoveCgroup("/test-pods")
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
	n.clean()
}

// A life with a kill at each place in the source that has a failpoint.
func TestKilledAt(t *testing.T) {
	names, err := os.ReadFile(*failpoints)
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(names))
	if len(list) < 10 {
		t.Fatalf("only %d failpoints: %v", len(list), list)
	}
	for _, name := range list {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, name+"=kill")
			l := newLife(t, n)
			died := l.runUntil()
			if died == "" {
				t.Fatalf("the life of a pod does not pass here")
			}
			t.Logf("killed in %s", died)
			l.resume(died)
			l.finish()
			n.clean()
		})
	}
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
	n.clean()
}
