// Package cri_test drives a running CRI runtime through its socket and checks
// it from outside: by its answers, by the network, by files and processes.
//
// It shares no code with the runtime and runs on any of them; test/cri/run.sh
// starts one and says where it is. Where runtimes may differ, the test names
// the peer and the reason (see peer).
package cri_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

var (
	endpoint   = flag.String("endpoint", "", "the runtime's socket")
	kind       = flag.String("kind", "berthd", "berthd, or the peer: containerd")
	registry   = flag.String("registry", "", "HOST:PORT of a registry with the test images")
	basicAuth  = flag.String("registry-basic", "", "HOST:PORT of one with basic authentication")
	tokenAuth  = flag.String("registry-token", "", "HOST:PORT of one with tokens")
	tlsAddress = flag.String("registry-tls", "", "HOST:PORT of one with TLS")
	certs      = flag.String("certs", "", "the runtime's folder of hosts.toml files")
	support    = flag.String("support", "", "the folder test/support")
	scratch    = flag.String("scratch", "", "a folder for logs and volumes")
	control    = flag.String("cni-control", "", "the control file of cni_fault.sh")
	layouts    = flag.String("hostile", "", "the folder that hostile.py made")
	canary     = flag.String("canary", "", "the file that hostile layers aim at")
	ociRuntime = flag.String("oci-runtime", "", "the program with runc's command line")
	handler    = flag.String("handler", "", "the runtime handler of pods, unless a test needs its own")
	daemonPID  = flag.Int("daemon-pid", 0, "the runtime's process")
)

var (
	client  *criclient.Client
	busybox string // reference of the image that most tests use
	logs    string
)

// peer is true on a runtime other than ours. A branch on it states why the
// peer's behaviour differs and is still right.
func peer() bool { return *kind != "berthd" }

func image(name string) string { return *registry + "/test/" + name }

func TestMain(m *testing.M) {
	if os.Getenv("NRI_PLUGIN_NAME") != "" {
		if err := runInstalledPlugin(); err != nil {
			fmt.Fprintln(os.Stderr, "plugin:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code, err := setUpAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/cri:", err)
		code = 1
	}
	os.Exit(code)
}

func setUpAndRun(m *testing.M) (int, error) {
	var err error
	ctx := context.Background()
	if client, err = criclient.Connect(ctx, *endpoint, 30*time.Second); err != nil {
		return 1, err
	}
	defer client.Close()
	client.Handler = *handler
	busybox = image("busybox:latest")
	logs = filepath.Join(*scratch, "logs")
	if err := os.WriteFile(*canary, []byte("alive\n"), 0o644); err != nil {
		return 1, err
	}
	spec := &cri.ImageSpec{Image: busybox}
	if _, err := client.Images.PullImage(ctx, spec, nil, nil); err != nil {
		return 1, fmt.Errorf("pull %s: %w", busybox, err)
	}
	if err := warmUp(ctx); err != nil {
		return 1, err
	}
	if err := exec.Command(filepath.Join(*support, "leaks.sh"), "snapshot", snapshotFile()).Run(); err != nil {
		return 1, fmt.Errorf("leaks.sh: %w", err)
	}
	return m.Run(), nil
}

func snapshotFile() string { return filepath.Join(*scratch, "before") }

// warmUp runs one pod on the network and removes it: the first one makes the
// bridge, which stays by the plugin's design, and a peer's pause image. The
// cgroup that all pods are below is kubelet's, so ours, to make.
func warmUp(ctx context.Context) error {
	criclient.MakeCgroup("/test-pods")
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: "first", Namespace: "test", Uid: "first"},
		Hostname:     "first",
		LogDirectory: filepath.Join(logs, "first"),
		PortMappings: []*cri.PortMapping{{ContainerPort: 80, HostPort: 18080}},
		Linux:        &cri.LinuxPodSandboxConfig{CgroupParent: "/test-pods/first"},
	}
	id, err := client.Runtime.RunPodSandbox(ctx, config, *handler)
	if err != nil {
		return fmt.Errorf("the first pod: %w", err)
	}
	if err := client.Runtime.StopPodSandbox(ctx, id); err != nil {
		return err
	}
	if err := client.Runtime.RemovePodSandbox(ctx, id); err != nil {
		return err
	}
	criclient.RemoveCgroup("/test-pods/first")
	return nil
}

// wantCode checks the code of an error. A peer only has to fail: containerd 1.6
// answers Unknown for most of what goes wrong.
func wantCode(t *testing.T, err error, want ...codes.Code) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %v", want)
		return
	}
	t.Logf("%v", err)
	if status.Convert(err).Message() == "" {
		t.Errorf("the error has no text: %v", err)
	}
	for _, code := range want {
		if status.Code(err) == code {
			return
		}
	}
	if !peer() {
		t.Errorf("code %v; want %v: %v", status.Code(err), want, err)
	}
}

// stillServing fails the test if the daemon does not answer, or is not the one
// that was started.
func stillServing(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := client.RawRuntime.Version(ctx, &cri.VersionRequest{}); err != nil {
		t.Errorf("the daemon does not serve any more: %v", err)
	}
	if *daemonPID != 0 {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/ns/pid", *daemonPID)); err != nil {
			t.Errorf("the daemon has gone: %v", err)
		}
	}
}

// rounds is how often an attack that is a race is tried: a few times in every
// run, as often as it takes to be sure if BERTH_ATTACKS is "full".
func rounds(few, full int) int {
	if os.Getenv("BERTH_ATTACKS") == "full" {
		return full
	}
	return few
}
