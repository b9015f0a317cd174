package cri_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// limitDescriptors sets how many descriptors the daemon may have, until the
// function that it returns is called.
func limitDescriptors(t *testing.T, limit int) (restore func()) {
	t.Helper()
	set := func(limits string) {
		out, err := exec.Command("prlimit", "--pid", strconv.Itoa(*daemonPID), "--nofile="+limits).CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v\n%s", err, out)
		}
	}
	before, err := exec.Command("prlimit", "--pid", strconv.Itoa(*daemonPID), "--nofile", "--output=SOFT",
		"--noheadings").Output()
	if err != nil {
		t.Fatal(err)
	}
	set(strconv.Itoa(limit) + ":")
	done := false
	restore = func() {
		if !done {
			done = true
			set(strings.TrimSpace(string(before)) + ":")
		}
	}
	t.Cleanup(restore)
	return restore
}

// connected is a client whose connection is there.
func connected(t *testing.T) *criclient.Client {
	t.Helper()
	c, err := criclient.Connect(t.Context(), *endpoint, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	version(t, c)
	return c
}

func version(t *testing.T, c *criclient.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.RawRuntime.Version(ctx, &cri.VersionRequest{}); err != nil {
		t.Errorf("Version: %v", err)
	}
}

func TestItAcceptsAgainWhenDescriptorsComeFree(t *testing.T) {
	old := connected(t)
	// Fewer than it has: no further one is to be had.
	restore := limitDescriptors(t, 3)
	socket := strings.TrimPrefix(*endpoint, "unix://")
	for range 3 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		time.Sleep(300 * time.Millisecond) // until accept has failed
	}
	restore()
	version(t, old)
	version(t, connected(t))
}

// What a client holds that has begun to speak HTTP/2 and does nothing more.
const leaker = `
import socket, sys
preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].connect(sys.argv[1])
    try:
        held[-1].sendall(preface)
    except OSError:
        pass
print("ready", flush=True)
sys.stdin.read()
`

func TestAProcessThatLeaksConnectionsLeavesDescriptorsToOthers(t *testing.T) {
	if peer() {
		t.Skip("containerd has no limit of connections: it does not answer until the process ends")
	}
	old := connected(t)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", *daemonPID))
	if err != nil {
		t.Fatal(err)
	}
	limitDescriptors(t, max(256, 2*len(open)))
	socket := strings.TrimPrefix(*endpoint, "unix://")
	process := exec.Command("python3", "-c", leaker, socket, "500")
	hold, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		_ = process.Wait()
	}()
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the process that leaks: %v", err)
	}
	version(t, old)
	version(t, connected(t))
	// Shims, records and networks need some as well.
	if out := sleeper(t).Output(t, "echo", "alive"); out != "alive" {
		t.Errorf("%q", out)
	}
	docker := filepath.Join(filepath.Dir(socket), "docker.sock")
	conn, err := net.Dial("unix", docker)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = conn.Write([]byte("GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"))
	answer := make([]byte, 15)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("the Docker door: %q, %v", answer, err)
	}
}
