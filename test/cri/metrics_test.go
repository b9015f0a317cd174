package cri_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// descriptors skips the test on a peer without metrics: containerd has them
// since 2.2.
func descriptors(t *testing.T) map[string]*cri.MetricDescriptor {
	t.Helper()
	list, err := client.Runtime.ListMetricDescriptors(t.Context())
	if status.Code(err) == codes.Unimplemented && peer() {
		t.Skip("this containerd has no metrics")
	}
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]*cri.MetricDescriptor{}
	for _, one := range list {
		known[one.Name] = one
	}
	return known
}

// metricsOf gives the metrics of one pod: its own by "name", a container's by
// "name container".
func metricsOf(t *testing.T, pod string) map[string][]*cri.Metric {
	t.Helper()
	all, err := client.Runtime.ListPodSandboxMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]*cri.Metric{}
	for _, one := range all {
		if one.PodSandboxId != pod {
			continue
		}
		for _, metric := range one.Metrics {
			found[metric.Name] = append(found[metric.Name], metric)
		}
		for _, container := range one.ContainerMetrics {
			for _, metric := range container.Metrics {
				key := metric.Name + " " + container.ContainerId
				found[key] = append(found[key], metric)
			}
		}
	}
	return found
}

// label gives the value of one label, by the metric's descriptor.
func label(known map[string]*cri.MetricDescriptor, metric *cri.Metric, key string) string {
	for i, name := range known[metric.Name].GetLabelKeys() {
		if name == key && i < len(metric.LabelValues) {
			return metric.LabelValues[i]
		}
	}
	return ""
}

func TestMetricsOfAContainer(t *testing.T) {
	known := descriptors(t)
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox,
		[]string{"sh", "-c", "dd if=/dev/zero of=/file bs=1k count=64; sleep 1000 & wait"},
		func(config *cri.ContainerConfig) {
			config.Linux.Resources = &cri.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 20000,
				CpuShares: 1024, MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: 64 << 20}
		})
	container.Exec(t, "true")
	found := metricsOf(t, pod.ID)
	value := func(name string) uint64 {
		t.Helper()
		got := found["container_"+name+" "+container.ID]
		if len(got) == 0 {
			t.Errorf("container_%s has no value", name)
			return 0
		}
		return got[0].GetValue().GetValue()
	}
	for name, want := range map[string]uint64{
		"spec_cpu_period": 100000, "spec_cpu_quota": 20000, "spec_cpu_shares": 1024,
		"spec_memory_limit_bytes": 64 << 20, "processes": 2, "threads": 2,
	} {
		if got := value(name); got != want {
			t.Errorf("container_%s is %d; want %d", name, got, want)
		}
	}
	for _, name := range []string{"memory_usage_bytes", "memory_max_usage_bytes", "memory_working_set_bytes",
		"memory_failures_total", "file_descriptors", "ulimits_soft", "last_seen", "start_time_seconds",
		"fs_usage_bytes", "fs_limit_bytes", "fs_inodes_total", "fs_inodes_free"} {
		if value(name) == 0 {
			t.Errorf("container_%s is 0", name)
		}
	}
	for _, name := range []string{"cpu_user_seconds_total", "cpu_system_seconds_total", "cpu_usage_seconds_total",
		"cpu_cfs_periods_total", "cpu_cfs_throttled_periods_total", "cpu_cfs_throttled_seconds_total",
		"memory_cache", "memory_rss", "memory_kernel_usage", "memory_mapped_file", "memory_swap",
		"memory_failcnt", "oom_events_total", "sockets", "threads_max", "spec_memory_swap_limit_bytes"} {
		value(name)
	}
	usage := found["container_memory_usage_bytes "+container.ID][0]
	for key, want := range map[string]string{"container": "c", "pod": pod.Config.Metadata.Name,
		"namespace": pod.Config.Metadata.Namespace, "image": busybox, "name": container.ID} {
		if got := label(known, usage, key); got != want {
			t.Errorf("label %s is %q; want %q", key, got, want)
		}
	}
	if id := label(known, usage, "id"); !strings.Contains(id, pod.Config.Linux.CgroupParent) {
		t.Errorf("label id is %q, not the cgroup's path", id)
	}
}

func TestMetricsOfAPod(t *testing.T) {
	known := descriptors(t)
	pod := client.RunPod(t, logs)
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "80", "-h", "/www"})
	fetch(t, "http://"+pod.Status(t).Network.Ip+"/")
	found := metricsOf(t, pod.ID)
	for _, way := range []string{"receive", "transmit"} {
		for _, what := range []string{"bytes", "packets", "packets_dropped", "errors"} {
			name := fmt.Sprintf("container_network_%s_%s_total", way, what)
			got := found[name]
			if len(got) != 1 || label(known, got[0], "interface") != "eth0" {
				t.Errorf("%s: %v", name, got)
				continue
			}
			if what == "bytes" && got[0].GetValue().GetValue() == 0 {
				t.Errorf("%s is 0", name)
			}
		}
	}
	if got := found["container_memory_usage_bytes"]; len(got) != 1 || got[0].GetValue().GetValue() == 0 {
		t.Errorf("memory of the pod: %v", got)
	}
}

// What Prometheus refuses costs all of a node's metrics: two series that are
// alike, a name without a descriptor, labels that do not fit it.
func TestMetricsCanBeScraped(t *testing.T) {
	known := descriptors(t)
	for range 2 {
		pod := client.RunPod(t, logs)
		pod.Run(t, "c", busybox, []string{"sleep", "1000"})
		pod.Create(t, "created", busybox, []string{"true"})
		pod.Run(t, "ended", busybox, []string{"true"}).WaitExit(t, time.Minute)
	}
	all, err := client.Runtime.ListPodSandboxMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(metric *cri.Metric) {
		one := known[metric.Name]
		if len(metric.LabelValues) != len(one.GetLabelKeys()) || one.GetHelp() == "" || metric.Value == nil {
			t.Errorf("%v does not fit %v", metric, one)
		}
		series := metric.Name + "\x00" + strings.Join(metric.LabelValues, "\x00")
		if seen[series] {
			t.Errorf("twice: %v", metric)
		}
		seen[series] = true
	}
	containers := 0
	for _, pod := range all {
		for _, metric := range pod.Metrics {
			check(metric)
		}
		for _, container := range pod.ContainerMetrics {
			containers++
			for _, metric := range container.Metrics {
				check(metric)
			}
		}
	}
	if containers < 2 {
		t.Errorf("metrics of %d containers", containers)
	}
}

func TestMetricsStreamHasTheSamePods(t *testing.T) {
	descriptors(t)
	pod := client.RunPod(t, logs)
	stream, err := client.RawRuntime.StreamPodSandboxMetrics(t.Context(), &cri.StreamPodSandboxMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			t.Fatalf("the pod is not in the stream: %v", err)
		}
		for _, one := range message.PodSandboxMetrics {
			if one.PodSandboxId == pod.ID {
				return
			}
		}
	}
}
