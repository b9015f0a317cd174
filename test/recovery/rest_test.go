package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/test/support/criclient"
)

// ofGRPC are the threads that gRPC 1.51 wakes up by itself, as the kernel has
// their names.
var ofGRPC = map[string]bool{"nexting_thread": true, "timer_manager": true, "grpc_global_tim": true}

// wakeUps counts how often each thread of the daemon's own has run.
func (n *node) wakeUps() map[string]int {
	n.t.Helper()
	counts := map[string]int{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", n.pid))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		name, count := "", 0
		for _, line := range strings.Split(string(text), "\n") {
			key, value, _ := strings.Cut(line, ":")
			switch key {
			case "Name":
				name = strings.TrimSpace(value)
			case "voluntary_ctxt_switches":
				fmt.Sscan(value, &count)
			}
		}
		if !ofGRPC[name] {
			counts[filepath.Base(filepath.Dir(file))+" "+name] = count
		}
	}
	return counts
}

// With nothing to do it does nothing: with both doors open, with a pod, with a
// client that is connected and with one that has gone.
func TestNothingWakesUpAtRest(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "sleep 1000")
	other, err := criclient.Connect(t.Context(), "unix://"+filepath.Join(n.dir, "berthd.sock"), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	// What comes after the start has had its time, and idle threads have ended.
	err = criclient.Eventually(3*time.Minute, func() error {
		before := n.wakeUps()
		if len(before) < 4 {
			t.Fatalf("threads: %v", before)
		}
		time.Sleep(15 * time.Second)
		for thread, count := range n.wakeUps() {
			if was, there := before[thread]; !there || count != was {
				return fmt.Errorf("%s: %d times, %d before", thread, count, was)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	remove(t, n, c)
	n.clean()
}
