package goclient

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	testcontainers "github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

// run starts a container of testcontainers, which goes with the test.
func run(t *testing.T, image string, options ...testcontainers.ContainerCustomizer) (context.Context, *testcontainers.DockerContainer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	one, err := testcontainers.Run(ctx, image, options...)
	t.Cleanup(func() { testcontainers.TerminateContainer(one, testcontainers.StopTimeout(0)) })
	no(t, err, "run of "+image)
	return ctx, one
}

// says is what a program in the container writes.
func says(t *testing.T, ctx context.Context, one *testcontainers.DockerContainer, command ...string) string {
	t.Helper()
	code, out, err := one.Exec(ctx, command, tcexec.Multiplexed())
	no(t, err, "exec")
	all, err := io.ReadAll(out)
	no(t, err, "exec")
	equal(t, code, 0, strings.Join(command, " "))
	return string(all)
}

func page(t *testing.T, ctx context.Context, one *testcontainers.DockerContainer) string {
	t.Helper()
	url, err := one.PortEndpoint(ctx, "80/tcp", "http")
	no(t, err, "endpoint")
	answer, err := http.Get(url + "/index.html")
	no(t, err, "get "+url)
	return text(t, answer.Body, nil, "page")
}

func TestTestcontainersWait(t *testing.T) {
	command := "sleep 0.3; echo a page >/tmp/index.html; echo ready to serve; touch /tmp/ready; exec httpd -f -p 80 -h /tmp"
	health := testcontainers.WithConfigModifier(func(config *container.Config) {
		config.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "test", "-e", "/tmp/ready"},
			Interval: 200 * time.Millisecond, StartPeriod: 200 * time.Millisecond, Retries: 30}
	})
	for name, strategy := range map[string]wait.Strategy{
		"http":   wait.ForHTTP("/index.html").WithPort("80/tcp").WithStatusCodeMatcher(func(code int) bool { return code == 200 }),
		"port":   wait.ForListeningPort("80/tcp"),
		"log":    wait.ForLog("ready to .*").AsRegexp(),
		"health": wait.ForHealthCheck(),
		"exec":   wait.ForExec([]string{"test", "-e", "/tmp/ready"}),
		"file":   wait.ForFile("/tmp/ready"),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, one := run(t, "busybox", health, testcontainers.WithExposedPorts("80/tcp"),
				testcontainers.WithCmd("sh", "-c", command), testcontainers.WithWaitStrategyAndDeadline(20*time.Second,
					wait.ForAll(strategy, wait.ForHTTP("/index.html").WithPort("80/tcp"))))
			equal(t, page(t, ctx, one), "a page\n", "page")
		})
	}
	t.Run("exit", func(t *testing.T) {
		ctx, one := run(t, "busybox", testcontainers.WithCmd("sh", "-c", "sleep 0.2; exit 9"),
			testcontainers.WithWaitStrategy(wait.ForExit()))
		state, err := one.State(ctx)
		no(t, err, "state")
		equal(t, state.ExitCode, 9, "exit code")
	})
}

func TestTestcontainersFilesAndExec(t *testing.T) {
	folder := t.TempDir()
	no(t, os.WriteFile(filepath.Join(folder, "one"), []byte("of the host\n"), 0o600), "file")
	ctx, one := run(t, "busybox", testcontainers.WithCmd("sleep", "300"),
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: filepath.Join(folder, "one"),
			ContainerFilePath: "/deep/down/one", FileMode: 0o640}))
	equal(t, says(t, ctx, one, "cat", "/deep/down/one"), "of the host\n", "file of the request")
	no(t, one.CopyToContainer(ctx, []byte("bytes\n"), "/tmp/bytes", 0o700), "copy of bytes")
	equal(t, says(t, ctx, one, "stat", "-c", "%a", "/tmp/bytes"), "700\n", "mode")
	no(t, one.CopyDirToContainer(ctx, folder, "/tmp/copied", 0o755), "copy of a folder")
	equal(t, says(t, ctx, one, "cat", "/tmp/"+filepath.Base(folder)+"/one"), "of the host\n", "folder")
	back, err := one.CopyFileFromContainer(ctx, "/etc/passwd")
	equal(t, text(t, back, err, "copy out"), says(t, ctx, one, "cat", "/etc/passwd"), "the file that is copied out")

	code, out, err := one.Exec(ctx, []string{"sh", "-c", "pwd; id -u; echo $A; echo e >&2; exit 5"},
		tcexec.WithUser("12"), tcexec.WithWorkingDir("/etc"), tcexec.WithEnv([]string{"A=b"}), tcexec.Multiplexed())
	no(t, err, "exec")
	all, _ := io.ReadAll(out)
	equal(t, code, 5, "exit code")
	lines := strings.Split(string(all), "\n")
	check(t, len(lines) == 5 && strings.Contains(string(all), "/etc\n12\nb\n"), "exec: %q", all)
}

// lines collects what a container logs.
type lines struct {
	mutex sync.Mutex
	all   []string
}

func (l *lines) Accept(one testcontainers.Log) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = append(l.all, one.LogType+":"+string(one.Content))
}

func (l *lines) has(line string) func() bool {
	return func() bool {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		return strings.Contains(strings.Join(l.all, ""), line)
	}
}

func TestTestcontainersLogsAndRestart(t *testing.T) {
	seen := &lines{}
	ctx, one := run(t, "busybox", testcontainers.WithExposedPorts("80/tcp"), testcontainers.WithLogConsumers(seen),
		testcontainers.WithCmd("sh", "-c", "trap exit TERM; echo begun; echo bad >&2; httpd -p 80 -h /etc; while :; do sleep 0.1; done"),
		testcontainers.WithWaitStrategy(wait.ForLog("begun"), wait.ForListeningPort("80/tcp")))
	eventually(t, "standard output is consumed", seen.has("STDOUT:begun\n"))
	eventually(t, "standard error is consumed", seen.has("STDERR:bad\n"))
	patience := 5 * time.Second
	no(t, one.Stop(ctx, &patience), "stop")
	check(t, !one.IsRunning(), "it still runs")
	no(t, one.Start(ctx), "start")
	eventually(t, "the log goes on", seen.has("STDOUT:begun\nSTDERR:bad\nSTDOUT:begun\n"))
	all, err := one.Logs(ctx)
	equal(t, strings.Count(text(t, all, err, "logs"), "begun"), 2, "lines of the log")
	before, err := one.State(ctx)
	no(t, err, "state")
	check(t, before.Running, "state: %+v", before)
}

func TestTestcontainersNetwork(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	net, err := network.New(ctx, network.WithAttachable(), network.WithLabels(map[string]string{"of": "test"}))
	no(t, err, "network")
	t.Cleanup(func() { net.Remove(context.Background()) })
	_, server := run(t, "busybox", network.WithNetwork([]string{"server", "other-name"}, net),
		testcontainers.WithCmd("httpd", "-f", "-p", "80", "-h", "/etc"))
	ctx, one := run(t, "busybox", network.WithNetwork([]string{"client"}, net), testcontainers.WithCmd("sleep", "300"))
	for _, name := range []string{"server", "other-name"} {
		check(t, strings.Contains(says(t, ctx, one, "wget", "-qO-", "http://"+name+"/passwd"), "root:"), "no page of %s", name)
	}
	names, err := server.NetworkAliases(ctx)
	no(t, err, "aliases")
	check(t, strings.Contains(strings.Join(names[net.Name], " "), "other-name"), "aliases: %v", names)
	ip, err := server.ContainerIP(ctx)
	no(t, err, "address")
	check(t, strings.Contains(says(t, ctx, one, "wget", "-qO-", "http://"+ip+"/passwd"), "root:"), "no page of %s", ip)
}

func TestTestcontainersBuild(t *testing.T) {
	if ctx, docker := engine(t); !builder(t, ctx, docker) {
		t.Skip("BUILDKIT_BIN is not set")
	}
	folder := t.TempDir()
	dockerfile := "FROM busybox\nARG WORD\nRUN echo built with $WORD >/built\nCOPY file /file\nCMD [\"cat\", \"/built\", \"/file\"]\n"
	no(t, os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o644), "Dockerfile")
	no(t, os.WriteFile(filepath.Join(folder, "file"), []byte("of the context\n"), 0o644), "file")
	word := "care"
	ctx, one := run(t, "", testcontainers.WithDockerfile(testcontainers.FromDockerfile{Context: folder,
		BuildArgs: map[string]*string{"WORD": &word}}), testcontainers.WithWaitStrategy(wait.ForExit()))
	logs, err := one.Logs(ctx)
	equal(t, text(t, logs, err, "logs"), "built with care\nof the context\n", "output")
}
