package cri_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func absent(text, what string) error {
	if strings.Contains(text, what) {
		return fmt.Errorf("%q is still in:\n%s", what, text)
	}
	return nil
}

func TestPodStatusAndList(t *testing.T) {
	pod := client.RunPod(t, logs)
	got := pod.Status(t)
	if got.Id != pod.ID || got.State != cri.PodSandboxState_SANDBOX_READY || got.CreatedAt == 0 {
		t.Errorf("status: %v", got)
	}
	if got.Metadata.Name != pod.Config.Metadata.Name || got.Metadata.Uid != pod.Config.Metadata.Uid {
		t.Errorf("metadata: %v", got.Metadata)
	}
	if !maps.Equal(got.Labels, pod.Config.Labels) || !maps.Equal(got.Annotations, pod.Config.Annotations) {
		t.Errorf("labels %v, annotations %v", got.Labels, got.Annotations)
	}
	if got.GetLinux().GetNamespaces().GetOptions().GetPid() != cri.NamespaceMode_CONTAINER {
		t.Errorf("namespaces: %v", got.Linux)
	}
	ready := &cri.PodSandboxStateValue{State: cri.PodSandboxState_SANDBOX_READY}
	notReady := &cri.PodSandboxStateValue{State: cri.PodSandboxState_SANDBOX_NOTREADY}
	for _, one := range []struct {
		name   string
		filter *cri.PodSandboxFilter
		want   int
	}{
		{"id", &cri.PodSandboxFilter{Id: pod.ID}, 1},
		{"prefix", &cri.PodSandboxFilter{Id: pod.ID[:12]}, 1},
		{"label", &cri.PodSandboxFilter{LabelSelector: pod.Config.Labels}, 1},
		{"id and state", &cri.PodSandboxFilter{Id: pod.ID, State: ready}, 1},
		{"other state", &cri.PodSandboxFilter{Id: pod.ID, State: notReady}, 0},
		{"other label", &cri.PodSandboxFilter{LabelSelector: map[string]string{"io.kubernetes.pod.name": "x"}}, 0},
		{"unknown id", &cri.PodSandboxFilter{Id: "0123456789abcdef"}, 0},
	} {
		list, err := client.Runtime.ListPodSandbox(t.Context(), one.filter)
		if err != nil || len(list) != one.want {
			t.Errorf("by %s: %v, %v; want %d", one.name, list, err, one.want)
		}
	}
}

func TestContainerStatusAndList(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	other := pod.Create(t, "other", busybox, []string{"true"})
	got := container.Status(t)
	if got.Metadata.Name != "c" || got.LogPath != container.LogFile() || got.ImageRef == "" || got.Image.Image == "" {
		t.Errorf("status: %v", got)
	}
	if !maps.Equal(got.Labels, container.Config.Labels) || !maps.Equal(got.Annotations, container.Config.Annotations) {
		t.Errorf("labels %v, annotations %v", got.Labels, got.Annotations)
	}
	running := &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	created := &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_CREATED}
	for _, one := range []struct {
		name   string
		filter *cri.ContainerFilter
		want   []string
	}{
		{"pod", &cri.ContainerFilter{PodSandboxId: pod.ID}, []string{container.ID, other.ID}},
		{"pod and running", &cri.ContainerFilter{PodSandboxId: pod.ID, State: running}, []string{container.ID}},
		{"pod and created", &cri.ContainerFilter{PodSandboxId: pod.ID, State: created}, []string{other.ID}},
		{"prefix", &cri.ContainerFilter{Id: other.ID[:13]}, []string{other.ID}},
		{"pod and label", &cri.ContainerFilter{PodSandboxId: pod.ID, LabelSelector: other.Config.Labels}, []string{other.ID}},
		{"unknown pod", &cri.ContainerFilter{PodSandboxId: "0123456789abcdef"}, nil},
	} {
		list, err := client.Runtime.ListContainers(t.Context(), one.filter)
		ids := map[string]bool{}
		for _, item := range list {
			ids[item.Id] = true
		}
		if err != nil || len(list) != len(one.want) {
			t.Errorf("by %s: %v, %v", one.name, list, err)
		}
		for _, id := range one.want {
			if !ids[id] {
				t.Errorf("by %s: %s is missing", one.name, id)
			}
		}
	}
	list, err := client.Runtime.ListContainers(t.Context(), &cri.ContainerFilter{Id: container.ID})
	if err != nil || len(list) != 1 || list[0].PodSandboxId != pod.ID || list[0].ImageRef == "" {
		t.Errorf("list: %v, %v", list, err)
	}
}

func TestVerboseStatusHasThePid(t *testing.T) {
	container := sleeper(t)
	answer, err := client.Runtime.ContainerStatus(t.Context(), container.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	if info := answer.Info["info"]; !strings.Contains(info, `"pid"`) || !strings.Contains(info, `"runtimeSpec"`) {
		t.Errorf("info: %.300s", info)
	}
}

func TestANameIsTakenOnce(t *testing.T) {
	pod := client.RunPod(t, logs)
	_, err := client.RawRuntime.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: pod.Config})
	if err == nil {
		t.Errorf("a second pod of the same name, uid and attempt")
	}
	container := pod.Create(t, "c", busybox, []string{"true"})
	_, err = pod.TryCreate(t, "c", busybox, []string{"true"})
	wantCode(t, err, codes.AlreadyExists)
	if err := client.Runtime.RemoveContainer(t.Context(), container.ID); err != nil {
		t.Fatal(err)
	}
	pod.Create(t, "c", busybox, []string{"true"})
}

func TestAShortIDWillDo(t *testing.T) {
	container := sleeper(t)
	answer, err := client.RawRuntime.ContainerStatus(t.Context(), &cri.ContainerStatusRequest{ContainerId: container.ID[:12]})
	if err != nil || answer.Status.Id != container.ID {
		t.Errorf("%v, %v", answer, err)
	}
	pod, err := client.RawRuntime.PodSandboxStatus(t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: container.Pod.ID[:12]})
	if err != nil || pod.Status.Id != container.Pod.ID {
		t.Errorf("%v, %v", pod, err)
	}
}
