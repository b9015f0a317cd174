package cri_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"berth/test/support/criclient"
)

// What a container may leave in the place of its log, if it can write there.
var notALog = map[string]func(path, victim string) error{
	"link":          func(path, victim string) error { return os.Symlink(victim, path) },
	"dangling link": func(path, victim string) error { return os.Symlink(victim+".new", path) },
	"fifo":          func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
	"directory":     func(path, _ string) error { return os.Mkdir(path, 0o755) },
	"device":        func(path, _ string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
	"socket": func(path, _ string) error {
		listener, err := net.Listen("unix", path)
		if err == nil {
			listener.(*net.UnixListener).SetUnlinkOnClose(false)
			listener.Close()
		}
		return err
	},
}

func TestWhatIsNoLogIsNotWrittenTo(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 follows a link and waits at a fifo")
	}
	for kind, plant := range notALog {
		t.Run(kind, func(t *testing.T) {
			defer stillServing(t)
			pod := client.RunPod(t, logs)
			victim := filepath.Join(t.TempDir(), "victim")
			if err := os.WriteFile(victim, []byte("mine\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			// The text is the attacker's: "root::0:0::/:" in /etc/passwd.
			script := "while :; do echo text; sleep 0.05; done"
			late := pod.Create(t, "late", busybox, []string{"sh", "-c", script})
			os.Remove(late.LogFile())
			if err := plant(late.LogFile(), victim); err != nil {
				t.Fatal(err)
			}
			err := client.Runtime.StartContainer(t.Context(), late.ID)
			wantCode(t, err, codes.FailedPrecondition)
			reopened := pod.Run(t, "reopened", busybox, []string{"sh", "-c", script})
			reopened.WaitLog(t, "text\n")
			aside := reopened.LogFile() + ".old"
			if err := os.Rename(reopened.LogFile(), aside); err != nil {
				t.Fatal(err)
			}
			if err := plant(reopened.LogFile(), victim); err != nil {
				t.Fatal(err)
			}
			err = client.Runtime.ReopenContainerLog(t.Context(), reopened.ID)
			wantCode(t, err, codes.FailedPrecondition)
			// It goes on in the file that it has, and can be rotated again.
			grows(t, aside)
			os.Remove(reopened.LogFile())
			if err := client.Runtime.ReopenContainerLog(t.Context(), reopened.ID); err != nil {
				t.Fatal(err)
			}
			reopened.WaitLog(t, "text\n")
			got, err := os.ReadFile(victim)
			if err != nil || !bytes.Equal(got, []byte("mine\n")) {
				t.Errorf("the victim holds %q, %v", got, err)
			}
			if _, err := os.Lstat(victim + ".new"); err == nil {
				t.Errorf("a file was made through the link")
			}
		})
	}
}

func grows(t *testing.T, path string) {
	t.Helper()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	err := criclient.Eventually(10*time.Second, func() error {
		if size() <= before {
			return fmt.Errorf("%s does not grow", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
