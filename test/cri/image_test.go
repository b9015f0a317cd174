package cri_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func pull(t *testing.T, name string, auth *cri.AuthConfig) string {
	t.Helper()
	answer, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
		Image: &cri.ImageSpec{Image: name}, Auth: auth})
	if err != nil {
		t.Fatalf("PullImage %s: %v", name, err)
	}
	return answer.ImageRef
}

func removeImage(t *testing.T, name string) {
	t.Helper()
	if err := client.Images.RemoveImage(context.Background(), &cri.ImageSpec{Image: name}); err != nil {
		t.Errorf("RemoveImage %s: %v", name, err)
	}
}

func imageStatus(t *testing.T, name string) *cri.Image {
	t.Helper()
	answer, err := client.Images.ImageStatus(t.Context(), &cri.ImageSpec{Image: name}, false)
	if err != nil {
		t.Fatalf("ImageStatus %s: %v", name, err)
	}
	return answer.Image
}

// Every way to store the same files gives the same container.
func TestKindsOfImages(t *testing.T) {
	for _, tag := range []string{"latest", "zstd", "plain", "docker", "index"} {
		t.Run(tag, func(t *testing.T) {
			name := image("busybox:" + tag)
			pull(t, name, nil)
			container := client.RunPod(t, logs).Run(t, "c", name, []string{"cat", "/www/index.html"})
			container.WaitExit(t, 20*time.Second)
			container.WaitLog(t, "hello from the pod\n")
		})
	}
}

func TestLayersAreApplied(t *testing.T) {
	name := image("layers:latest")
	pull(t, name, nil)
	container := client.RunPod(t, logs).Run(t, "c", name, []string{"sleep", "1000"})
	for command, want := range map[string]string{
		"cat /gone/one":                          "gone one again",
		"ls /gone":                               "one\ntwo",
		"ls /opaque":                             "three",
		"cat /kind/was-a-folder":                 "a file now",
		"cat /keep/linked /keep/two":             "keep one\nkeep two",
		"stat -c '%a %u:%g' /keep":               "711 42:43",
		"stat -c '%a %u:%g' /setuid /owned":      "4755 0:1000\n640 1234:5678",
		"stat -c %h /keep/one":                   "2",
		"find / -xdev -name '.wh.*' | grep -c .": "0",
	} {
		out, errout, _ := container.Exec(t, "sh", "-c", command)
		if strings.TrimSpace(out) != want {
			t.Errorf("%s: %q %s; want %q", command, out, errout, want)
		}
	}
}

func TestImageStatusAndRemoval(t *testing.T) {
	name := image("layers:latest")
	ref := pull(t, name, nil)
	got := imageStatus(t, name)
	if got == nil || got.Size == 0 || len(got.RepoTags) != 1 || got.RepoTags[0] != name || len(got.RepoDigests) != 1 {
		t.Fatalf("status by tag: %v", got)
	}
	if ref != got.Id {
		t.Errorf("PullImage answered %s, the id is %s", ref, got.Id)
	}
	for _, other := range []string{got.Id, got.RepoDigests[0]} {
		if again := imageStatus(t, other); again == nil || again.Id != got.Id {
			t.Errorf("status by %s: %v", other, again)
		}
	}
	list, err := client.Images.ListImages(t.Context(), &cri.ImageFilter{})
	found := 0
	for _, one := range list {
		if one.Id == got.Id {
			found++
		}
	}
	if err != nil || found != 1 {
		t.Errorf("it is in the list %d times, %v", found, err)
	}
	for range 2 {
		removeImage(t, name)
	}
	if again := imageStatus(t, name); again != nil {
		t.Errorf("after removal: %v", again)
	}
	if again := imageStatus(t, got.Id); again != nil {
		t.Errorf("after removal, by id: %v", again)
	}
}

func TestPullByDigest(t *testing.T) {
	pull(t, image("layers:latest"), nil)
	digest := imageStatus(t, image("layers:latest")).RepoDigests[0]
	removeImage(t, image("layers:latest"))
	pull(t, digest, nil)
	defer removeImage(t, digest)
	got := imageStatus(t, digest)
	if len(got.RepoTags) != 0 || len(got.RepoDigests) != 1 || got.RepoDigests[0] != digest {
		t.Errorf("tags %v, digests %v", got.RepoTags, got.RepoDigests)
	}
}

func TestAnImageInUseCanBeRemoved(t *testing.T) {
	name := image("layers:latest")
	pull(t, name, nil)
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", name, []string{"sleep", "1000"})
	removeImage(t, name)
	if got := container.Output(t, "cat", "/keep/one"); got != "keep one" {
		t.Errorf("its files: %q", got)
	}
	_, err := pod.TryCreate(t, "late", name, []string{"true"})
	wantCode(t, err, codes.NotFound)
}

func TestImageFsInfo(t *testing.T) {
	answer, err := client.Images.ImageFsInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.ImageFilesystems) == 0 || answer.ImageFilesystems[0].GetFsId().GetMountpoint() == "" {
		t.Errorf("%v", answer)
	}
}

func TestAuthentication(t *testing.T) {
	for where, address := range map[string]string{"basic": *basicAuth, "token": *tokenAuth} {
		t.Run(where, func(t *testing.T) {
			name := address + "/test/layers:latest"
			bad := func(auth *cri.AuthConfig) {
				t.Helper()
				_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
					Image: &cri.ImageSpec{Image: name}, Auth: auth})
				wantCode(t, err, codes.Unauthenticated, codes.PermissionDenied)
				if err != nil && strings.Contains(err.Error(), "wrong-secret") {
					t.Errorf("the password is in the error")
				}
			}
			bad(nil)
			bad(&cri.AuthConfig{Username: "tester", Password: "wrong-secret"})
			pull(t, name, &cri.AuthConfig{Username: "tester", Password: "secret"})
			removeImage(t, name)
			both := base64.StdEncoding.EncodeToString([]byte("tester:secret"))
			pull(t, name, &cri.AuthConfig{Auth: both, ServerAddress: "http://" + address})
			removeImage(t, name)
		})
	}
}

func TestTls(t *testing.T) {
	name := *tlsAddress + "/test/layers:latest"
	pull(t, name, nil)
	removeImage(t, name)
}

func TestAPullThatIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := client.RawImages.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: image("layers:latest")}})
	wantCode(t, err, codes.DeadlineExceeded)
	stillServing(t)
}
