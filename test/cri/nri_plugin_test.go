package cri_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	nri "github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// nriFolder has the daemon's socket, plugins and their configuration for NRI
// (support/runtime.sh).
func nriFolder() string { return filepath.Join(filepath.Dir(*certs), "nri") }

func needNRI(t *testing.T) {
	t.Helper()
	version, err := client.RawRuntime.Version(t.Context(), &cri.VersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if peer() && strings.HasPrefix(strings.TrimPrefix(version.RuntimeVersion, "v"), "1.6") {
		t.Skipf("containerd %s has no NRI: it came with 1.7", version.RuntimeVersion)
	}
}

// testPlugin is a plugin by NRI's own library: what it is not told to do it
// does not want to hear of.
type testPlugin struct {
	name     string
	events   string // comma-separated, as the library names them
	mutex    sync.Mutex
	heard    []string
	synced   []string // names of containers that were there
	create   func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error)
	update   func(*nri.Container, *nri.LinuxResources) ([]*nri.ContainerUpdate, error)
	validate func(*nri.ValidateContainerAdjustmentRequest) error
	also     func(event, name string)
	stub     stub.Stub
	lost     chan struct{}
}

func (p *testPlugin) hear(event, name string) {
	p.mutex.Lock()
	p.heard = append(p.heard, event+" "+name)
	p.mutex.Unlock()
	if p.also != nil {
		p.also(event, name)
	}
}

// Heard is what it heard so far.
func (p *testPlugin) Heard() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]string(nil), p.heard...)
}

func (p *testPlugin) Configure(context.Context, string, string, string) (nri.EventMask, error) {
	return nri.ParseEventMask(p.events)
}

func (p *testPlugin) Synchronize(_ context.Context, _ []*nri.PodSandbox, containers []*nri.Container) ([]*nri.ContainerUpdate, error) {
	for _, c := range containers {
		p.synced = append(p.synced, c.Name)
	}
	return nil, nil
}

func (p *testPlugin) RunPodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.hear("RunPodSandbox", pod.Name)
	return nil
}

func (p *testPlugin) StopPodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.hear("StopPodSandbox", pod.Name)
	return nil
}

func (p *testPlugin) RemovePodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	p.hear("RemovePodSandbox", pod.Name)
	return nil
}

func (p *testPlugin) CreateContainer(_ context.Context, pod *nri.PodSandbox, c *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
	p.hear("CreateContainer", c.Name)
	if p.create == nil {
		return nil, nil, nil
	}
	return p.create(pod, c)
}

func (p *testPlugin) PostCreateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.hear("PostCreateContainer", c.Name)
	return nil
}

func (p *testPlugin) StartContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.hear("StartContainer", c.Name)
	return nil
}

func (p *testPlugin) PostStartContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.hear("PostStartContainer", c.Name)
	return nil
}

func (p *testPlugin) UpdateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container, r *nri.LinuxResources) ([]*nri.ContainerUpdate, error) {
	p.hear("UpdateContainer", c.Name)
	if p.update == nil {
		return nil, nil
	}
	return p.update(c, r)
}

func (p *testPlugin) PostUpdateContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.hear("PostUpdateContainer", c.Name)
	return nil
}

func (p *testPlugin) StopContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) ([]*nri.ContainerUpdate, error) {
	p.hear("StopContainer", c.Name)
	return nil, nil
}

func (p *testPlugin) RemoveContainer(_ context.Context, _ *nri.PodSandbox, c *nri.Container) error {
	p.hear("RemoveContainer", c.Name)
	return nil
}

func (p *testPlugin) ValidateContainerAdjustment(_ context.Context, r *nri.ValidateContainerAdjustmentRequest) error {
	if p.validate == nil {
		return nil
	}
	return p.validate(r)
}

// connect makes it a plugin of the daemon until the end of the test.
func (p *testPlugin) connect(t *testing.T, index string) *testPlugin {
	t.Helper()
	p.lost = make(chan struct{})
	var once sync.Once
	var err error
	p.stub, err = stub.New(p, stub.WithPluginName(p.name), stub.WithPluginIdx(index),
		stub.WithSocketPath(filepath.Join(nriFolder(), "nri.sock")),
		stub.WithOnClose(func() { once.Do(func() { close(p.lost) }) }))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stub.Start(t.Context()); err != nil {
		t.Fatalf("plugin %s: %v", p.name, err)
	}
	t.Cleanup(p.stub.Stop)
	return p
}

// startPlugin runs a plugin's program as the daemon would run an installed one:
// with its end of a connection as descriptor 3. It ends with the test.
func startPlugin(t *testing.T, index, name, program string) *exec.Cmd {
	t.Helper()
	socket, err := net.Dial("unix", filepath.Join(nriFolder(), "nri.sock"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := socket.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = []string{"NRI_PLUGIN_NAME=" + name, "NRI_PLUGIN_IDX=" + index, "NRI_PLUGIN_SOCKET=3"}
	command.ExtraFiles = []*os.File{file}
	output := &strings.Builder{}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	socket.Close()
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("plugin %s: %s", name, output)
		}
	})
	return command
}

// eventually waits for what is not told.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// A second life of the test program: a plugin that the daemon finds installed
// and starts, by a script that runs this program (run.sh). It notes what it was
// given beside its configuration, and which pods it has seen the end of.
type installedPlugin struct{ folder string }

func (p *installedPlugin) Configure(_ context.Context, config, runtime, version string) (nri.EventMask, error) {
	p.folder = strings.TrimSpace(config)
	if p.folder == "" { // not by the daemon
		return nri.ParseEventMask("RemovePodSandbox")
	}
	note := fmt.Sprintf("%s %s %s", os.Getenv("NRI_PLUGIN_IDX"), os.Getenv("NRI_PLUGIN_NAME"), runtime)
	if err := os.WriteFile(filepath.Join(p.folder, "configured"), []byte(note), 0o644); err != nil {
		return 0, err
	}
	return nri.ParseEventMask("RemovePodSandbox")
}

func (p *installedPlugin) RemovePodSandbox(_ context.Context, pod *nri.PodSandbox) error {
	if p.folder == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(p.folder, "removed-"+pod.Name), nil, 0o644)
}

func runInstalledPlugin() error {
	plugin, err := stub.New(&installedPlugin{})
	if err != nil {
		return err
	}
	if err := plugin.Run(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
