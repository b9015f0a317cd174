package cri_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// What Kubernetes has no field for, by annotations that the node allows.
func withAnnotations(pairs ...string) func(*cri.PodSandboxConfig) {
	return func(config *cri.PodSandboxConfig) {
		for i := 0; i < len(pairs); i += 2 {
			config.Annotations[pairs[i]] = pairs[i+1]
		}
	}
}

func TestAnnotationsForSharedMemoryAndLimits(t *testing.T) {
	if peer() {
		t.Skip("containerd has no such annotations")
	}
	pod := client.RunPod(t, logs, withAnnotations(
		"io.berth.shm-size", "5Mi", "io.berth.ulimits", "core=0", "io.berth.ulimits/second", "nofile=100:200"))
	const look = "df -k /dev/shm | awk 'END {print $2}'; ulimit -c; ulimit -Sn; ulimit -Hn"
	first := pod.Run(t, "first", busybox, []string{"sleep", "1000"})
	second := pod.Run(t, "second", busybox, []string{"sleep", "1000"})
	if out := second.Output(t, "sh", "-c", look); out != "5120\n0\n100\n200" {
		t.Errorf("the second: %q", out)
	}
	if out := first.Output(t, "sh", "-c", "ulimit -Sn"); out == "100" {
		t.Error("the first has the limit of the second")
	}
	config := criclient.PodConfig(t, logs, withAnnotations("io.berth.shm-size", "much"))
	_, err := client.Runtime.RunPodSandbox(t.Context(), config, client.Handler)
	wantCode(t, err, codes.InvalidArgument)
}

func TestSharedMemoryAndLimitsOfAHandler(t *testing.T) {
	if peer() {
		t.Skip("containerd has no such setting")
	}
	small := *client
	small.Handler = "small"
	// This handler allows no annotation.
	pod := small.RunPod(t, logs, withAnnotations("io.berth.shm-size", "5Mi"))
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	if out := container.Output(t, "sh", "-c", "df -k /dev/shm | awk 'END {print $2}'; ulimit -Hn"); out != "3072\n77" {
		t.Errorf("%q", out)
	}
}
