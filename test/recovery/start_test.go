package recovery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// configure adds to the daemon's configuration, from its next start on.
func (n *node) configure(lines string) {
	n.t.Helper()
	folder := filepath.Join(n.dir, "berth.conf.d")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "10-test.conf"), []byte(lines), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// order tells the plugin at the end of the chain what to do wrong.
func (n *node) order(what string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, "cni-fault"), []byte(what), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) obey() { os.Remove(filepath.Join(n.dir, "cni-fault")) }

// leases are the addresses that the IPAM plugin has given out.
func (n *node) leases() []string {
	found, _ := filepath.Glob(filepath.Join(n.dir, "addresses/*/10.92.*"))
	return found
}

func (n *node) killShims() {
	n.t.Helper()
	err := criclient.Eventually(10*time.Second, func() error {
		shims := n.shims()
		for _, pid := range shims {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(shims) > 0 {
			return fmt.Errorf("%d shims are left", len(shims))
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// reboot does to a stopped node what a boot does: its processes and its state
// folder are gone, and the kernel says another boot id.
func (n *node) reboot() {
	n.t.Helper()
	n.killShims()
	state := filepath.Join(n.dir, "state")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	lines := strings.Split(string(mounts), "\n")
	for at := len(lines) - 1; at >= 0; at-- {
		fields := strings.Fields(lines[at])
		if len(fields) > 4 && strings.HasPrefix(fields[4], n.dir+"/") {
			syscall.Unmount(fields[4], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	}
	if err := os.RemoveAll(state); err != nil {
		n.t.Fatal(err)
	}
	// Rules and links are the kernel's, and gone as well.
	for _, command := range []string{"iptables -t nat -F", "iptables -t nat -X"} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			n.t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	id := n.dir + ".boot"
	text := fmt.Sprintf("00000000-0000-0000-0000-%012d\n", nodes)
	if err := os.WriteFile(id, []byte(text), 0o444); err != nil {
		n.t.Fatal(err)
	}
	if err := syscall.Mount(id, bootID, "", syscall.MS_BIND, ""); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(n.forgetReboot)
}

const bootID = "/proc/sys/kernel/random/boot_id"

// forgetReboot shows the kernel's own boot id again.
func (n *node) forgetReboot() { syscall.Unmount(bootID, unix.MNT_DETACH) }

// pods runs so many, without containers.
func (n *node) pods(count int) []*criclient.Pod {
	n.t.Helper()
	all := make([]*criclient.Pod, count)
	next := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for at := range next {
				config := criclient.PodConfig(n.t, n.dir+".logs")
				id, err := n.client.Runtime.RunPodSandbox(n.t.Context(), config, *handler)
				if err != nil {
					n.t.Errorf("pod %d: %v", at, err)
					continue
				}
				all[at] = &criclient.Pod{Client: n.client, ID: id, Config: config}
			}
		}()
	}
	for at := range all {
		next <- at
	}
	close(next)
	workers.Wait()
	if n.t.Failed() {
		n.t.FailNow()
	}
	return all
}

// states counts the pods by state.
func (n *node) states() map[cri.PodSandboxState]int {
	n.t.Helper()
	list, err := n.client.Runtime.ListPodSandbox(n.t.Context(), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	counts := map[cri.PodSandboxState]int{}
	for _, one := range list {
		counts[one.State]++
	}
	return counts
}

// The doors do not wait for what a dead pod has to give back.
func TestTheDoorsOpenBesideDeadPods(t *testing.T) {
	const dead = 200
	for _, cause := range []string{"killed shims", "a reboot"} {
		t.Run(cause, func(t *testing.T) {
			n := newNode(t, "")
			n.configure("network { plugin_timeout_seconds: 20 }")
			pods := n.pods(dead)
			n.order("hang-del")
			n.kill()
			if cause == "a reboot" {
				n.reboot()
			} else {
				n.killShims()
			}
			begin := time.Now()
			n.start("")
			t.Logf("doors open after %v", time.Since(begin))
			// The truth at once, and room for others.
			if states := n.states(); states[cri.PodSandboxState_SANDBOX_NOTREADY] != dead {
				t.Errorf("pods by state: %v", states)
			}
			fresh := n.pods(1)[0]
			err := criclient.Eventually(30*time.Second, func() error {
				log, _ := os.ReadFile(filepath.Join(n.dir, "cni-fault.log"))
				if !strings.Contains(string(log), "del ") {
					return fmt.Errorf("no plugin has been run yet")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if left := len(n.leases()); left < dead {
				t.Errorf("%d addresses are given out", left)
			}
			// A client's verb is heard, and ends with its context.
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err = n.client.RawRuntime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: pods[0].ID})
			cancel()
			if code := status.Code(err); err == nil || code == codes.NotFound {
				t.Errorf("stop while the plugin hangs: %v", err)
			}
			n.obey()
			// Nobody has to ask.
			err = criclient.Eventually(3*time.Minute, func() error {
				if left := len(n.leases()); left > 1 {
					return fmt.Errorf("%d addresses are not given back", left-1)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			for _, pod := range append(pods, fresh) {
				pod.Client = n.client
				pod.Remove(t)
			}
			criclient.RemoveCgroup("/test-pods")
			n.forgetReboot()
			n.clean()
		})
	}
}

// A shim that does not answer costs its own pod, also at a start.
func TestAStuckShimAtTheStart(t *testing.T) {
	for _, wakes := range []bool{true, false} {
		t.Run(fmt.Sprintf("wakes up %v", wakes), func(t *testing.T) {
			n := newNode(t, "")
			stuck := runner(t, n, "sleep 1000")
			var shims []int
			err := criclient.Eventually(20*time.Second, func() error {
				if shims = n.shims(); len(shims) != 1 {
					return fmt.Errorf("%d shims", len(shims))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			other := runner(t, n, "sleep 1000")
			n.kill()
			syscall.Kill(shims[0], syscall.SIGSTOP)
			n.start("")
			stuck.Pod.Client, other.Pod.Client = n.client, n.client
			if out := other.Output(t, "echo", "fine"); out != "fine" {
				t.Errorf("the other pod: %q", out)
			}
			if wakes {
				syscall.Kill(shims[0], syscall.SIGCONT)
				// It is asked again within a second or two.
				err := criclient.Eventually(20*time.Second, func() error {
					out, _, err := n.client.Runtime.ExecSync(t.Context(), stuck.ID, []string{"echo", "awake"}, 5*time.Second)
					if err != nil || string(out) != "awake\n" {
						return fmt.Errorf("%q, %v", out, err)
					}
					return nil
				})
				if err != nil {
					t.Errorf("the pod whose shim woke up: %v", err)
				}
				if state := stuck.Pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_READY {
					t.Errorf("the pod is %v", state)
				}
			} else {
				got := stuck.WaitExit(t, time.Minute)
				if got.ExitCode != 255 && got.ExitCode != 137 {
					t.Errorf("exit code %d", got.ExitCode)
				}
			}
			remove(t, n, stuck, other)
			n.clean()
		})
	}
}

// second runs berthd with the node's configuration and other folders or
// sockets, until it gives up.
func (n *node) second(root, state, socket string) string {
	n.t.Helper()
	config, err := os.ReadFile(filepath.Join(n.dir, "berth.conf"))
	if err != nil {
		n.t.Fatal(err)
	}
	lines := strings.Split(string(config), "\n")
	for at, line := range lines {
		if strings.HasPrefix(line, "cri_socket:") {
			lines[at] = fmt.Sprintf("cri_socket: %q", socket)
		}
	}
	file := filepath.Join(n.dir, "second.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv("BERTH_BIN"), "berthd"),
		"--config", file, "--root", root, "--state", state)
	out, err := command.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		n.t.Errorf("a second daemon was not refused: %v\n%s", err, out)
	}
	return string(out)
}

func TestASecondDaemonIsRefused(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "sleep 1000")
	root, state := filepath.Join(n.dir, "data"), filepath.Join(n.dir, "state")
	other := filepath.Join(n.dir, "other")
	socket := filepath.Join(n.dir, "berthd.sock")
	for _, one := range []struct{ name, root, state, socket, says string }{
		{"the same folders", root, state, other + ".sock", root},
		{"the same root", root, other + "1", other + ".sock", root},
		{"the same state", other + "2", state, other + ".sock", state},
		{"the same socket", other + "3", other + "4", socket, socket},
	} {
		if said := n.second(one.root, one.state, one.socket); !strings.Contains(said, one.says) {
			t.Errorf("%s: it does not name %s: %s", one.name, one.says, said)
		}
		if out := c.Output(t, "echo", "fine"); out != "fine" {
			t.Errorf("%s: the first one: %q", one.name, out)
		}
	}
	// Nor does it take over what another one left running.
	n.kill()
	if said := n.second(other+"5", state, other+".sock"); !strings.Contains(said, state) {
		t.Errorf("it does not name %s: %s", state, said)
	}
	n.start("")
	c.Pod.Client = n.client
	if out := c.Output(t, "echo", "fine"); out != "fine" {
		t.Errorf("the right one: %q", out)
	}
	remove(t, n, c)
	n.clean()
}

// A start does not fail because the one before is still on its way out.
func TestAStartRightAfterAKill(t *testing.T) {
	n := newNode(t, "")
	c := runner(t, n, "sleep 1000")
	for range 10 {
		syscall.Kill(n.pid, syscall.SIGKILL)
		n.disconnect()
		os.Remove(filepath.Join(n.dir, "info")) // it may still be counted as running
		n.start("")
	}
	c.Pod.Client = n.client
	if out := c.Output(t, "echo", "fine"); out != "fine" {
		t.Errorf("the pod: %q", out)
	}
	remove(t, n, c)
	n.clean()
}

// spoil overwrites a record in the database of a stopped daemon.
func (n *node) spoil(table, key string) {
	n.t.Helper()
	const script = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
n = db.execute("UPDATE record SET value=x'ffff' WHERE kind=? AND key=?", sys.argv[2:]).rowcount
db.commit()
sys.exit(n != 1)`
	out, err := exec.Command("python3", "-c", script, filepath.Join(n.dir, "data/meta.db"), table, key).CombinedOutput()
	if err != nil {
		n.t.Fatalf("spoil %s/%s: %v\n%s", table, key, err, out)
	}
}

func TestARecordThatCannotBeRead(t *testing.T) {
	n := newNode(t, "")
	good, bad := runner(t, n, "sleep 1000"), runner(t, n, "sleep 1000")
	lost := n.pods(1)[0]
	n.kill()
	n.spoil("containers", bad.ID)
	n.spoil("sandboxes", lost.ID)
	n.start("")
	for _, one := range []*criclient.Pod{good.Pod, bad.Pod, lost} {
		one.Client = n.client
	}
	if out := good.Output(t, "echo", "fine"); out != "fine" {
		t.Errorf("the other pod: %q", out)
	}
	list, err := n.client.Runtime.ListContainers(t.Context(), &cri.ContainerFilter{})
	if err != nil || len(list) != 1 {
		t.Errorf("containers: %v, %v", list, err)
	}
	if states := n.states(); states[cri.PodSandboxState_SANDBOX_READY] != 2 {
		t.Errorf("pods by state: %v", states)
	}
	answer, err := n.client.RawRuntime.Status(t.Context(), &cri.StatusRequest{Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"containers/" + bad.ID, "sandboxes/" + lost.ID} {
		if !strings.Contains(answer.Info["recordsSetAside"], key) {
			t.Errorf("the status does not name %s: %s", key, answer.Info["recordsSetAside"])
		}
	}
	// What the lost ones held is swept, so that nothing stays for ever.
	remove(t, n, good, bad)
	criclient.RemoveCgroup(lost.Config.Linux.CgroupParent)
	err = criclient.Eventually(20*time.Second, func() error {
		if left := n.leases(); len(left) != 0 {
			return fmt.Errorf("addresses are left: %v", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// It ends in time when it is asked to, whatever its workers wait for.
func TestAnEndWhileAPluginHangs(t *testing.T) {
	n := newNode(t, "")
	n.order("hang-add")
	config := criclient.PodConfig(t, n.dir+".logs")
	client := n.client
	ended := make(chan error, 1)
	go func() {
		_, err := client.Runtime.RunPodSandbox(context.Background(), config, *handler)
		ended <- err
	}()
	err := criclient.Eventually(20*time.Second, func() error {
		log, _ := os.ReadFile(filepath.Join(n.dir, "cni-fault.log"))
		if !strings.Contains(string(log), "add ") {
			return fmt.Errorf("the plugin has not been run yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(n.pid, syscall.SIGTERM)
	err = criclient.Eventually(25*time.Second, func() error {
		if n.running() {
			return fmt.Errorf("process %d goes on", n.pid)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
	n.disconnect()
	n.obey()
	n.start("")
	err = criclient.Eventually(30*time.Second, func() error {
		if states := n.states(); len(states) != 0 {
			return fmt.Errorf("pods by state: %v", states)
		}
		if left := n.leases(); len(left) != 0 {
			return fmt.Errorf("addresses are left: %v", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	criclient.RemoveCgroup(config.Linux.CgroupParent)
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// Without descriptors nobody gets in; with them again everybody does.
func TestDescriptorsRunOut(t *testing.T) {
	n := newNode(t, "")
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.pid))
	var before unix.Rlimit
	if err := unix.Prlimit(n.pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: uint64(len(open)) + 20, Max: before.Max}
	if err := unix.Prlimit(n.pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	address := &unix.SockaddrUnix{Name: filepath.Join(n.dir, "docker.sock")}
	var clients []int
	for range 100 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Connect(fd, address)
		clients = append(clients, fd)
	}
	time.Sleep(500 * time.Millisecond) // it has met its limit
	used := n.ticks()
	time.Sleep(time.Second)
	if used = n.ticks() - used; used > 50 {
		t.Errorf("it used %d ticks in a second without work", used)
	}
	for _, fd := range clients {
		unix.Close(fd)
	}
	err := criclient.Eventually(10*time.Second, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.client.RawRuntime.Version(ctx, &cri.VersionRequest{}); err != nil {
			return err
		}
		door, err := net.DialTimeout("unix", address.Name, time.Second)
		if err != nil {
			return err
		}
		defer door.Close()
		door.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprint(door, "GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(door)
		if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			err = fmt.Errorf("the answer is %q", answer)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := unix.Prlimit(n.pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	n.pods(1)[0].Remove(t)
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// ticks is the processor time that the daemon has used.
func (n *node) ticks() int {
	n.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.pid))
	if err != nil {
		n.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var user, system int
	fields := strings.Fields(rest)
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return user + system
}
