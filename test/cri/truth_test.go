package cri_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// kubelet asks for an image by its id and shows the status's name to users.
func TestStatusNamesTheImageAsItsUserWroteIt(t *testing.T) {
	image, err := client.RawImages.ImageStatus(t.Context(), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: busybox}})
	if err != nil {
		t.Fatal(err)
	}
	if peer() && len(image.Image.RepoTags) > 1 {
		t.Skip("containerd 1.6 tells any of the image's names")
	}
	pod := client.RunPod(t, logs)
	container := pod.Create(t, "c", image.Image.Id, []string{"true"}, func(config *cri.ContainerConfig) {
		config.Image.UserSpecifiedImage = busybox
	})
	got := container.Status(t)
	if got.Image.Image != busybox {
		t.Errorf("image %q; want %q", got.Image.Image, busybox)
	}
	if !strings.Contains(got.ImageRef, "sha256:") {
		t.Errorf("image_ref %q has no digest", got.ImageRef)
	}
}

// With a timestamp, kubelet's event-driven list of pods takes the answer for
// older than what events told, and starts init containers over and over.
func TestPodStatusHasNoTimestamp(t *testing.T) {
	pod := client.RunPod(t, logs)
	pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	answer, err := client.RawRuntime.PodSandboxStatus(t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: pod.ID})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Timestamp != 0 {
		t.Errorf("timestamp %d", answer.Timestamp)
	}
}

// wantWord checks the form in which kubelet knows the cause of an error.
func wantWord(t *testing.T, err error, word string) {
	t.Helper()
	if status.Code(err) != codes.Unknown || !strings.HasPrefix(status.Convert(err).Message(), word) {
		t.Errorf("%v; want code Unknown and a text that begins with %s", err, word)
	}
}

func TestPullErrorsBeginWithTheirWord(t *testing.T) {
	if peer() {
		t.Skip("containerd has no such words")
	}
	for _, address := range []string{"127.0.0.1:1", "no-such-host.invalid"} {
		_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
			Image: &cri.ImageSpec{Image: address + "/test/busybox:latest"}})
		wantWord(t, err, "RegistryUnavailable")
	}
}

func TestImageVolumeErrorsBeginWithTheirWord(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 has no image volumes")
	}
	pod := client.RunPod(t, logs)
	for name, edit := range map[string]func(*cri.Mount){
		"no such image":    func(m *cri.Mount) { m.Image.Image = "no.such/image:latest" },
		"no such sub-path": func(m *cri.Mount) { m.ImageSubPath = "no/such" },
		"through a file":   func(m *cri.Mount) { m.ImageSubPath = "etc/passwd/x" },
	} {
		mount := &cri.Mount{ContainerPath: "/volume", Readonly: true, Image: &cri.ImageSpec{Image: busybox}}
		edit(mount)
		_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, func(config *cri.ContainerConfig) {
			config.Mounts = []*cri.Mount{mount}
		})
		t.Run(name, func(t *testing.T) { wantWord(t, err, "ImageVolumeMountFailed") })
	}
}

// nextEvent gives the next event of a pod, and its containers.
func nextEvent(t *testing.T, stream cri.RuntimeService_GetContainerEventsClient, ids ...string) *cri.ContainerEventResponse {
	t.Helper()
	for {
		event, err := stream.Recv()
		if err != nil {
			t.Fatalf("no event: %v", err)
		}
		for _, id := range ids {
			if event.ContainerId == id {
				return event
			}
		}
	}
}

// Every event has the status of its pod and of all its containers as they were
// when it happened, however late it is read: kubelet looks for nothing else.
func TestEventsShowTheirPodAtThatTime(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 has no GetContainerEvents")
	}
	stream := client.Listen(t, logs)
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"true"})
	container.WaitExit(t, time.Minute)
	pod.Remove(t)
	const (
		created = cri.ContainerEventType_CONTAINER_CREATED_EVENT
		started = cri.ContainerEventType_CONTAINER_STARTED_EVENT
		stopped = cri.ContainerEventType_CONTAINER_STOPPED_EVENT
		deleted = cri.ContainerEventType_CONTAINER_DELETED_EVENT
		ready   = cri.PodSandboxState_SANDBOX_READY
		over    = cri.PodSandboxState_SANDBOX_NOTREADY
		none    = cri.ContainerState(-1)
	)
	for i, want := range []struct {
		id    string
		kind  cri.ContainerEventType
		pod   cri.PodSandboxState
		state cri.ContainerState
	}{
		{pod.ID, created, ready, none},
		{pod.ID, started, ready, none},
		{container.ID, created, ready, cri.ContainerState_CONTAINER_CREATED},
		{container.ID, started, ready, cri.ContainerState_CONTAINER_RUNNING},
		{container.ID, stopped, ready, cri.ContainerState_CONTAINER_EXITED},
		{pod.ID, stopped, over, cri.ContainerState_CONTAINER_EXITED},
		{container.ID, deleted, over, none},
		{pod.ID, deleted, over, none},
	} {
		got := nextEvent(t, stream, pod.ID, container.ID)
		if got.ContainerId != want.id || got.ContainerEventType != want.kind {
			t.Fatalf("event %d: %v of %s; want %v of %s", i, got.ContainerEventType, got.ContainerId, want.kind, want.id)
		}
		if got.PodSandboxStatus.GetId() != pod.ID || got.PodSandboxStatus.GetState() != want.pod {
			t.Errorf("event %d: pod %v; want %v", i, got.PodSandboxStatus, want.pod)
		}
		state := none
		if len(got.ContainersStatuses) == 1 {
			state = got.ContainersStatuses[0].State
		}
		if state != want.state {
			t.Errorf("event %d: containers %v; want %v", i, got.ContainersStatuses, want.state)
		}
	}
}

// What scripts read of `crictl inspectp` and `crictl inspect`.
func TestVerboseInfoAsScriptsReadIt(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	answer, err := client.RawRuntime.PodSandboxStatus(t.Context(),
		&cri.PodSandboxStatusRequest{PodSandboxId: pod.ID, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Pid         int
		RuntimeSpec struct {
			Linux struct{ Namespaces []struct{ Type, Path string } }
		}
		Config struct {
			Metadata     struct{ Name, UID string }
			LogDirectory string `json:"log_directory"`
			Linux        struct {
				CgroupParent string `json:"cgroup_parent"`
			}
		}
		CniResult struct {
			Interfaces map[string]struct {
				IPConfigs []struct{ IP, Gateway string }
				Mac       string
			}
		}
	}
	if err := json.Unmarshal([]byte(answer.Info["info"]), &info); err != nil {
		t.Fatal(err)
	}
	if info.Pid == 0 {
		t.Errorf("no pid")
	}
	paths := map[string]string{}
	for _, one := range info.RuntimeSpec.Linux.Namespaces {
		paths[one.Type] = one.Path
	}
	if paths["network"] == "" {
		t.Errorf("no path of the network namespace: %v", paths)
	}
	if info.Config.Metadata.Name != pod.Config.Metadata.Name ||
		info.Config.LogDirectory != pod.Config.LogDirectory ||
		info.Config.Linux.CgroupParent != pod.Config.Linux.CgroupParent {
		t.Errorf("config: %+v", info.Config)
	}
	eth0 := info.CniResult.Interfaces["eth0"]
	if len(eth0.IPConfigs) == 0 || eth0.IPConfigs[0].IP != pod.Status(t).Network.Ip ||
		eth0.IPConfigs[0].Gateway == "" || eth0.Mac == "" {
		t.Errorf("cniResult: %+v", info.CniResult)
	}

	verbose, err := client.Runtime.ContainerStatus(t.Context(), container.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	var inspected struct {
		Pid         int
		SandboxID   string
		RuntimeSpec struct{ Process struct{ Args []string } }
		Config      struct {
			Metadata struct{ Name string }
			Command  []string
			Linux    struct {
				Resources struct {
					CPUPeriod int64 `json:"cpu_period"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(verbose.Info["info"]), &inspected); err != nil {
		t.Fatal(err)
	}
	if inspected.Pid == 0 || inspected.SandboxID != pod.ID || inspected.Config.Metadata.Name != "c" ||
		len(inspected.RuntimeSpec.Process.Args) != 2 || len(inspected.Config.Command) != 2 ||
		inspected.Config.Linux.Resources.CPUPeriod != 100000 {
		t.Errorf("%+v", inspected)
	}
}

// What scripts read of `crictl info`.
func TestVerboseStatusHasTheNetworksConfiguration(t *testing.T) {
	answer, err := client.Runtime.Status(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var network struct {
		PluginConfDir string
		PluginDirs    []string
		Networks      []struct {
			Config struct {
				Name    string
				Plugins []struct{ Network struct{ Type string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(answer.Info["cniconfig"]), &network); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, one := range network.Networks {
		for _, plugin := range one.Config.Plugins {
			found = found || plugin.Network.Type == "bridge"
		}
	}
	if network.PluginConfDir == "" || len(network.PluginDirs) == 0 || !found {
		t.Errorf("cniconfig: %s", answer.Info["cniconfig"])
	}
	if got := answer.Info["lastCNILoadStatus"]; !strings.Contains(got, "OK") {
		t.Errorf("lastCNILoadStatus: %s", got)
	}
}
