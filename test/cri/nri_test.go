package cri_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	nri "github.com/containerd/nri/pkg/api"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const allEvents = "RunPodSandbox,StopPodSandbox,RemovePodSandbox,CreateContainer,PostCreateContainer," +
	"StartContainer,PostStartContainer,UpdateContainer,PostUpdateContainer,StopContainer,RemoveContainer"

var sleeps = []string{"sleep", "1000"}

func TestNRIEventsInOrder(t *testing.T) {
	needNRI(t)
	var mutex sync.Mutex
	var both []string
	add := func(plugin string) func(event, name string) {
		return func(event, _ string) {
			mutex.Lock()
			defer mutex.Unlock()
			both = append(both, plugin+" "+event)
		}
	}
	// The one that comes first is not the first to be asked.
	(&testPlugin{name: "second", events: allEvents, also: add("second")}).connect(t, "20")
	(&testPlugin{name: "first", events: allEvents, also: add("first")}).connect(t, "10")
	pod := client.RunPod(t, logs)
	c := pod.Run(t, "c", busybox, sleeps)
	limits := &cri.LinuxContainerResources{MemoryLimitInBytes: 64 << 20}
	if err := client.Runtime.UpdateContainerResources(t.Context(), c.ID, &cri.ContainerResources{Linux: limits}); err != nil {
		t.Fatal(err)
	}
	if err := client.Runtime.StopContainer(t.Context(), c.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := client.Runtime.RemoveContainer(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	pod.Remove(t)
	var want []string
	for _, event := range []string{"RunPodSandbox", "CreateContainer", "PostCreateContainer", "StartContainer",
		"PostStartContainer", "UpdateContainer", "PostUpdateContainer", "StopContainer", "RemoveContainer",
		"StopPodSandbox", "RemovePodSandbox"} {
		want = append(want, "first "+event, "second "+event)
	}
	mutex.Lock()
	defer mutex.Unlock()
	if !slices.Equal(both, want) {
		t.Errorf("heard:\n%s\nwant:\n%s", strings.Join(both, "\n"), strings.Join(want, "\n"))
	}
}

// What a plugin is shown of a container is what the container will be.
func TestNRIShowsTheContainer(t *testing.T) {
	needNRI(t)
	var pod *nri.PodSandbox
	var shown *nri.Container
	(&testPlugin{name: "looks", events: "CreateContainer",
		create: func(p *nri.PodSandbox, c *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
			pod, shown = p, c
			return nil, nil, nil
		}}).connect(t, "10")
	made := client.RunPod(t, logs)
	c := made.Create(t, "c", busybox, sleeps)
	status := made.Status(t)
	if pod.Id != made.ID || pod.Name != made.Config.Metadata.Name || pod.Namespace != "test" ||
		pod.Annotations["example.com/note"] != "kept as it is" || pod.Ips[0] != status.Network.Ip {
		t.Errorf("the pod: %v", pod)
	}
	network := ""
	for _, namespace := range pod.Linux.Namespaces {
		if namespace.Type == "network" {
			network = namespace.Path
		}
	}
	if _, err := os.Stat(network); err != nil {
		t.Errorf("the pod's network namespace %q: %v", network, err)
	}
	if shown.Id != c.ID || shown.PodSandboxId != made.ID || shown.Name != "c" || !slices.Equal(shown.Args, sleeps) ||
		shown.Linux.OomScoreAdj.GetValue() == 0 || shown.Linux.Resources.Cpu.Shares.GetValue() != 102 {
		t.Errorf("the container: %v", shown)
	}
	for _, destination := range []string{"/proc", "/dev", "/etc/hosts"} {
		if !slices.ContainsFunc(shown.Mounts, func(m *nri.Mount) bool { return m.Destination == destination }) {
			t.Errorf("no mount of %s among %v", destination, shown.Mounts)
		}
	}
}

func TestNRIAdjustmentsAreInTheContainer(t *testing.T) {
	needNRI(t)
	folder := filepath.Join(*scratch, "nri")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	os.WriteFile(filepath.Join(folder, "word"), []byte("plugin\n"), 0o644)
	(&testPlugin{name: "adjusts", events: "CreateContainer",
		create: func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
			a := &nri.ContainerAdjustment{}
			a.AddEnv("BY", "plugin")
			a.AddMount(&nri.Mount{Destination: "/opt/nri", Type: "bind", Source: folder, Options: []string{"rbind", "ro"}})
			a.AddDevice(&nri.LinuxDevice{Path: "/dev/given", Type: "c", Major: 10, Minor: 229})
			a.AddRlimit("RLIMIT_NOFILE", 777, 666)
			a.AddHooks(&nri.Hooks{CreateRuntime: []*nri.Hook{{Path: "/usr/bin/touch",
				Args: []string{"touch", filepath.Join(folder, "hooked")}}}})
			a.SetLinuxMemoryLimit(96 << 20)
			a.SetLinuxOomScoreAdj(&[]int{900}[0])
			a.SetLinuxSysctl("net.ipv4.ip_forward", "1")
			return a, nil, nil
		}}).connect(t, "10")
	pod := client.RunPod(t, logs)
	c := pod.Run(t, "c", busybox, sleeps)
	for command, want := range map[string]string{
		"tr '\\0' '\\n' </proc/1/environ | grep ^BY=":  "BY=plugin",
		"cat /opt/nri/word":                            "plugin",
		": <>/dev/given && echo opened":                "opened",
		"grep 'open files' /proc/1/limits | tr -s ' '": "Max open files 666 777 files",
		"cat /proc/1/oom_score_adj":                    "900",
		"cat /proc/sys/net/ipv4/ip_forward":            "1",
	} {
		if got := strings.TrimSpace(c.Output(t, "sh", "-c", command)); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if _, _, code := c.Exec(t, "touch", "/opt/nri/word"); code == 0 {
		t.Error("the mount can be written")
	}
	if _, err := os.Stat(filepath.Join(folder, "hooked")); err != nil {
		t.Errorf("the hook: %v", err)
	}
	status, err := client.Runtime.ContainerStatus(t.Context(), c.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Status.GetResources().GetLinux().GetMemoryLimitInBytes(); got != 96<<20 {
		t.Errorf("the limit in force is shown as %d", got)
	}
}

func setsEnv(key, value string) func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
	return func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
		a := &nri.ContainerAdjustment{}
		a.AddEnv(key, value)
		return a, nil, nil
	}
}

func TestNRIConflictNamesBoth(t *testing.T) {
	needNRI(t)
	(&testPlugin{name: "one", events: "CreateContainer", create: setsEnv("SAME", "1")}).connect(t, "10")
	two := (&testPlugin{name: "two", events: "CreateContainer", create: setsEnv("SAME", "2")}).connect(t, "20")
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "c", busybox, sleeps)
	if err == nil || !strings.Contains(err.Error(), "one") || !strings.Contains(err.Error(), "two") {
		t.Errorf("two that set one variable: %v", err)
	}
	// Who takes it away first may set it.
	two.create = func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
		a := &nri.ContainerAdjustment{}
		a.RemoveEnv("SAME")
		a.AddEnv("SAME", "2")
		return a, nil, nil
	}
	c := pod.Run(t, "c", busybox, sleeps)
	if got := c.Output(t, "sh", "-c", "echo $SAME"); got != "2" {
		t.Errorf("after the removal: %q", got)
	}
}

func TestNRIRefusalLeavesNothing(t *testing.T) {
	needNRI(t)
	(&testPlugin{name: "refuses", events: "CreateContainer",
		create: func(_ *nri.PodSandbox, c *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
			if c.Name == "refused" {
				return nil, nil, fmt.Errorf("not on my node")
			}
			return nil, nil, nil
		}}).connect(t, "10")
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "refused", busybox, sleeps)
	if err == nil || !strings.Contains(err.Error(), "not on my node") {
		t.Errorf("a refused container: %v", err)
	}
	list, err := client.Runtime.ListContainers(t.Context(), &cri.ContainerFilter{PodSandboxId: pod.ID})
	if err != nil || len(list) != 0 {
		t.Errorf("left: %v %v", list, err)
	}
	pod.Run(t, "other", busybox, sleeps)
}

func TestNRIValidationRejects(t *testing.T) {
	needNRI(t)
	(&testPlugin{name: "sets", events: "CreateContainer", create: setsEnv("A", "1")}).connect(t, "10")
	owner := ""
	(&testPlugin{name: "guards", events: "ValidateContainerAdjustment",
		validate: func(r *nri.ValidateContainerAdjustmentRequest) error {
			owner, _ = r.Owners.EnvOwner(r.Container.Id, "A")
			return fmt.Errorf("nobody sets A")
		}}).connect(t, "90")
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "c", busybox, sleeps)
	if err == nil || !strings.Contains(err.Error(), "nobody sets A") {
		t.Errorf("a rejected adjustment: %v", err)
	}
	if !strings.Contains(owner, "sets") {
		t.Errorf("the owner of the variable: %q", owner)
	}
}

func TestNRIUpdatesOthersAndItself(t *testing.T) {
	needNRI(t)
	other := ""
	plugin := (&testPlugin{name: "updates", events: "CreateContainer,UpdateContainer",
		create: func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
			if other == "" {
				return nil, nil, nil
			}
			u := &nri.ContainerUpdate{ContainerId: other}
			u.SetLinuxCPUShares(222)
			return nil, []*nri.ContainerUpdate{u}, nil
		},
		update: func(c *nri.Container, r *nri.LinuxResources) ([]*nri.ContainerUpdate, error) {
			u := &nri.ContainerUpdate{ContainerId: c.Id}
			u.SetLinuxMemoryLimit(r.Memory.Limit.GetValue() * 2)
			return []*nri.ContainerUpdate{u}, nil
		}}).connect(t, "10")
	limits := func(c string) *cri.LinuxContainerResources {
		status, err := client.Runtime.ContainerStatus(t.Context(), c, false)
		if err != nil {
			t.Fatal(err)
		}
		return status.Status.GetResources().GetLinux()
	}
	pod := client.RunPod(t, logs)
	first := pod.Run(t, "first", busybox, sleeps)
	other = first.ID
	pod.Create(t, "second", busybox, sleeps)
	if got := limits(first.ID).CpuShares; got != 222 {
		t.Errorf("shares by another's creation: %d", got)
	}
	asked := &cri.ContainerResources{Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: 32 << 20}}
	if err := client.Runtime.UpdateContainerResources(t.Context(), first.ID, asked); err != nil {
		t.Fatal(err)
	}
	if got := limits(first.ID).MemoryLimitInBytes; got != 64<<20 {
		t.Errorf("memory as the plugin wants it: %d", got)
	}
	u := &nri.ContainerUpdate{ContainerId: first.ID}
	u.SetLinuxCPUShares(333)
	none := &nri.ContainerUpdate{ContainerId: "none"}
	failed, err := plugin.stub.UpdateContainers([]*nri.ContainerUpdate{u, none})
	if err != nil || len(failed) != 1 || failed[0].ContainerId != "none" {
		t.Errorf("by itself: failed %v, %v", failed, err)
	}
	if got := limits(first.ID).CpuShares; got != 333 {
		t.Errorf("shares by the plugin itself: %d", got)
	}
}

func TestNRISynchronizeLosesNoContainer(t *testing.T) {
	needNRI(t)
	pod := client.RunPod(t, logs)
	pod.Run(t, "before", busybox, sleeps)
	plugin := &testPlugin{name: "counts", events: "CreateContainer"}
	const count = 20
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range count {
			if _, err := pod.TryCreate(t, fmt.Sprintf("c%d", i), busybox, sleeps); err != nil {
				t.Error(err)
			}
		}
	}()
	plugin.connect(t, "10")
	<-done
	known := map[string]bool{}
	for _, name := range plugin.synced {
		known[name] = true
	}
	for _, event := range plugin.Heard() {
		known[strings.TrimPrefix(event, "CreateContainer ")] = true
	}
	if len(known) != count+1 {
		t.Errorf("it knows %d of %d: %v", len(known), count+1, known)
	}
}

func TestNRIPluginThatHangsIsDropped(t *testing.T) {
	needNRI(t)
	release := make(chan struct{})
	hangs := (&testPlugin{name: "hangs", events: "CreateContainer",
		create: func(*nri.PodSandbox, *nri.Container) (*nri.ContainerAdjustment, []*nri.ContainerUpdate, error) {
			<-release
			return nil, nil, nil
		}}).connect(t, "10")
	t.Cleanup(func() { close(release) })
	(&testPlugin{name: "works", events: "CreateContainer", create: setsEnv("BY", "works")}).connect(t, "20")
	pod := client.RunPod(t, logs)
	c := pod.Run(t, "c", busybox, sleeps)
	if got := c.Output(t, "sh", "-c", "echo $BY"); got != "works" {
		t.Errorf("the other plugin: %q", got)
	}
	<-hangs.lost
	pod.Run(t, "d", busybox, sleeps)
	if heard := hangs.Heard(); len(heard) != 1 {
		t.Errorf("it is asked again: %v", heard)
	}
}

func TestNRIPluginThatIsKilledOrLiesIsDropped(t *testing.T) {
	needNRI(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := startPlugin(t, "10", "killed", program)
	raw, err := net.Dial("unix", filepath.Join(nriFolder(), "nri.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.Write([]byte(strings.Repeat("\xff", 1<<16)))
	works := (&testPlugin{name: "works", events: "RemovePodSandbox"}).connect(t, "20")
	killed.Process.Kill()
	pod := client.RunPod(t, logs)
	pod.Run(t, "c", busybox, sleeps)
	pod.Remove(t)
	if heard := works.Heard(); len(heard) != 1 {
		t.Errorf("the other plugin heard %v", heard)
	}
	if n, err := raw.Read(make([]byte, 1)); err == nil {
		t.Errorf("the liar has %d bytes", n)
	}
	stillServing(t)
}

// A plugin that containerd publishes, as it is, from before each event had a
// call of its own.
func TestNRIUlimitAdjuster(t *testing.T) {
	needNRI(t)
	startPlugin(t, "10", "ulimit-adjuster", filepath.Join(filepath.Dir(nriFolder()), "..", "ulimit-adjuster"))
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Annotations["ulimits.nri.containerd.io/container.c"] = "- type: memlock\n  hard: 987654\n  soft: 645321\n" +
			"- type: RLIMIT_NOFILE\n  hard: 4096\n  soft: 1024\n"
		config.Annotations["ulimits.nri.containerd.io/container.bad"] = "- type: memlock\n  hard: 1\n  soft: 2\n"
	})
	eventually(t, "the plugin refuses", func() bool {
		_, err := pod.TryCreate(t, "bad", busybox, sleeps)
		return err != nil && strings.Contains(err.Error(), "must have hard limit >= soft limit")
	})
	c := pod.Run(t, "c", busybox, sleeps)
	limits := strings.Join(strings.Fields(c.Output(t, "cat", "/proc/1/limits")), " ")
	for _, want := range []string{"Max open files 1024 4096", "Max locked memory 645321 987654"} {
		if !strings.Contains(limits, want) {
			t.Errorf("no %q in %s", want, limits)
		}
	}
}

// One that was installed when the daemon started (run.sh).
func TestNRIInstalledPluginIsStarted(t *testing.T) {
	needNRI(t)
	notes := filepath.Join(nriFolder(), "notes")
	text, err := os.ReadFile(filepath.Join(notes, "configured"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "90 installed ") {
		t.Errorf("it was given %q", text)
	}
	pod := client.RunPod(t, logs)
	pod.Remove(t)
	if _, err := os.Stat(filepath.Join(notes, "removed-"+pod.Config.Metadata.Name)); err != nil {
		t.Error(err)
	}
}

// Requests without end: the daemon stays.
func TestNRIFloodOfConnections(t *testing.T) {
	needNRI(t)
	var open []net.Conn
	for range 200 {
		socket, err := (&net.Dialer{}).DialContext(context.Background(), "unix", filepath.Join(nriFolder(), "nri.sock"))
		if err != nil {
			break
		}
		open = append(open, socket)
	}
	pod := client.RunPod(t, logs)
	pod.Run(t, "c", busybox, sleeps)
	for _, socket := range open {
		socket.Close()
	}
	stillServing(t)
}
