package cri_test

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ownFolders are where the runtime keeps what it has: root and state.
func ownFolders(t *testing.T) []string {
	t.Helper()
	top := filepath.Dir(*certs)
	return []string{filepath.Join(top, "data"), filepath.Join(top, "state")}
}

// openParents lets everybody come as far as the runtime's own folders, as it is
// with /var/lib and /run; what is below them is the runtime's matter.
func openParents(t *testing.T) {
	t.Helper()
	for at := filepath.Dir(*certs); at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o001 == 0 {
			os.Chmod(at, mode|0o011)
			t.Cleanup(func() { os.Chmod(at, mode) })
		}
	}
}

// runAs is what a busybox says that another user runs.
func runAs(uid uint32, path string, args ...string) (string, error) {
	command := exec.Command(path, args...)
	command.Args[0] = "busybox"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

const suID = "su-of-a-container"

// setIDFiles finds the programs that containers have made set-user-ID, by every
// path that there is on the host.
func setIDFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	places := ownFolders(t)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], filepath.Dir(*certs)) {
			places = append(places, fields[4])
		}
	}
	seen := map[string]bool{}
	for _, place := range places {
		filepath.WalkDir(place, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == suID && !seen[path] {
				seen[path] = true
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

// CVE-2024-25621: a container's set-user-ID file is one of the host's too, to
// whoever gets there.
func TestAnotherUserOfTheHostReachesNothing(t *testing.T) {
	openParents(t)
	name := image("config:latest")
	pull(t, name, nil)
	plant := "for at in / /data /dev/shm; do cp /bin/busybox $at/" + suID + " && chmod 4755 $at/" + suID + "; done"
	plain := client.RunPod(t, logs)
	plain.Run(t, "c", name, []string{"sleep", "1000"}, asRoot).Output(t, "sh", "-c", plant)
	want := 2 // the root file system and the copy of its volume
	if userNamespaces(t) {
		mapped := client.RunPod(t, logs, inUserNamespace(700000))
		mapped.Run(t, "c", name, []string{"sleep", "1000"}, asRoot).Output(t, "sh", "-c", plant)
		want += 2
	}
	files := setIDFiles(t)
	if len(files) < want {
		t.Fatalf("found %d of the files only: %v", len(files), files)
	}
	for _, file := range files {
		out, err := runAs(1000, file, "id", "-u")
		if errors.Is(err, fs.ErrPermission) {
			continue
		}
		t.Errorf("user 1000 may run %s: user %q, %v", file, out, err)
	}
}

func TestFoldersOfTheRuntimeArePrivate(t *testing.T) {
	pod := client.RunPod(t, logs)
	pod.Run(t, "c", image("busybox:latest"), []string{"sleep", "1000"})
	if peer() {
		t.Skip("containerd 1.6 has CVE-2024-25621")
	}
	checked := 0
	for _, top := range ownFolders(t) {
		for _, pattern := range []string{"", "*", "*/*", "containers/*/volumes", "containers/*/images"} {
			paths, _ := filepath.Glob(filepath.Join(top, pattern))
			for _, path := range paths {
				info, err := os.Lstat(path)
				// What is inside a layer or a writable tree has the image's modes.
				if err != nil || !info.IsDir() || filepath.Base(filepath.Dir(path)) == "snapshots" {
					continue
				}
				checked++
				if info.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s has mode %v", path, info.Mode())
				}
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d folders", checked)
	}
}

// CVE-2020-15257: what listens on an abstract socket can be reached from a
// container in the host's network.
func TestNoAbstractSocketsListen(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
		config.Hostname = ""
	})
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	for _, line := range strings.Split(container.Output(t, "cat", "/proc/net/unix"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 8 || !strings.HasPrefix(fields[7], "@") {
			continue
		}
		name := strings.ReplaceAll(fields[7][1:], "@", "\x00")
		for _, of := range []string{"berth", "shim", "containerd", "docker"} {
			if strings.Contains(name, of) {
				t.Errorf("an abstract socket: %q", fields[7])
			}
		}
	}
	// Those with a path: not for others.
	for _, top := range ownFolders(t) {
		filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type() != fs.ModeSocket {
				return nil
			}
			if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && !peer() {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
	}
}

// CVE-2022-0492: a hierarchy of cgroup v1 runs a program of the container's on
// the host when a group becomes empty, if the container can write to it.
func TestNoContainerWritesToCgroups(t *testing.T) {
	container := sleeper(t)
	out := container.Output(t, "sh", "-c", "find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name cgroup.procs |"+
		" while read f; do echo found; (echo /x > $f) 2>/dev/null && echo wrote $f; done; "+
		"mkdir /tmp/cg; mount -t cgroup -o memory x /tmp/cg 2>/dev/null && echo mounted; "+
		"mount -t cgroup2 x /tmp/cg 2>/dev/null && echo mounted; true")
	if !strings.Contains(out, "found") || strings.Contains(out, "wrote") || strings.Contains(out, "mounted") {
		t.Errorf("%s", out)
	}
}

// CVE-2019-14891: what records the end of a container must not end with it.
func TestTheMonitorIsOutsideOfThePodsLimits(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	status, err := os.ReadFile(firstProcess(t, container) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "PPid:")
	monitor := "/proc/" + strings.Fields(after)[0]
	groups, err := os.ReadFile(monitor + "/cgroup")
	if err != nil || strings.Contains(string(groups), pod.Config.Linux.CgroupParent) {
		t.Errorf("it is in %s, %v", groups, err)
	}
	// In the order in which the kernel chooses it comes right after the daemon.
	if score, most := oomScore(t, monitor), oomScore(t, fmt.Sprintf("/proc/%d", *daemonPID))+1; score > most {
		t.Errorf("its oom_score_adj is %d, want %d at most", score, most)
	}
}

// What makes a fault in the memory of a program harder to use. The shim has no
// loader, and is where it was linked to.
func TestProgramsAreHardened(t *testing.T) {
	if peer() {
		t.Skip("programs of Go are built in another way")
	}
	container := sleeper(t)
	for path, movable := range map[string]bool{
		fmt.Sprintf("/proc/%d/exe", *daemonPID):           true,
		fmt.Sprintf("/proc/%d/exe", shimOf(t, container)): false,
	} {
		program, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		var readOnly, stack bool
		for _, one := range program.Progs {
			readOnly = readOnly || one.Type == elf.PT_GNU_RELRO
			stack = stack || one.Type == elf.PT_GNU_STACK && one.Flags&elf.PF_X == 0
			if one.Type == elf.PT_LOAD && one.Flags&elf.PF_W != 0 && one.Flags&elf.PF_X != 0 {
				t.Errorf("%s: what can be written can be executed", path)
			}
		}
		if !readOnly || !stack {
			t.Errorf("%s: relocations are read-only %v, the stack is not executable %v", path, readOnly, stack)
		}
		if !movable {
			continue
		}
		flags, err := program.DynValue(elf.DT_FLAGS_1)
		now := err == nil && len(flags) == 1 && elf.DynFlag1(flags[0])&elf.DF_1_NOW != 0
		if program.Type != elf.ET_DYN || !now {
			t.Errorf("%s: type %v, flags %x, %v", path, program.Type, flags, err)
		}
	}
}

func oomScore(t *testing.T, process string) int {
	t.Helper()
	text, err := os.ReadFile(process + "/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return score
}
