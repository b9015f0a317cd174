package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// A cause is one thing that goes wrong on a node and that ends again.
type cause struct {
	name  string
	begin func(*chaos)
	end   func(*chaos)
}

// What each has in hand between its beginning and its end.
type chaos struct {
	t       *testing.T
	n       *node
	cancel  context.CancelFunc // ends every request that hangs
	ctx     context.Context
	victim  *criclient.Pod // whose shim is stopped
	hanging *cri.PodSandboxConfig
	fuse    *os.File
	silent  net.Listener
	peers   []net.Conn // clients that only hold a connection
}

func (c *chaos) docker() string { return filepath.Join(c.n.dir, "docker.sock") }

// shims are the pids of the node's shims by pod.
func (c *chaos) shims(id string) []int {
	var pids []int
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(line), "berth-shim") && strings.Contains(string(line), id) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

var stuckShim = cause{"a stopped shim", func(c *chaos) {
	pids := c.shims(c.victim.ID)
	if len(pids) == 0 {
		c.t.Fatalf("no shim of %s", c.victim.ID)
	}
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
}, func(c *chaos) {
	for _, pid := range c.shims(c.victim.ID) {
		syscall.Kill(pid, syscall.SIGCONT)
	}
}}

var hungPlugin = cause{"a plugin that hangs for one pod", func(c *chaos) {
	c.hanging = criclient.PodConfig(c.t, c.n.dir+".logs")
	order := "hang-add@" + c.hanging.Metadata.Name
	if err := os.WriteFile(filepath.Join(c.n.dir, "cni-fault"), []byte(order), 0o644); err != nil {
		c.t.Fatal(err)
	}
	go c.n.client.RawRuntime.RunPodSandbox(c.ctx, &cri.RunPodSandboxRequest{Config: c.hanging})
}, func(c *chaos) {
	os.Remove(filepath.Join(c.n.dir, "cni-fault"))
}}

// A FUSE file system whose server reads no request: every look at it waits.
var deadPath = cause{"a host path that never answers", func(c *chaos) {
	at := filepath.Join(c.n.dir, "dead")
	os.Mkdir(at, 0o755)
	var err error
	if c.fuse, err = os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		c.t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", c.fuse.Fd())
	if err := syscall.Mount("dead", at, "fuse", 0, options); err != nil {
		c.t.Fatalf("mount fuse: %v", err)
	}
	pod := c.pod()
	for try := range 300 { // as kubelet tries again, for an hour
		config := pod.ContainerConfig(fmt.Sprintf("dead%d", try), image("busybox:latest"), []string{"true"})
		config.Mounts = []*cri.Mount{{HostPath: at + "/volume", ContainerPath: "/v"}}
		go c.n.client.RawRuntime.CreateContainer(c.ctx, &cri.CreateContainerRequest{
			PodSandboxId: pod.ID, Config: config, SandboxConfig: pod.Config})
	}
}, func(c *chaos) {
	c.fuse.Close() // aborts the connection: every wait ends with an error
	if err := syscall.Unmount(filepath.Join(c.n.dir, "dead"), syscall.MNT_DETACH); err != nil {
		c.t.Errorf("unmount fuse: %v", err)
	}
}}

var silentRegistry = cause{"a registry that never answers", func(c *chaos) {
	var err error
	if c.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		for {
			if _, err := c.silent.Accept(); err != nil {
				return
			}
		}
	}()
	for try := range 8 {
		name := fmt.Sprintf("%s/silent/image%d:latest", c.silent.Addr(), try)
		go c.n.client.RawImages.PullImage(c.ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name}})
	}
}, func(c *chaos) { c.silent.Close() }}

// Of the connections that ask for something endless and never read it.
var stalledClient = cause{"docker clients that stop reading", func(c *chaos) {
	body := fmt.Sprintf(`{"Image":%q,"Cmd":["yes"]}`, image("busybox:latest"))
	id := ""
	answer := c.request("POST", "/containers/create?name=chatty", body)
	if _, after, found := strings.Cut(answer, `"Id":"`); found {
		id, _, _ = strings.Cut(after, `"`)
	}
	if id == "" {
		c.t.Fatalf("create: %s", answer)
	}
	c.request("POST", "/containers/chatty/start", "")
	for range 3 {
		c.ask("GET /containers/chatty/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
		c.ask("POST /containers/chatty/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n" +
			"Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n")
		c.ask("GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
	}
}, func(c *chaos) {}}

var idleClients = cause{"2,000 idle connections", func(c *chaos) {
	for range 1000 {
		c.ask("")
		c.ask("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
	}
}, func(c *chaos) {
	for _, peer := range c.peers {
		peer.Close()
	}
	c.request("DELETE", "/containers/chatty?force=1&v=1", "")
}}

var fullDisk = cause{"a full disk", func(c *chaos) {
	filler, err := os.Create(filepath.Join(c.n.dir, "data", "filler"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer filler.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := filler.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}, func(c *chaos) { os.Remove(filepath.Join(c.n.dir, "data", "filler")) }}

// berthd alone may start no thread and no process; its shims may.
var noThread = cause{"no thread to be had", func(c *chaos) {
	group := pidsTree() + "/no-thread"
	if err := os.Mkdir(group, 0o755); err != nil {
		c.t.Fatal(err)
	}
	write(c.t, group+"/cgroup.procs", strconv.Itoa(c.n.pid))
	count, _ := os.ReadFile(group + "/pids.current")
	write(c.t, group+"/pids.max", strings.TrimSpace(string(count)))
}, func(c *chaos) {
	group := pidsTree() + "/no-thread"
	write(c.t, group+"/pids.max", "max")
	// Also what it has started meanwhile.
	members, _ := os.ReadFile(group + "/cgroup.procs")
	for _, pid := range strings.Fields(string(members)) {
		os.WriteFile(pidsTree()+"/cgroup.procs", []byte(pid), 0)
	}
	if err := criclient.Eventually(20*time.Second, func() error { return os.Remove(group) }); err != nil {
		c.t.Error(err)
	}
}}

func pidsTree() string {
	if _, err := os.Stat("/sys/fs/cgroup/pids"); err == nil {
		return "/sys/fs/cgroup/pids"
	}
	return "/sys/fs/cgroup"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// ask opens a connection to the docker door that stays, and sends bytes.
func (c *chaos) ask(bytes string) {
	peer, err := net.Dial("unix", c.docker())
	if err != nil {
		return // there is no room for more: the daemon's own matter
	}
	io.WriteString(peer, bytes)
	c.peers = append(c.peers, peer)
}

// request asks the docker door once, on a connection of its own; the answer,
// or the error as text.
func (c *chaos) request(method, path, body string) string {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.docker())
		}}}
	request, err := http.NewRequest(method, "http://d"+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return answer.Status + " " + string(text)
}
