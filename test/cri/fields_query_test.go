package cri_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// Fields of what only asks, and of what is refused; docs/CRI-FIELDS.md names
// them.

func TestStatsByFilter(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	other := pod.Run(t, "other", busybox, []string{"sleep", "1000"})
	for _, one := range []struct {
		name   string
		filter *cri.ContainerStatsFilter
		want   []string
	}{
		{"id", &cri.ContainerStatsFilter{Id: container.ID}, []string{container.ID}},
		{"prefix", &cri.ContainerStatsFilter{Id: other.ID[:13]}, []string{other.ID}},
		{"pod", &cri.ContainerStatsFilter{PodSandboxId: pod.ID}, []string{container.ID, other.ID}},
		{"pod and label", &cri.ContainerStatsFilter{PodSandboxId: pod.ID, LabelSelector: other.Config.Labels}, []string{other.ID}},
		{"another pod", &cri.ContainerStatsFilter{Id: container.ID, PodSandboxId: unknown}, nil},
		{"another label", &cri.ContainerStatsFilter{PodSandboxId: pod.ID, LabelSelector: map[string]string{"x": "y"}}, nil},
	} {
		list, err := client.Runtime.ListContainerStats(t.Context(), one.filter)
		var got []string
		for _, stats := range list {
			got = append(got, stats.Attributes.Id)
		}
		if err != nil || !sameSet(got, one.want) {
			t.Errorf("containers by %s: %v, %v; want %v", one.name, got, err, one.want)
		}
	}
	second := client.RunPod(t, logs)
	for _, one := range []struct {
		name   string
		filter *cri.PodSandboxStatsFilter
		want   []string
	}{
		{"id", &cri.PodSandboxStatsFilter{Id: pod.ID}, []string{pod.ID}},
		{"label", &cri.PodSandboxStatsFilter{LabelSelector: second.Config.Labels}, []string{second.ID}},
		{"id and another label", &cri.PodSandboxStatsFilter{Id: pod.ID, LabelSelector: second.Config.Labels}, nil},
	} {
		list, err := client.Runtime.ListPodSandboxStats(t.Context(), one.filter)
		if status.Code(err) == codes.Unimplemented && peer() {
			t.Skip("Debian's containerd does not have ListPodSandboxStats here")
		}
		var got []string
		for _, stats := range list {
			got = append(got, stats.Attributes.Id)
		}
		if err != nil || !sameSet(got, one.want) {
			t.Errorf("pods by %s: %v, %v; want %v", one.name, got, err, one.want)
		}
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// received is what a stream sends until it ends, as the ids in its messages.
func received[M any](stream grpc.ServerStreamingClient[M], err error, ids func(*M) []string) ([]string, error) {
	var all []string
	for err == nil {
		var message *M
		if message, err = stream.Recv(); err == nil {
			all = append(all, ids(message)...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

// idsOf is the ids of the items of a message.
func idsOf[T any](items []T, id func(T) string) []string {
	var all []string
	for _, item := range items {
		all = append(all, id(item))
	}
	return all
}

func TestListsThatAreStreamedAreFiltered(t *testing.T) {
	if peer() {
		t.Skip("containerd 1.6 streams no lists")
	}
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	other := client.RunPod(t, logs).Run(t, "other", busybox, []string{"sleep", "1000"})
	r, imageID := client.RawRuntime, imageStatus(t, busybox).Id
	for name, ask := range map[string]func(ctx context.Context, pod, container, image string) ([]string, error){
		"pods": func(ctx context.Context, pod, _, _ string) ([]string, error) {
			stream, err := r.StreamPodSandboxes(ctx, &cri.StreamPodSandboxesRequest{Filter: &cri.PodSandboxFilter{Id: pod}})
			return received(stream, err, func(m *cri.StreamPodSandboxesResponse) []string {
				return idsOf(m.PodSandboxes, func(one *cri.PodSandbox) string { return one.Id })
			})
		},
		"containers": func(ctx context.Context, _, container, _ string) ([]string, error) {
			stream, err := r.StreamContainers(ctx, &cri.StreamContainersRequest{Filter: &cri.ContainerFilter{Id: container}})
			return received(stream, err, func(m *cri.StreamContainersResponse) []string {
				return idsOf(m.Containers, func(one *cri.Container) string { return one.Id })
			})
		},
		"statistics of containers": func(ctx context.Context, _, container, _ string) ([]string, error) {
			stream, err := r.StreamContainerStats(ctx, &cri.StreamContainerStatsRequest{
				Filter: &cri.ContainerStatsFilter{Id: container}})
			return received(stream, err, func(m *cri.StreamContainerStatsResponse) []string {
				return idsOf(m.ContainerStats, func(one *cri.ContainerStats) string { return one.Attributes.Id })
			})
		},
		"statistics of pods": func(ctx context.Context, pod, _, _ string) ([]string, error) {
			stream, err := r.StreamPodSandboxStats(ctx, &cri.StreamPodSandboxStatsRequest{
				Filter: &cri.PodSandboxStatsFilter{Id: pod}})
			return received(stream, err, func(m *cri.StreamPodSandboxStatsResponse) []string {
				return idsOf(m.PodSandboxStats, func(one *cri.PodSandboxStats) string { return one.Attributes.Id })
			})
		},
		"images": func(ctx context.Context, _, _, image string) ([]string, error) {
			stream, err := client.RawImages.StreamImages(ctx, &cri.StreamImagesRequest{
				Filter: &cri.ImageFilter{Image: &cri.ImageSpec{Image: image}}})
			return received(stream, err, func(m *cri.StreamImagesResponse) []string {
				return idsOf(m.Images, func(one *cri.Image) string { return one.Id })
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t.Context(), pod.ID, container.ID, busybox)
			if err != nil || len(got) != 1 || !slices.Contains([]string{pod.ID, container.ID, imageID}, got[0]) {
				t.Errorf("by name: %v, %v", got, err)
			}
			got, err = ask(t.Context(), unknown, unknown, "no.such/image:latest")
			if err != nil || len(got) != 0 {
				t.Errorf("by a name of nothing: %v, %v", got, err)
			}
			if name == "images" {
				return
			}
			got, err = ask(t.Context(), "", "", "")
			both := []string{pod.ID, other.Pod.ID}
			if strings.HasSuffix(name, "containers") {
				both = []string{container.ID, other.ID}
			}
			for _, id := range both {
				if err != nil || !slices.Contains(got, id) {
					t.Errorf("without a filter: %v, %v; no %s", got, err, id)
				}
			}
		})
	}
}

func TestImagesByName(t *testing.T) {
	want := imageStatus(t, busybox)
	for name, found := range map[string]bool{busybox: true, want.Id: true, image("nothing:latest"): false} {
		list, err := client.Images.ListImages(t.Context(), &cri.ImageFilter{Image: &cri.ImageSpec{Image: name}})
		if peer() && err == nil && len(list) > 0 {
			continue // containerd 1.6 gives all images, whatever is asked
		}
		if err != nil || (len(list) == 1) != found || len(list) > 1 || found && list[0].Id != want.Id {
			t.Errorf("by %s: %v, %v", name, list, err)
		}
	}
}

func TestInfoIsForWhoAsksForIt(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Create(t, "c", busybox, []string{"true"})
	ctx, r := t.Context(), client.RawRuntime
	for name, ask := range map[string]func(verbose bool) (map[string]string, error){
		"Status": func(verbose bool) (map[string]string, error) {
			answer, err := r.Status(ctx, &cri.StatusRequest{Verbose: verbose})
			return answer.GetInfo(), err
		},
		"PodSandboxStatus": func(verbose bool) (map[string]string, error) {
			answer, err := r.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: pod.ID, Verbose: verbose})
			return answer.GetInfo(), err
		},
		"ContainerStatus": func(verbose bool) (map[string]string, error) {
			answer, err := r.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: container.ID, Verbose: verbose})
			return answer.GetInfo(), err
		},
		"ImageStatus": func(verbose bool) (map[string]string, error) {
			answer, err := client.RawImages.ImageStatus(ctx, &cri.ImageStatusRequest{
				Image: &cri.ImageSpec{Image: busybox}, Verbose: verbose})
			return answer.GetInfo(), err
		},
	} {
		for _, verbose := range []bool{false, true} {
			info, err := ask(verbose)
			if err != nil || (len(info) > 0) != verbose {
				t.Errorf("%s, verbose %v: %v, %v", name, verbose, info, err)
			}
		}
	}
}

// What can never work here is refused by name, and not passed over.
func TestWhatIsRefused(t *testing.T) {
	pod := client.RunPod(t, logs)
	container := pod.Run(t, "c", busybox, []string{"sleep", "1000"})
	ctx, r := t.Context(), client.RawRuntime
	folder := t.TempDir()
	for _, one := range []struct {
		name, field string
		call        func() error
		ignored     bool // by containerd 1.6
	}{
		{name: "checkpoint of a container", field: "CheckpointContainer", call: func() error {
			_, err := r.CheckpointContainer(ctx, &cri.CheckpointContainerRequest{
				ContainerId: container.ID, Location: folder + "/c.tar", Timeout: 10})
			return err
		}},
		{name: "checkpoint of a pod", field: "CheckpointPod", call: func() error {
			_, err := r.CheckpointPod(ctx, &cri.CheckpointPodRequest{PodSandboxId: pod.ID, OutputPath: folder,
				ContainerIds: []string{container.ID}, Options: map[string]string{"a": "b"}})
			return err
		}},
		{name: "restoring a pod", field: "RestorePod", call: func() error {
			_, err := r.RestorePod(ctx, &cri.RestorePodRequest{CheckpointPath: folder, Config: pod.Config,
				ContainerConfigs: []*cri.ContainerConfig{container.Config}})
			return err
		}},
		{name: "a pod of Windows", field: "config.windows", ignored: true, call: func() error {
			config := &cri.PodSandboxConfig{Metadata: &cri.PodSandboxMetadata{Name: "w", Namespace: "w", Uid: "w"},
				Windows: &cri.WindowsPodSandboxConfig{}}
			_, err := r.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
			return err
		}},
		{name: "a container of Windows", field: "config.windows", ignored: true, call: func() error {
			config := pod.ContainerConfig("w", busybox, []string{"true"})
			config.Windows = &cri.WindowsContainerConfig{}
			_, err := r.CreateContainer(ctx, &cri.CreateContainerRequest{
				PodSandboxId: pod.ID, Config: config, SandboxConfig: pod.Config})
			return err
		}},
		{name: "limits of Windows", field: "windows", ignored: true, call: func() error {
			_, err := r.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{
				ContainerId: container.ID, Windows: &cri.WindowsContainerResources{CpuShares: 1}})
			return err
		}},
		{name: "limits by annotations", field: "annotations", ignored: true, call: func() error {
			_, err := r.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{ContainerId: container.ID,
				Linux: &cri.LinuxContainerResources{}, Annotations: map[string]string{"a": "b"}})
			return err
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.ignored && peer() {
				t.Skip("containerd 1.6 does not look at it")
			}
			err := one.call()
			wantCode(t, err, codes.Unimplemented)
			if err != nil && !peer() && !strings.Contains(err.Error(), one.field) {
				t.Errorf("%s is not named: %v", one.field, err)
			}
		})
	}
}

func TestImagesOfAHandler(t *testing.T) {
	_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
		Image: &cri.ImageSpec{Image: busybox, RuntimeHandler: *handler}})
	if err != nil {
		t.Errorf("of the pods' handler: %v", err)
	}
	if peer() {
		t.Skip("containerd 1.6 does not know the field")
	}
	_, err = client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
		Image: &cri.ImageSpec{Image: busybox, RuntimeHandler: "no-such-handler"}})
	wantCode(t, err, codes.InvalidArgument)
}

// guarded is a registry whose manifests are for a bearer of one token. /token
// gives it for a refresh token.
func guarded(t *testing.T, refresh string) (name string) {
	t.Helper()
	const token = "the-token"
	registry := newMemoryRegistry()
	registry.image("1", nil, layer(map[string]string{"f": refresh + t.Name()}))
	registry.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			if r.ParseForm(); refresh == "" || r.Form.Get("refresh_token") != refresh {
				http.Error(w, "{}", http.StatusUnauthorized)
				return true
			}
			fmt.Fprintf(w, `{"token": %q, "access_token": %q, "expires_in": 300}`, token, token)
			return true
		}
		if r.Header.Get("Authorization") == "Bearer "+token {
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
		http.Error(w, "{}", http.StatusUnauthorized)
		return true
	}
	return registry.serve(t) + "/guarded:1"
}

func TestTokensOfAClient(t *testing.T) {
	for _, one := range []struct {
		name        string
		right, bad  *cri.AuthConfig
		unsupported bool // by containerd 1.6
	}{
		{name: "identity_token", right: &cri.AuthConfig{IdentityToken: "refresh"}, bad: &cri.AuthConfig{IdentityToken: "x"}},
		{name: "registry_token", right: &cri.AuthConfig{RegistryToken: "the-token"}, bad: &cri.AuthConfig{RegistryToken: "x"},
			unsupported: true},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.unsupported && peer() {
				t.Skip("containerd 1.6 does not know the field")
			}
			name := guarded(t, "refresh")
			_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
				Image: &cri.ImageSpec{Image: name}, Auth: one.bad})
			wantCode(t, err, codes.Unauthenticated, codes.PermissionDenied)
			pull(t, name, one.right)
			removeImage(t, name)
		})
	}
}

func TestSecurityProfilesBehindAPassword(t *testing.T) {
	needs138(t)
	registry := newMemoryRegistry()
	registry.before = func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "tester" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, "{}", http.StatusUnauthorized)
		return true
	}
	name := profile(registry, registry.serve(t), denies("mkdir"))
	_, digest, _ := strings.Cut(name, "@")
	defer func() {
		if _, err := call(t, "RemoveSecurityProfile", fields{}.text(1, digest)); err != nil {
			t.Error(err)
		}
	}()
	if _, err := pullProfile(t, name); err == nil {
		t.Error("it came without a password")
	}
	_, err := call(t, "PullSecurityProfile", fields{}.message(1, fields{}.text(1, name)).
		message(2, fields{}.text(1, "tester").text(2, "secret")).number(4, 1))
	if err != nil {
		t.Error(err)
	}
	if _, there := listProfiles(t)[digest]; !there {
		t.Error("it is not listed")
	}
}

func TestSecretsAreForTheServerTheyName(t *testing.T) {
	name := *basicAuth + "/test/layers:latest"
	secret := &cri.AuthConfig{Username: "tester", Password: "secret", ServerAddress: "http://elsewhere.test"}
	_, err := client.RawImages.PullImage(t.Context(), &cri.PullImageRequest{
		Image: &cri.ImageSpec{Image: name}, Auth: secret})
	wantCode(t, err, codes.Unauthenticated, codes.PermissionDenied)
	secret.ServerAddress = "http://" + *basicAuth
	pull(t, name, secret)
	removeImage(t, name)
}

// The ports of the request are for clients without a word for them: the old
// protocol of port-forward on a websocket, with two channels for each port.
func TestPortForwardToThePortsOfTheRequest(t *testing.T) {
	pod := client.RunPod(t, logs)
	ports := []int32{7071, 7070}
	script := `serve() { nc -ll -p $1 -e sh -c 'while read line; do echo "to-'$1'-$line"; done'; }; serve 7070 & serve 7071`
	container := pod.Run(t, "echo", busybox, []string{"sh", "-c", script})
	err := criclient.Eventually(20*time.Second, func() error {
		if out := container.Output(t, "netstat", "-ltn"); !strings.Contains(out, ":7070 ") || !strings.Contains(out, ":7071 ") {
			return fmt.Errorf("nobody listens:\n%s", out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.RawRuntime.PortForward(t.Context(), &cri.PortForwardRequest{PodSandboxId: pod.ID, Port: ports})
	if err != nil {
		t.Fatal(err)
	}
	address := parsed(t, answer.Url)
	address.Scheme = "ws"
	dialer := websocket.Dialer{Subprotocols: []string{"v4.channel.k8s.io"}, HandshakeTimeout: 20 * time.Second}
	conn, _, err := dialer.DialContext(t.Context(), address.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for n := range ports {
		if err := conn.WriteMessage(websocket.BinaryMessage, append([]byte{byte(2 * n)}, "hello\n"...)); err != nil {
			t.Fatal(err)
		}
	}
	// The first bytes of a channel are the number of its port.
	heard := map[byte]string{}
	for n := range ports {
		number := string(binary.LittleEndian.AppendUint16(nil, uint16(ports[n])))
		for want := fmt.Sprintf("%sto-%d-hello\n", number, ports[n]); heard[byte(2*n)] != want; {
			_, data, err := conn.ReadMessage()
			if err != nil {
				t.Fatalf("%v; heard %q, want %q", err, heard, want)
			}
			if len(data) > 0 {
				heard[data[0]] += string(data[1:])
			}
		}
	}
}
