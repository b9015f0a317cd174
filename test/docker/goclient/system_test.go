package goclient

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
)

func TestWhatTheEngineIs(t *testing.T) {
	ctx, docker := engine(t)
	ping, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	no(t, err, "ping")
	equal(t, ping.OSType, "linux", "system")
	show(t, "ping", ping)
	version, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	no(t, err, "version")
	equal(t, version.APIVersion, ping.APIVersion, "version of the API")
	if *kind == "berthd" {
		equal(t, version.APIVersion+" "+version.MinAPIVersion, "1.57 1.24", "versions")
		equal(t, docker.ClientVersion(), "1.57", "what the client talks")
	}
	show(t, "version", version)
	info, err := docker.Info(ctx, client.InfoOptions{})
	no(t, err, "info")
	check(t, info.Info.NCPU > 0 && info.Info.MemTotal > 0 && info.Info.OSType == "linux" && info.Info.ID != "", "info: %+v", info)
	show(t, "info", info.Info)
}

func TestDiskUsage(t *testing.T) {
	ctx, docker := engine(t)
	_, err := docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "goclient-df"})
	no(t, err, "volume create")
	t.Cleanup(func() {
		docker.VolumeRemove(context.Background(), "goclient-df", client.VolumeRemoveOptions{Force: true})
	})
	id := start(t, ctx, docker, container.Config{Cmd: []string{"sh", "-c", "head -c 100000 /dev/zero >/f; sleep 300"}, StopSignal: "KILL"}, nil)
	usage := func(options client.DiskUsageOptions) client.DiskUsageResult {
		answer, err := docker.DiskUsage(ctx, options)
		no(t, err, "df")
		return answer
	}
	eventually(t, "the container's file is counted", func() bool {
		return usage(client.DiskUsageOptions{}).Containers.TotalSize >= 100000
	})
	all := usage(client.DiskUsageOptions{Verbose: true})
	show(t, "df", all)
	check(t, all.Containers.ActiveCount == 1 && all.Containers.TotalCount == 1 && all.Containers.Items[0].ID == id,
		"containers: %+v", all.Containers)
	check(t, all.Images.ActiveCount >= 1 && all.Images.TotalCount >= 1 && all.Images.TotalSize > 0 &&
		len(all.Images.Items) == int(all.Images.TotalCount), "images: %+v", all.Images)
	check(t, all.Volumes.ActiveCount == 0 && all.Volumes.TotalCount == 1 && all.Volumes.Items[0].Name == "goclient-df",
		"volumes: %+v", all.Volumes)
	if !older(t, docker, "1.42") {
		some := usage(client.DiskUsageOptions{Volumes: true, Verbose: true})
		check(t, some.Volumes.TotalCount == 1 && some.Containers.TotalCount == 0, "volumes alone: %+v", some)
	}
}

func TestEvents(t *testing.T) {
	ctx, docker := engine(t)
	begin := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Since then: what comes before the engine listens is told as well.
	live := docker.Events(ctx, client.EventsListOptions{Since: begin.Format(time.RFC3339Nano),
		Filters: make(client.Filters).Add("type", "container")})
	id := start(t, ctx, docker, container.Config{Cmd: []string{"sh", "-c", "exit 6"}, Labels: map[string]string{"l": "v"}}, nil)
	var seen []string
	for len(seen) == 0 || seen[len(seen)-1] != "die" {
		select {
		case one := <-live.Messages:
			check(t, one.Actor.ID == id && one.Type == events.ContainerEventType && one.TimeNano > 0, "event: %+v", one)
			if seen = append(seen, string(one.Action)); one.Action == events.ActionDie {
				check(t, one.Actor.Attributes["exitCode"] == "6" && one.Actor.Attributes["l"] == "v" &&
					one.Actor.Attributes["image"] == "busybox", "attributes: %v", one.Actor.Attributes)
				show(t, "die", one)
			}
		case err := <-live.Err:
			no(t, err, "events")
		}
	}
	equal(t, strings.Join(seen, " "), "create start die", "live events")

	past := docker.Events(ctx, client.EventsListOptions{Since: begin.Format(time.RFC3339Nano), Until: time.Now().Format(time.RFC3339Nano),
		Filters: make(client.Filters).Add("container", id).Add("event", "start", "die")})
	seen = nil
	for {
		select {
		case one := <-past.Messages:
			seen = append(seen, string(one.Action))
			continue
		case err := <-past.Err:
			equal(t, err.Error(), "EOF", "the end of past events")
		}
		break
	}
	equal(t, strings.Join(seen, " "), "start die", "past events")
}

func TestDieOfARestart(t *testing.T) {
	ctx, docker := engine(t)
	if older(t, docker, "1.57") {
		t.Skip("from API 1.57 on")
	}
	live := docker.Events(ctx, client.EventsListOptions{Since: time.Now().Format(time.RFC3339Nano),
		Filters: make(client.Filters).Add("event", "die")})
	next := func() string {
		select {
		case one := <-live.Messages:
			return one.Actor.Attributes["restarting"]
		case err := <-live.Err:
			no(t, err, "events")
		}
		return ""
	}
	start(t, ctx, docker, container.Config{Cmd: []string{"false"}}, &container.HostConfig{RestartPolicy: container.RestartPolicy{
		Name: container.RestartPolicyOnFailure, MaximumRetryCount: 1}})
	equal(t, next(), "true", "the first end")
	equal(t, next(), "", "the last end")
}

func TestLogin(t *testing.T) {
	ctx, docker := engine(t)
	answer, err := docker.RegistryLogin(ctx, client.RegistryLoginOptions{Username: "u", Password: "p", ServerAddress: *registry})
	no(t, err, "login at a registry without accounts")
	equal(t, answer.Auth.Status, "Login Succeeded", "status")
}

// Of a node in no swarm.
func TestSwarm(t *testing.T) {
	ctx, docker := engine(t)
	calls := map[string]func() error{
		"swarm inspect":   func() error { _, err := docker.SwarmInspect(ctx, client.SwarmInspectOptions{}); return err },
		"swarm leave":     func() error { _, err := docker.SwarmLeave(ctx, client.SwarmLeaveOptions{}); return err },
		"swarm unlock":    func() error { _, err := docker.SwarmGetUnlockKey(ctx); return err },
		"swarm update":    func() error { _, err := docker.SwarmUpdate(ctx, client.SwarmUpdateOptions{}); return err },
		"node list":       func() error { _, err := docker.NodeList(ctx, client.NodeListOptions{}); return err },
		"node inspect":    func() error { _, err := docker.NodeInspect(ctx, "x", client.NodeInspectOptions{}); return err },
		"node remove":     func() error { _, err := docker.NodeRemove(ctx, "x", client.NodeRemoveOptions{}); return err },
		"service list":    func() error { _, err := docker.ServiceList(ctx, client.ServiceListOptions{}); return err },
		"service create":  func() error { _, err := docker.ServiceCreate(ctx, client.ServiceCreateOptions{}); return err },
		"service inspect": func() error { _, err := docker.ServiceInspect(ctx, "x", client.ServiceInspectOptions{}); return err },
		"service remove":  func() error { _, err := docker.ServiceRemove(ctx, "x", client.ServiceRemoveOptions{}); return err },
		"service logs": func() error {
			_, err := docker.ServiceLogs(ctx, "x", client.ServiceLogsOptions{ShowStdout: true})
			return err
		},
		"task list":    func() error { _, err := docker.TaskList(ctx, client.TaskListOptions{}); return err },
		"task inspect": func() error { _, err := docker.TaskInspect(ctx, "x", client.TaskInspectOptions{}); return err },
		"task logs": func() error {
			_, err := docker.TaskLogs(ctx, "x", client.TaskLogsOptions{ShowStdout: true})
			return err
		},
		"secret list": func() error { _, err := docker.SecretList(ctx, client.SecretListOptions{}); return err },
		"secret create": func() error {
			_, err := docker.SecretCreate(ctx, client.SecretCreateOptions{Spec: swarm.SecretSpec{Annotations: swarm.Annotations{Name: "x"}}})
			return err
		},
		"config list":    func() error { _, err := docker.ConfigList(ctx, client.ConfigListOptions{}); return err },
		"config inspect": func() error { _, err := docker.ConfigInspect(ctx, "x", client.ConfigInspectOptions{}); return err },
		"config remove":  func() error { _, err := docker.ConfigRemove(ctx, "x", client.ConfigRemoveOptions{}); return err },
	}
	for name, call := range calls {
		fails(t, call(), cerrdefs.IsUnavailable, "this node is not ", name)
	}
	if !older(t, docker, "1.42") {
		_, err := docker.VolumeUpdate(ctx, "x", client.VolumeUpdateOptions{})
		fails(t, err, cerrdefs.IsUnavailable, "swarm", "volume update")
	}
	if *kind == "berthd" { // docs/DOCKER.md: clusters are Kubernetes'.
		_, err := docker.SwarmInit(ctx, client.SwarmInitOptions{ListenAddr: "127.0.0.1:2399"})
		fails(t, err, cerrdefs.IsNotImplemented, "/swarm/init is not supported", "swarm init")
		_, err = docker.SwarmJoin(ctx, client.SwarmJoinOptions{})
		fails(t, err, cerrdefs.IsNotImplemented, "/swarm/join is not supported", "swarm join")
	}
}

func TestPlugins(t *testing.T) {
	ctx, docker := engine(t)
	list, err := docker.PluginList(ctx, client.PluginListOptions{})
	no(t, err, "plugin list")
	equal(t, len(list.Items), 0, "plugins")
	calls := map[string]func() error{
		"inspect": func() error { _, err := docker.PluginInspect(ctx, "x", client.PluginInspectOptions{}); return err },
		"enable":  func() error { _, err := docker.PluginEnable(ctx, "x", client.PluginEnableOptions{}); return err },
		"disable": func() error { _, err := docker.PluginDisable(ctx, "x", client.PluginDisableOptions{}); return err },
		"remove":  func() error { _, err := docker.PluginRemove(ctx, "x", client.PluginRemoveOptions{}); return err },
		"set": func() error {
			_, err := docker.PluginSet(ctx, "x", client.PluginSetOptions{Args: []string{"A=b"}})
			return err
		},
		"push": func() error { _, err := docker.PluginPush(ctx, "x", client.PluginPushOptions{}); return err },
	}
	for name, call := range calls {
		fails(t, call(), cerrdefs.IsNotFound, "not found", "plugin "+name)
	}
	if *kind == "berthd" {
		_, err = docker.PluginInstall(ctx, "x", client.PluginInstallOptions{RemoteRef: *registry + "/x:1"})
		fails(t, err, cerrdefs.IsNotImplemented, "/plugins/privileges is not supported", "plugin install")
		_, err = docker.PluginCreate(ctx, archive(t, nil), client.PluginCreateOptions{RepoName: "x"})
		fails(t, err, cerrdefs.IsNotImplemented, "/plugins/create is not supported", "plugin create")
		_, err = docker.ImageSearch(ctx, "busybox", client.ImageSearchOptions{Limit: 1})
		fails(t, err, cerrdefs.IsNotImplemented, "/images/search is not supported", "search")
	}
}

func TestSession(t *testing.T) {
	ctx, docker := engine(t)
	connection, err := docker.DialHijack(ctx, "/session", "h2c", map[string][]string{
		"X-Docker-Expose-Session-Uuid": {"0123456789abcdef0123456789"}, "X-Docker-Expose-Session-Name": {"goclient"}})
	no(t, err, "session")
	connection.Close()
}

// As reapers and pipelines do: a client in a container, of the engine that the
// container is of.
func TestAClientInAContainer(t *testing.T) {
	ctx, docker := engine(t)
	program, err := os.Executable()
	no(t, err, "the program")
	socket := strings.TrimPrefix(docker.DaemonHost(), "unix://")
	id := start(t, ctx, docker, container.Config{
		Cmd: []string{"/goclient", "-test.v", "-test.run=^TestExec$", "-kind", *kind, "-registry", *registry},
		Env: []string{"DOCKER_HOST=unix:///var/run/docker.sock"}},
		&container.HostConfig{Binds: []string{program + ":/goclient:ro", socket + ":/var/run/docker.sock"}})
	code := exited(t, ctx, docker, id, container.WaitConditionNotRunning)()
	logs, err := docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	no(t, err, "logs")
	defer logs.Close()
	out, errors := outputs(t, logs)
	check(t, code == 0 && strings.Contains(out, "--- PASS: TestExec"), "code %d, %s %s", code, out, errors)
}
