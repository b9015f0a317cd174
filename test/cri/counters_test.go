package cri_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// The counters of a pod include those of its containers that have gone, with a
// cgroup of its creator's and without.
func TestCountersOfAPodNeverFall(t *testing.T) {
	for _, parent := range []string{"given", "none"} {
		t.Run(parent, func(t *testing.T) {
			if peer() && parent == "none" {
				t.Skip("containerd has no statistics of a pod without a parent")
			}
			// What all pods without a parent are in stays, by design.
			t.Cleanup(func() { criclient.RemoveCgroup("/berth") })
			pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
				if parent == "none" {
					config.Linux.CgroupParent = ""
				}
			})
			burn := pod.Run(t, "burn", busybox, []string{"sh", "-c", "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done; sleep 1000"})
			read := func() uint64 {
				stats, err := client.Runtime.PodSandboxStats(t.Context(), pod.ID)
				if status.Code(err) == codes.Unimplemented && peer() {
					t.Skip("Debian's containerd does not have PodSandboxStats here")
				}
				if err != nil {
					t.Fatal(err)
				}
				return stats.GetLinux().GetCpu().GetUsageCoreNanoSeconds().GetValue()
			}
			var before uint64
			if err := criclient.Eventually(20*time.Second, func() error {
				if before = read(); before < 100_000_000 {
					return fmt.Errorf("only %d ns", before)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := client.Runtime.StopContainer(t.Context(), burn.ID, 0); err != nil {
				t.Fatal(err)
			}
			if err := client.Runtime.RemoveContainer(t.Context(), burn.ID); err != nil {
				t.Fatal(err)
			}
			if after := read(); after < before {
				t.Errorf("%d ns, and %d ns without the container", before, after)
			}
			pod.Run(t, "next", busybox, []string{"sleep", "1000"})
			if after := read(); after < before {
				t.Errorf("%d ns, and %d ns with the next container", before, after)
			}
		})
	}
}
