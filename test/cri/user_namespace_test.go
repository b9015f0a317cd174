package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

func mapping(host uint32) []*cri.IDMapping {
	return []*cri.IDMapping{{HostId: host, ContainerId: 0, Length: 65536}}
}

// inUserNamespace asks for what kubelet does for "hostUsers: false".
func inUserNamespace(host uint32) func(*cri.PodSandboxConfig) {
	return func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.UsernsOptions = &cri.UserNamespace{
			Mode: cri.NamespaceMode_POD, Uids: mapping(host), Gids: mapping(host)}
	}
}

// userNamespaces is true where the runtime says that it has them.
func userNamespaces(t *testing.T) bool {
	t.Helper()
	answer, err := client.Runtime.Status(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range answer.RuntimeHandlers {
		if one.Name == *handler && one.GetFeatures().GetUserNamespaces() {
			return true
		}
	}
	return false
}

// needUserNamespaces skips where there are none, after seeing that the runtime
// then refuses them.
func needUserNamespaces(t *testing.T) {
	t.Helper()
	if userNamespaces(t) {
		return
	}
	if !peer() { // containerd 1.6 does not look at the field
		config := criclient.PodConfig(t, logs, inUserNamespace(100000))
		_, err := client.Runtime.RunPodSandbox(t.Context(), config, *handler)
		wantCode(t, err, codes.Unimplemented)
	}
	t.Skip("the runtime does not advertise user namespaces")
}

func owner(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}

func firstProcess(t *testing.T, container *criclient.Container) string {
	t.Helper()
	folder := cgroupFolder(t, "memory", container.ID)
	procs, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	return "/proc/" + strings.Fields(string(procs))[0]
}

// A device may have another path in the container than on the host. Where
// nodes cannot be made, the host's node of the container's path is not it.
func TestDeviceElsewhereInAUserNamespace(t *testing.T) {
	needUserNamespaces(t)
	if peer() {
		t.Skip("runc binds the host's node of the container's path")
	}
	pod := client.RunPod(t, logs, inUserNamespace(100000))
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Devices = []*cri.Device{
			{HostPath: "/dev/zero", ContainerPath: "/dev/kmsg", Permissions: "rw"},
			{HostPath: "/dev/zero", ContainerPath: "/dev/new", Permissions: "rw"},
		}
	})
	for _, path := range []string{"/dev/kmsg", "/dev/new"} {
		if got := container.Output(t, "stat", "-c", "%t:%T", path); got != "1:5" {
			t.Errorf("%s is device %s; want 1:5", path, got)
		}
	}
}

func TestUserNamespace(t *testing.T) {
	needUserNamespaces(t)
	const host = 131072
	volumes := t.TempDir()
	for _, name := range []string{"mapped", "plain"} {
		if err := os.Mkdir(filepath.Join(volumes, name), 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(filepath.Join(volumes, name), 0o777)
	}
	pod := client.RunPod(t, logs, inUserNamespace(host), func(config *cri.PodSandboxConfig) {
		config.Linux.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
	})
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Mounts = []*cri.Mount{
			{ContainerPath: "/mapped", HostPath: filepath.Join(volumes, "mapped"),
				UidMappings: mapping(host), GidMappings: mapping(host)},
			{ContainerPath: "/plain", HostPath: filepath.Join(volumes, "plain")},
		}
	})
	process := firstProcess(t, container)
	if got, want := owner(t, process), fmt.Sprintf("%d:%d", host, host); got != want {
		t.Errorf("its process belongs to %s on the host, not to %s", got, want)
	}

	t.Run("is root inside", func(t *testing.T) {
		got := container.Output(t, "sh", "-c", "id -u; awk '{print $2}' /proc/self/uid_map; stat -c %u:%g / /bin/busybox /proc/1 /etc/hosts /dev/shm")
		want := "0\n131072\n0:0\n0:0\n0:0\n0:0\n0:0"
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("writes", func(t *testing.T) {
		container.Output(t, "sh", "-c", "echo x > /written; echo x > /mapped/file; echo x > /plain/file; echo x > /dev/shm/file; "+
			"echo more >> /etc/passwd; chown 5:6 /written; echo x > /etc/hostname.new")
		for _, one := range []struct{ path, want string }{
			{process + "/root/written", "131077:131078"},
			{process + "/root/etc/hostname.new", "131072:131072"},
			{process + "/root/etc/passwd", "131072:131072"},
			{filepath.Join(volumes, "mapped/file"), "0:0"},
			{filepath.Join(volumes, "plain/file"), "131072:131072"},
		} {
			if got := owner(t, one.path); got != one.want {
				t.Errorf("%s belongs to %s on the host, not to %s", one.path, got, one.want)
			}
		}
	})
	t.Run("has its own network, names and sysctls", func(t *testing.T) {
		got := container.Output(t, "sh", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced; hostname; mount | grep -c ' /proc '; ls /sys/class/net")
		want := "1\n1\n" + pod.Config.Hostname + "\n"
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "eth0") {
			t.Errorf("%q, want %q and eth0", got, want)
		}
		address := pod.Status(t).GetNetwork().GetIp()
		if out := container.Output(t, "ip", "addr"); !strings.Contains(out, address+"/") {
			t.Errorf("no %s in %q", address, out)
		}
	})
	t.Run("its streams can be opened again", func(t *testing.T) {
		talker := pod.Run(t, "talker", busybox, []string{"sh", "-c", "echo hello > /dev/stdout; sleep 1000"})
		talker.WaitLog(t, "hello")
	})
	t.Run("has no power over the host", func(t *testing.T) {
		_, _, code := container.Exec(t, "sh", "-c", "echo 1 > /proc/sys/kernel/pid_max || dmesg -n 1 || cat /proc/kmsg")
		if code == 0 {
			t.Error("it changed what is the host's")
		}
	})
}

func TestUserNamespacesShareAnImage(t *testing.T) {
	needUserNamespaces(t)
	for _, host := range []uint32{200000, 300000} {
		pod := client.RunPod(t, logs, inUserNamespace(host))
		container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
		container.Output(t, "sh", "-c", "echo mine >> /etc/passwd; test $(stat -c %u /bin/busybox) = 0")
		if got, want := owner(t, firstProcess(t, container)+"/root/bin/busybox"), fmt.Sprintf("%d:%d", host, host); got != want {
			t.Errorf("the image belongs to %s, not to %s", got, want)
		}
		// A second time, with what was written.
		if err := client.Runtime.StopContainer(t.Context(), container.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	if got := container.Output(t, "sh", "-c", "stat -c %u:%g /bin/busybox; grep -c mine /etc/passwd || true"); got != "0:0\n0" {
		t.Errorf("the image itself: %q", got)
	}
}

func TestUserNamespaceWithASharedPidNamespace(t *testing.T) {
	needUserNamespaces(t)
	pod := client.RunPod(t, logs, inUserNamespace(400000), func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	})
	pod.Run(t, "one", busybox, []string{"sleep", "1111"})
	other := pod.Run(t, "two", busybox, []string{"sleep", "1000"})
	if got := other.Output(t, "ps"); !strings.Contains(got, "sleep 1111") {
		t.Errorf("two does not see one: %q", got)
	}
	if got := other.Output(t, "sh", "-c", "stat -c %u:%g /proc/1"); got != "0:0" {
		t.Errorf("process 1 belongs to %q", got)
	}
}

func TestUserNamespaceOfAContainerIsItsPods(t *testing.T) {
	needUserNamespaces(t)
	pod := client.RunPod(t, logs, inUserNamespace(500000))
	_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.NamespaceOptions = &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER,
			UsernsOptions: &cri.UserNamespace{Mode: cri.NamespaceMode_POD, Uids: mapping(600000), Gids: mapping(600000)}}
	}))
	wantCode(t, err, codes.InvalidArgument)
	config := criclient.PodConfig(t, logs, inUserNamespace(500000), func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
	})
	_, err = client.Runtime.RunPodSandbox(t.Context(), config, *handler)
	if err == nil {
		t.Error("a user namespace in the host's network was accepted")
	}
}
