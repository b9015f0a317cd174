package cri_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The operations of FUSE that a look at one empty folder needs.
// Source: include/uapi/linux/fuse.h.
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseInit        = 26
	fuseBatchForget = 42
)

// picky is a file system of one empty folder whose server stops to read requests
// once one has come from a process that `hates` names by its command line. What
// waits for it then can be killed, unlike for a request that was read.
type picky struct {
	server int
	hates  string
	dead   chan struct{} // closed when it has stopped
	end    chan struct{}
}

func mountPicky(t *testing.T, place, hates string) *picky {
	t.Helper()
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)
	if err := unix.Mount("picky", place, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(server)
		t.Skipf("cannot mount FUSE: %v", err)
	}
	p := &picky{server: server, hates: hates, dead: make(chan struct{}), end: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.serve()
	}()
	t.Cleanup(func() {
		unix.Unmount(place, unix.MNT_FORCE|unix.MNT_DETACH)
		unix.Unmount(place, unix.MNT_DETACH)
		close(p.end)
		<-done
		unix.Close(server)
		os.Remove(place)
	})
	return p
}

// serve ends when the file system is unmounted.
func (p *picky) serve() {
	request := make([]byte, 1<<17)
	for {
		n, err := unix.Read(p.server, request)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		opcode := binary.LittleEndian.Uint32(request[4:])
		if opcode == fuseForget || opcode == fuseBatchForget {
			continue
		}
		pid := binary.LittleEndian.Uint32(request[32:])
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		p.answer(request[8:16], opcode)
		if opcode != fuseInit && strings.Contains(string(command), p.hates) {
			close(p.dead)
			<-p.end
			return
		}
	}
}

func (p *picky) answer(unique []byte, opcode uint32) {
	var body []byte
	failure := int32(0)
	switch opcode {
	case fuseInit:
		body = make([]byte, 64)
		binary.LittleEndian.PutUint32(body, 7)
		binary.LittleEndian.PutUint32(body[4:], 23)
	case fuseLookup: // never to be remembered, and always a folder
		body = append(make([]byte, 40), folder()...)
		binary.LittleEndian.PutUint64(body, 2)
	case fuseGetattr:
		body = append(make([]byte, 16), folder()...)
	default:
		failure = -int32(unix.ENOSYS)
	}
	answer := make([]byte, 16, 16+len(body))
	binary.LittleEndian.PutUint32(answer, uint32(16+len(body)))
	binary.LittleEndian.PutUint32(answer[4:], uint32(failure))
	copy(answer[8:], unique)
	unix.Write(p.server, append(answer, body...))
}

// folder is struct fuse_attr.
func folder() []byte {
	attr := make([]byte, 88)
	binary.LittleEndian.PutUint64(attr, 2)
	binary.LittleEndian.PutUint32(attr[60:], unix.S_IFDIR|0o755)
	binary.LittleEndian.PutUint32(attr[64:], 2)
	return attr
}
