package cri_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Fields of a pod's configuration, one by one; docs/CRI-FIELDS.md names them.

func TestAnAttemptIsPartOfAName(t *testing.T) {
	pod := client.RunPod(t, logs)
	for what, edit := range map[string]func(*cri.PodSandboxMetadata){
		"attempt":   func(m *cri.PodSandboxMetadata) { m.Attempt = 1 },
		"namespace": func(m *cri.PodSandboxMetadata) { m.Namespace = "other" },
		"uid":       func(m *cri.PodSandboxMetadata) { m.Uid = "other" },
	} {
		t.Run(what, func(t *testing.T) {
			metadata := proto.Clone(pod.Config.Metadata).(*cri.PodSandboxMetadata)
			edit(metadata)
			other := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) { config.Metadata = metadata })
			if other.ID == pod.ID {
				t.Errorf("the same pod")
			}
			if got := other.Status(t).Metadata; !proto.Equal(got, metadata) {
				t.Errorf("metadata %v, want %v", got, metadata)
			}
		})
	}
	first := pod.Create(t, "c", busybox, []string{"true"})
	second := pod.Create(t, "c", busybox, []string{"true"}, func(config *cri.ContainerConfig) {
		config.Metadata.Attempt = 1
	})
	if got := second.Status(t).Metadata; second.ID == first.ID || got.Attempt != 1 || got.Name != "c" {
		t.Errorf("the second attempt is %s, %v", second.ID, got)
	}
}

func TestHostNamespaces(t *testing.T) {
	for _, one := range []struct {
		file string
		set  func(*cri.NamespaceOption)
	}{
		{"ipc", func(o *cri.NamespaceOption) { o.Ipc = cri.NamespaceMode_NODE }},
		{"pid", func(o *cri.NamespaceOption) { o.Pid = cri.NamespaceMode_NODE }},
	} {
		t.Run(one.file, func(t *testing.T) {
			mine, err := os.Readlink("/proc/self/ns/" + one.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range []bool{false, true} {
				pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
					if host {
						one.set(config.Linux.SecurityContext.NamespaceOptions)
					}
				})
				container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
				got := container.Output(t, "readlink", "/proc/self/ns/"+one.file)
				if (got == mine) != host {
					t.Errorf("host's: %v; its namespace is %s, the host's %s", host, got, mine)
				}
			}
		})
	}
}

// As kubelet debugs: a container that is in the pid namespace of another.
func TestPidNamespaceOfATarget(t *testing.T) {
	pod := client.RunPod(t, logs)
	target := pod.Run(t, "target", busybox, []string{"sleep", "1234"})
	into := func(id string) func(*cri.ContainerConfig) {
		return func(config *cri.ContainerConfig) {
			config.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{
				Network: cri.NamespaceMode_POD, Ipc: cri.NamespaceMode_POD,
				Pid: cri.NamespaceMode_TARGET, TargetId: id}
		}
	}
	debugger := pod.Run(t, "debugger", busybox, []string{"sleep", "1000"}, into(target.ID))
	if got := debugger.Output(t, "cat", "/proc/1/cmdline"); got != "sleep\x001234\x00" {
		t.Errorf("process 1 is %q", got)
	}
	elsewhere := client.RunPod(t, logs).Run(t, "c", busybox, []string{"sleep", "1000"})
	ended := pod.Run(t, "ended", busybox, []string{"true"})
	ended.WaitExit(t, 20*time.Second)
	for what, id := range map[string]string{
		"another pod's": elsewhere.ID, "one that has ended": ended.ID, "none": "", "an unknown one": unknown,
	} {
		t.Run(what, func(t *testing.T) {
			container, err := pod.TryCreate(t, "wrong", busybox, []string{"true"}, into(id))
			if err == nil {
				client.Runtime.RemoveContainer(t.Context(), container.ID)
			}
			wantCode(t, err, codes.InvalidArgument)
		})
	}
}

// bridgeAddress is an address of the host's that pods reach it by.
func bridgeAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if ip, ok := one.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	t.Fatalf("no address but loopback: %v", all)
	return ""
}

func TestHostPortOfOneAddress(t *testing.T) {
	for _, one := range []struct {
		ip        string
		port      int32
		elsewhere bool // it can be reached by the host's other addresses, too
	}{{"", 18082, true}, {"127.0.0.1", 18083, false}} {
		t.Run("address "+one.ip, func(t *testing.T) {
			pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
				config.PortMappings = []*cri.PortMapping{{ContainerPort: 8080, HostPort: one.port, HostIp: one.ip}}
			})
			pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "8080", "-h", "/www"})
			fetch(t, fmt.Sprintf("http://127.0.0.1:%d/", one.port))
			other := net.JoinHostPort(bridgeAddress(t), fmt.Sprint(one.port))
			conn, err := net.DialTimeout("tcp", other, 5*time.Second)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != one.elsewhere {
				t.Errorf("%s: %v", other, err)
			}
		})
	}
}

// datagramsIn is a socket in the network of a process.
func datagramsIn(t *testing.T, process, address string) net.PacketConn {
	t.Helper()
	// And back again: Go cannot give up the first thread of a program.
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	network, err := os.Open(process + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET)
	var conn net.PacketConn
	if err == nil {
		conn, err = net.ListenPacket("udp4", address)
	}
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err) // nothing may run on this thread any more
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestHostPortOfDatagrams(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.PortMappings = []*cri.PortMapping{{Protocol: cri.Protocol_UDP, ContainerPort: 5353, HostPort: 18085}}
	})
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	inside := datagramsIn(t, firstProcess(t, container), ":5353")
	conn, err := net.Dial("udp4", "127.0.0.1:18085")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("datagram")); err != nil {
		t.Fatal(err)
	}
	inside.SetReadDeadline(time.Now().Add(10 * time.Second))
	data := make([]byte, 100)
	if n, _, err := inside.ReadFrom(data); err != nil || string(data[:n]) != "datagram" {
		t.Errorf("%q, %v", data[:n], err)
	}
	if conn, err := net.DialTimeout("tcp4", "127.0.0.1:18085", 5*time.Second); err == nil {
		conn.Close()
		t.Errorf("the port is open for TCP, too")
	}
}

// Both are for others to read: kubelet has set the pod's cgroup itself.
func TestOverheadAndResourcesOfAPodAreShown(t *testing.T) {
	const overhead, resources = 30000, 256
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.Overhead = &cri.LinuxContainerResources{CpuQuota: overhead}
		config.Linux.Resources = &cri.LinuxContainerResources{CpuShares: resources}
	})
	shown := func(quota, shares int64) {
		t.Helper()
		answer, err := client.RawRuntime.PodSandboxStatus(t.Context(),
			&cri.PodSandboxStatusRequest{PodSandboxId: pod.ID, Verbose: true})
		if err != nil {
			t.Fatal(err)
		}
		var info struct {
			Config struct {
				Linux struct {
					Overhead struct {
						CPUQuota int64 `json:"cpu_quota"`
					}
					Resources struct {
						CPUShares int64 `json:"cpu_shares"`
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(answer.Info["info"]), &info); err != nil {
			t.Fatal(err)
		}
		if got := info.Config.Linux; got.Overhead.CPUQuota != quota || got.Resources.CPUShares != shares {
			t.Errorf("%+v; want %d and %d", got, quota, shares)
		}
	}
	shown(overhead, resources)
	update := &cri.UpdatePodSandboxResourcesRequest{PodSandboxId: pod.ID,
		Overhead:  &cri.LinuxContainerResources{CpuQuota: 2 * overhead},
		Resources: &cri.LinuxContainerResources{CpuShares: 2 * resources}}
	_, err := client.RawRuntime.UpdatePodSandboxResources(t.Context(), update)
	if status.Code(err) == codes.Unimplemented && peer() {
		t.Skip("containerd 1.6 has no UpdatePodSandboxResources")
	}
	if err != nil {
		t.Fatal(err)
	}
	shown(2*overhead, 2*resources)
	if !peer() { // the one that is not given stays
		update.Overhead.CpuQuota, update.Resources = 3*overhead, nil
		if _, err = client.RawRuntime.UpdatePodSandboxResources(t.Context(), update); err != nil {
			t.Fatal(err)
		}
		shown(3*overhead, 2*resources)
	}
	update.PodSandboxId = unknown
	_, err = client.RawRuntime.UpdatePodSandboxResources(t.Context(), update)
	wantCode(t, err, codes.NotFound)
}

// kubelet sends it in each round, and takes an error for a node that is not ready.
func TestAPodCIDRIsTaken(t *testing.T) {
	err := client.Runtime.UpdateRuntimeConfig(t.Context(), &cri.RuntimeConfig{
		NetworkConfig: &cri.NetworkConfig{PodCidr: "198.51.100.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(client.RunPod(t, logs).Status(t).Network.Ip); ip == nil {
		t.Errorf("a pod has no address afterwards")
	}
}
