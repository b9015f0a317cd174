package cri_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// A transport is one way in which Kubernetes' client speaks a remote command.
type transport struct {
	name string
	dial func(address *url.URL) (remotecommand.Executor, error)
	// Its client can end the input alone.
	halfCloses bool
	// The peer's server does not speak it.
	ours bool
}

func restConfig(address *url.URL) *rest.Config {
	return &rest.Config{Host: address.Scheme + "://" + address.Host}
}

func spdyTransport(protocols ...string) transport {
	return transport{name: "spdy " + strings.Join(protocols, " "), halfCloses: true,
		dial: func(address *url.URL) (remotecommand.Executor, error) {
			if len(protocols) == 0 {
				return remotecommand.NewSPDYExecutor(restConfig(address), "POST", address)
			}
			tripper, upgrader, err := spdy.RoundTripperFor(restConfig(address))
			if err != nil {
				return nil, err
			}
			return remotecommand.NewSPDYExecutorForProtocols(tripper, upgrader, "POST", address, protocols...)
		}}
}

func websocketTransport(protocol string) transport {
	return transport{name: "websocket " + protocol, halfCloses: protocol == "v5.channel.k8s.io",
		ours: protocol == "v5.channel.k8s.io",
		dial: func(address *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutorForProtocols(restConfig(address), "GET", address.String(), protocol)
		}}
}

var (
	bySpdy     = spdyTransport()
	byV5       = websocketTransport("v5.channel.k8s.io")
	transports = []transport{bySpdy, byV5, websocketTransport("v4.channel.k8s.io")}
)

// withEach runs a test by each transport.
func withEach(t *testing.T, all []transport, test func(t *testing.T, by transport)) {
	t.Helper()
	for _, by := range all {
		t.Run(strings.ReplaceAll(by.name, " ", "-"), func(t *testing.T) {
			if by.ours && peer() {
				t.Skip("the peer's streaming library does not speak " + by.name)
			}
			test(t, by)
		})
	}
}

func execURL(t *testing.T, request *cri.ExecRequest) *url.URL {
	t.Helper()
	answer, err := client.RawRuntime.Exec(t.Context(), request)
	if err != nil {
		t.Fatalf("Exec: %v", err)
	}
	return parsed(t, answer.Url)
}

func parsed(t *testing.T, text string) *url.URL {
	t.Helper()
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		t.Fatalf("the address %q: %v", text, err)
	}
	return address
}

// stream runs what an address stands for. The error is the client's.
func (by transport) stream(ctx context.Context, t *testing.T, address *url.URL, options remotecommand.StreamOptions) error {
	t.Helper()
	executor, err := by.dial(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	return executor.StreamWithContext(ctx, options)
}

// exec runs a command in a container and returns what it wrote.
func (by transport) exec(t *testing.T, container *criclient.Container, stdin io.Reader, command ...string) (string, string, error) {
	t.Helper()
	address := execURL(t, &cri.ExecRequest{ContainerId: container.ID, Cmd: command,
		Stdin: stdin != nil, Stdout: true, Stderr: true})
	var out, errout bytes.Buffer
	err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{Stdin: stdin, Stdout: &out, Stderr: &errout})
	return out.String(), errout.String(), err
}

// exitCode is that of a command that has ended, also with 0.
func exitCode(err error) (int, error) {
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) {
		return exit.Code, nil
	}
	return 0, err
}

func TestStreamedExecKeepsStreamsAndCodeApart(t *testing.T) {
	container := sleeper(t)
	withEach(t, transports, func(t *testing.T, by transport) {
		for _, want := range []int{0, 3, 255} {
			script := fmt.Sprintf("echo to out; echo to err >&2; exit %d", want)
			out, errout, err := by.exec(t, container, nil, "sh", "-c", script)
			code, err := exitCode(err)
			if out != "to out\n" || errout != "to err\n" || code != want || err != nil {
				t.Errorf("%q, %q, code %d, want %d, error %v", out, errout, code, want, err)
			}
		}
		_, _, err := by.exec(t, container, nil, "sh", "-c", "kill -9 $$")
		if code, err := exitCode(err); code != 137 || err != nil {
			t.Errorf("killed: code %d, error %v", code, err)
		}
	})
}

func TestStreamedExecSpeaksEveryVersion(t *testing.T) {
	container := sleeper(t)
	versions := []transport{spdyTransport("v4.channel.k8s.io"), spdyTransport("v3.channel.k8s.io"),
		spdyTransport("v2.channel.k8s.io"), spdyTransport("channel.k8s.io")}
	v5 := spdyTransport("v5.channel.k8s.io")
	v5.ours = true
	withEach(t, append(versions, v5), func(t *testing.T, by transport) {
		out, errout, err := by.exec(t, container, nil, "sh", "-c", "echo to out; echo to err >&2")
		if out != "to out\n" || errout != "to err\n" || err != nil {
			t.Errorf("%q, %q, error %v", out, errout, err)
		}
		_, _, err = by.exec(t, container, nil, "sh", "-c", "exit 7")
		if by.name == "spdy channel.k8s.io" {
			return // its client does not wait for the error
		}
		if err == nil || !strings.Contains(err.Error(), "7") {
			t.Errorf("exit 7: error %v", err)
		}
	})
}

func TestStreamedExecGivesAllOfTheInput(t *testing.T) {
	container := sleeper(t)
	input := make([]byte, 10<<20)
	if _, err := rand.Read(input); err != nil {
		t.Fatal(err)
	}
	withEach(t, transports, func(t *testing.T, by transport) {
		if !by.halfCloses {
			t.Skip("this protocol has no word for the end of the input")
		}
		out, _, err := by.exec(t, container, bytes.NewReader(input), "cat")
		if err != nil || out != string(input) {
			t.Errorf("%d bytes came back of %d, error %v", len(out), len(input), err)
		}
	})
}

func TestStreamedExecOfAnInputAlone(t *testing.T) {
	container := sleeper(t)
	withEach(t, []transport{bySpdy, byV5}, func(t *testing.T, by transport) {
		address := execURL(t, &cri.ExecRequest{ContainerId: container.ID, Stdin: true,
			Cmd: []string{"sh", "-c", "cat >/given; echo nobody listens; exit 4"}})
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{Stdin: strings.NewReader("input")})
		if code, err := exitCode(err); code != 4 || err != nil {
			t.Errorf("code %d, error %v", code, err)
		}
		if given := container.Output(t, "cat", "/given"); given != "input" {
			t.Errorf("%q", given)
		}
	})
}

func TestStreamedExecWhoseProgramDoesNotReadItsInput(t *testing.T) {
	if peer() {
		t.Skip("the peer's library reads no further, and its client often waits for ever")
	}
	container := sleeper(t)
	withEach(t, transports, func(t *testing.T, by transport) {
		input := io.LimitReader(endless{}, 50<<20)
		out, _, err := by.exec(t, container, input, "sh", "-c", "head -c 5; echo; echo done")
		if err != nil || out != "xxxxx\ndone\n" {
			t.Errorf("%q, error %v", out, err)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// sizes is a client's terminal.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func TestStreamedExecAtATerminal(t *testing.T) {
	container := sleeper(t)
	withEach(t, transports, func(t *testing.T, by transport) {
		script := `until stty size | grep -q "40 100"; do sleep 0.1; done; echo first
			until stty size | grep -q "50 120"; do sleep 0.1; done; read line; echo "read $line"; tty; exit 5`
		address := execURL(t, &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"sh", "-c", script},
			Stdin: true, Stdout: true, Tty: true})
		queue := make(sizes, 2)
		queue <- remotecommand.TerminalSize{Width: 100, Height: 40}
		typed, keyboard := io.Pipe()
		defer keyboard.Close()
		screen := &watched{on: "first", then: func() {
			queue <- remotecommand.TerminalSize{Width: 120, Height: 50}
			go keyboard.Write([]byte("typed\r"))
		}}
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{
			Stdin: typed, Stdout: screen, Tty: true, TerminalSizeQueue: queue})
		close(queue)
		out := screen.String()
		if code, err := exitCode(err); code != 5 || err != nil {
			t.Errorf("code %d, error %v", code, err)
		}
		if !strings.Contains(out, "read typed\r\n") || !strings.Contains(out, "/dev/pts/") {
			t.Errorf("the screen shows %q", out)
		}
	})
}

// watched keeps what is written, and does something once a text has come.
type watched struct {
	mutex sync.Mutex
	all   bytes.Buffer
	on    string
	then  func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.all.Write(p)
	if w.then != nil && strings.Contains(w.all.String(), w.on) {
		go w.then()
		w.then = nil
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.all.String()
}

func TestStreamedExecOfWhatIsNotThere(t *testing.T) {
	container := sleeper(t)
	withEach(t, transports, func(t *testing.T, by transport) {
		_, _, err := by.exec(t, container, nil, "/no/such/program")
		if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
			t.Errorf("error %v", err)
		}
		if out, _, err := by.exec(t, container, nil, "echo", "fine"); out != "fine\n" || err != nil {
			t.Errorf("afterwards: %q, error %v", out, err)
		}
	})
}

func TestStreamedExecManyAtOnce(t *testing.T) {
	container := sleeper(t)
	var group sync.WaitGroup
	for n := range 24 {
		group.Add(1)
		go func() {
			defer group.Done()
			by := transports[n%2]
			if peer() {
				by = bySpdy
			}
			out, _, err := by.exec(t, container, strings.NewReader("in"), "sh", "-c", fmt.Sprintf("cat; echo %d; exit %d", n, n))
			if code, err := exitCode(err); code != n || err != nil || out != fmt.Sprintf("in%d\n", n) {
				t.Errorf("number %d: %q, code %d, error %v", n, out, code, err)
			}
		}()
	}
	group.Wait()
}

func attachURL(t *testing.T, request *cri.AttachRequest) *url.URL {
	t.Helper()
	answer, err := client.RawRuntime.Attach(t.Context(), request)
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	return parsed(t, answer.Url)
}

// As Kubernetes' own suite does it.
func TestAttachWithAnInputThatIsGivenOnce(t *testing.T) {
	withEach(t, []transport{bySpdy, byV5}, func(t *testing.T, by transport) {
		container := client.RunPod(t, logs).Run(t, "c", busybox, []string{"sh"}, func(config *cri.ContainerConfig) {
			config.Stdin, config.StdinOnce = true, true
		})
		address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdin: true, Stdout: true, Stderr: true})
		var out, errout bytes.Buffer
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{
			Stdin: strings.NewReader("echo -n hello\nexit 3\n"), Stdout: &out, Stderr: &errout})
		if err != nil || out.String() != "hello" || errout.Len() != 0 {
			t.Errorf("%q, %q, error %v", out.String(), errout.String(), err)
		}
		if status := container.WaitExit(t, 20*time.Second); status.ExitCode != 3 {
			t.Errorf("exit code %d", status.ExitCode)
		}
	})
}

func TestTheEndOfAnInputThatIsGivenOnceIsTheContainers(t *testing.T) {
	withEach(t, []transport{bySpdy, byV5}, func(t *testing.T, by transport) {
		container := client.RunPod(t, logs).Run(t, "c", busybox, []string{"sh", "-c", "cat; echo ended"},
			func(config *cri.ContainerConfig) { config.Stdin, config.StdinOnce = true, true })
		address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdin: true, Stdout: true})
		var out bytes.Buffer
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{
			Stdin: strings.NewReader("given "), Stdout: &out})
		if err != nil || out.String() != "given ended\n" {
			t.Errorf("%q, error %v", out.String(), err)
		}
	})
}

func TestAnInputOutlivesItsClients(t *testing.T) {
	container := client.RunPod(t, logs).Run(t, "c", busybox,
		[]string{"sh", "-c", `while read line; do echo "got $line"; done; echo never`},
		func(config *cri.ContainerConfig) { config.Stdin = true })
	for _, line := range []string{"one", "two"} {
		ctx, cancel := context.WithCancel(t.Context())
		address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdin: true, Stdout: true, Stderr: true})
		out := &watched{on: "got " + line, then: cancel}
		typed, keyboard := io.Pipe()
		go keyboard.Write([]byte(line + "\n"))
		err := bySpdy.stream(ctx, t, address, remotecommand.StreamOptions{Stdin: typed, Stdout: out, Stderr: io.Discard})
		if !errors.Is(err, context.Canceled) || out.String() != "got "+line+"\n" {
			t.Errorf("%s: %q, error %v", line, out.String(), err)
		}
		keyboard.Close()
	}
	container.WaitLog(t, "got two")
}

func TestSeveralMayAttach(t *testing.T) {
	container := client.RunPod(t, logs).Run(t, "c", busybox,
		[]string{"sh", "-c", `until [ -e /go ]; do echo tick; sleep 0.1; done; echo out; echo err >&2`})
	const clients = 4
	var outs [clients]watched
	var there, group sync.WaitGroup
	for n := range clients {
		there.Add(1)
		outs[n].on, outs[n].then = "tick\n", there.Done
		address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdout: true, Stderr: true})
		group.Add(1)
		go func() {
			defer group.Done()
			err := bySpdy.stream(t.Context(), t, address, remotecommand.StreamOptions{Stdout: &outs[n], Stderr: &outs[n]})
			if err != nil {
				t.Errorf("client %d: %v", n, err)
			}
		}()
	}
	there.Wait()
	container.Exec(t, "touch", "/go")
	group.Wait()
	for n := range outs {
		got := outs[n].String()
		if rest := strings.ReplaceAll(got, "tick\n", ""); rest != "out\nerr\n" && rest != "err\nout\n" {
			t.Errorf("client %d got %q", n, got)
		}
	}
}

func TestAttachToATerminal(t *testing.T) {
	withEach(t, []transport{bySpdy, byV5}, func(t *testing.T, by transport) {
		container := client.RunPod(t, logs).Run(t, "c", busybox,
			[]string{"sh", "-c", `until stty size | grep -q "33 77"; do sleep 0.1; done; echo sized; read line; echo "read $line"`},
			func(config *cri.ContainerConfig) { config.Stdin, config.Tty = true, true })
		address := attachURL(t, &cri.AttachRequest{ContainerId: container.ID, Stdin: true, Stdout: true, Tty: true})
		queue := make(sizes, 1)
		queue <- remotecommand.TerminalSize{Width: 77, Height: 33}
		defer close(queue)
		typed, keyboard := io.Pipe()
		defer keyboard.Close()
		screen := &watched{on: "sized", then: func() { keyboard.Write([]byte("line\r")) }}
		err := by.stream(t.Context(), t, address, remotecommand.StreamOptions{
			Stdin: typed, Stdout: screen, Tty: true, TerminalSizeQueue: queue})
		if err != nil || !strings.Contains(screen.String(), "read line\r\n") {
			t.Errorf("%q, error %v", screen.String(), err)
		}
	})
}

func TestStreamRequestsAreChecked(t *testing.T) {
	pod := client.RunPod(t, logs)
	running := pod.Run(t, "c", busybox, []string{"sleep", "100000"})
	created := pod.Create(t, "d", busybox, []string{"sleep", "100000"})
	for _, one := range []struct {
		name    string
		request *cri.ExecRequest
		code    codes.Code
	}{
		{"no container", &cri.ExecRequest{Cmd: []string{"ls"}, Stdout: true}, codes.InvalidArgument},
		{"an unknown container", &cri.ExecRequest{ContainerId: "nowhere", Cmd: []string{"ls"}, Stdout: true}, codes.NotFound},
		{"one that does not run", &cri.ExecRequest{ContainerId: created.ID, Cmd: []string{"ls"}, Stdout: true}, codes.FailedPrecondition},
		{"no stream", &cri.ExecRequest{ContainerId: running.ID, Cmd: []string{"ls"}}, codes.InvalidArgument},
		{"stderr of a terminal", &cri.ExecRequest{ContainerId: running.ID, Cmd: []string{"ls"}, Stdout: true, Stderr: true, Tty: true}, codes.InvalidArgument},
	} {
		_, err := client.RawRuntime.Exec(t.Context(), one.request)
		t.Log(one.name)
		wantCode(t, err, one.code)
	}
	_, err := client.RawRuntime.Attach(t.Context(), &cri.AttachRequest{ContainerId: created.ID, Stdout: true})
	wantCode(t, err, codes.FailedPrecondition)
	_, err = client.RawRuntime.Attach(t.Context(), &cri.AttachRequest{ContainerId: running.ID})
	wantCode(t, err, codes.InvalidArgument)
	if !peer() {
		// containerd takes the container's word for it.
		_, err = client.RawRuntime.Attach(t.Context(), &cri.AttachRequest{ContainerId: running.ID, Stdout: true, Tty: true})
		wantCode(t, err, codes.InvalidArgument)
		_, err = client.RawRuntime.Exec(t.Context(), &cri.ExecRequest{ContainerId: running.ID, Stdout: true})
		wantCode(t, err, codes.InvalidArgument)
		_, err = client.RawRuntime.PortForward(t.Context(), &cri.PortForwardRequest{PodSandboxId: pod.ID, Port: []int32{70000}})
		wantCode(t, err, codes.InvalidArgument)
	}
	_, err = client.RawRuntime.PortForward(t.Context(), &cri.PortForwardRequest{PodSandboxId: "nowhere"})
	wantCode(t, err, codes.NotFound)
	if _, err := client.RawRuntime.StopPodSandbox(t.Context(), &cri.StopPodSandboxRequest{PodSandboxId: pod.ID}); err != nil {
		t.Fatal(err)
	}
	_, err = client.RawRuntime.PortForward(t.Context(), &cri.PortForwardRequest{PodSandboxId: pod.ID})
	wantCode(t, err, codes.FailedPrecondition)
}

// answerTo is the status of an answer to a request with these headers.
func answerTo(t *testing.T, method, address string, headers ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	answer, err := (&http.Client{Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

func TestAnAddressIsGoodForOneVisit(t *testing.T) {
	container := sleeper(t)
	request := &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"echo", "once"}, Stdout: true}
	address := execURL(t, request)
	if host, _, err := net.SplitHostPort(address.Host); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("the server listens at %s", address.Host)
	}
	var out bytes.Buffer
	if err := bySpdy.stream(t.Context(), t, address, remotecommand.StreamOptions{Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "SPDY/3.1", "X-Stream-Protocol-Version", "v4.channel.k8s.io"}
	for name, other := range map[string]string{
		"used":           address.String(),
		"never given":    address.Scheme + "://" + address.Host + "/exec/12345678",
		"empty":          address.Scheme + "://" + address.Host + "/exec/",
		"no such thing":  address.Scheme + "://" + address.Host + "/",
		"of other verbs": strings.Replace(execURL(t, request).String(), "/exec/", "/attach/", 1),
	} {
		if answer := answerTo(t, "POST", other, upgrade...); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
}

func TestTheUpgradeIsNegotiated(t *testing.T) {
	container := sleeper(t)
	address := func() string {
		return execURL(t, &cri.ExecRequest{ContainerId: container.ID, Cmd: []string{"true"}, Stdout: true}).String()
	}
	if answer := answerTo(t, "GET", address()); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("no upgrade: %s", answer.Status)
	}
	answer := answerTo(t, "POST", address(), "Connection", "Upgrade", "Upgrade", "SPDY/3.1")
	// For containerd's library no protocol is the first one.
	if answer.StatusCode != http.StatusBadRequest && !peer() {
		t.Errorf("no protocol: %s", answer.Status)
	}
	answer = answerTo(t, "POST", address(), "Connection", "Upgrade", "Upgrade", "SPDY/3.1",
		"X-Stream-Protocol-Version", "v77.channel.k8s.io")
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("an unknown protocol: %s", answer.Status)
	}
	if known := answer.Header.Values("X-Accepted-Stream-Protocol-Versions"); !strings.Contains(strings.Join(known, ","), "v4.channel.k8s.io") {
		t.Errorf("it says that it speaks %v", known)
	}
	answer = answerTo(t, "GET", address(), "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol", "v77.channel.k8s.io")
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("an unknown protocol of a websocket: %s", answer.Status)
	}
}
