package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// Fields of a container's configuration, one by one; docs/CRI-FIELDS.md names
// them.

func TestDevicesAreWhereAndForWhatIsAsked(t *testing.T) {
	const host = "/dev/fuse" // none that every container has
	if _, err := os.Stat(host); err != nil {
		t.Skip(err)
	}
	pod := client.RunPod(t, logs)
	for permissions, want := range map[string]string{"r": "read", "w": "write", "rw": "read write", "rwm": "read write"} {
		t.Run(permissions, func(t *testing.T) {
			container := pod.Run(t, permissions, busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
				config.Devices = []*cri.Device{{HostPath: host, ContainerPath: "/dev/mine", Permissions: permissions}}
			})
			got, _, _ := container.Exec(t, "sh", "-c", "(: </dev/mine) 2>/dev/null && echo read; (: >/dev/mine) 2>/dev/null && echo write")
			if got := strings.Join(strings.Fields(got), " "); got != want {
				t.Errorf("it may %q, want %q", got, want)
			}
			if got, want := container.Output(t, "stat", "-c", "%t:%T", "/dev/mine"), "a:e5"; got != want {
				t.Errorf("device %s, want %s", got, want)
			}
		})
	}
}

func TestGroupsOfTheImageAreMergedUnlessStrict(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	pod := client.RunPod(t, logs)
	for policy, want := range map[cri.SupplementalGroupsPolicy]string{
		cri.SupplementalGroupsPolicy_Merge:  "1000 1000 1000 3000 50 2000",
		cri.SupplementalGroupsPolicy_Strict: "1000 1000 1000 3000",
	} {
		container := pod.Run(t, strings.ToLower(policy.String()), busybox, []string{"sleep", "1000"},
			security(func(c *cri.LinuxContainerSecurityContext) {
				c.RunAsUser = &cri.Int64Value{Value: 1000}
				c.SupplementalGroups = []int64{3000}
				c.SupplementalGroupsPolicy = policy
			}))
		if got := container.Output(t, "sh", "-c", "echo $(id -u) $(id -g) $(id -G)"); !sameGroups(got, want) {
			t.Errorf("%v: %q, want %q", policy, got, want)
		}
	}
}

func TestAmbientCapabilitiesStayWithAUser(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	container := sleeper(t, security(func(c *cri.LinuxContainerSecurityContext) {
		c.RunAsUser = &cri.Int64Value{Value: 1000}
		c.Capabilities = &cri.Capability{AddAmbientCapabilities: []string{"NET_ADMIN"}}
	}))
	for _, set := range []string{"CapEff", "CapAmb", "CapInh"} {
		text := strings.Fields(container.Output(t, "grep", set, "/proc/1/status"))
		if got, err := strconv.ParseUint(text[1], 16, 64); err != nil || got != capNetAdmin {
			t.Errorf("%s: %x, %v; want %x", set, got, err, capNetAdmin)
		}
	}
}

// The old fields count where the new ones are absent.
func TestProfilesByTheirOldFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(path, []byte(denies("mkdir", "mkdirat")), 0o644); err != nil {
		t.Fatal(err)
	}
	pod := client.RunPod(t, logs)
	for _, one := range []struct {
		name, old string
		profile   *cri.SecurityProfile
		mode      string // of seccomp: 0 none, 2 a filter
		denied    bool
	}{
		{name: "local", old: "localhost/" + path, mode: "2", denied: true},
		{name: "default", old: "runtime/default", mode: "2"},
		{name: "unconfined", old: "unconfined", mode: "0"},
		{name: "new one first", old: "localhost/" + path, mode: "0",
			profile: &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}},
	} {
		t.Run(one.name, func(t *testing.T) {
			container := pod.Run(t, strings.ReplaceAll(one.name, " ", "-"), busybox, []string{"sleep", "1000"},
				security(func(c *cri.LinuxContainerSecurityContext) {
					c.Seccomp, c.SeccompProfilePath = one.profile, one.old
				}))
			if got := container.Output(t, "grep", "Seccomp:", "/proc/1/status"); got != "Seccomp:\t"+one.mode {
				t.Errorf("%s, want %s", got, one.mode)
			}
			if _, errout, code := container.Exec(t, "mkdir", "/tmp/new"); (code != 0) != one.denied {
				t.Errorf("mkdir: %d, %s", code, errout)
			}
		})
	}
	// No host has such a profile, and many have no AppArmor at all.
	for name, edit := range map[string]func(*cri.LinuxContainerSecurityContext){
		"apparmor_profile": func(c *cri.LinuxContainerSecurityContext) { c.ApparmorProfile = "localhost/no-such-profile" },
		"apparmor": func(c *cri.LinuxContainerSecurityContext) {
			c.Apparmor = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "no-such-profile"}
			c.ApparmorProfile = "unconfined"
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(edit))
			wantCode(t, err, codes.InvalidArgument)
		})
	}
	pod.Run(t, "free", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.Apparmor = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
		c.ApparmorProfile = "localhost/no-such-profile"
	}))
}

func TestStopSignalOfTheRequest(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	container := client.RunPod(t, logs).Run(t, "c", busybox, []string{"sh", "-c",
		"trap 'exit 9' USR2; trap 'exit 1' TERM; echo ready; while :; do sleep 0.05; done"},
		func(config *cri.ContainerConfig) { config.StopSignal = cri.Signal_SIGNAL_SIGUSR2 })
	container.WaitLog(t, "ready")
	if got := container.Status(t).StopSignal; got != cri.Signal_SIGNAL_SIGUSR2 {
		t.Errorf("in the status: %v", got)
	}
	if got := stop(t, container, 30); got.ExitCode != 9 {
		t.Errorf("exit code %d, want 9, of the trap for SIGUSR2", got.ExitCode)
	}
}

func TestCpuPeriodAndShares(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) {
		config.Linux.Resources = &cri.LinuxContainerResources{CpuPeriod: 50000, CpuQuota: 20000, CpuShares: 512}
	})
	period := cgroupValue(t, container.ID, "cpu", "cpu.cfs_period_us", "cpu.max")
	if period != "50000" && period != "20000 50000" {
		t.Errorf("period %s", period)
	}
	// Of cgroup v2 there are two formulas, an old one and a new one.
	switch got := cgroupValue(t, container.ID, "cpu", "cpu.shares", "cpu.weight"); got {
	case "512", "20", "59":
	default:
		t.Errorf("512 shares are %s", got)
	}
}

// Those that are given, and no other.
func TestPathsAreHiddenAsGiven(t *testing.T) {
	container := sleeper(t, security(func(c *cri.LinuxContainerSecurityContext) {
		c.MaskedPaths = []string{"/etc/group", "/www", "/no/such/path"}
		c.ReadonlyPaths = []string{"/tmp", "/no/such/path"}
	}))
	if got := container.Output(t, "sh", "-c", "cat /etc/group; ls /www"); got != "" {
		t.Errorf("masked paths hold %q", got)
	}
	if _, _, code := container.Exec(t, "touch", "/tmp/x"); code == 0 {
		t.Errorf("a read-only path could be written")
	}
	mounts := container.Output(t, "cat", "/proc/mounts")
	for _, path := range []string{" /proc/kcore ", " /proc/sys ", " /sys/firmware "} {
		if strings.Contains(mounts, path) {
			t.Errorf("%s is hidden, too:\n%s", path, mounts)
		}
	}
}

func TestSwapLimit(t *testing.T) {
	const memory, both = 64 << 20, 96 << 20
	container := sleeper(t, func(config *cri.ContainerConfig) {
		config.Linux.Resources.MemoryLimitInBytes = memory
		config.Linux.Resources.MemorySwapLimitInBytes = both
	})
	file, want := "memory.memsw.limit_in_bytes", both
	if unified() {
		file, want = "memory.swap.max", both-memory
	}
	data, err := os.ReadFile(filepath.Join(cgroupFolder(t, "memory", container.ID), file))
	if os.IsNotExist(err) {
		t.Skip("the kernel does not count swap")
	}
	if got := strings.TrimSpace(string(data)); err != nil || got != strconv.Itoa(want) {
		t.Errorf("%s: %s, %v; want %d", file, got, err, want)
	}
}

func TestMemoryNodes(t *testing.T) {
	container := sleeper(t, func(config *cri.ContainerConfig) { config.Linux.Resources.CpusetMems = "0" })
	if got := cgroupValue(t, container.ID, "cpuset", "cpuset.mems", "cpuset.mems"); got != "0" {
		t.Errorf("mems %s", got)
	}
	pod := client.RunPod(t, logs)
	wrong, err := pod.TryCreate(t, "c", busybox, []string{"true"},
		func(config *cri.ContainerConfig) { config.Linux.Resources.CpusetMems = "1023" })
	if err == nil {
		err = client.Runtime.StartContainer(t.Context(), wrong.ID)
	}
	if err == nil {
		t.Errorf("a node that the machine has not got was accepted")
	}
}

func TestFilesOfCgroupsByName(t *testing.T) {
	const file, value = "memory.high", "50331648"
	pod := client.RunPod(t, logs)
	container, err := pod.TryCreate(t, "c", busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Linux.Resources.Unified = map[string]string{file: value}
	})
	if !unified() {
		if err == nil && peer() {
			err = client.Runtime.StartContainer(t.Context(), container.ID) // runc finds out
		}
		wantCode(t, err, codes.InvalidArgument)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	container.Start(t)
	if got := cgroupValue(t, container.ID, "memory", "", file); got != value {
		t.Errorf("%s: %s, want %s", file, got, value)
	}
}

// kubelet sends a limit of zero for each size of huge pages, which is no reason
// to fail where nobody could use any.
func TestHugePages(t *testing.T) {
	_, err := os.Stat("/sys/fs/cgroup/hugetlb")
	has := err == nil
	if unified() {
		all, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
		has = err == nil && strings.Contains(string(all), "hugetlb")
	}
	limits := map[string]uint64{"2MB": 0, "1GB": 0}
	if has {
		limits["2MB"] = 4 << 20
	}
	container := sleeper(t, func(config *cri.ContainerConfig) {
		for size, limit := range limits {
			config.Linux.Resources.HugepageLimits = append(config.Linux.Resources.HugepageLimits,
				&cri.HugepageLimit{PageSize: size, Limit: limit})
		}
	})
	container.Output(t, "true")
	if !has {
		t.Skip("the host has no hugetlb controller: only limits of zero were tried")
	}
	for size, limit := range limits {
		got := cgroupValue(t, container.ID, "hugetlb", "hugetlb."+size+".limit_in_bytes", "hugetlb."+size+".max")
		if got != fmt.Sprint(limit) {
			t.Errorf("%s: %s, want %d", size, got, limit)
		}
	}
}

// bound runs a container in which a folder of the host is mounted.
func bound(t *testing.T, pod *criclient.Pod, name, folder string, edit func(*cri.Mount)) *criclient.Container {
	t.Helper()
	mount := &cri.Mount{HostPath: folder, ContainerPath: "/volume"}
	edit(mount)
	return pod.Run(t, name, busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Mounts = []*cri.Mount{mount}
		config.Linux.SecurityContext.Privileged = pod.Config.Linux.SecurityContext.Privileged
	})
}

func TestMountsOfTheContainerReachTheHost(t *testing.T) {
	folder := filepath.Join(*scratch, "both-ways")
	mountShared(t, folder)
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.Privileged = true
	})
	for propagation, seen := range map[cri.MountPropagation]bool{
		cri.MountPropagation_PROPAGATION_BIDIRECTIONAL:     true,
		cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER: false,
	} {
		name := fmt.Sprintf("mode-%d", propagation)
		container := bound(t, pod, name, folder, func(m *cri.Mount) { m.Propagation = propagation })
		container.Output(t, "sh", "-c", fmt.Sprintf("cd /volume && mkdir %s && mount -t tmpfs x %s && touch %s/file", name, name, name))
		_, err := os.Stat(filepath.Join(folder, name, "file"))
		if (err == nil) != seen {
			t.Errorf("%v: %v", propagation, err)
		}
		unix.Unmount(filepath.Join(folder, name), unix.MNT_DETACH)
	}
}

func TestReadOnlyMountsMayBeSoToTheBottom(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	folder := filepath.Join(*scratch, "deep")
	mountShared(t, folder)("below")
	pod := client.RunPod(t, logs)
	for _, recursive := range []bool{false, true} {
		container := bound(t, pod, fmt.Sprintf("recursive-%v", recursive), folder, func(m *cri.Mount) {
			m.Readonly, m.RecursiveReadOnly = true, recursive
		})
		if _, _, code := container.Exec(t, "touch", "/volume/x"); code == 0 {
			t.Errorf("recursive %v: the mount itself could be written", recursive)
		}
		_, errout, code := container.Exec(t, "touch", "/volume/below/x")
		if (code != 0) != recursive {
			t.Errorf("recursive %v: below it: %d, %s", recursive, code, errout)
		}
	}
}

func TestMountOptions(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "program"), []byte("#!/bin/sh\necho ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	pod := client.RunPod(t, logs)
	free := bound(t, pod, "free", folder, func(*cri.Mount) {})
	if got := free.Output(t, "/volume/program"); got != "ran" {
		t.Errorf("without options: %q", got)
	}
	strict := bound(t, pod, "strict", folder, func(m *cri.Mount) { m.MountOptions = []string{"noexec", "nodev", "nosuid"} })
	if out, _, code := strict.Exec(t, "sh", "-c", "/volume/program"); code == 0 {
		t.Errorf("with noexec: %q", out)
	}
	line := strict.Output(t, "grep", " /volume ", "/proc/mounts")
	for _, option := range []string{"noexec", "nodev", "nosuid"} {
		if !strings.Contains(line, option) {
			t.Errorf("no %s: %s", option, line)
		}
	}
}

func TestAFolderOfAnImageIsAVolume(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 has no image volumes")
	}
	container := client.RunPod(t, logs).Run(t, "c", busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Mounts = []*cri.Mount{
			{ContainerPath: "/all", Readonly: true, Image: &cri.ImageSpec{Image: busybox}},
			{ContainerPath: "/page", Readonly: true, Image: &cri.ImageSpec{Image: busybox}, ImageSubPath: "www"},
		}
	})
	for _, file := range []string{"/all/www/index.html", "/page/index.html"} {
		if got := container.Output(t, "cat", file); got != "hello from the pod" {
			t.Errorf("%s: %q", file, got)
		}
	}
	for _, file := range []string{"/all/new", "/page/new"} {
		if _, _, code := container.Exec(t, "touch", file); code == 0 {
			t.Errorf("%s could be written", file)
		}
	}
}

func TestCommandsMayTakeAsLongAsTheyAreGiven(t *testing.T) {
	container := sleeper(t)
	for _, timeout := range []int64{0, 30} { // none, and enough
		answer, err := client.RawRuntime.ExecSync(t.Context(), &cri.ExecSyncRequest{
			ContainerId: container.ID, Cmd: []string{"sh", "-c", "sleep 2; echo done"}, Timeout: timeout})
		if err != nil || string(answer.Stdout) != "done\n" {
			t.Errorf("timeout %d: %v, %v", timeout, answer, err)
		}
	}
}
