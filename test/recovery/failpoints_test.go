package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/test/support/criclient"
)

// story is a course of calls that a client makes. Each call can be told again
// after a crash or an error, as such a client would.
type story interface {
	// advance makes the calls that are left until one fails: its name and its
	// error. "" and nil at the end.
	advance() (string, error)
	// resume starts the daemon again and checks what it says; it died in a
	// call of this name.
	resume(diedIn string)
	// startOver takes it that the processes' shim has died: checks what the
	// daemon says of them and goes on with new ones.
	startOver()
	// clean checks that nothing is left, and stops the daemon.
	clean()
}

// elsewhere are failpoints that no story passes, and why.
var elsewhere = map[string]string{
	"image.layer.unchecked": "fails nothing by itself: image/snapshot/confinement_test.cc",
	"sandbox.start.holder":  "only with a user namespace: sandbox/resource/resource_test.cc",
}

// arm is the setting for one action ("kill", "error") at a failpoint, with what
// else has to happen so that it is passed.
func arm(name, verb, times string) string {
	switch name {
	case "image.collect.layers", "image.collect.directories": // by the start as well
		verb += "@2"
	case "shim.destroy.killed", "shim.destroy.cleaned": // of a shim that did not start
		return "shim.launch.answered=error*1;" + name + "=" + verb + times
	}
	return name + "=" + verb + times
}

// storyFor passes the failpoint of that name.
func storyFor(t *testing.T, name, armed string) (story, *node) {
	if why, ok := elsewhere[name]; ok {
		t.Skip(why)
	}
	n := newNode(t, armed)
	for _, prefix := range []string{"docker.", "cni.network.", "sandbox.connect.", "sandbox.disconnect.", "container.exec.", "container.start.task", "image.make.", "image.remove.name"} {
		if strings.HasPrefix(name, prefix) {
			return newEngineLife(t, n), n
		}
	}
	if strings.HasPrefix(name, "image.import.") {
		return newImportLife(t, n), n
	}
	l := newLife(t, n)
	if strings.HasPrefix(name, "shim.") { // a killed shim may take the code along
		l.exitCodes = []int32{33, 137, 255}
	}
	return l, n
}

// eachFailpoint runs a test for each failpoint of this shard.
func eachFailpoint(t *testing.T, test func(t *testing.T, name string)) {
	text, err := os.ReadFile(*failpoints)
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(text))
	if len(list) < 60 {
		t.Fatalf("only %d failpoints: %v", len(list), list)
	}
	for at, name := range list {
		if at%*shards == *shard {
			t.Run(name, func(t *testing.T) { test(t, name) })
		}
	}
}

// A story with a kill at each place in the source that has a failpoint: of the
// daemon, or of a shim.
func TestKilledAt(t *testing.T) {
	eachFailpoint(t, func(t *testing.T, name string) {
		s, n := storyFor(t, name, arm(name, "kill", ""))
		step, err := s.advance()
		if !n.acted(name) {
			t.Fatalf("nothing passes here; %s: %v", step, err)
		}
		switch {
		case n.dies():
			t.Logf("the daemon died in %q", step)
			n.waitDead()
			s.resume(step)
		case err != nil:
			t.Logf("the shim died in %s: %v", step, err)
			n.again()
			s.startOver()
		default:
			t.Logf("nobody saw the shim die")
			n.again()
		}
		if step, err := s.advance(); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		s.clean()
	})
}

// The same with an error, once: whoever called calls again.
func TestErrorAt(t *testing.T) {
	eachFailpoint(t, func(t *testing.T, name string) {
		s, n := storyFor(t, name, arm(name, "error", "*1"))
		for try := 1; ; try++ {
			step, err := s.advance()
			if err == nil {
				break
			}
			t.Logf("%s: %v", step, err)
			if try == 3 {
				t.Fatal("the error stays")
			}
			if strings.HasPrefix(name, "shim.") {
				n.again() // each new shim would fail once
			}
		}
		if !n.acted(name) {
			t.Fatal("nothing passes here")
		}
		if name == "docker.volume.forgotten" {
			n.again() // what is left of a volume without a record goes at a start
		}
		s.clean()
	})
}

// acted waits until the failpoint has done what it was armed for: some lie
// behind the answer to the last call.
func (n *node) acted(name string) bool {
	return criclient.Eventually(5*time.Second, func() error {
		text, _ := os.ReadFile(n.actedFile())
		if !strings.Contains(string(text), name+"\n") {
			return fmt.Errorf("%s has not acted", name)
		}
		return nil
	}) == nil
}

func (n *node) actedFile() string { return filepath.Join(n.dir, "acted") }

// dies tells whether the daemon is dead; a connection that is closed is seen a
// moment earlier.
func (n *node) dies() bool {
	return criclient.Eventually(time.Second, func() error {
		if n.running() {
			return fmt.Errorf("it lives")
		}
		return nil
	}) == nil
}
