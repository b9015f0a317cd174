package cri_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// A dialer is one way in which Kubernetes' client forwards ports.
type dialer struct {
	name string
	dial func(address *url.URL) (httpstream.Dialer, error)
	ours bool
}

var dialers = []dialer{
	{name: "spdy", dial: func(address *url.URL) (httpstream.Dialer, error) {
		tripper, upgrader, err := spdy.RoundTripperFor(restConfig(address))
		if err != nil {
			return nil, err
		}
		return spdy.NewDialer(upgrader, &http.Client{Transport: tripper}, "POST", address), nil
	}},
	{name: "tunnel", ours: true, dial: func(address *url.URL) (httpstream.Dialer, error) {
		return portforward.NewSPDYOverWebsocketDialer(address, restConfig(address))
	}},
}

func withEachDialer(t *testing.T, test func(t *testing.T, by dialer)) {
	t.Helper()
	for _, by := range dialers {
		t.Run(by.name, func(t *testing.T) {
			if by.ours && peer() {
				t.Skip("the peer's streaming library does not tunnel SPDY through a websocket")
			}
			test(t, by)
		})
	}
}

func forwardURL(t *testing.T, pod *criclient.Pod) *url.URL {
	t.Helper()
	answer, err := client.RawRuntime.PortForward(t.Context(), &cri.PortForwardRequest{PodSandboxId: pod.ID})
	if err != nil {
		t.Fatalf("PortForward: %v", err)
	}
	return parsed(t, answer.Url)
}

// forwarded is a port of this machine that leads to the pod's.
func (by dialer) forwarded(t *testing.T, pod *criclient.Pod, port int) int {
	t.Helper()
	d, err := by.dial(forwardURL(t, pod))
	if err != nil {
		t.Fatal(err)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.New(d, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- forwarder.ForwardPorts() }()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("ForwardPorts: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the forwarder is not ready")
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	return int(ports[0].Local)
}

func get(port int, path string) (string, error) {
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Get(fmt.Sprintf("http://127.0.0.1:%d/%s", port, path))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// echoing runs a server that sends back what it is sent, at this address.
func echoing(t *testing.T, pod *criclient.Pod, port int) {
	t.Helper()
	container := pod.Run(t, "echo", busybox, []string{"nc", "-ll", "-p", strconv.Itoa(port), "-e", "cat"})
	err := criclient.Eventually(20*time.Second, func() error {
		if _, _, code := container.Exec(t, "sh", "-c", fmt.Sprintf("netstat -ltn | grep -q ':%d '", port)); code != 0 {
			return fmt.Errorf("nobody listens on port %d", port)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// echo says something to such a server and waits until it comes back.
func echo(t *testing.T, conn io.ReadWriter, said string) {
	t.Helper()
	go func() { _, _ = io.WriteString(conn, said) }()
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != said {
		t.Errorf("of %.30q came back %.30q, %v", said, heard, err)
	}
}

func TestPortForwardReachesAServerInThePod(t *testing.T) {
	pod := client.RunPod(t, logs)
	// Of the pod's loopback alone.
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "127.0.0.1:8081", "-h", "/www"})
	withEachDialer(t, func(t *testing.T, by dialer) {
		port := by.forwarded(t, pod, 8081)
		err := criclient.Eventually(20*time.Second, func() error {
			body, err := get(port, "")
			if err == nil && body != "hello from the pod\n" {
				err = fmt.Errorf("%q", body)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	stillServing(t)
}

func TestPortForwardInTheHostsNetwork(t *testing.T) {
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
		config.Hostname = "" // the host's
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello from the host")
	}))
	withEachDialer(t, func(t *testing.T, by dialer) {
		port := by.forwarded(t, pod, listener.Addr().(*net.TCPAddr).Port)
		if body, err := get(port, ""); body != "hello from the host" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestPortForwardReachesAServerOfIPv6Alone(t *testing.T) {
	if peer() {
		t.Skip("containerd dials what the host's name service says of localhost")
	}
	pod := client.RunPod(t, logs)
	probe := pod.Run(t, "probe", busybox, []string{"sleep", "1000"})
	if out, _, _ := probe.Exec(t, "ip", "addr", "show", "lo"); !strings.Contains(out, "::1/128") {
		t.Skip("the kernel gives the pod no IPv6: ", out)
	}
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "[::1]:8082", "-h", "/www"})
	eventually(t, "it listens", func() bool {
		return strings.Contains(probe.Output(t, "netstat", "-ltn"), "::1:8082")
	})
	port := dialers[0].forwarded(t, pod, 8082)
	if body, err := get(port, ""); body != "hello from the pod\n" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestPortForwardManyConnectionsAtOnce(t *testing.T) {
	pod := client.RunPod(t, logs)
	echoing(t, pod, 7000)
	withEachDialer(t, func(t *testing.T, by dialer) {
		port := by.forwarded(t, pod, 7000)
		var conns []net.Conn
		for n := range 50 {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
			// The server has it: it lets two wait, no more.
			echo(t, conn, fmt.Sprint(n))
			conns = append(conns, conn)
		}
		var group sync.WaitGroup
		for n, conn := range conns {
			group.Add(1)
			go func() {
				defer group.Done()
				echo(t, conn, strings.Repeat(fmt.Sprintf("connection %d. ", n), 5000))
			}()
		}
		group.Wait()
	})
}

// opened makes one connection of a session: its data and its errors.
func opened(t *testing.T, session httpstream.Connection, port string, request int) (data, errs httpstream.Stream) {
	t.Helper()
	headers := http.Header{}
	headers.Set(v1.StreamType, v1.StreamTypeError)
	headers.Set(v1.PortHeader, port)
	headers.Set(v1.PortForwardRequestIDHeader, strconv.Itoa(request))
	errs, err := session.CreateStream(headers)
	if err != nil {
		t.Fatal(err)
	}
	errs.Close()
	headers.Set(v1.StreamType, v1.StreamTypeData)
	data, err = session.CreateStream(headers)
	if err != nil {
		t.Fatal(err)
	}
	return data, errs
}

func TestPortForwardToAClosedPortCostsNoOtherConnection(t *testing.T) {
	pod := client.RunPod(t, logs)
	echoing(t, pod, 7001)
	withEachDialer(t, func(t *testing.T, by dialer) {
		d, err := by.dial(forwardURL(t, pod))
		if err != nil {
			t.Fatal(err)
		}
		session, protocol, err := d.Dial("portforward.k8s.io")
		if err != nil || protocol != "portforward.k8s.io" {
			t.Fatalf("%q, %v", protocol, err)
		}
		defer session.Close()
		before, _ := opened(t, session, "7001", 0)
		for request := 1; request < 4; request++ {
			_, errs := opened(t, session, "7999", request)
			text, err := io.ReadAll(errs)
			if err != nil || !strings.Contains(string(text), "refused") {
				t.Errorf("%q, %v", text, err)
			}
		}
		after, _ := opened(t, session, "7001", 4)
		for _, data := range []httpstream.Stream{before, after} {
			echo(t, data, "hello")
		}
	})
}

func TestPortForwardThatIsLeftLeavesNothing(t *testing.T) {
	pod := client.RunPod(t, logs)
	echoing(t, pod, 7002)
	withEachDialer(t, func(t *testing.T, by dialer) {
		descriptors, threads := held(t)
		for range 5 {
			d, err := by.dial(forwardURL(t, pod))
			if err != nil {
				t.Fatal(err)
			}
			session, _, err := d.Dial("portforward.k8s.io")
			if err != nil {
				t.Fatal(err)
			}
			for request := range 5 {
				data, _ := opened(t, session, "7002", request)
				echo(t, data, "hello")
			}
			session.Close()
		}
		err := criclient.Eventually(30*time.Second, func() error {
			d, n := held(t)
			if !peer() && (d > descriptors+8 || n > threads+4) {
				return fmt.Errorf("%d descriptors and %d threads of %d and %d", d, n, descriptors, threads)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// No thread that serves others may be left in a pod's network.
func TestPortForwardLeavesEveryThreadInItsNetwork(t *testing.T) {
	pod := client.RunPod(t, logs)
	echoing(t, pod, 7003)
	port := dialers[0].forwarded(t, pod, 7003)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	echo(t, conn, "hello")
	if peer() {
		return
	}
	out, err := exec.Command("sh", "-c", fmt.Sprintf("readlink /proc/%d/task/*/ns/net | sort -u | wc -l", *daemonPID)).Output()
	if err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Errorf("the daemon's threads are in %s networks, %v", strings.TrimSpace(string(out)), err)
	}
}
