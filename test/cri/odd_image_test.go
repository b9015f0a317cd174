package cri_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// program is one that a container without any other file can run.
func program(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if data, err := os.ReadFile(path); err == nil {
			return string(data)
		}
	}
	t.Fatal("there is no busybox")
	return ""
}

// The options of an overlay are one page; this many layers below the path of a
// test need more.
func TestImagesOfManyLayers(t *testing.T) {
	registry := newMemoryRegistry()
	busybox := layer(map[string]string{"bin/busybox": program(t)})
	address := registry.serve(t)
	for _, count := range []int{100, 127} {
		layers := [][]byte{busybox}
		for i := 1; i < count; i++ {
			layers = append(layers, layer(map[string]string{fmt.Sprintf("layer/%d", i): "x"}))
		}
		tag := fmt.Sprint(count)
		registry.image(tag, map[string]any{"Entrypoint": []string{"/bin/busybox"}}, layers...)
		name := address + "/many:" + tag
		pull(t, name, nil)
		t.Cleanup(func() { removeImage(t, name) })
		count1 := []string{"/bin/busybox", "sh", "-c", "/bin/busybox ls /layer | /bin/busybox wc -l"}
		see := func(t *testing.T, pod *criclient.Pod, edit ...func(*cri.ContainerConfig)) {
			container := pod.Run(t, "c", name, count1, edit...)
			container.WaitExit(t, 20*time.Second)
			container.WaitLog(t, fmt.Sprintf("%d\n", count-1))
		}
		t.Run(tag, func(t *testing.T) { see(t, client.RunPod(t, logs)) })
		t.Run(tag+"-user-namespace", func(t *testing.T) {
			needUserNamespaces(t)
			see(t, client.RunPod(t, logs, inUserNamespace(200000)))
		})
		t.Run(tag+"-volume", func(t *testing.T) {
			if peer() {
				t.Skip("containerd 1.6 knows no image volumes")
			}
			container := client.RunPod(t, logs).Run(t, "c", image("busybox:latest"),
				[]string{"sh", "-c", "ls /volume/layer | wc -l"}, func(config *cri.ContainerConfig) {
					config.Mounts = append(config.Mounts, &cri.Mount{
						ContainerPath: "/volume", Image: &cri.ImageSpec{Image: name}, Readonly: true})
				})
			container.WaitExit(t, 20*time.Second)
			container.WaitLog(t, fmt.Sprintf("%d\n", count-1))
		})
	}
}

func TestOneEmptyStringIsNoEntryPoint(t *testing.T) {
	registry := newMemoryRegistry()
	address := registry.serve(t)
	for tag, entrypoint := range map[string]any{"empty": []string{""}, "null": nil, "none": []string{}} {
		t.Run(tag, func(t *testing.T) {
			// containerd may still be removing a layer of the image before.
			registry.image(tag, map[string]any{"Entrypoint": entrypoint,
				"Cmd": []string{"/bin/busybox", "echo", "the image's own"}},
				layer(map[string]string{"bin/busybox": program(t), "tag": tag}))
			name := address + "/entry:" + tag
			pull(t, name, nil)
			defer removeImage(t, name)
			container := client.RunPod(t, logs).Run(t, "c", name, nil)
			container.WaitExit(t, 20*time.Second)
			container.WaitLog(t, "the image's own\n")
		})
	}
}

// What this machine does not use of an index must not fail the pull.
func TestOddEntriesOfAnIndex(t *testing.T) {
	registry := newMemoryRegistry()
	address := registry.serve(t)
	here := registry.image("plain", nil, layer(map[string]string{"f": "here"}))
	here.Platform = map[string]string{"os": "linux", "architecture": runtime.GOARCH}
	stated := here
	stated.ArtifactType = configType
	other := here
	other.Platform = map[string]string{"os": "windows", "architecture": "amd64"}
	other.Digest = "sha256:" + strings.Repeat("0", 64)
	for tag, entries := range map[string][]any{
		"artifact-type": {other, stated},
		"other-digest": {map[string]any{"mediaType": manifestType, "size": 7, "digest": "sha512:" + strings.Repeat("a", 128),
			"platform": map[string]string{"os": "windows", "architecture": "amd64"}}, here},
	} {
		t.Run(tag, func(t *testing.T) {
			index := registry.putJSON(indexType, map[string]any{
				"schemaVersion": 2, "mediaType": indexType, "manifests": entries})
			registry.tags[tag] = index.Digest
			name := address + "/index:" + tag
			pull(t, name, nil)
			removeImage(t, name)
		})
	}
}

// A section of hosts.toml that is the registry itself: wherever it stands, it
// gets the credentials, and its CA counts.
func TestASectionThatIsTheRegistry(t *testing.T) {
	registry := newMemoryRegistry()
	registry.image("1", nil, layer(map[string]string{"f": "x"}))
	var header atomic.Value
	registry.before = func(w http.ResponseWriter, r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		if ok && user == "tester" && password == "secret" {
			header.Store(r.Header.Get("X-Test"))
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "{}", http.StatusUnauthorized)
		return true
	}
	server := httptest.NewTLSServer(registry)
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "https://")
	folder := configureHost(t, address, fmt.Sprintf(`
server = %q
[host.%q]
  ca = "ca.crt"
  [host.%q.header]
    X-Test = "from the section"
`, server.URL, server.URL, server.URL))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(folder, "ca.crt"), ca, 0o644); err != nil {
		t.Fatal(err)
	}
	name := address + "/private:1"
	_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{Image: &cri.ImageSpec{Image: name}})
	wantCode(t, err, codes.Unauthenticated, codes.PermissionDenied)
	pull(t, name, &cri.AuthConfig{Username: "tester", Password: "secret"})
	removeImage(t, name)
	if got := header.Load(); got != "from the section" {
		t.Errorf("the section's header: %v", got)
	}
}

func TestAuthThatIsWrapped(t *testing.T) {
	name := *basicAuth + "/test/layers:latest"
	both := base64.StdEncoding.EncodeToString([]byte("tester:secret"))
	pull(t, name, &cri.AuthConfig{Auth: both[:8] + "\n" + both[8:] + "\r\n"})
	removeImage(t, name)
}

// Mirrors that are not there, or do not know the image, cost nothing but a try.
func TestDeadMirrors(t *testing.T) {
	registry := newMemoryRegistry()
	registry.image("1", nil, layer(map[string]string{"f": "x"}))
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	empty := httptest.NewServer(newMemoryRegistry())
	t.Cleanup(empty.Close)
	configureHost(t, "mirrored.test", fmt.Sprintf(`
server = "https://registry.invalid"
[host."http://127.0.0.1:1"]
[host."http://mirror.invalid"]
[host.%q]
[host.%q]
`, empty.URL, server.URL))
	name := "mirrored.test/a:1"
	pull(t, name, nil)
	removeImage(t, name)
}

// Pulls from a registry that says nothing do not keep others from theirs.
func TestASilentRegistry(t *testing.T) {
	silent := newMemoryRegistry()
	var asked atomic.Int32
	silent.before = func(w http.ResponseWriter, r *http.Request) bool {
		asked.Add(1)
		<-r.Context().Done()
		return true
	}
	address := silent.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	const pulls = 20
	ended := make(chan error, pulls)
	for i := range pulls {
		go func() {
			_, err := client.RawImages.PullImage(ctx, &cri.PullImageRequest{
				Image: &cri.ImageSpec{Image: fmt.Sprintf("%s/silent:%d", address, i)}})
			ended <- err
		}()
	}
	if err := criclient.Eventually(20*time.Second, func() error {
		if asked.Load() < 4 {
			return fmt.Errorf("it was asked %d times", asked.Load())
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	pull(t, image("layers:latest"), nil)
	removeImage(t, image("layers:latest"))
	if len(ended) > 0 {
		t.Errorf("%d have ended: %v", len(ended), <-ended)
	}
	cancel()
	for range pulls {
		if err := <-ended; err == nil {
			t.Error("a pull from a silent registry has succeeded")
		}
	}
}
