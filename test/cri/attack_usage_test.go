package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/support/criclient"
)

// A container that exchanges a folder with a link to the host's tree while its
// usage is measured, and one whose bytes are deeper than a path can be long.
func TestUsageIsOfTheContainerAlone(t *testing.T) {
	host := filepath.Join(*scratch, "big")
	if err := os.MkdirAll(host, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(host) })
	const files = 3000
	for i := range files {
		if err := os.WriteFile(filepath.Join(host, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	container := sleeper(t)
	container.Output(t, "sh", "-c", "mkdir -p /w/a; ln -s "+host+" /w/b; "+
		"i=0; while [ $i -lt 60 ]; do mkdir /w/s$i; i=$((i+1)); done")
	upper := upperDirectory(t, container)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			a, b := filepath.Join(upper, "w/a"), filepath.Join(upper, "w/b")
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil {
				n++
			}
		}
	}()
	most := uint64(0)
	for range rounds(100, 1000) {
		stats, err := client.Runtime.ContainerStats(t.Context(), container.ID)
		if err != nil {
			t.Error(err)
			break
		}
		most = max(most, stats.GetWritableLayer().GetInodesUsed().GetValue())
	}
	close(stop)
	if n := <-done; n < 100 {
		t.Errorf("exchanged %d times only", n)
	}
	if most == 0 && peer() {
		t.Skip("containerd 1.6 looks every ten seconds only")
	}
	if most == 0 || most >= files {
		t.Errorf("its writable layer is said to have %d inodes", most)
	}
}

// upperDirectory is where the container's writes go, as the mount says.
func upperDirectory(t *testing.T, container *criclient.Container) string {
	t.Helper()
	mounts, err := os.ReadFile(firstProcess(t, container) + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if _, after, found := strings.Cut(line, "upperdir="); found && strings.Fields(line)[4] == "/" {
			path, _, _ := strings.Cut(after, ",")
			return path
		}
	}
	t.Fatalf("no overlay:\n%s", mounts)
	return ""
}

func TestUsageSeesWhatIsDeep(t *testing.T) {
	container := sleeper(t)
	name := strings.Repeat("d", 200)
	// cd -P keeps to short names, so that any depth can be reached.
	container.Output(t, "sh", "-c", "cd /var/empty && i=0; while [ $i -lt 60 ]; do mkdir "+name+
		" && cd -P ./"+name+" || exit 1; i=$((i+1)); done; dd if=/dev/zero of=big bs=1M count=20")
	err := criclient.Eventually(20*time.Second, func() error {
		stats, err := client.Runtime.ContainerStats(t.Context(), container.ID)
		if err != nil {
			return err
		}
		if got := stats.GetWritableLayer().GetUsedBytes().GetValue(); got < 20<<20 {
			return fmt.Errorf("20 MiB count as %d bytes", got)
		}
		return nil
	})
	if err != nil && peer() {
		t.Skipf("containerd 1.6: %v", err)
	}
	if err != nil {
		t.Error(err)
	}
}
