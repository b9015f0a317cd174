package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountShared makes a shared mount, and returns what mounts a folder with one
// file, "here", below it. All of it goes when the test ends.
func mountShared(t *testing.T, folder string) func(name string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(folder, 0o755))
	must(unix.Mount("shared", folder, "tmpfs", 0, ""))
	must(unix.Mount("", folder, "", unix.MS_SHARED, ""))
	t.Cleanup(func() { unix.Unmount(folder, unix.MNT_DETACH) })
	return func(name string) {
		t.Helper()
		at := filepath.Join(folder, name)
		must(os.Mkdir(at, 0o755))
		must(unix.Mount("later", at, "tmpfs", 0, ""))
		must(os.WriteFile(filepath.Join(at, "here"), nil, 0o644))
	}
}

// mountDead mounts a file system whose server is dead, as far as anybody can
// see: it reads no request, until the test ends.
func mountDead(t *testing.T, place string) {
	t.Helper()
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	if err := unix.Mount("dead", place, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(server)
		t.Skipf("cannot mount FUSE: %v", err)
	}
	t.Cleanup(func() {
		unix.Close(server)
		unix.Unmount(place, unix.MNT_DETACH)
		os.Remove(place)
	})
}

// unified is true where controllers are in the one tree of cgroup v2. A machine
// with the old hierarchies counts as old, whatever else is mounted.
func unified() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// cgroupFolder finds the cgroup of a container by its id.
func cgroupFolder(t *testing.T, controller, id string) string {
	t.Helper()
	root := "/sys/fs/cgroup/" + controller
	if unified() {
		root = "/sys/fs/cgroup"
	}
	found := ""
	filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(entry.Name(), id) {
			found = path
			return filepath.SkipAll
		}
		return nil
	})
	if found == "" {
		t.Fatalf("no %s cgroup of %s", controller, id)
	}
	return found
}

// cgroupValue reads a file of a container's cgroup, as it is called in the old
// hierarchies or in the new one.
func cgroupValue(t *testing.T, id, controller, oldFile, newFile string) string {
	t.Helper()
	file := oldFile
	if unified() {
		file = newFile
	}
	data, err := os.ReadFile(filepath.Join(cgroupFolder(t, controller, id), file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// links is the number of names a file has.
func links(info os.FileInfo) uint64 {
	return uint64(info.Sys().(*syscall.Stat_t).Nlink)
}
