package recovery_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/test/support/criclient"
)

// engineLife is one container by Docker's API, from its image to its removal:
// it has a volume of its own and one without a name, fails once, is started
// again by its policy, runs a second process, is stopped, and made an image of.
type engineLife struct {
	t    *testing.T
	n    *node
	http *http.Client
	done map[string]bool
	// The daemon died between the two runs: its restart counts anew.
	uncounted bool
}

func newEngineLife(t *testing.T, n *node) *engineLife {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(n.dir, "docker.sock"))
	}
	return &engineLife{t: t, n: n, done: map[string]bool{}, http: &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// The first run fails; the second ends with 33 on SIGTERM.
const failsOnce = `if [ ! -e /v/once ]; then touch /v/once; exit 3; fi
trap 'exit 33' TERM; while :; do sleep 0.05; done`

type engineStep struct {
	name string
	call func(*engineLife) error
}

var engineSteps = []engineStep{
	{"pull", func(l *engineLife) error {
		name, tag, _ := strings.Cut(strings.TrimPrefix(image("busybox:latest"), *registry), ":")
		return l.post("/images/create?fromImage="+url.QueryEscape(*registry+name)+"&tag="+tag, nil, nil)
	}},
	{"create the volume", func(l *engineLife) error {
		return l.post("/volumes/create", map[string]any{"Name": "v1"}, nil)
	}},
	{"create the networks", (*engineLife).createNetworks},
	{"create", (*engineLife).create},
	{"attach", (*engineLife).attach},
	{"start", func(l *engineLife) error { return l.post("/containers/c1/start", nil, nil) }},
	{"the restart", func(l *engineLife) error { return l.eventuallyRuns() }},
	{"connect", func(l *engineLife) error { return l.member("connect", "already exists in network") }},
	{"disconnect", func(l *engineLife) error { return l.member("disconnect", "is not connected") }},
	{"exec", (*engineLife).exec},
	{"stop", func(l *engineLife) error { return l.post("/containers/c1/stop?t=30", nil, nil) }},
	{"the exit code", (*engineLife).exited},
	{"commit", func(l *engineLife) error {
		return l.post("/commit?container=c1&repo=berth-test/made&tag=1", nil, nil)
	}},
	{"remove the committed image", func(l *engineLife) error {
		return l.remove("/images/berth-test/made:1")
	}},
	{"remove", func(l *engineLife) error { return l.remove("/containers/c1?v=1") }},
	{"remove the networks", func(l *engineLife) error {
		return errors.Join(l.remove("/networks/n1"), l.remove("/networks/n2"))
	}},
	{"remove the volume", func(l *engineLife) error { return l.remove("/volumes/v1") }},
	{"tag", func(l *engineLife) error {
		return l.post("/images/"+image("busybox:latest")+"/tag?repo=berth-test&tag=other", nil, nil)
	}},
	{"remove a name", func(l *engineLife) error { return l.remove("/images/berth-test:other") }},
	{"remove the image", func(l *engineLife) error {
		return l.remove("/images/" + image("busybox:latest"))
	}},
}

var errConflict = errors.New("conflict")

func (l *engineLife) call(method, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, "http://engine"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if body == nil {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	got, err := l.http.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	switch {
	case got.StatusCode == http.StatusConflict:
		return fmt.Errorf("%w: %s", errConflict, text)
	case got.StatusCode >= 400:
		return fmt.Errorf("%s %s: %d %s", method, path, got.StatusCode, text)
	case bytes.Contains(text, []byte(`"errorDetail"`)): // in the stream of a pull
		return fmt.Errorf("%s %s: %s", method, path, text)
	case answer != nil:
		return json.Unmarshal(text, answer)
	}
	return nil
}

func (l *engineLife) post(path string, body, answer any) error {
	return l.call("POST", path, body, answer)
}

// remove takes it for done if it is gone, as `docker rm -f` does.
func (l *engineLife) remove(path string) error {
	err := l.call("DELETE", path, nil, nil)
	if err != nil && strings.Contains(err.Error(), ": 404 ") {
		return nil
	}
	return err
}

func (l *engineLife) create() error {
	err := l.post("/containers/create?name=c1", map[string]any{
		"Image": image("busybox:latest"), "Cmd": []string{"sh", "-c", failsOnce},
		"Volumes": map[string]any{"/anonymous": map[string]any{}},
		"HostConfig": map[string]any{
			"Binds":         []string{"v1:/v"},
			"NetworkMode":   "n1",
			"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 5}},
	}, nil)
	if errors.Is(err, errConflict) { // an earlier try's, whose answer was lost
		return nil
	}
	return err
}

// createNetworks takes one that is there for an earlier try's.
func (l *engineLife) createNetworks() error {
	for _, name := range []string{"n1", "n2"} {
		err := l.post("/networks/create", map[string]any{"Name": name}, nil)
		if err != nil && !errors.Is(err, errConflict) {
			return err
		}
	}
	return nil
}

// member has the container join or leave the second network; an answer with
// `done` in it is that to an earlier try.
func (l *engineLife) member(verb, done string) error {
	err := l.post("/networks/n2/"+verb, map[string]any{"Container": "c1"}, nil)
	if err != nil && strings.Contains(err.Error(), done) {
		return nil
	}
	return err
}

// attach joins the container before its first start, as `docker run` does, and
// stays.
func (l *engineLife) attach() error {
	to, err := net.Dial("unix", filepath.Join(l.n.dir, "docker.sock"))
	if err != nil {
		return err
	}
	l.t.Cleanup(func() { to.Close() })
	if _, err := io.WriteString(to, "POST /containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n"+
		"Host: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(to).ReadString('\n')
	if err == nil && !strings.Contains(answer, " 101 ") {
		err = fmt.Errorf("attach: %s", answer)
	}
	return err
}

type inspected struct {
	State struct {
		Running  bool
		ExitCode int
		Status   string
		Error    string
	}
	RestartCount int
}

func (l *engineLife) inspect() (answer inspected, err error) {
	return answer, l.call("GET", "/containers/c1/json", nil, &answer)
}

func (l *engineLife) eventuallyRuns() error {
	return criclient.Eventually(10*time.Second, func() error {
		got, err := l.inspect()
		if err == nil && (got.State.Status != "running" || !l.uncounted && got.RestartCount == 0) {
			err = fmt.Errorf("it is %+v", got)
		}
		return err
	})
}

func (l *engineLife) exec() error {
	var exec struct{ Id string }
	if err := l.post("/containers/c1/exec", map[string]any{"Cmd": []string{"sh", "-c", "exit 7"}}, &exec); err != nil {
		return err
	}
	if err := l.post("/exec/"+exec.Id+"/start", map[string]any{"Detach": true}, nil); err != nil {
		return err
	}
	return criclient.Eventually(20*time.Second, func() error {
		var state struct {
			Running  bool
			ExitCode *int
		}
		err := l.call("GET", "/exec/"+exec.Id+"/json", nil, &state)
		if err == nil && (state.Running || state.ExitCode == nil || *state.ExitCode != 7) {
			err = fmt.Errorf("the exec is %+v", state)
		}
		return err
	})
}

func (l *engineLife) exited() error {
	got, err := l.inspect()
	if err == nil && (got.State.Running || got.State.ExitCode != 33) {
		err = fmt.Errorf("after the stop it is %+v", got)
	}
	return err
}

func (l *engineLife) advance() (string, error) {
	for _, one := range engineSteps {
		if l.done[one.name] {
			continue
		}
		if err := one.call(l); err != nil {
			return one.name, err
		}
		l.done[one.name] = true
	}
	return "", nil
}

func (l *engineLife) resume(diedIn string) {
	l.t.Helper()
	l.n.start("")
	l.uncounted = diedIn == "the restart"
	if l.done["the restart"] && !l.done["stop"] && diedIn != "stop" {
		if err := l.eventuallyRuns(); err != nil {
			l.t.Errorf("after the daemon's restart: %v", err)
		}
	}
}

func (l *engineLife) startOver() { l.t.Fatal("no shim dies in this story") }

func (l *engineLife) clean() {
	l.t.Helper()
	criclient.RemoveCgroup("/berth") // the parent of all, which stays
	l.n.clean("data/volumes/*", "data/docker/*")
}
