// Package recovery_test kills a running berthd (or its shim) at every place
// that has a failpoint, starts it again, and checks that the pod goes on or is
// reported as it ended, and that removing it leaves nothing.
package recovery_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

var (
	kind       = flag.String("kind", "berthd", "the runtime: berthd")
	registry   = flag.String("registry", "", "HOST:PORT of a registry with the test images")
	handler    = flag.String("handler", "", "the runtime handler of pods")
	support    = flag.String("support", "", "the folder test/support")
	scratch    = flag.String("scratch", "", "a folder for the runtimes and their logs")
	failpoints = flag.String("failpoints", "", "a file with a failpoint's name a line")
	shards     = flag.Int("shards", 1, "how many processes share the failpoints")
	shard      = flag.Int("shard", 0, "which of them this is; the first runs all other tests")
)

// node is a runtime with folders of its own, which can be killed and started.
type node struct {
	t       *testing.T
	dir     string
	client  *criclient.Client
	pid     int
	before  string // the leak check's snapshot
	stopped bool
}

var nodes int

// newNode starts one, with failpoints armed if any are given. What prepare does
// with it before its start is the caller's to undo.
func newNode(t *testing.T, armed string, prepare ...func(*node)) *node {
	t.Helper()
	nodes++
	n := &node{t: t, dir: filepath.Join(*scratch, fmt.Sprintf("n%d", nodes))}
	n.before = n.dir + ".before"
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n.leaks("snapshot", n.before)
	for _, one := range prepare {
		one(n)
	}
	n.start(armed)
	t.Cleanup(func() {
		n.disconnect()
		if !n.stopped {
			n.script("stop", n.dir)
		}
		if t.Failed() {
			if log, err := os.ReadFile(filepath.Join(n.dir, "log")); err == nil {
				lines := strings.Split(strings.TrimSpace(string(log)), "\n")
				t.Logf("the last of its log:\n%s", strings.Join(lines[max(0, len(lines)-15):], "\n"))
			}
		}
	})
	return n
}

func (n *node) script(arguments ...string) string {
	n.t.Helper()
	out, err := exec.Command(filepath.Join(*support, "runtime.sh"), arguments...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("runtime.sh %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// leaks runs the leak check; the result is what it printed.
func (n *node) leaks(arguments ...string) string {
	out, err := exec.Command(filepath.Join(*support, "leaks.sh"), arguments...).CombinedOutput()
	if err != nil && len(out) == 0 {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// start starts the runtime and connects to it. The network between is that of
// the machine, so the armed kill may strike at any time later, also here.
func (n *node) start(armed string) {
	n.t.Helper()
	arguments := []string{"start", *kind, n.dir, "--registry", *registry,
		"--pause", image("pause:latest")}
	if armed != "" {
		arguments = append(arguments, "--env", "BERTH_FAILPOINTS="+armed,
			"--env", "BERTH_FAILPOINTS_ACTED="+n.actedFile())
	}
	out := n.script(arguments...)
	socket := ""
	for _, line := range strings.Split(out, "\n") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "SOCKET":
			socket = value
		case "PID":
			n.pid, _ = strconv.Atoi(value)
		}
	}
	client, err := criclient.Connect(context.Background(), socket, 30*time.Second)
	if err != nil {
		n.t.Fatal(err)
	}
	n.client = client
}

func (n *node) disconnect() {
	if n.client != nil {
		n.client.Close()
		n.client = nil
	}
}

// running tells whether the process still is, and not as a zombie.
func (n *node) running() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// kill ends the daemon by SIGKILL; nothing else is touched.
func (n *node) kill() {
	n.t.Helper()
	syscall.Kill(n.pid, syscall.SIGKILL)
	n.waitDead()
}

func (n *node) waitDead() {
	n.t.Helper()
	err := criclient.Eventually(10*time.Second, func() error {
		if n.running() {
			return fmt.Errorf("process %d is still there", n.pid)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.disconnect()
}

// again kills the daemon and starts it, failpoints off.
func (n *node) again() {
	n.t.Helper()
	n.kill()
	n.start("")
}

// pull makes the test image there.
func (n *node) pull(name string) error {
	_, err := n.client.Images.PullImage(context.Background(), &cri.ImageSpec{Image: name}, nil, nil)
	return err
}

// clean checks that nothing is left of pods and of the image: neither by the
// daemon's word nor on the machine nor in files (more patterns may be given),
// and stops the daemon.
func (n *node) clean(more ...string) {
	n.t.Helper()
	pods, err := n.client.Runtime.ListPodSandbox(context.Background(), nil)
	if err != nil || len(pods) != 0 {
		n.t.Errorf("pods: %v, %v", pods, err)
	}
	containers, err := n.client.Runtime.ListContainers(context.Background(), &cri.ContainerFilter{})
	if err != nil || len(containers) != 0 {
		n.t.Errorf("containers: %v, %v", containers, err)
	}
	// "@..." are caches of compiled filters, which belong to no container.
	more = append(more, "state/sandboxes/*", "state/containers/*", "state/oci/[^@]*", "data/containers/*")
	images, err := n.client.Images.ListImages(context.Background(), nil)
	if err == nil && len(images) == 0 { // what they were made of goes in the background
		more = append(more, "data/content/blobs/sha256/*", "data/snapshots/[0-9]*")
	}
	err = criclient.Eventually(10*time.Second, func() error {
		for _, pattern := range more {
			if left, _ := filepath.Glob(filepath.Join(n.dir, pattern)); len(left) != 0 {
				return fmt.Errorf("files are left: %v", left)
			}
		}
		return nil
	})
	if err != nil {
		n.t.Error(err)
	}
	n.disconnect()
	n.script("stop", n.dir)
	n.stopped = true
	if left := n.leaks("compare", n.before, "10"); left != "" {
		n.t.Errorf("left behind:\n%s", left)
	}
}

func image(name string) string { return *registry + "/test/" + name }
