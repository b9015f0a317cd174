package cri_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// imageMaker writes one image, of one layer with a busybox, that may be as
// wrong as a test wants it; nothing here validates.
type imageMaker struct {
	t    *testing.T
	tar  *tar.Writer
	made error
}

func (m *imageMaker) add(header *tar.Header, data io.Reader) {
	if m.made == nil {
		m.made = m.tar.WriteHeader(header)
	}
	if m.made == nil && data != nil {
		_, m.made = io.Copy(m.tar, data)
	}
}

func (m *imageMaker) folder(name string) {
	m.add(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, nil)
}

func (m *imageMaker) file(name string, mode int64, data []byte) {
	m.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}, bytes.NewReader(data))
}

func (m *imageMaker) link(name, target string) {
	m.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (m *imageMaker) fifo(name string) {
	m.add(&tar.Header{Typeflag: tar.TypeFifo, Name: name, Mode: 0o666}, nil)
}

// endlessLines is a file of so many bytes, all of them the same line.
func (m *imageMaker) endlessLines(name, line string, size int64) {
	repeat := bytes.Repeat([]byte(line), 1+(1<<20)/len(line))
	m.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size},
		io.LimitReader(&repeated{of: repeat}, size))
}

type repeated struct {
	of []byte
	at int
}

func (r *repeated) Read(into []byte) (int, error) {
	n := copy(into, r.of[r.at:])
	r.at = (r.at + n) % len(r.of)
	return n, nil
}

// hostileImage makes the image and pulls it; it goes when the test ends.
// config is the "config" of its configuration.
func hostileImage(t *testing.T, name string, config map[string]any, fill func(*imageMaker)) string {
	t.Helper()
	layout := filepath.Join(*layouts, name)
	blobs := filepath.Join(layout, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(layout) })
	packed := filepath.Join(layout, "layer")
	diff := writeLayer(t, packed, fill)
	layer, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(packed)
	blob := func(data []byte, kind string) map[string]any {
		hex := fmt.Sprintf("%x", sha256.Sum256(data))
		if err := os.WriteFile(filepath.Join(blobs, hex), data, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"mediaType": kind, "digest": "sha256:" + hex, "size": len(data)}
	}
	text := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const oci = "application/vnd.oci.image."
	document := blob(text(map[string]any{"architecture": "amd64", "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diff}}}), oci+"config.v1+json")
	manifest := blob(text(map[string]any{"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
		"config": document, "layers": []any{blob(layer, oci+"layer.v1.tar+gzip")}}), oci+"manifest.v1+json")
	index := text(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err := os.WriteFile(filepath.Join(layout, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	reference := faultyRegistry(t, "") + "/hostile/" + name + ":" + name
	pull(t, reference, nil)
	t.Cleanup(func() { removeImage(t, reference) })
	return reference
}

// writeLayer writes a compressed layer and returns its diff id.
func writeLayer(t *testing.T, path string, fill func(*imageMaker)) string {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	packed, _ := gzip.NewWriterLevel(out, gzip.BestSpeed)
	hash := sha256.New()
	maker := &imageMaker{t: t, tar: tar.NewWriter(io.MultiWriter(packed, hash))}
	busyboxProgram, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	maker.folder("bin")
	maker.file("bin/busybox", 0o755, busyboxProgram)
	for _, applet := range []string{"sh", "id", "cat", "ls", "sleep", "grep", "test", "true", "touch"} {
		maker.link("bin/"+applet, "busybox")
	}
	fill(maker)
	for _, err := range []error{maker.made, maker.tar.Close(), packed.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("sha256:%x", hash.Sum(nil))
}
