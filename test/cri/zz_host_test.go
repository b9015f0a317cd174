package cri_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The last test of all, by the name of its file: every pod has gone, and the
// host is as it was when the first began.
func TestZTheHostIsAsItWas(t *testing.T) {
	pods, err := client.Runtime.ListPodSandbox(t.Context(), nil)
	if err != nil || len(pods) != 0 {
		t.Errorf("pods: %v, %v", pods, err)
	}
	containers, err := client.Runtime.ListContainers(t.Context(), &cri.ContainerFilter{})
	if err != nil || len(containers) != 0 {
		t.Errorf("containers: %v, %v", containers, err)
	}
	out, err := exec.Command(filepath.Join(*support, "leaks.sh"), "compare", snapshotFile(), "20").CombinedOutput()
	if err != nil {
		t.Errorf("left behind (%v):\n%s", err, out)
	}
}
