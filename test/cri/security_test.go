package cri_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func security(edit func(*cri.LinuxContainerSecurityContext)) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) { edit(config.Linux.SecurityContext) }
}

func TestUserAndGroups(t *testing.T) {
	pod := client.RunPod(t, logs)
	cases := []struct {
		name, want string
		edit       func(*cri.LinuxContainerSecurityContext)
	}{
		{"plain", "0 0 0", func(c *cri.LinuxContainerSecurityContext) {}},
		{"number", "1000 1000 1000 50 2000", func(c *cri.LinuxContainerSecurityContext) {
			c.RunAsUser = &cri.Int64Value{Value: 1000}
		}},
		{"name", "1000 1000 1000 50 2000", func(c *cri.LinuxContainerSecurityContext) { c.RunAsUsername = "app" }},
		{"group", "1000 7 7 3000 50 2000", func(c *cri.LinuxContainerSecurityContext) {
			c.RunAsUser = &cri.Int64Value{Value: 1000}
			c.RunAsGroup = &cri.Int64Value{Value: 7}
			c.SupplementalGroups = []int64{3000}
		}},
		{"unknown", "4321 0 0 60", func(c *cri.LinuxContainerSecurityContext) {
			c.RunAsUser = &cri.Int64Value{Value: 4321}
			c.SupplementalGroups = []int64{60}
		}},
	}
	for _, one := range cases {
		t.Run(one.name, func(t *testing.T) {
			container := pod.Run(t, one.name, busybox, []string{"sleep", "1000"}, security(one.edit))
			got := container.Output(t, "sh", "-c", "echo $(id -u) $(id -g) $(id -G)")
			if !sameGroups(got, one.want) {
				t.Errorf("exec: %q, want %q", got, one.want)
			}
			first := container.Output(t, "sh", "-c",
				"awk '/^Uid|^Gid/ {print $2}; /^Groups/ {$1=\"\"; print}' /proc/1/status")
			if !sameGroups(strings.Join(strings.Fields(first), " "), one.want) {
				t.Errorf("process 1: %q, want %q", first, one.want)
			}
		})
	}
}

// sameGroups compares user, group and the rest as a set.
func sameGroups(got, want string) bool {
	a, b := strings.Fields(got), strings.Fields(want)
	if len(a) < 2 || len(b) < 2 || a[0] != b[0] || a[1] != b[1] {
		return false
	}
	in := func(list []string) map[string]bool {
		set := map[string]bool{}
		for _, one := range list {
			set[one] = true
		}
		return set
	}
	x, y := in(a[1:]), in(b[1:])
	if len(x) != len(y) {
		return false
	}
	for one := range x {
		if !y[one] {
			return false
		}
	}
	return true
}

func TestUserOfTheImage(t *testing.T) {
	name := image("config:latest")
	if _, err := client.Images.PullImage(t.Context(), &cri.ImageSpec{Image: name}, nil, nil); err != nil {
		t.Fatal(err)
	}
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", name, nil)
	container.WaitLog(t, "seed=")
	want := "args=one two words\nid=1000:1000 groups=1000 50 2000\ncwd=/srv/work\none=1 two=a \"b\"\nseed=seed\n"
	got := container.LogText(t, "stdout")
	if peer() {
		// containerd 1.6 looks up groups for run_as_user, not for the image's.
		got = strings.Replace(got, "groups=1000\n", "groups=1000 50 2000\n", 1)
	}
	if strings.ReplaceAll(got, "groups=1000 2000 50", "groups=1000 50 2000") != want {
		t.Errorf("%q, want %q", got, want)
	}
	other := pod.Run(t, "other", name, nil, func(config *cri.ContainerConfig) {
		config.Args = []string{"mine"}
		config.Envs = []*cri.KeyValue{{Key: "ONE", Value: []byte("changed")}}
		config.WorkingDir = "/tmp/made"
		config.Linux.SecurityContext.RunAsUser = &cri.Int64Value{Value: 0}
	})
	other.WaitLog(t, "seed=")
	got = other.LogText(t, "stdout")
	for _, part := range []string{"args=mine\n", "id=0:0 ", "cwd=/tmp/made\n", "one=changed "} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in %q", part, got)
		}
	}
}

func TestGroupWithoutUserIsRefused(t *testing.T) {
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.RunAsGroup = &cri.Int64Value{Value: 7}
	}))
	wantCode(t, err, codes.InvalidArgument)
}

func TestUnknownUserNameIsRefused(t *testing.T) {
	pod := client.RunPod(t, logs)
	container, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.RunAsUsername = "nosuchuser"
	}))
	if err == nil {
		err = client.Runtime.StartContainer(t.Context(), container.ID)
	}
	if err == nil {
		t.Errorf("a user that is not in the image was accepted")
	}
}

func capabilities(t *testing.T, edit func(*cri.LinuxContainerSecurityContext)) (effective, bounding uint64) {
	t.Helper()
	container := sleeper(t, security(edit))
	// CVE-2022-24769: what is inheritable a program with such a file capability
	// would have.
	for _, of := range []string{"/proc/1/status", "/proc/self/status"} {
		if got := container.Output(t, "grep", "CapInh", of); got != "CapInh:\t0000000000000000" {
			t.Errorf("%s: %s", of, got)
		}
	}
	out := container.Output(t, "grep", "-E", "^Cap(Eff|Bnd)", "/proc/1/status")
	fields := strings.Fields(out)
	if len(fields) != 4 {
		t.Fatalf("status: %q", out)
	}
	effective, _ = strconv.ParseUint(fields[1], 16, 64)
	bounding, _ = strconv.ParseUint(fields[3], 16, 64)
	return effective, bounding
}

const (
	capChown      = 1 << 0
	capNetBind    = 1 << 10
	capNetAdmin   = 1 << 12
	capSysAdmin   = 1 << 21
	capSysTime    = 1 << 25
	defaultCommon = 1<<0 | 1<<1 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10
)

func TestCapabilities(t *testing.T) {
	t.Run("default", func(t *testing.T) {
		got, _ := capabilities(t, func(c *cri.LinuxContainerSecurityContext) {})
		if got&defaultCommon != defaultCommon || got&(capNetAdmin|capSysAdmin) != 0 {
			t.Errorf("%#x", got)
		}
	})
	t.Run("add and drop", func(t *testing.T) {
		got, _ := capabilities(t, func(c *cri.LinuxContainerSecurityContext) {
			c.Capabilities = &cri.Capability{AddCapabilities: []string{"NET_ADMIN"}, DropCapabilities: []string{"CHOWN"}}
		})
		if got&capNetAdmin == 0 || got&capChown != 0 {
			t.Errorf("%#x", got)
		}
	})
	t.Run("drop all, add one", func(t *testing.T) {
		got, bounding := capabilities(t, func(c *cri.LinuxContainerSecurityContext) {
			c.Capabilities = &cri.Capability{AddCapabilities: []string{"NET_BIND_SERVICE"}, DropCapabilities: []string{"ALL"}}
		})
		if got != capNetBind || bounding != capNetBind {
			t.Errorf("%#x, bounding %#x", got, bounding)
		}
	})
	t.Run("user has none", func(t *testing.T) {
		got, _ := capabilities(t, func(c *cri.LinuxContainerSecurityContext) { c.RunAsUser = &cri.Int64Value{Value: 1000} })
		if got != 0 {
			t.Errorf("%#x", got)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		pod := client.RunPod(t, logs)
		container, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
			c.Capabilities = &cri.Capability{AddCapabilities: []string{"NO_SUCH_THING"}}
		}))
		if err == nil && !peer() { // containerd 1.6 passes it on, and runc ignores it
			t.Errorf("an unknown capability was accepted: %v", container.ID)
		}
	})
}

func TestNoNewPrivileges(t *testing.T) {
	container := sleeper(t, security(func(c *cri.LinuxContainerSecurityContext) { c.NoNewPrivs = true }))
	for _, file := range []string{"/proc/1/status", "/proc/self/status"} {
		if got := container.Output(t, "grep", "NoNewPrivs", file); got != "NoNewPrivs:\t1" {
			t.Errorf("%s: %s", file, got)
		}
	}
}

func TestSeccomp(t *testing.T) {
	profile := filepath.Join(*scratch, "profile.json")
	text := `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
	  "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}`
	if err := os.WriteFile(profile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	mode := func(t *testing.T, seccomp *cri.SecurityProfile) string {
		container := sleeper(t, security(func(c *cri.LinuxContainerSecurityContext) { c.Seccomp = seccomp }))
		in1 := container.Output(t, "grep", "Seccomp:", "/proc/1/status")
		exec := container.Output(t, "grep", "Seccomp:", "/proc/self/status")
		if in1 != exec {
			t.Errorf("process 1 has %s, exec %s", in1, exec)
		}
		_, errout, code := container.Exec(t, "mkdir", "/tmp/new")
		return strings.TrimPrefix(in1, "Seccomp:\t") + " " + strconv.Itoa(code) + " " + errout
	}
	t.Run("default", func(t *testing.T) {
		if got := mode(t, &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}); got != "2 0 " {
			t.Error(got)
		}
	})
	t.Run("unconfined", func(t *testing.T) {
		if got := mode(t, &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}); got != "0 0 " {
			t.Error(got)
		}
	})
	t.Run("own profile", func(t *testing.T) {
		got := mode(t, &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: profile})
		if !strings.HasPrefix(got, "2 1 ") || !strings.Contains(got, "not implemented") {
			t.Error(got)
		}
	})
	t.Run("missing profile", func(t *testing.T) {
		pod := client.RunPod(t, logs)
		_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
			c.Seccomp = &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: "/no/such/profile.json"}
		}))
		wantCode(t, err, codes.InvalidArgument, codes.NotFound)
	})
	t.Run("the default refuses", func(t *testing.T) {
		container := sleeper(t, security(func(c *cri.LinuxContainerSecurityContext) {
			c.Capabilities = &cri.Capability{AddCapabilities: []string{"SYS_TIME"}, DropCapabilities: []string{"SYS_ADMIN"}}
		}))
		// unshare(CLONE_NEWUSER) needs no capability, only a filter stops it.
		if _, _, code := container.Exec(t, "unshare", "-U", "true"); code == 0 {
			t.Errorf("a user namespace could be made")
		}
	})
}

// What the default filter refuses whatever a program's capabilities are, and
// what it lets through beside that. AF_ALG: CVE-2026-31431.
func TestDefaultFilterByCalls(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "forbidden")
	out, err := exec.Command("gcc", "-static", "-O1", "-o", program, filepath.Join(*support, "forbidden.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	said := func(profile cri.SecurityProfile_ProfileType) map[string]string {
		container := sleeper(t, func(config *cri.ContainerConfig) {
			config.Mounts = []*cri.Mount{{HostPath: folder, ContainerPath: "/bag"}}
			config.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{ProfileType: profile}
		})
		all := map[string]string{}
		for _, line := range strings.Split(container.Output(t, "/bag/forbidden"), "\n") {
			name, number, _ := strings.Cut(line, " ")
			all[name] = number
		}
		return all
	}
	free := said(cri.SecurityProfile_Unconfined)
	for name, got := range said(cri.SecurityProfile_RuntimeDefault) {
		want := "1" // EPERM
		switch name {
		case "unix", "inet", "nfc", "smc":
			want = free[name]
		case "alg", "alg-above", "vsock", "vsock-above", "io_uring_setup":
			if peer() {
				continue // containerd 1.6 lets them through
			}
		}
		if got != want {
			t.Errorf("%s: error %s, want %s", name, got, want)
		}
	}
	if len(free) != 13 || free["unix"] != "0" {
		t.Errorf("without a filter: %v", free)
	}
}

func TestReadOnlyRoot(t *testing.T) {
	folder := filepath.Join(*scratch, "writable")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	container := sleeper(t, func(config *cri.ContainerConfig) {
		config.Linux.SecurityContext.ReadonlyRootfs = true
		config.Mounts = []*cri.Mount{{HostPath: folder, ContainerPath: "/data"}}
	})
	for _, path := range []string{"/x", "/etc/x", "/etc/resolv.conf"} {
		if _, _, code := container.Exec(t, "touch", path); code == 0 {
			t.Errorf("%s could be written", path)
		}
	}
	container.Output(t, "touch", "/data/x", "/dev/shm/x")
}

func TestWritableRootIsItsOwn(t *testing.T) {
	pod := client.RunPod(t, logs)
	one := pod.Run(t, "one", busybox, []string{"sleep", "1000"})
	two := pod.Run(t, "two", busybox, []string{"sleep", "1000"})
	one.Output(t, "sh", "-c", "echo mine >/only-here; rm /www/index.html")
	if _, _, code := two.Exec(t, "test", "-e", "/only-here"); code == 0 {
		t.Errorf("the other container has the file too")
	}
	two.Output(t, "test", "-e", "/www/index.html")
}

func TestMaskedAndReadOnlyPaths(t *testing.T) {
	container := sleeper(t)
	if got := container.Output(t, "sh", "-c", "head -c 10 /proc/kcore | wc -c; ls /sys/firmware | wc -l"); got != "0\n0" {
		t.Errorf("masked paths hold something: %q", got)
	}
	if _, _, code := container.Exec(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"); code == 0 {
		t.Errorf("/proc/sys could be written")
	}
	if _, _, code := container.Exec(t, "sh", "-c",
		"cd /sys/fs/cgroup; test ! -e memory || cd memory; mkdir x"); code == 0 {
		t.Errorf("/sys could be written:\n%s", container.Output(t, "grep", " /sys", "/proc/mounts"))
	}
}

func TestPrivileged(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.Privileged = true
	})
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.Privileged = true
		c.MaskedPaths, c.ReadonlyPaths, c.Seccomp = nil, nil, nil
	}))
	container.Output(t, "mount", "-t", "tmpfs", "x", "/tmp")
	if got := container.Output(t, "grep", "Seccomp:", "/proc/self/status"); got != "Seccomp:\t0" {
		t.Error(got)
	}
	got := container.Output(t, "sh", "-c", "grep CapEff /proc/1/status")
	value, _ := strconv.ParseUint(strings.Fields(got)[1], 16, 64)
	if value&(capSysAdmin|capNetAdmin|capSysTime) != capSysAdmin|capNetAdmin|capSysTime {
		t.Error(got)
	}
}

func TestPrivilegedNeedsAPrivilegedPod(t *testing.T) {
	pod := client.RunPod(t, logs)
	_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, security(func(c *cri.LinuxContainerSecurityContext) {
		c.Privileged = true
	}))
	wantCode(t, err, codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied)
}

// CVE-2019-5736: what a container runs in the place of a program may be the
// file of the shim that starts it.
func TestProgramFileOfAShimIsOnNoWritableMount(t *testing.T) {
	if peer() {
		t.Skip("the peer's shim runs runc, which copies itself")
	}
	client.RunPod(t, logs)
	found := 0
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		comm, _ := os.ReadFile(name)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(name), "cwd"))
		if string(comm) != "berth-shim\n" || !strings.HasPrefix(cwd, filepath.Dir(*scratch)) {
			continue
		}
		found++
		var at unix.Statfs_t
		if err := unix.Statfs(filepath.Join(filepath.Dir(name), "exe"), &at); err != nil || at.Flags&unix.ST_RDONLY == 0 {
			t.Errorf("%s: %v, flags %x", name, err, at.Flags)
		}
	}
	if found == 0 {
		t.Error("no shim found")
	}
}
