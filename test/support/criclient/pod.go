package criclient

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	utilexec "k8s.io/utils/exec"
)

var podCounter atomic.Int64

// Pod is a sandbox that a test made; it is removed when the test ends.
type Pod struct {
	Client *Client
	ID     string
	Config *cri.PodSandboxConfig
}

// Container is a container that a test made; it goes with its pod.
type Container struct {
	Pod    *Pod
	ID     string
	Config *cri.ContainerConfig
}

// PodConfig is what kubelet sends for a plain pod with a unique name.
func PodConfig(t *testing.T, logs string, edit ...func(*cri.PodSandboxConfig)) *cri.PodSandboxConfig {
	name := fmt.Sprintf("%s-%d", podName(t), podCounter.Add(1))
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Namespace: "test", Uid: "uid-" + name},
		Hostname:     name,
		LogDirectory: filepath.Join(logs, name),
		DnsConfig: &cri.DNSConfig{
			Servers: []string{"192.0.2.53"}, Searches: []string{"test.example"}, Options: []string{"ndots:5"}},
		Labels:      map[string]string{"test": podName(t), "io.kubernetes.pod.name": name},
		Annotations: map[string]string{"example.com/note": "kept as it is"},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: "/test-pods/pod" + name,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{
					Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD},
				Seccomp: &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
	for _, change := range edit {
		change(config)
	}
	return config
}

func podName(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.TrimPrefix(t.Name(), "Test"))
	return name[:min(len(name), 40)]
}

// RunPod starts a sandbox. Its removal at the end of the test has to succeed.
func (c *Client) RunPod(t *testing.T, logs string, edit ...func(*cri.PodSandboxConfig)) *Pod {
	t.Helper()
	config := PodConfig(t, logs, edit...)
	id, err := c.Runtime.RunPodSandbox(t.Context(), config, c.Handler)
	if err != nil {
		t.Fatalf("RunPodSandbox: %v", err)
	}
	pod := &Pod{Client: c, ID: id, Config: config}
	t.Cleanup(func() { pod.Remove(t) })
	return pod
}

// Remove stops and removes the pod; doing so again is no error.
func (p *Pod) Remove(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	err := p.Client.Runtime.StopPodSandbox(ctx, p.ID)
	if err != nil && strings.Contains(err.Error(), "ttrpc: closed") {
		// A shim of containerd's that ends while it is asked. Kubelet tries again.
		err = p.Client.Runtime.StopPodSandbox(ctx, p.ID)
	}
	// What has gone is no failure to kubelet, so not to us.
	if err != nil && status.Code(err) != codes.NotFound {
		t.Errorf("StopPodSandbox: %v", err)
	}
	if err := p.Client.Runtime.RemovePodSandbox(ctx, p.ID); err != nil {
		t.Errorf("RemovePodSandbox: %v", err)
	}
	if parent := p.Config.GetLinux().GetCgroupParent(); parent != "" {
		RemoveCgroup(parent)
	}
}

// RemoveCgroup does what kubelet does with the pod's own cgroup, which is the
// caller's and not the runtime's. What is inside it stays, as a leak to see.
func RemoveCgroup(path string) {
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		trees, _ := filepath.Glob(pattern + path)
		for _, tree := range trees {
			os.Remove(tree)
		}
	}
}

// MakeCgroup makes a cgroup in every hierarchy there is.
func MakeCgroup(path string) {
	trees := []string{"/sys/fs/cgroup"}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err != nil {
		trees, _ = filepath.Glob("/sys/fs/cgroup/*") // no unified tree
	}
	for _, tree := range trees {
		os.Mkdir(filepath.Join(tree, path), 0o755)
	}
}

// Status is the pod's, without the library's checks in between.
func (p *Pod) Status(t *testing.T) *cri.PodSandboxStatus {
	t.Helper()
	answer, err := p.Client.Runtime.PodSandboxStatus(t.Context(), p.ID, false)
	if err != nil {
		t.Fatalf("PodSandboxStatus: %v", err)
	}
	return answer.Status
}

// ContainerConfig is what kubelet sends for a plain container.
func (p *Pod) ContainerConfig(name, image string, command []string, edit ...func(*cri.ContainerConfig)) *cri.ContainerConfig {
	config := &cri.ContainerConfig{
		Metadata:    &cri.ContainerMetadata{Name: name},
		Image:       &cri.ImageSpec{Image: image, UserSpecifiedImage: image},
		Command:     command,
		LogPath:     name + "/0.log",
		Labels:      map[string]string{"io.kubernetes.container.name": name},
		Annotations: map[string]string{"example.com/restarts": "0"},
		Linux: &cri.LinuxContainerConfig{
			Resources: &cri.LinuxContainerResources{
				CpuPeriod: 100000, CpuShares: 102, OomScoreAdj: 1000},
			SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: p.Config.Linux.SecurityContext.NamespaceOptions,
				Seccomp:          &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault},
				MaskedPaths: []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
					"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
					"/proc/scsi", "/sys/firmware"},
				ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
			},
		},
	}
	for _, change := range edit {
		change(config)
	}
	return config
}

// TryCreate makes a container in the pod, or returns why not.
func (p *Pod) TryCreate(t *testing.T, name, image string, command []string, edit ...func(*cri.ContainerConfig)) (*Container, error) {
	config := p.ContainerConfig(name, image, command, edit...)
	// kubelet makes the folder of the log.
	if err := os.MkdirAll(filepath.Dir(filepath.Join(p.Config.LogDirectory, config.LogPath)), 0o755); err != nil {
		t.Fatal(err)
	}
	id, err := p.Client.Runtime.CreateContainer(t.Context(), p.ID, config, p.Config)
	if err != nil {
		return nil, err
	}
	return &Container{Pod: p, ID: id, Config: config}, nil
}

// Create makes a container in the pod.
func (p *Pod) Create(t *testing.T, name, image string, command []string, edit ...func(*cri.ContainerConfig)) *Container {
	t.Helper()
	container, err := p.TryCreate(t, name, image, command, edit...)
	if err != nil {
		t.Fatalf("CreateContainer %s: %v", name, err)
	}
	return container
}

// Run makes a container in the pod and starts it.
func (p *Pod) Run(t *testing.T, name, image string, command []string, edit ...func(*cri.ContainerConfig)) *Container {
	t.Helper()
	container := p.Create(t, name, image, command, edit...)
	container.Start(t)
	return container
}

// Start starts the container.
func (c *Container) Start(t *testing.T) {
	t.Helper()
	if err := c.Pod.Client.Runtime.StartContainer(t.Context(), c.ID); err != nil {
		t.Fatalf("StartContainer %s: %v", c.Config.Metadata.Name, err)
	}
}

// Status is what the runtime says of the container now.
func (c *Container) Status(t *testing.T) *cri.ContainerStatus {
	t.Helper()
	answer, err := c.Pod.Client.Runtime.ContainerStatus(t.Context(), c.ID, false)
	if err != nil {
		t.Fatalf("ContainerStatus %s: %v", c.Config.Metadata.Name, err)
	}
	return answer.Status
}

// WaitExit waits until the container has ended.
func (c *Container) WaitExit(t *testing.T, limit time.Duration) *cri.ContainerStatus {
	t.Helper()
	var last *cri.ContainerStatus
	err := Eventually(limit, func() error {
		last = c.Status(t)
		if last.State != cri.ContainerState_CONTAINER_EXITED {
			return fmt.Errorf("container %s is %v", c.Config.Metadata.Name, last.State)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v after %v", err, limit)
	}
	return last
}

// Exec runs a command in the container; a command that fails is no error.
func (c *Container) Exec(t *testing.T, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	out, errout, err := c.Pod.Client.Runtime.ExecSync(t.Context(), c.ID, command, 30*time.Second)
	var exit utilexec.ExitError
	if errors.As(err, &exit) {
		return string(out), string(errout), exit.ExitStatus()
	}
	if err != nil {
		t.Fatalf("ExecSync %q: %v", command, err)
	}
	return string(out), string(errout), 0
}

// Output is the standard output of a command that has to succeed.
func (c *Container) Output(t *testing.T, command ...string) string {
	t.Helper()
	out, errout, code := c.Exec(t, command...)
	if code != 0 {
		t.Fatalf("%q: exit code %d, %s", command, code, errout)
	}
	return strings.TrimSpace(out)
}
