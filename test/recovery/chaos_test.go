package recovery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// How long anything that must go on may take before it counts as stuck. Not a
// measure of speed: the times are printed.
const stuck = 10 * time.Second

// Everything that can hang a node does so at once: what is healthy goes on, and
// when the causes end all becomes true again without a restart.
func TestEverythingWrongAtOnce(t *testing.T) {
	n := newNode(t, "", func(n *node) {
		data := filepath.Join(n.dir, "data")
		os.Mkdir(data, 0o700)
		// A disk of its own, so that it can be full.
		if err := syscall.Mount("data", data, "tmpfs", 0, "size=256m,mode=700"); err != nil {
			t.Fatal(err)
		}
	})
	c := &chaos{t: t, n: n}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := n.pull(image("busybox:latest")); err != nil {
		t.Fatal(err)
	}
	c.victim = c.pod()
	victim := c.victim.Run(t, "c", image("busybox:latest"), []string{"sleep", "1000000"})
	healthy := c.pod()
	first := healthy.Run(t, "first", image("busybox:latest"), []string{"sleep", "1000000"})

	before := c.figures("before", healthy, first)
	made := c.create(healthy, 10)
	causes := []cause{hungPlugin, deadPath, silentRegistry, stalledClient, idleClients, stuckShim}
	for _, one := range causes {
		t.Logf("cause: %s", one.name)
		one.begin(c)
	}
	compare(t, before, c.figures("all at once", healthy, first))

	// New things may be refused now; what is there starts, stops and goes.
	t.Logf("cause: %s", fullDisk.name)
	fullDisk.begin(c)
	causes = append(causes, fullDisk)
	c.queries("and a full disk")
	c.timed("start, exec, stop, remove on a full disk", len(made), func() error {
		one := made[0]
		made = made[1:]
		return c.runAndRemove(one)
	})

	t.Logf("cause: %s", noThread.name)
	noThread.begin(c)
	c.queries("and no thread")
	c.timed("ExecSync without a thread", 10, func() error {
		err := c.exec(first)
		if status.Code(err) == codes.ResourceExhausted {
			// The thread that has just answered is not idle yet.
			time.Sleep(20 * time.Millisecond)
			err = c.exec(first)
		}
		return err
	})
	noThread.end(c)

	// A stuck shim costs its own pod only, and that one can be ended.
	c.timed("StopPodSandbox of the stuck shim's pod", 1, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		return n.client.Runtime.StopPodSandbox(ctx, c.victim.ID)
	})
	if got := victim.Status(t); got.State != cri.ContainerState_CONTAINER_EXITED || got.ExitCode != 255 && got.ExitCode != 137 {
		t.Errorf("the container of the stuck shim: %v, exit code %d, %q", got.State, got.ExitCode, got.Reason)
	}

	c.cancel()
	for _, one := range slices.Backward(causes) {
		one.end(c)
	}
	c.settle()
	after := c.figures("after", healthy, first)
	compare(t, before, after)
	healthy.Remove(t)
	c.victim.Remove(t)
	c.cleanUp()
}

// pod runs one that cleanUp removes.
func (c *chaos) pod() *criclient.Pod {
	c.t.Helper()
	config := criclient.PodConfig(c.t, c.n.dir+".logs")
	id, err := c.n.client.Runtime.RunPodSandbox(context.Background(), config, *handler)
	if err != nil {
		c.t.Fatalf("RunPodSandbox: %v", err)
	}
	return &criclient.Pod{Client: c.n.client, ID: id, Config: config}
}

// settle waits until what hung has been given up: the same requests work now.
func (c *chaos) settle() {
	c.t.Helper()
	err := criclient.Eventually(2*time.Minute, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stuck)
		defer cancel()
		id, err := c.n.client.Runtime.RunPodSandbox(ctx, c.hanging, *handler)
		if err != nil {
			return err
		}
		pod := &criclient.Pod{Client: c.n.client, ID: id, Config: c.hanging}
		pod.Remove(c.t)
		return nil
	})
	if err != nil {
		c.t.Errorf("the pod whose plugin hung: %v", err)
	}
}

// cleanUp removes what requests that hung may have left, as kubelet would.
func (c *chaos) cleanUp() {
	c.t.Helper()
	pods, _ := c.n.client.Runtime.ListPodSandbox(context.Background(), nil)
	for _, one := range pods {
		(&criclient.Pod{Client: c.n.client, ID: one.Id, Config: &cri.PodSandboxConfig{}}).Remove(c.t)
	}
	parents, _ := filepath.Glob("/sys/fs/cgroup/*/test-pods/*")
	for _, parent := range parents {
		os.Remove(parent)
	}
	criclient.RemoveCgroup("/test-pods")
	criclient.RemoveCgroup("/berth") // the parent of docker's containers stays
	data := filepath.Join(c.n.dir, "data")
	c.t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) })
	// The disk is the test's own: it goes between the daemon's end and the check.
	c.n.disconnect()
	c.n.script("stop", c.n.dir)
	c.n.stopped = true
	if err := syscall.Unmount(data, 0); err != nil {
		c.t.Errorf("unmount the daemon's disk: %v", err)
	}
	if said := c.n.leaks("compare", c.n.before, "10"); said != "" {
		c.t.Errorf("left behind:\n%s", said)
	}
}

type figure struct {
	what        string
	median, max time.Duration
}

// timed makes the call some times; each has to succeed before it counts as
// stuck.
func (c *chaos) timed(what string, times int, call func() error) figure {
	c.t.Helper()
	var all []time.Duration
	failed := 0
	defer func() {
		if failed > 0 {
			c.t.Errorf("%s: %d of %d failed", what, failed, times)
		}
	}()
	for range times {
		begin := time.Now()
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			if err != nil && failed == 0 {
				c.t.Errorf("%s: %v", what, err)
			}
			if err != nil {
				failed++
			}
		case <-time.After(max(stuck, time.Duration(60/times)*time.Second)):
			c.t.Errorf("%s: stuck", what)
			return figure{what, -1, -1}
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	got := figure{what, all[len(all)/2], all[len(all)-1]}
	c.t.Logf("%-40s median %8.1f ms, most %8.1f ms", what, ms(got.median), ms(got.max))
	return got
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func (c *chaos) queries(when string) {
	c.t.Helper()
	ctx := context.Background()
	c.timed("Version, "+when, 40, func() error {
		_, err := c.n.client.RawRuntime.Version(ctx, &cri.VersionRequest{})
		return err
	})
	c.timed("ListContainers, "+when, 40, func() error {
		_, err := c.n.client.RawRuntime.ListContainers(ctx, &cri.ListContainersRequest{})
		return err
	})
	c.timed("docker ps, "+when, 40, func() error {
		if answer := c.request("GET", "/containers/json", ""); !strings.HasPrefix(answer, "200 ") {
			return fmt.Errorf("%.200s", answer)
		}
		return nil
	})
}

func (c *chaos) exec(in *criclient.Container) error {
	_, _, err := c.n.client.Runtime.ExecSync(context.Background(), in.ID, []string{"true"}, stuck)
	return err
}

func (c *chaos) create(in *criclient.Pod, count int) []*criclient.Container {
	var made []*criclient.Container
	for at := range count {
		made = append(made, in.Create(c.t, fmt.Sprintf("made%d", at), image("busybox:latest"), []string{"sleep", "1000000"}))
	}
	return made
}

func (c *chaos) runAndRemove(one *criclient.Container) error {
	ctx := context.Background()
	if err := c.n.client.Runtime.StartContainer(ctx, one.ID); err != nil {
		return err
	}
	if err := c.exec(one); err != nil {
		return err
	}
	if err := c.n.client.Runtime.StopContainer(ctx, one.ID, 0); err != nil {
		return err
	}
	return c.n.client.Runtime.RemoveContainer(ctx, one.ID)
}

// figures does what a healthy node does, and says how long it took.
func (c *chaos) figures(when string, pod *criclient.Pod, first *criclient.Container) []figure {
	c.t.Helper()
	ctx := context.Background()
	c.queries(when)
	count := 0
	got := []figure{c.timed("ExecSync, "+when, 20, func() error { return c.exec(first) })}
	got = append(got, c.timed("a container's life, "+when, 10, func() error {
		count++
		name := fmt.Sprintf("%s%d", strings.ReplaceAll(when, " ", "-"), count)
		next, err := pod.TryCreate(c.t, name, image("busybox:latest"), []string{"sleep", "1000000"})
		if err != nil {
			return err
		}
		return c.runAndRemove(next)
	}))
	return append(got, c.timed("a pod's life, "+when, 5, func() error {
		config := criclient.PodConfig(c.t, c.n.dir+".logs")
		id, err := c.n.client.Runtime.RunPodSandbox(ctx, config, *handler)
		if err != nil {
			return err
		}
		(&criclient.Pod{Client: c.n.client, ID: id, Config: config}).Remove(c.t)
		return nil
	}))
}

func compare(t *testing.T, before, now []figure) {
	for at := range before {
		if before[at].median > 0 && now[at].median > 0 {
			t.Logf("%-40s %.2f of before", now[at].what, float64(now[at].median)/float64(before[at].median))
		}
	}
}
