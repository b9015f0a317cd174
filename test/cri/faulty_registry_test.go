package cri_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// faultyRegistry serves OCI layouts as they are, true or not, which a real
// registry would refuse to take: repository hostile/CASE is that layout. With a
// fault, it misbehaves as named. It is known to the runtime by a hosts.toml.
func faultyRegistry(t *testing.T, fault string) (address string) {
	t.Helper()
	server := httptest.NewServer(&layoutServer{fault: fault, stop: t.Context().Done()})
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	address = strings.TrimPrefix(server.URL, "http://")
	folder := filepath.Join(*certs, address)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	hosts := fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", server.URL, server.URL)
	if err := os.WriteFile(filepath.Join(folder, "hosts.toml"), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return address
}

type layoutServer struct {
	fault string
	stop  <-chan struct{}
}

func (s *layoutServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		w.Write([]byte("{}"))
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	if len(parts) < 4 || parts[0] != "hostile" {
		http.NotFound(w, r)
		return
	}
	layout := filepath.Join(*layouts, filepath.Base(parts[1]))
	if parts[2] == "manifests" {
		s.manifest(w, r, layout, strings.Join(parts[3:], "/"))
	} else {
		s.blob(w, r, layout, strings.Join(parts[3:], "/"))
	}
}

func (s *layoutServer) manifest(w http.ResponseWriter, r *http.Request, layout, reference string) {
	switch s.fault {
	case "500":
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<html><body>Please log in to the hotel's network</body></html>"))
		return
	case "garbage":
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Write([]byte(`{"schemaVersion": 2, "layers": [{]]`))
		return
	case "endless-manifest":
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		s.endless(w, r)
		return
	case "redirect-loop":
		http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		return
	}
	var index struct {
		Manifests []struct{ MediaType, Digest string }
	}
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	if err != nil || len(index.Manifests) == 0 {
		http.NotFound(w, r)
		return
	}
	top := index.Manifests[0]
	if strings.Contains(reference, ":") && reference != top.Digest {
		http.NotFound(w, r)
		return
	}
	body, err := os.ReadFile(filepath.Join(layout, "blobs", strings.Replace(top.Digest, ":", "/", 1)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if s.fault == "other-manifest" { // not what the digest in the header says
		body = append(body, ' ')
	}
	w.Header().Set("Content-Type", top.MediaType)
	w.Header().Set("Docker-Content-Digest", top.Digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

func (s *layoutServer) blob(w http.ResponseWriter, r *http.Request, layout, digest string) {
	body, err := os.ReadFile(filepath.Join(layout, "blobs", "sha256", filepath.Base(strings.TrimPrefix(digest, "sha256:"))))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	isLayer := len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b
	if isLayer {
		switch s.fault {
		case "wrong-bytes":
			body[len(body)/2] ^= 1
		case "cut-short":
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.Write(body[:len(body)/2])
			return
		case "too-long":
			body = append(body, make([]byte, 1000)...)
		case "endless-layer":
			s.endless(w, r)
			return
		case "hang":
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(http.StatusOK)
			w.Write(body[:10])
			w.(http.Flusher).Flush()
			select {
			case <-s.stop:
			case <-r.Context().Done():
			}
			return
		}
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// endless writes until the client has had enough of it; after 2 GiB it gives up.
func (s *layoutServer) endless(w http.ResponseWriter, r *http.Request) {
	block := []byte(strings.Repeat(" ", 1<<20))
	for range 2048 {
		if _, err := w.Write(block); err != nil || r.Context().Err() != nil {
			return
		}
	}
}
