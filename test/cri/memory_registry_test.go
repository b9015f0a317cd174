package cri_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// memoryRegistry serves images that a test makes by hand: every blob under its
// digest, and the manifests under their tags, in any repository. before may
// answer in its place, and then returns true.
type memoryRegistry struct {
	mutex  sync.Mutex
	blobs  map[string][]byte
	tags   map[string]string // tag to digest
	kinds  map[string]string // digest to media type
	before func(w http.ResponseWriter, r *http.Request) bool
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int               `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Platform     map[string]string `json:"platform,omitempty"`
}

func newMemoryRegistry() *memoryRegistry {
	return &memoryRegistry{blobs: map[string][]byte{}, tags: map[string]string{}, kinds: map[string]string{}}
}

// serve starts it for the test, without TLS, as the registry of its address.
func (m *memoryRegistry) serve(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(m)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	address = strings.TrimPrefix(server.URL, "http://")
	configureHost(t, address, fmt.Sprintf("server = %q\n", server.URL))
	return address
}

// configureHost writes the runtime's hosts.toml for a registry.
func configureHost(t *testing.T, registry, hosts string) (folder string) {
	t.Helper()
	folder = filepath.Join(*certs, registry)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func (m *memoryRegistry) put(mediaType string, data []byte) descriptor {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	m.blobs[digest], m.kinds[digest] = data, mediaType
	return descriptor{MediaType: mediaType, Digest: digest, Size: len(data)}
}

func (m *memoryRegistry) putJSON(mediaType string, value any) descriptor {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return m.put(mediaType, data)
}

// layer is a tar archive of regular files.
func layer(files map[string]string) []byte {
	var data bytes.Buffer
	writer := tar.NewWriter(&data)
	for name, content := range files {
		writer.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
		writer.Write([]byte(content))
	}
	writer.Close()
	return data.Bytes()
}

// image adds one under a tag, with that run configuration.
func (m *memoryRegistry) image(tag string, config map[string]any, layers ...[]byte) descriptor {
	diffs, descriptors := []string{}, []descriptor{}
	for _, data := range layers {
		one := m.put(layerType, data)
		diffs = append(diffs, one.Digest)
		descriptors = append(descriptors, one)
	}
	manifest := m.putJSON(manifestType, map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config": m.putJSON(configType, map[string]any{
			"os": "linux", "architecture": runtime.GOARCH, "config": config,
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		}),
		"layers": descriptors,
	})
	m.tags[tag] = manifest.Digest
	return manifest
}

func (m *memoryRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.before != nil && m.before(w, r) {
		return
	}
	parts := strings.Split(r.URL.Path, "/")
	name, what := parts[len(parts)-1], ""
	if len(parts) > 2 {
		what = parts[len(parts)-2]
	}
	if r.URL.Path == "/v2/" {
		w.Write([]byte("{}"))
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if digest, ok := m.tags[name]; ok && what == "manifests" {
		name = digest
	}
	data, ok := m.blobs[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if what == "manifests" {
		w.Header().Set("Content-Type", m.kinds[name])
		w.Header().Set("Docker-Content-Digest", name)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		w.Write(data)
	}
}
