// Package goclient walks the Engine API with Docker's own Go client, and with
// testcontainers for Go. Nothing in here knows which engine answers, unless a
// reason stands beside it. cases_goclient.py runs it.
package goclient

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

var (
	kind     = flag.String("kind", "", "berthd or dockerd")
	registry = flag.String("registry", "", "HOST:PORT of a registry without TLS")
	facts    = flag.Bool("facts", false, "print what the engine answers, to compare engines by hand")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *kind == "" || *registry == "" {
		panic("-kind and -registry are wanted")
	}
	// The reaper of testcontainers is an image of its maker's, which no registry
	// here has.
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	os.Exit(m.Run())
}

// engine is a client of DOCKER_HOST, at the newest version that both know, and
// a context that ends before the case is thought to hang.
func engine(t *testing.T) (context.Context, *client.Client) {
	t.Helper()
	docker, err := client.New(client.FromEnv)
	no(t, err, "client")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(func() { cancel(); docker.Close() })
	return ctx, docker
}

// older: does the engine speak only versions of the API before this one?
func older(t *testing.T, docker *client.Client, version string) bool {
	t.Helper()
	ping, err := docker.Ping(context.Background(), client.PingOptions{})
	no(t, err, "ping")
	return versions.LessThan(ping.APIVersion, version)
}

func no(t *testing.T, err error, doing string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

func equal[T comparable](t *testing.T, got, want T, what string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %#v, wanted %#v", what, got, want)
	}
}

func check(t *testing.T, good bool, format string, args ...any) {
	t.Helper()
	if !good {
		t.Fatalf(format, args...)
	}
}

// fails: the call is refused, by an error of that kind with those words.
func fails(t *testing.T, err error, is func(error) bool, words, doing string) {
	t.Helper()
	if err == nil || !is(err) || !strings.Contains(strings.ToLower(err.Error()), words) {
		t.Fatalf("%s: error %v (%T), wanted another with %q", doing, err, err, words)
	}
}

func show(t *testing.T, name string, value any) {
	t.Helper()
	if *facts {
		text, err := json.MarshalIndent(value, "", " ")
		no(t, err, name)
		t.Logf("FACT %s %s", name, text)
	}
}

func pull(t *testing.T, ctx context.Context, docker *client.Client, name string) {
	t.Helper()
	answer, err := docker.ImagePull(ctx, name, client.ImagePullOptions{})
	no(t, err, "pull of "+name)
	no(t, answer.Wait(ctx), "pull of "+name)
}

// builder is what berthd builds with, if there is one; dockerd builds in itself.
func builder(t *testing.T, ctx context.Context, docker *client.Client) bool {
	t.Helper()
	if *kind == "dockerd" {
		return true
	}
	if os.Getenv("BUILDKIT_BIN") == "" {
		return false
	}
	pull(t, ctx, docker, "moby/buildkit:buildx-stable-1")
	return true
}

// create makes a container of busybox, which goes with the test.
func create(t *testing.T, ctx context.Context, docker *client.Client, options client.ContainerCreateOptions) string {
	t.Helper()
	pull(t, ctx, docker, "busybox")
	if options.Config.Image == "" {
		options.Config.Image = "busybox"
	}
	made, err := docker.ContainerCreate(ctx, options)
	no(t, err, "create")
	t.Cleanup(func() {
		docker.ContainerRemove(context.Background(), made.ID,
			client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	return made.ID
}

func start(t *testing.T, ctx context.Context, docker *client.Client, config container.Config, host *container.HostConfig) string {
	t.Helper()
	id := create(t, ctx, docker, client.ContainerCreateOptions{Config: &config, HostConfig: host})
	_, err := docker.ContainerStart(ctx, id, client.ContainerStartOptions{})
	no(t, err, "start")
	return id
}

// sleeper is a container that does nothing, until it is stopped.
func sleeper(t *testing.T, ctx context.Context, docker *client.Client) string {
	t.Helper()
	return start(t, ctx, docker, container.Config{Cmd: []string{"sleep", "300"}, StopSignal: "KILL"}, nil)
}

func inspect(t *testing.T, ctx context.Context, docker *client.Client, id string) container.InspectResponse {
	t.Helper()
	answer, err := docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	no(t, err, "inspect")
	return answer.Container
}

// outputs splits what a container without a terminal writes.
func outputs(t *testing.T, from io.Reader) (string, string) {
	t.Helper()
	var out, err bytes.Buffer
	_, failed := stdcopy.StdCopy(&out, &err, from)
	no(t, failed, "reading a stream")
	return out.String(), err.String()
}

// text is all of a stream.
func text(t *testing.T, from io.ReadCloser, err error, doing string) string {
	t.Helper()
	no(t, err, doing)
	defer from.Close()
	all, err := io.ReadAll(from)
	no(t, err, doing)
	return string(all)
}

func eventually(t *testing.T, what string, probe func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !probe(); time.Sleep(50 * time.Millisecond) {
		check(t, time.Now().Before(end), "in vain: %s", what)
	}
}
