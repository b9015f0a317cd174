package cri_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

func TestVersionNamesTheRuntime(t *testing.T) {
	answer, err := client.Runtime.Version(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if answer.RuntimeApiVersion != "v1" || answer.RuntimeName == "" || answer.RuntimeVersion == "" {
		t.Errorf("incomplete: %v", answer)
	}
}

func TestStatusIsReady(t *testing.T) {
	answer, err := client.Runtime.Status(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	ready := map[string]bool{}
	for _, condition := range answer.Status.Conditions {
		ready[condition.Type] = condition.Status
	}
	if !ready["RuntimeReady"] || !ready["NetworkReady"] {
		t.Errorf("not ready: %v", answer.Status.Conditions)
	}
}

func TestRuntimeConfigSaysCgroupfs(t *testing.T) {
	answer, err := client.Runtime.RuntimeConfig(t.Context())
	if status.Code(err) == codes.Unimplemented && peer() {
		t.Skip("containerd 1.6 has no RuntimeConfig")
	}
	if err != nil {
		t.Fatal(err)
	}
	if answer.Linux.CgroupDriver != cri.CgroupDriver_CGROUPFS {
		t.Errorf("driver %v", answer.Linux.CgroupDriver)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	var body string
	plain := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	err := criclient.Eventually(20*time.Second, func() error {
		answer, err := plain.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", url, answer.Status)
		}
		body = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The main job, once through: what the other tests look at closer.
func TestImageBecomesAPodAndGoesWithoutTrace(t *testing.T) {
	ctx := t.Context()
	name := image("config:latest")
	ref, err := client.Images.PullImage(ctx, &cri.ImageSpec{Image: name}, nil, nil)
	if err != nil {
		t.Fatalf("PullImage: %v", err)
	}
	pod := client.RunPod(t, logs)
	address := pod.Status(t).GetNetwork().GetIp()
	if net.ParseIP(address) == nil {
		t.Fatalf("the pod's address is %q", address)
	}
	script := "echo ready; echo careful >&2; exec httpd -f -p 8080 -h /www"
	web := pod.Create(t, "web", ref, []string{"sh", "-c", script}, asRoot)
	if got := web.Status(t); got.State != cri.ContainerState_CONTAINER_CREATED {
		t.Errorf("state after create: %v", got.State)
	}
	web.Start(t)
	if got := web.Status(t); got.State != cri.ContainerState_CONTAINER_RUNNING || got.StartedAt == 0 {
		t.Errorf("after start: %v", got)
	}
	if got := fetch(t, "http://"+address+":8080/index.html"); got != "hello from the pod\n" {
		t.Errorf("the page is %q", got)
	}
	web.WaitLog(t, "ready\n")
	web.WaitLog(t, "careful\n")
	if got := web.LogText(t, "stderr"); got != "careful\n" {
		t.Errorf("stderr in the log: %q", got)
	}
	if _, _, code := web.Exec(t, "sh", "-c", "exit 42"); code != 42 {
		t.Errorf("exit code of exec: %d", code)
	}
	if err := client.Runtime.StopContainer(ctx, web.ID, 5); err != nil {
		t.Fatalf("StopContainer: %v", err)
	}
	if got := web.Status(t); got.State != cri.ContainerState_CONTAINER_EXITED || got.FinishedAt < got.StartedAt {
		t.Errorf("after stop: %v", got)
	}
	if err := client.Runtime.RemoveContainer(ctx, web.ID); err != nil {
		t.Fatalf("RemoveContainer: %v", err)
	}
	_, err = client.RawRuntime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: web.ID})
	wantCode(t, err, codes.NotFound)
	pod.Remove(t)
	_, err = client.RawRuntime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: pod.ID})
	wantCode(t, err, codes.NotFound)
	if _, err := os.Stat(web.LogFile()); err != nil {
		t.Errorf("the log file, kubelet's, has gone: %v", err)
	}
}

func asRoot(config *cri.ContainerConfig) {
	config.Linux.SecurityContext.RunAsUser = &cri.Int64Value{Value: 0}
}

func TestContainersOfAPodShareNetworkAndHostname(t *testing.T) {
	pod := client.RunPod(t, logs)
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www"})
	other := pod.Run(t, "other", busybox, []string{"sleep", "1000"})
	var page string
	err := criclient.Eventually(10*time.Second, func() error {
		var code int
		if page, _, code = other.Exec(t, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"); code != 0 {
			return fmt.Errorf("wget: exit code %d", code)
		}
		return nil
	})
	if err != nil || page != "hello from the pod\n" {
		t.Errorf("over the pod's loopback: %q, %v", page, err)
	}
	if got := other.Output(t, "hostname"); got != pod.Config.Hostname {
		t.Errorf("hostname %q, want %q", got, pod.Config.Hostname)
	}
	if got := other.Output(t, "pidof", "sleep"); got != "1" {
		t.Errorf("its own process is %q, not 1: no pid namespace of its own", got)
	}
	if _, _, code := other.Exec(t, "pidof", "httpd"); code == 0 {
		t.Errorf("it sees the other container's process")
	}
	if got := other.Output(t, "ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(got, pod.Status(t).Network.Ip) {
		t.Errorf("eth0 has not the pod's address: %s", got)
	}
}

func TestPodsReachEachOther(t *testing.T) {
	server := client.RunPod(t, logs)
	server.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "80", "-h", "/www"})
	asker := client.RunPod(t, logs)
	container := asker.Run(t, "ask", busybox, []string{"sleep", "1000"})
	url := "http://" + server.Status(t).Network.Ip + "/"
	err := criclient.Eventually(10*time.Second, func() error {
		out, _, code := container.Exec(t, "wget", "-q", "-O", "-", url)
		if code != 0 || out != "hello from the pod\n" {
			return fmt.Errorf("wget %s: %d %q", url, code, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPodSharesPidNamespace(t *testing.T) {
	share := func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	}
	pod := client.RunPod(t, logs, share)
	pod.Run(t, "one", busybox, []string{"sleep", "1234"})
	two := pod.Run(t, "two", busybox, []string{"sleep", "1000"})
	if got := two.Output(t, "ps", "-o", "args"); !strings.Contains(got, "sleep 1234") {
		t.Errorf("it does not see the other container:\n%s", got)
	}
	if got := two.Output(t, "cat", "/proc/1/cmdline"); strings.Contains(got, "sleep\x001000") {
		t.Errorf("its process is number 1: %q", got)
	}
}

func TestHostNetwork(t *testing.T) {
	host := func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.NamespaceOptions.Network = cri.NamespaceMode_NODE
		config.Hostname = ""
	}
	pod := client.RunPod(t, logs, host)
	if got := pod.Status(t).Network; got == nil || got.Ip != "" {
		t.Errorf("network of a host pod: %v", got)
	}
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	mine, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if got := container.Output(t, "readlink", "/proc/self/ns/net"); got != mine {
		t.Errorf("its network is %s, the host's %s", got, mine)
	}
}

func TestHostPort(t *testing.T) {
	publish := func(config *cri.PodSandboxConfig) {
		config.PortMappings = []*cri.PortMapping{{Protocol: cri.Protocol_TCP, ContainerPort: 8080, HostPort: 18081}}
	}
	pod := client.RunPod(t, logs, publish)
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "8080", "-h", "/www"})
	if got := fetch(t, "http://127.0.0.1:18081/"); got != "hello from the pod\n" {
		t.Errorf("the page is %q", got)
	}
}

func TestPodFiles(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	want := "search test.example\nnameserver 192.0.2.53\noptions ndots:5"
	if got := container.Output(t, "cat", "/etc/resolv.conf"); got != want {
		t.Errorf("resolv.conf:\n%s", got)
	}
	if got := container.Output(t, "cat", "/etc/hosts"); !strings.Contains(got, "localhost") {
		t.Errorf("hosts:\n%s", got)
	}
	if got := container.Output(t, "df", "-k", "/dev/shm"); !strings.Contains(got, "65536") {
		t.Errorf("/dev/shm is not of 64 MiB:\n%s", got)
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdout"} {
		container.Output(t, "ls", "/dev/"+device)
	}
	container.Output(t, "sh", "-c", "echo x >/dev/null && head -c 1 /dev/urandom")
}

func TestSysctls(t *testing.T) {
	set := func(config *cri.PodSandboxConfig) {
		config.Linux.Sysctls = map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ip_default_ttl": "42"}
	}
	container := client.RunPod(t, logs, set).Run(t, "c", busybox, []string{"sleep", "1000"})
	for file, want := range map[string]string{"kernel/shm_rmid_forced": "1", "net/ipv4/ip_default_ttl": "42"} {
		if got := container.Output(t, "cat", "/proc/sys/"+file); got != want {
			t.Errorf("%s is %s", file, got)
		}
	}
}

func TestUnprivilegedPortsAreOpen(t *testing.T) {
	pod := client.RunPod(t, logs)
	user := func(config *cri.ContainerConfig) {
		config.Linux.SecurityContext.RunAsUser = &cri.Int64Value{Value: 1000}
	}
	pod.Run(t, "web", busybox, []string{"httpd", "-f", "-p", "80", "-h", "/www"}, user)
	fetch(t, "http://"+pod.Status(t).Network.Ip+"/")
}

func TestMounts(t *testing.T) {
	folder := filepath.Join(*scratch, "volume")
	for _, sub := range []string{"rw", "ro"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "ro", "file"), []byte("from outside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Symlink("rw", filepath.Join(folder, "link"))
	mounts := []*cri.Mount{
		{HostPath: filepath.Join(folder, "link"), ContainerPath: "/rw"},
		{HostPath: filepath.Join(folder, "ro"), ContainerPath: "/ro", Readonly: true},
		{HostPath: filepath.Join(folder, "made"), ContainerPath: "/deep/er/made"},
		{HostPath: filepath.Join(folder, "ro", "file"), ContainerPath: "/etc/one-file", Readonly: true},
	}
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"},
		func(config *cri.ContainerConfig) { config.Mounts = mounts })
	container.Output(t, "sh", "-c", "echo from inside >/rw/file")
	if got, err := os.ReadFile(filepath.Join(folder, "rw", "file")); string(got) != "from inside\n" {
		t.Errorf("outside: %q, %v", got, err)
	}
	if got := container.Output(t, "cat", "/ro/file", "/etc/one-file"); got != "from outside\nfrom outside" {
		t.Errorf("inside: %q", got)
	}
	if _, _, code := container.Exec(t, "touch", "/ro/x"); code == 0 {
		t.Errorf("a read-only mount was written to")
	}
	container.Output(t, "touch", "/deep/er/made/x")
	if got := container.Status(t).Mounts; len(got) != len(mounts) {
		t.Errorf("mounts in the status: %v", got)
	}
}

func TestMountPropagation(t *testing.T) {
	folder := filepath.Join(*scratch, "shared")
	bind := mountShared(t, folder)
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
		config.Mounts = []*cri.Mount{
			{HostPath: folder, ContainerPath: "/slave", Propagation: cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER},
			{HostPath: folder, ContainerPath: "/private"},
		}
	})
	bind("later")
	if got := container.Output(t, "sh", "-c", "ls /slave/later; ls /private/later"); got != "here" {
		t.Errorf("seen inside: %q; want the slave's alone", got)
	}
}

func TestLogFormat(t *testing.T) {
	pod := client.RunPod(t, logs)
	script := `echo one; echo; echo two >&2; head -c 40000 /dev/zero | tr '\0' x; echo; printf 'no end'`
	container := pod.Run(t, "c", busybox, []string{"sh", "-c", script})
	container.WaitExit(t, 20*time.Second)
	container.WaitLog(t, "no end")
	if got, want := container.LogText(t, "stderr"), "two\n"; got != want {
		t.Errorf("stderr: %q", got)
	}
	got := container.LogText(t, "stdout")
	want := "one\n\n" + strings.Repeat("x", 40000) + "\nno end"
	// Whether the end of output is an end of line, runtimes see differently.
	if strings.TrimSuffix(got, "\n") != want {
		t.Errorf("stdout: %d bytes, want %d", len(got), len(want))
	}
	for _, record := range container.Log(t) {
		if len(record.Text) > 16384 {
			t.Errorf("a record of %d bytes", len(record.Text))
		}
		if time.Since(record.Time) > time.Hour || time.Since(record.Time) < -time.Minute {
			t.Errorf("the time of a record: %v", record.Time)
		}
	}
}

func TestReopenLog(t *testing.T) {
	pod := client.RunPod(t, logs)
	script := "n=0; while :; do echo line $n; n=$((n+1)); sleep 0.01; done"
	container := pod.Run(t, "c", busybox, []string{"sh", "-c", script})
	container.WaitLog(t, "line 20\n")
	old := container.LogFile() + ".old"
	if err := os.Rename(container.LogFile(), old); err != nil {
		t.Fatal(err)
	}
	if err := client.Runtime.ReopenContainerLog(t.Context(), container.ID); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	before, err := criclient.ParseLog(string(first))
	if err != nil {
		t.Fatal(err)
	}
	container.WaitLog(t, fmt.Sprintf("line %d\n", len(before)+20))
	again, _ := os.ReadFile(old)
	if len(again) != len(first) {
		t.Errorf("the old file was written to after the answer")
	}
	for n, record := range append(before, container.Log(t)...) {
		if record.Text != fmt.Sprintf("line %d", n) {
			t.Fatalf("record %d is %q: a line is lost or doubled", n, record.Text)
		}
	}
}
