// Podclient times the calls by which kubelet starts and ends pods, on several
// runtimes at once.
//
//	podclient bench FILE             FILE: a plan (see plan); samples on stdout
//	podclient start FILE COUNT       starts pods on the plan's only target
//	podclient clean FILE             ends and removes all its pods
//	podclient pull SOCKET IMAGE      milliseconds on stdout
//	podclient remove SOCKET IMAGE    the same
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What is to be measured, as JSON.
type plan struct {
	Targets []*target `json:"targets"`
	Image   string    `json:"image"`
	Network string    `json:"network"` // "host" or "bridge"
	Rounds  int       `json:"rounds"`
	Warmup  int       `json:"warmup"` // rounds before, not counted
	GapMs   int       `json:"gap_ms"` // rest before each measurement
}

// A runtime under measurement.
type target struct {
	Name    string `json:"name"`
	Socket  string `json:"socket"`
	Logs    string `json:"logs"`
	CPUFile string `json:"cpu_file"` // cpuacct.usage of the whole box, or ""

	runtime cri.RuntimeServiceClient
	samples map[string][]float64 // metric -> milliseconds
	pods    int
}

type pod struct {
	id, container string
}

func (t *target) connect() error {
	conn, err := grpc.NewClient("unix://"+t.Socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	t.runtime = cri.NewRuntimeServiceClient(conn)
	t.samples = map[string][]float64{}
	return nil
}

// timed adds the duration of one call to a metric, unless it failed.
func (t *target) timed(metric string, count bool, call func() error) error {
	begin := time.Now()
	if err := call(); err != nil {
		return fmt.Errorf("%s: %s: %w", t.Name, metric, err)
	}
	if count {
		t.samples[metric] = append(t.samples[metric],
			float64(time.Since(begin).Nanoseconds())/1e6)
	}
	return nil
}

func (t *target) cpu() float64 {
	text, err := os.ReadFile(t.CPUFile)
	if err != nil {
		return 0
	}
	ns, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return ns / 1e6
}

func (p *plan) sandboxConfig(t *target) *cri.PodSandboxConfig {
	t.pods++
	name := fmt.Sprintf("perf-%d-%d", os.Getpid(), t.pods)
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{
			Name: name, Uid: name, Namespace: "perf"},
		Hostname:     name,
		LogDirectory: filepath.Join(t.Logs, name),
		Linux: &cri.LinuxPodSandboxConfig{
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{
					Pid: cri.NamespaceMode_CONTAINER},
				Seccomp: &cri.SecurityProfile{
					ProfileType: cri.SecurityProfile_RuntimeDefault},
			},
		},
	}
	if p.Network == "host" {
		// As kubelet does: the host's name comes with its network.
		config.Hostname = ""
		config.Linux.SecurityContext.NamespaceOptions.Network =
			cri.NamespaceMode_NODE
	}
	return config
}

// What kubelet asks for an ordinary container with limits.
func (p *plan) containerConfig(sandbox *cri.PodSandboxConfig) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"},
		Image:    &cri.ImageSpec{Image: p.Image},
		Command:  []string{"/bin/sleep", "86400"},
		LogPath:  "main/0.log",
		Linux: &cri.LinuxContainerConfig{
			Resources: &cri.LinuxContainerResources{
				CpuShares: 102, CpuPeriod: 100000, CpuQuota: 50000,
				MemoryLimitInBytes: 64 << 20, OomScoreAdj: 900},
			SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: sandbox.Linux.SecurityContext.NamespaceOptions,
				NoNewPrivs:       true,
				Seccomp:          sandbox.Linux.SecurityContext.Seccomp,
				MaskedPaths: []string{"/proc/acpi", "/proc/asound",
					"/proc/kcore", "/proc/keys", "/proc/latency_stats",
					"/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
					"/proc/timer_stats", "/sys/firmware"},
				ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq",
					"/proc/sys", "/proc/sysrq-trigger"},
			},
		},
	}
}

func (p *plan) start(ctx context.Context, t *target, count bool) (*pod, error) {
	made := &pod{}
	sandbox := p.sandboxConfig(t)
	logs := filepath.Join(sandbox.LogDirectory, "main")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, err
	}
	err := t.timed("pod start", count, func() error {
		err := t.timed("RunPodSandbox", count, func() error {
			answer, err := t.runtime.RunPodSandbox(ctx,
				&cri.RunPodSandboxRequest{Config: sandbox})
			made.id = answer.GetPodSandboxId()
			return err
		})
		if err != nil {
			return err
		}
		err = t.timed("CreateContainer", count, func() error {
			answer, err := t.runtime.CreateContainer(ctx,
				&cri.CreateContainerRequest{PodSandboxId: made.id,
					Config: p.containerConfig(sandbox), SandboxConfig: sandbox})
			made.container = answer.GetContainerId()
			return err
		})
		if err != nil {
			return err
		}
		return t.timed("StartContainer", count, func() error {
			_, err := t.runtime.StartContainer(ctx,
				&cri.StartContainerRequest{ContainerId: made.container})
			return err
		})
	})
	return made, err
}

func (t *target) end(ctx context.Context, made *pod, count bool) error {
	return t.timed("pod stop and remove", count, func() error {
		if _, err := t.runtime.StopContainer(ctx, &cri.StopContainerRequest{
			ContainerId: made.container}); err != nil {
			return err
		}
		if _, err := t.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{
			ContainerId: made.container}); err != nil {
			return err
		}
		if _, err := t.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{
			PodSandboxId: made.id}); err != nil {
			return err
		}
		_, err := t.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{
			PodSandboxId: made.id})
		return err
	})
}

// rounds calls body for each target in every round, each time in another
// order: what one leaves for the kernel's background must not always hit the
// same next one.
func (p *plan) rounds(body func(t *target, count bool) error) error {
	order := rand.New(rand.NewPCG(1, 2))
	for round := range p.Warmup + p.Rounds {
		for _, i := range order.Perm(len(p.Targets)) {
			time.Sleep(time.Duration(p.GapMs) * time.Millisecond)
			if err := body(p.Targets[i], round >= p.Warmup); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) bench(ctx context.Context) error {
	before := map[*target]float64{}
	for _, t := range p.Targets {
		before[t] = t.cpu()
	}
	err := p.rounds(func(t *target, count bool) error {
		made, err := p.start(ctx, t, count)
		if err != nil {
			return err
		}
		return t.end(ctx, made, count)
	})
	if err != nil {
		return err
	}
	running := map[*target]*pod{}
	for _, t := range p.Targets {
		if t.CPUFile != "" {
			t.samples["CPU of a pod's life"] = []float64{
				(t.cpu() - before[t]) / float64(p.Warmup+p.Rounds)}
		}
		if running[t], err = p.start(ctx, t, false); err != nil {
			return err
		}
	}
	err = p.rounds(func(t *target, count bool) error {
		return t.timed("ExecSync", count, func() error {
			answer, err := t.runtime.ExecSync(ctx, &cri.ExecSyncRequest{
				ContainerId: running[t].container,
				Cmd:         []string{"/bin/true"}, Timeout: 30})
			if err == nil && answer.ExitCode != 0 {
				err = fmt.Errorf("exit code %d", answer.ExitCode)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	for t, made := range running {
		if err := t.end(ctx, made, false); err != nil {
			return err
		}
	}
	all := map[string]map[string][]float64{}
	for _, t := range p.Targets {
		all[t.Name] = t.samples
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func (t *target) clean(ctx context.Context) error {
	list, err := t.runtime.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, item := range list.Items {
		if _, err := t.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{
			PodSandboxId: item.Id}); err != nil {
			return err
		}
		if _, err := t.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{
			PodSandboxId: item.Id}); err != nil {
			return err
		}
	}
	return nil
}

// image pulls or removes one, with a connection that is warm.
func image(verb, socket, name string) error {
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	images := cri.NewImageServiceClient(conn)
	spec := &cri.ImageSpec{Image: name}
	if _, err := images.ImageStatus(
		ctx, &cri.ImageStatusRequest{Image: spec}); err != nil {
		return err
	}
	begin := time.Now()
	if verb == "pull" {
		_, err = images.PullImage(ctx, &cri.PullImageRequest{Image: spec})
	} else {
		_, err = images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: spec})
	}
	if err == nil {
		fmt.Println(float64(time.Since(begin).Nanoseconds()) / 1e6)
	}
	return err
}

func run(arguments []string) error {
	if len(arguments) == 3 &&
		(arguments[0] == "pull" || arguments[0] == "remove") {
		return image(arguments[0], arguments[1], arguments[2])
	}
	if len(arguments) < 2 {
		return fmt.Errorf("usage: podclient VERB FILE [COUNT]")
	}
	text, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	p := &plan{}
	if err := json.Unmarshal(text, p); err != nil {
		return err
	}
	for _, t := range p.Targets {
		if err := t.connect(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	switch arguments[0] {
	case "bench":
		return p.bench(ctx)
	case "start":
		count, err := strconv.Atoi(arguments[2])
		for i := 0; err == nil && i < count; i++ {
			_, err = p.start(ctx, p.Targets[0], false)
		}
		return err
	case "clean":
		return p.Targets[0].clean(ctx)
	}
	return fmt.Errorf("no verb %s", arguments[0])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "podclient:", err)
		os.Exit(1)
	}
}
