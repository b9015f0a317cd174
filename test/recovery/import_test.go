package recovery_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var layouts = flag.String("layouts", "", "a folder with an OCI layout of each test image")

const imported = "localhost/test/imported:latest"

// importLife is an image that comes from an archive, leaves for another one, by
// berthd's own commands, and goes.
type importLife struct {
	t       *testing.T
	n       *node
	archive string
	done    int
}

var importSteps = []string{"import", "find", "export", "remove"}

func newImportLife(t *testing.T, n *node) *importLife {
	t.Helper()
	l := &importLife{t: t, n: n, archive: n.dir + ".tar"}
	if err := pack(filepath.Join(*layouts, "config"), l.archive); err != nil {
		t.Fatal(err)
	}
	return l
}

// pack makes one archive of a layout, whose image gets a full name.
func pack(layout, archive string) error {
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	err := fs.WalkDir(os.DirFS(layout), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(layout, name))
		if err != nil {
			return err
		}
		if name == "index.json" {
			data = bytes.Replace(data, []byte(`"latest"`), []byte(`"`+imported+`"`), 1)
		}
		err = out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))})
		if err == nil {
			_, err = out.Write(data)
		}
		return err
	})
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.WriteFile(archive, packed.Bytes(), 0o644)
}

func (l *importLife) call(step string) error {
	switch step {
	case "import":
		return l.command("import", l.archive)
	case "export":
		exported := l.archive + ".exported"
		if err := l.command("export", imported, exported); err != nil {
			return err
		}
		return l.readExported(exported)
	case "find":
		answer, err := l.n.client.Images.ImageStatus(context.Background(), &cri.ImageSpec{Image: imported}, false)
		if err == nil && answer.Image == nil {
			err = errors.New("the image is not there")
		}
		return err
	default:
		return l.n.client.Images.RemoveImage(context.Background(), &cri.ImageSpec{Image: imported})
	}
}

// command has berthd's command do something to images.
func (l *importLife) command(verb string, words ...string) error {
	command := exec.Command(filepath.Join(os.Getenv("BERTH_BIN"), "berthd"), append([]string{
		"image", verb, "--config", filepath.Join(l.n.dir, "berth.conf"),
		"--state", filepath.Join(l.n.dir, "state")}, words...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// readExported reads an archive to its end and wants the index of a layout.
func (l *importLife) readExported(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	found := false
	for in := tar.NewReader(file); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		found = found || header.Name == "index.json"
	}
	if !found {
		return errors.New("there is no index.json in " + path)
	}
	return os.Remove(path)
}

func (l *importLife) advance() (string, error) {
	for ; l.done < len(importSteps); l.done++ {
		if err := l.call(importSteps[l.done]); err != nil {
			return importSteps[l.done], err
		}
	}
	return "", nil
}

func (l *importLife) resume(string) {
	l.t.Helper()
	l.n.start("")
}

func (l *importLife) startOver() { l.t.Fatal("no shim dies in this story") }

func (l *importLife) clean() {
	l.t.Helper()
	l.n.clean("data/import/*")
}
