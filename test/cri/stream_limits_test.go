package cri_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// held is how many descriptors and threads the daemon has.
func held(t *testing.T) (descriptors, threads int) {
	t.Helper()
	for _, one := range []struct {
		folder string
		count  *int
	}{{"fd", &descriptors}, {"task", &threads}} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", *daemonPID, one.folder))
		if err != nil {
			t.Fatal(err)
		}
		*one.count = len(entries)
	}
	return descriptors, threads
}

func TestAClientThatVanishesLeavesNothing(t *testing.T) {
	container := sleeper(t)
	withEach(t, []transport{bySpdy, byV5}, func(t *testing.T, by transport) {
		if out, _, err := by.exec(t, container, nil, "echo", "first"); out != "first\n" || err != nil {
			t.Fatalf("%q, %v", out, err)
		}
		descriptors, threads := held(t)
		var group sync.WaitGroup
		for range 20 {
			address := execURL(t, &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"cat"},
				Stdin: true, Stdout: true, Stderr: true})
			group.Add(1)
			go func() {
				defer group.Done()
				ctx, cancel := context.WithCancel(t.Context())
				typed, keyboard := io.Pipe()
				defer keyboard.Close()
				go keyboard.Write([]byte("here\n"))
				_ = by.stream(ctx, t, address, remotecommand.StreamOptions{
					Stdin: typed, Stdout: &watched{on: "here", then: cancel}, Stderr: io.Discard})
			}()
		}
		group.Wait()
		if peer() {
			return // containerd leaves the processes, whose input stays open
		}
		err := criclient.Eventually(30*time.Second, func() error {
			if out, _, _ := container.Exec(t, "pidof", "cat"); out != "" {
				return fmt.Errorf("the processes %s are left", strings.TrimSpace(out))
			}
			d, n := held(t)
			if d > descriptors+8 || n > threads+4 {
				return fmt.Errorf("%d descriptors and %d threads of %d and %d", d, n, descriptors, threads)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestATerminalWhoseClientVanishesIsHungUp(t *testing.T) {
	if peer() {
		t.Skip("containerd leaves the process without a word")
	}
	container := sleeper(t)
	address := execURL(t, &cri.ExecRequest{ContainerId: container.ID,
		Cmd: []string{"sh", "-c", "echo here; exec sleep 4323"}, Stdin: true, Stdout: true, Tty: true})
	ctx, cancel := context.WithCancel(t.Context())
	typed, keyboard := io.Pipe()
	defer keyboard.Close()
	_ = bySpdy.stream(ctx, t, address, remotecommand.StreamOptions{
		Stdin: typed, Stdout: &watched{on: "here", then: cancel}, Tty: true})
	err := criclient.Eventually(20*time.Second, func() error {
		if out := container.Output(t, "ps", "-o", "args"); strings.Contains(out, "sleep 4323") {
			return errors.New("it still runs")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A client that is told nothing takes that for success. Nobody can learn how
// the program ended once its shim is gone.
func TestStreamedExecWhoseShimDiesIsNoSuccess(t *testing.T) {
	defer stillServing(t)
	withEach(t, transports, func(t *testing.T, by transport) {
		container := sleeper(t)
		shim := shimOf(t, container)
		address := execURL(t, &cri.ExecRequest{ContainerId: container.ID, Stdout: true, Stderr: true,
			Cmd: []string{"sh", "-c", "echo begun; sleep 1000"}})
		out := &watched{on: "begun", then: func() { syscall.Kill(shim, syscall.SIGKILL) }}
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{Stdout: out, Stderr: io.Discard})
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v after %q", err, out.String())
		}
	})
}

// upgraded is a connection on which the streams could be opened now.
func upgraded(t *testing.T, address *url.URL) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"+
		"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n", address.RequestURI(), address.Host)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Fatalf("%q, %v", head, err)
	}
	return conn
}

func TestHalfOpenStreamsDoNotStopProbes(t *testing.T) {
	container := sleeper(t)
	request := &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"cat"}, Stdin: true, Stdout: true}
	// Requests that never come to their end.
	host := execURL(t, request).Host
	for range 700 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("POST /exec/"))
	}
	// Streams that are never opened.
	for range 300 {
		upgraded(t, execURL(t, request))
	}
	for range 20 {
		if out := container.Output(t, "echo", "probe"); out != "probe" {
			t.Fatalf("%q", out)
		}
	}
	if out, _, err := bySpdy.exec(t, container, nil, "echo", "stream"); out != "stream\n" || err != nil {
		t.Errorf("%q, error %v", out, err)
	}
}

func TestAClientThatDoesNotReadCostsItsOwnStream(t *testing.T) {
	container := client.RunPod(t, logs).Run(t, "c", busybox,
		[]string{"sh", "-c", "while true; do head -c 100000 /dev/zero | tr '\\0' x; echo; echo tick >&2; sleep 0.05; done"})
	address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdout: true, Stderr: true})
	stuck := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = bySpdy.stream(ctx, t, address, remotecommand.StreamOptions{Stdout: blocked(stuck), Stderr: io.Discard})
	}()
	defer close(stuck)
	before := len(container.Log(t))
	err := criclient.Eventually(30*time.Second, func() error {
		if now := len(container.Log(t)); now < before+200 {
			return fmt.Errorf("the log has grown from %d to %d records", before, now)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// blocked does not take anything until it is closed.
type blocked chan struct{}

func (b blocked) Write(p []byte) (int, error) {
	<-b
	return 0, io.ErrClosedPipe
}
