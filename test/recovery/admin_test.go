package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/support/criclient"
)

func (n *node) adminSocket() string { return filepath.Join(n.dir, "state", "admin.sock") }

// admin asks the door for whoever runs the node.
func (n *node) admin(path string) (status int, body string) {
	n.t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", n.adminSocket())
	}
	client := &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	answer, err := client.Get("http://berth" + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

var (
	metricHelp   = regexp.MustCompile(`^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) \S.*$`)
	metricType   = regexp.MustCompile(`^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|summary)$`)
	metricSample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)` +
		`(\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\"n])*")*\})?` +
		` ([0-9.e+-]+)$`)
)

// metrics reads Prometheus' text format: each line is one of the format's, each
// family has one HELP and one TYPE and then all its samples, no series is there
// twice.
func (n *node) metrics() map[string]float64 {
	n.t.Helper()
	code, text := n.admin("/metrics")
	if code != http.StatusOK || !strings.HasSuffix(text, "\n") {
		n.t.Fatalf("/metrics: %d\n%s", code, text)
	}
	values := map[string]float64{}
	helped, types := map[string]bool{}, map[string]string{}
	family := ""
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if found := metricHelp.FindStringSubmatch(line); found != nil {
			family = found[1]
			if helped[family] {
				n.t.Errorf("a second HELP: %s", line)
			}
			helped[family] = true
		} else if found := metricType.FindStringSubmatch(line); found != nil {
			if found[1] != family || types[family] != "" {
				n.t.Errorf("not the TYPE of %s, or a second one: %s", family, line)
			}
			types[family] = found[2]
		} else if found := metricSample.FindStringSubmatch(line); found != nil {
			name := found[1]
			if types[family] == "summary" {
				name = strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
			}
			value, err := strconv.ParseFloat(found[3], 64)
			if _, twice := values[found[1]+found[2]]; err != nil || twice || name != family || types[family] == "" {
				n.t.Errorf("in family %s, twice %v, %v: %s", family, twice, err, line)
			}
			if types[family] == "counter" && !strings.HasSuffix(name, "_total") {
				n.t.Errorf("a counter without _total: %s", line)
			}
			values[found[1]+found[2]] = value
		} else {
			n.t.Errorf("no line of the format: %q", line)
		}
	}
	return values
}

func (n *node) checkMetrics(want map[string]float64) {
	n.t.Helper()
	values := n.metrics()
	for series, value := range want {
		if got, ok := values[series]; !ok || got != value {
			n.t.Errorf("%s is %v (%v), not %v", series, got, ok, value)
		}
	}
}

func TestAdminDoor(t *testing.T) {
	n := newNode(t, "")
	if code, text := n.admin("/healthz"); code != http.StatusOK || text != "ok\n" {
		t.Errorf("/healthz: %d %q", code, text)
	}
	n.checkMetrics(map[string]float64{`berth_sandboxes{phase="ready"}`: 0, `berth_containers{phase="running"}`: 0})
	c := runner(t, n, "sleep 1000")
	ended := runner(t, n, "exit 3")
	ended.WaitExit(t, 10*time.Second)
	requests := `berth_request_duration_seconds_count{door="cri",method="RunPodSandbox",code="OK"}`
	n.checkMetrics(map[string]float64{
		`berth_sandboxes{phase="ready"}`:    2,
		`berth_containers{phase="running"}`: 1,
		`berth_containers{phase="exited"}`:  1,
		`berth_unsaved_records`:             0,
		requests:                            2,
	})
	n.checkProcess()
	if _, text := n.admin("/config"); !strings.Contains(text, "\ncgroup_parent: \"/berth\"\n") ||
		!strings.Contains(text, "\nstate: \""+filepath.Join(n.dir, "state")+"\"\n") {
		t.Errorf("/config: %s", text)
	}
	if code, _ := n.admin("/nothing"); code != http.StatusNotFound {
		t.Errorf("/nothing: %d", code)
	}
	// The numbers of objects are those of the records, others begin anew.
	n.again()
	n.checkMetrics(map[string]float64{`berth_sandboxes{phase="ready"}`: 2, `berth_containers{phase="running"}`: 1})
	if values := n.metrics(); values[requests] != 0 {
		t.Errorf("requests of an earlier daemon: %v", values[requests])
	}
	remove(t, n, c, ended)
	n.checkMetrics(map[string]float64{`berth_sandboxes{phase="ready"}`: 0, `berth_containers{phase="exited"}`: 0})
	n.clean()
}

// checkProcess compares what the daemon says of itself with /proc.
func (n *node) checkProcess() {
	n.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", n.pid)
	values := n.metrics()
	near := func(series string, want, by float64) {
		n.t.Helper()
		if got, ok := values[series]; !ok || got < want-by || got > want+by {
			n.t.Errorf("%s is %v, not about %v", series, got, want)
		}
	}
	fds, _ := os.ReadDir(proc + "fd")
	threads, _ := os.ReadDir(proc + "task")
	near("process_open_fds", float64(len(fds)), 5)
	near("process_threads", float64(len(threads)), 5)
	statm, _ := os.ReadFile(proc + "statm")
	pages, _ := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	near("process_resident_memory_bytes", pages*float64(os.Getpagesize()), 8<<20)
	near("process_start_time_seconds", float64(time.Now().Unix()), 600)
	if cpu := values["process_cpu_seconds_total"]; cpu <= 0 || cpu > 600 {
		n.t.Errorf("process_cpu_seconds_total is %v", cpu)
	}
}

// A shim that does not answer costs this door nothing.
func TestAdminDoorBesideAStuckShim(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "sleep 1000")
	shims := n.shims()
	if len(shims) == 0 {
		t.Fatal("the pod has no shim")
	}
	for _, pid := range shims {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.client.Runtime.ExecSync(ctx, c.ID, []string{"true"}, time.Minute)
	}()
	if err := criclient.Eventually(10*time.Second, func() error {
		if n.metrics()[`berth_pool_working{pool="cri-exec"}`] < 1 {
			return fmt.Errorf("the exec is not at work")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if code, text := n.admin("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d %s", code, text)
	}
	for _, pid := range shims {
		syscall.Kill(pid, syscall.SIGCONT)
	}
	cancel()
	<-done
	remove(t, n, c)
	n.clean()
}

func TestAdminDoorOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, "128m")
	n := newNode(t, "")
	fill(t, disk)
	if code, text := n.admin("/healthz"); code != http.StatusServiceUnavailable ||
		!strings.HasPrefix(text, "store: ") || !strings.Contains(text, "is full") {
		t.Errorf("/healthz on a full disk: %d %q", code, text)
	}
	n.metrics()
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	if code, text := n.admin("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz when there is room again: %d %q", code, text)
	}
	// A socket that a cleaner of temporary files has taken: nobody gets in.
	if err := os.Remove(filepath.Join(n.dir, "docker.sock")); err != nil {
		t.Fatal(err)
	}
	if code, text := n.admin("/healthz"); code != http.StatusServiceUnavailable ||
		!strings.HasPrefix(text, "door docker: ") {
		t.Errorf("/healthz without docker's socket: %d %q", code, text)
	}
	n.clean()
}

// connectAs tells whether a process of that user gets in by the socket's own
// mode: whatever folders it lies in.
func connectAs(t *testing.T, user uint32, socket string) bool {
	t.Helper()
	file, err := os.OpenFile(socket, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// Not what PATH has first: that may be in a folder of root alone.
	command := exec.Command("/usr/bin/python3", "-c", `import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect("/proc/self/fd/3")
except PermissionError:
    sys.exit(13)`)
	command.Dir = "/"
	command.ExtraFiles = []*os.File{file}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code != 0 && code != 13 {
		t.Fatalf("connect to %s: %v\n%s", socket, err, out)
	}
	return err == nil
}

func TestDoorsAreClosedToOtherUsers(t *testing.T) {
	n := newNode(t, "")
	doors := map[string]os.FileMode{
		n.adminSocket():                     0o600,
		filepath.Join(n.dir, "berthd.sock"): 0o660,
		filepath.Join(n.dir, "docker.sock"): 0o660,
	}
	for socket, mode := range doors {
		info, err := os.Stat(socket)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode || info.Mode().Type() != os.ModeSocket {
			t.Errorf("%s is %v", socket, info.Mode())
		}
		if !connectAs(t, 0, socket) {
			t.Errorf("root does not get in at %s", socket)
		}
		if connectAs(t, 65534, socket) {
			t.Errorf("another user gets in at %s", socket)
		}
	}
	// It is the mode that keeps them out.
	if err := os.Chmod(n.adminSocket(), 0o666); err != nil {
		t.Fatal(err)
	}
	if !connectAs(t, 65534, n.adminSocket()) {
		t.Error("another user does not get in at an open socket")
	}
	n.clean()
}
