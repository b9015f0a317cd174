package cri_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A server that writes down the Authorization of whoever comes.
type witness struct {
	mutex sync.Mutex
	came  []string
	then  http.Handler
}

func (w *witness) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	w.mutex.Lock()
	w.came = append(w.came, r.URL.Path+" "+r.Header.Get("Authorization"))
	w.mutex.Unlock()
	w.then.ServeHTTP(to, r)
}

func (w *witness) visits() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return append([]string(nil), w.came...)
}

// A registry that is reached by TLS sends nobody on to a server without it: what
// is said there could be anybody's.
func TestNoRedirectLeavesTLS(t *testing.T) {
	if peer() {
		t.Skip("Go's client follows it")
	}
	for _, what := range []string{"manifests", "blobs"} {
		t.Run(what, func(t *testing.T) {
			registry := newMemoryRegistry()
			registry.image("1", nil, layer(map[string]string{"f": "x"}))
			plain := &witness{then: registry}
			other := httptest.NewServer(plain)
			t.Cleanup(other.Close)
			first := newMemoryRegistry()
			first.blobs, first.tags, first.kinds = registry.blobs, registry.tags, registry.kinds
			first.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/"+what+"/") {
					return false
				}
				http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
			server := httptest.NewTLSServer(first)
			t.Cleanup(server.Close)
			address := strings.TrimPrefix(server.URL, "https://")
			folder := configureHost(t, address, fmt.Sprintf("server = %q\nca = \"ca.crt\"\n", server.URL))
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(filepath.Join(folder, "ca.crt"), ca, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{Image: &cri.ImageSpec{Image: address + "/a:1"}})
			if err == nil || !strings.Contains(err.Error(), "to http is refused") {
				t.Errorf("%v", err)
			}
			if came := plain.visits(); len(came) != 0 {
				t.Errorf("without TLS it was asked %v", came)
			}
		})
	}
}

// CVE-2020-15157: credentials are the registry's alone, wherever a manifest or a
// redirect says that a layer is.
func TestCredentialsStayWithTheirRegistry(t *testing.T) {
	for _, way := range []string{"redirect", "urls"} {
		t.Run(way, func(t *testing.T) {
			registry := newMemoryRegistry()
			data := layer(map[string]string{"f": way})
			registry.image("1", nil, data)
			elsewhere := &witness{then: registry}
			other := httptest.NewServer(elsewhere)
			t.Cleanup(other.Close)
			first := newMemoryRegistry()
			first.blobs, first.tags, first.kinds = registry.blobs, registry.tags, registry.kinds
			first.before = func(w http.ResponseWriter, r *http.Request) bool {
				if _, password, _ := r.BasicAuth(); password != "secret" {
					w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
					http.Error(w, "{}", http.StatusUnauthorized)
					return true
				}
				if !strings.Contains(r.URL.Path, "/blobs/") || way != "redirect" {
					return false
				}
				http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
			if way == "urls" {
				one := first.put(layerType, data)
				manifest := first.putJSON(manifestType, map[string]any{
					"schemaVersion": 2, "mediaType": manifestType,
					"config": first.putJSON(configType, map[string]any{
						"os": "linux", "architecture": "amd64", "config": map[string]any{},
						"rootfs": map[string]any{"type": "layers", "diff_ids": []string{one.Digest}}}),
					"layers": []any{map[string]any{
						"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar", "digest": one.Digest,
						"size": one.Size, "urls": []string{other.URL + "/v2/a/blobs/" + one.Digest}}}})
				first.tags["1"] = manifest.Digest
				delete(first.blobs, one.Digest) // it is there alone
			}
			address := first.serve(t)
			name := address + "/a:1"
			_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name},
				Auth: &cri.AuthConfig{Username: "tester", Password: "secret"}})
			if way == "redirect" && err != nil {
				t.Errorf("%v", err)
			}
			removeImage(t, name)
			came := elsewhere.visits()
			if way == "redirect" && len(came) == 0 {
				t.Error("nobody followed the redirect")
			}
			for _, visit := range came {
				if !strings.HasSuffix(visit, " ") {
					t.Errorf("the other server was told %q", visit)
				}
			}
		})
	}
}

// CVE-2024-24557: a layer that is known below another one is not known here.
func TestALayerIsKnownByAllThatIsBelowIt(t *testing.T) {
	registry := newMemoryRegistry()
	busy, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip(err)
	}
	program := string(busy)
	above := layer(map[string]string{"above": "x"})
	registry.image("1", nil, layer(map[string]string{"bin/busybox": program, "of": "one"}), above)
	registry.image("2", nil, layer(map[string]string{"bin/busybox": program, "of": "two"}), above)
	registry.image("3", nil, layer(map[string]string{"bin/busybox": program, "of": "three"}), layer(nil), above)
	address := registry.serve(t)
	pod := client.RunPod(t, logs)
	for tag, want := range map[string]string{"1": "one", "2": "two", "3": "three"} {
		name := address + "/a:" + tag
		pull(t, name, nil)
		container := pod.Run(t, "c"+tag, name, []string{"/bin/busybox", "sleep", "1000"})
		if got := container.Output(t, "/bin/busybox", "cat", "/of", "/above"); got != want+"x" {
			t.Errorf("image %s: %q", tag, got)
		}
	}
	pod.Remove(t)
	for _, tag := range []string{"1", "2", "3"} {
		removeImage(t, address+"/a:"+tag)
	}
}
