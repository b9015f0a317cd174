package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

func memoryLimit(bytes int64) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) {
		config.Linux.Resources.MemoryLimitInBytes = bytes
	}
}

func TestMemoryLimitKills(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "eater", busybox,
		[]string{"dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"}, memoryLimit(32<<20))
	got := container.WaitExit(t, time.Minute)
	if got.ExitCode != 137 || got.Reason != "OOMKilled" {
		t.Errorf("exit code %d, reason %q; want 137, OOMKilled", got.ExitCode, got.Reason)
	}
}

func TestMemoryLimitIsNotBlamedForOtherDeaths(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sh", "-c", "kill -9 $$; exit 9"}, memoryLimit(64<<20))
	// A process 1 does not feel its own SIGKILL, and goes on.
	got := container.WaitExit(t, time.Minute)
	if got.ExitCode != 9 || got.Reason != "Error" {
		t.Errorf("exit code %d, reason %q; want 9, Error", got.ExitCode, got.Reason)
	}
}

// The CRI has no field for the number of processes: kubelet limits the pod's
// own cgroup, which the container has to be inside of.
func TestPidsLimitOfThePodBites(t *testing.T) {
	const limit = 40
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		limitPids(t, config.Linux.CgroupParent, limit)
	})
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	_, errout, code := container.Exec(t, "sh", "-c",
		"n=0; while [ $n -lt 90 ]; do sleep 1000 >/dev/null 2>&1 & n=$((n+1)); done")
	if code == 0 || !strings.Contains(errout, "fork") {
		t.Errorf("90 processes could be made: %d, %s", code, errout)
	}
	pids, err := os.ReadFile(filepath.Join(cgroupFolder(t, "pids", container.ID), "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(pids), "\n"); n > limit || n < 2 {
		t.Errorf("%d processes under a limit of %d", n, limit)
	}
}

func limitPids(t *testing.T, parent string, limit int) {
	t.Helper()
	top := "/sys/fs/cgroup/pids"
	if unified() {
		top = "/sys/fs/cgroup"
		at := top
		for _, part := range strings.Split(strings.Trim(parent, "/"), "/") {
			os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+pids"), 0)
			at = filepath.Join(at, part)
			os.Mkdir(at, 0o755)
		}
	}
	folder := filepath.Join(top, parent)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "pids.max"), []byte(strconv.Itoa(limit)), 0); err != nil {
		t.Fatal(err)
	}
}

func TestCpuLimits(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) {
		config.Linux.Resources = &cri.LinuxContainerResources{
			CpuPeriod: 50000, CpuQuota: 20000, CpuShares: 512, CpusetCpus: "0", MemoryLimitInBytes: 64 << 20}
	})
	quota := cgroupValue(t, container.ID, "cpu", "cpu.cfs_quota_us", "cpu.max")
	if quota != "20000" && quota != "20000 50000" {
		t.Errorf("quota %s", quota)
	}
	if !unified() {
		if got := cgroupValue(t, container.ID, "cpu", "cpu.shares", ""); got != "512" {
			t.Errorf("shares %s", got)
		}
	}
	if got := cgroupValue(t, container.ID, "cpuset", "cpuset.cpus", "cpuset.cpus"); got != "0" {
		t.Errorf("cpus %s", got)
	}
	if got := cgroupValue(t, container.ID, "memory", "memory.limit_in_bytes", "memory.max"); got != "67108864" {
		t.Errorf("memory %s", got)
	}
	if got := container.Output(t, "grep", "Cpus_allowed_list", "/proc/self/status"); got != "Cpus_allowed_list:\t0" {
		t.Errorf("inside: %s", got)
	}
}

func TestUpdateResources(t *testing.T) {
	container := sleeper(t, memoryLimit(64<<20))
	update := &cri.ContainerResources{Linux: &cri.LinuxContainerResources{
		CpuPeriod: 100000, CpuQuota: 30000, MemoryLimitInBytes: 128 << 20}}
	if err := client.Runtime.UpdateContainerResources(t.Context(), container.ID, update); err != nil {
		t.Fatal(err)
	}
	quota := cgroupValue(t, container.ID, "cpu", "cpu.cfs_quota_us", "cpu.max")
	if quota != "30000" && quota != "30000 100000" {
		t.Errorf("quota %s", quota)
	}
	if got := cgroupValue(t, container.ID, "memory", "memory.limit_in_bytes", "memory.max"); got != "134217728" {
		t.Errorf("memory %s", got)
	}
	got := container.Status(t).GetResources().GetLinux()
	if got.GetMemoryLimitInBytes() != 128<<20 || got.GetCpuQuota() != 30000 {
		t.Errorf("in the status: %v", got)
	}
}

func TestOomScore(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) { config.Linux.Resources.OomScoreAdj = 900 })
	if got := container.Output(t, "cat", "/proc/1/oom_score_adj"); got != "900" {
		t.Errorf("oom_score_adj %s", got)
	}
}

// A process has the score that it was started with, and the status says so.
func TestOomScoreOfAnUpdate(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) { config.Linux.Resources.OomScoreAdj = 900 })
	err := client.Runtime.UpdateContainerResources(t.Context(), container.ID, &cri.ContainerResources{
		Linux: &cri.LinuxContainerResources{CpuShares: 512, OomScoreAdj: 950}})
	if err != nil {
		t.Fatal(err)
	}
	in := container.Output(t, "cat", "/proc/1/oom_score_adj")
	if in != "900" {
		t.Errorf("oom_score_adj %s", in)
	}
	if peer() {
		return // the status of containerd 1.6 has no resources
	}
	got := container.Status(t).GetResources().GetLinux()
	if fmt.Sprint(got.GetOomScoreAdj()) != in || got.GetCpuShares() != 512 {
		t.Errorf("in the status: %v", got)
	}
}

func TestLowOomScoreDoesNotFailTheStart(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) { config.Linux.Resources.OomScoreAdj = -998 })
	container.Output(t, "true")
}

func TestContainerStats(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sh", "-c", "while :; do :; done"}, func(config *cri.ContainerConfig) {
		config.Linux.Resources.CpuQuota = 20000
	})
	err := criclient.Eventually(10*time.Second, func() error {
		stats, err := client.Runtime.ContainerStats(t.Context(), container.ID)
		if err != nil {
			return err
		}
		if stats.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 || stats.GetCpu().GetTimestamp() == 0 ||
			stats.GetMemory().GetWorkingSetBytes().GetValue() == 0 || stats.GetAttributes().GetId() != container.ID {
			return fmt.Errorf("incomplete: %v", stats)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	all, err := client.Runtime.ListContainerStats(t.Context(), &cri.ContainerStatsFilter{PodSandboxId: pod.ID})
	if err != nil || len(all) != 1 {
		t.Errorf("list of stats: %v, %v", all, err)
	}
}

func TestPodStats(t *testing.T) {
	pod := client.RunPod(t, logs)
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "80", "-h", "/www"})
	fetch(t, "http://"+pod.Status(t).Network.Ip+"/")
	stats, err := client.Runtime.PodSandboxStats(t.Context(), pod.ID)
	if status.Code(err) == codes.Unimplemented && peer() {
		t.Skip("Debian's containerd does not have PodSandboxStats here")
	}
	if err != nil {
		t.Fatal(err)
	}
	linux := stats.GetLinux()
	if linux.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 || linux.GetMemory().GetUsageBytes().GetValue() == 0 {
		t.Errorf("cpu and memory: %v", linux)
	}
	if got := linux.GetNetwork().GetDefaultInterface(); got.GetRxBytes().GetValue() == 0 || got.GetName() != "eth0" {
		t.Errorf("network: %v", got)
	}
	if len(linux.GetContainers()) != 1 {
		t.Errorf("containers: %v", linux.GetContainers())
	}
}
