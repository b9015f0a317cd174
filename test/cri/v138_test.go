package cri_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// What Kubernetes 1.38 adds to the interface, which the client library of 1.37
// does not know: fields by their numbers, calls by their names.

// fields is a message, or a part of one, as it is on the wire.
type fields []byte

func (f fields) text(number protowire.Number, value string) fields {
	return protowire.AppendString(protowire.AppendTag(f, number, protowire.BytesType), value)
}

func (f fields) number(number protowire.Number, value uint64) fields {
	return protowire.AppendVarint(protowire.AppendTag(f, number, protowire.VarintType), value)
}

func (f fields) message(number protowire.Number, inner fields) fields {
	return protowire.AppendBytes(protowire.AppendTag(f, number, protowire.BytesType), inner)
}

// get is what a field holds that has bytes; all of it, if it is repeated.
func (f fields) get(number protowire.Number) (all []fields) {
	for rest := []byte(f); len(rest) > 0; {
		at, kind, length := protowire.ConsumeTag(rest)
		if length < 0 {
			return all
		}
		rest = rest[length:]
		if at == number && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(rest)
			all = append(all, value)
		}
		size := protowire.ConsumeFieldValue(at, kind, rest)
		if size < 0 {
			return all
		}
		rest = rest[size:]
	}
	return all
}

// is is whether a field of a number or of a truth value holds that.
func (f fields) is(number protowire.Number, value uint64) bool {
	for rest := []byte(f); len(rest) > 0; {
		at, kind, length := protowire.ConsumeTag(rest)
		if length < 0 {
			return false
		}
		rest = rest[length:]
		if at == number && kind == protowire.VarintType {
			got, _ := protowire.ConsumeVarint(rest)
			return got == value
		}
		size := protowire.ConsumeFieldValue(at, kind, rest)
		if size < 0 {
			return false
		}
		rest = rest[size:]
	}
	return value == 0
}

func add(message proto.Message, more fields) {
	all := message.ProtoReflect()
	all.SetUnknown(append(all.GetUnknown(), more...))
}

func unknownOf(message proto.Message) fields { return fields(message.ProtoReflect().GetUnknown()) }

func needs138(t *testing.T) {
	t.Helper()
	if peer() {
		t.Skip("no released runtime serves the interface of Kubernetes 1.38")
	}
}

// Numbers of SecurityProfile and of the requests.
const (
	ociType       = 3
	ociRef        = 3
	baseProfile   = 4
	baseLocalhost = 1
)

// In clean-ups too, when the test's context has ended.
func call(t *testing.T, method string, request fields) (fields, error) {
	t.Helper()
	return client.Invoke(context.WithoutCancel(t.Context()), "/runtime.v1.ImageService/"+method, request)
}

// profile puts a seccomp profile into a registry, and gives its name there.
func profile(m *memoryRegistry, address, json string) string {
	manifest := m.putJSON(manifestType, map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        m.put("application/vnd.cncf.seccomp-profile.config.v1+json", []byte("{}")),
		"layers":        []descriptor{m.put("application/vnd.oci.image.layer.v1.tar", []byte(json))},
	})
	return address + "/profiles/p@" + manifest.Digest
}

func pullProfile(t *testing.T, name string) (cached bool, err error) {
	t.Helper()
	answer, err := call(t, "PullSecurityProfile",
		fields{}.message(1, fields{}.text(1, name).text(18, name)).number(4, 1))
	return answer.is(1, 1), err
}

func listProfiles(t *testing.T) map[string][]string {
	t.Helper()
	answer, err := call(t, "ListSecurityProfiles", nil)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string][]string{}
	for _, info := range answer.get(1) {
		digest := string(info.get(1)[0])
		for _, name := range info.get(2) {
			list[digest] = append(list[digest], string(name))
		}
		if info.is(3, 0) {
			t.Errorf("profile %s has no size", digest)
		}
	}
	return list
}

// byProfile asks for a profile of a registry.
func byProfile(name string, base fields) func(*cri.ContainerConfig) {
	return func(config *cri.ContainerConfig) {
		seccomp := &cri.SecurityProfile{ProfileType: ociType}
		more := fields{}.text(ociRef, name)
		if base != nil {
			more = more.message(baseProfile, base)
		}
		add(seccomp, more)
		config.Linux.SecurityContext.Seccomp = seccomp
	}
}

// denies is a profile that permits all but some calls.
func denies(calls ...string) string {
	return fmt.Sprintf(`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
		[{"names": ["%s"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}`, strings.Join(calls, `", "`))
}

func TestSecurityProfilesFromARegistry(t *testing.T) {
	needs138(t)
	m := newMemoryRegistry()
	address := m.serve(t)
	name := profile(m, address, denies("mkdir", "mkdirat"))
	digest := name[strings.Index(name, "@")+1:]
	pod := client.RunPod(t, logs)
	command := []string{"sleep", "1000"}

	_, err := pod.TryCreate(t, "early", busybox, command, byProfile(name, nil))
	wantCode(t, err, codes.FailedPrecondition)
	if cached, err := pullProfile(t, name); err != nil || cached {
		t.Fatalf("the first pull: cached %v, %v", cached, err)
	}
	t.Cleanup(func() { call(t, "RemoveSecurityProfile", fields{}.text(1, digest)) })
	m.mutex.Lock()
	m.before = func(http.ResponseWriter, *http.Request) bool {
		t.Errorf("the registry is asked again")
		return false
	}
	m.mutex.Unlock()
	other := strings.Replace(name, "/profiles/p", "/elsewhere/p", 1)
	for _, one := range []string{name, other} {
		if cached, err := pullProfile(t, one); err != nil || !cached {
			t.Errorf("pull %s again: cached %v, %v", one, cached, err)
		}
	}
	if got := listProfiles(t)[digest]; len(got) != 2 || got[0] != name || got[1] != other {
		t.Errorf("its names: %q", got)
	}
	images, err := client.Images.ListImages(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range images {
		if strings.Contains(one.String(), digest) {
			t.Errorf("the profile is an image: %v", one)
		}
	}

	// It forbids what it says, and its base what that says.
	container := pod.Run(t, "c", busybox, command, byProfile(name, nil))
	if out, errout, code := container.Exec(t, "mkdir", "/tmp/x"); code == 0 || !strings.Contains(errout, "No space left") {
		t.Errorf("mkdir: %d, %q %q", code, out, errout)
	}
	if _, errout, code := container.Exec(t, "touch", "/tmp/x"); code != 0 {
		t.Errorf("touch: %s", errout)
	}
	if _, errout, code := container.Exec(t, "unshare", "-U", "true"); code == 0 {
		t.Errorf("the default profile does not hold: %s", errout)
	}
	base := filepath.Join(t.TempDir(), "base.json")
	if err := os.WriteFile(base, []byte(denies("chmod", "fchmodat", "fchmodat2")), 0o644); err != nil {
		t.Fatal(err)
	}
	local := pod.Run(t, "local", busybox, command,
		byProfile(name, fields{}.number(1, baseLocalhost).text(2, base)))
	for _, one := range [][]string{{"mkdir", "/tmp/y"}, {"chmod", "700", "/tmp"}} {
		if _, errout, code := local.Exec(t, one...); code == 0 || !strings.Contains(errout, "No space left") {
			t.Errorf("%v: %d, %q", one, code, errout)
		}
	}

	if _, err := call(t, "RemoveSecurityProfile", fields{}.text(1, digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, "RemoveSecurityProfile", fields{}.text(1, digest)); err != nil {
		t.Errorf("remove again: %v", err)
	}
	if got := listProfiles(t)[digest]; got != nil {
		t.Errorf("it is still listed: %q", got)
	}
	if out := container.Output(t, "echo", "fine"); out != "fine" {
		t.Errorf("a container that has it: %q", out)
	}
	_, err = pod.TryCreate(t, "late", busybox, command, byProfile(name, nil))
	wantCode(t, err, codes.FailedPrecondition)
}

// A profile is one by its digest, but a silent registry has it for nobody.
func TestASecurityProfileFromASilentRegistry(t *testing.T) {
	needs138(t)
	silent, well := newMemoryRegistry(), newMemoryRegistry()
	asked := make(chan struct{}, 16)
	silent.before = func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	}
	json := denies("mknodat")
	slow := profile(silent, silent.serve(t), json)
	name := profile(well, well.serve(t), json)
	digest := name[strings.Index(name, "@")+1:]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Invoke(ctx, "/runtime.v1.ImageService/PullSecurityProfile",
			fields{}.message(1, fields{}.text(1, slow).text(18, slow)).number(4, 1))
		ended <- err
	}()
	<-asked
	if cached, err := pullProfile(t, name); err != nil || cached {
		t.Errorf("from the registry that answers: cached %v, %v", cached, err)
	}
	if len(ended) > 0 {
		t.Errorf("it waited for the silent one, which ended first: %v", <-ended)
		ended <- errors.New("told already")
	}
	t.Cleanup(func() { call(t, "RemoveSecurityProfile", fields{}.text(1, digest)) })
	cancel()
	if err := <-ended; err == nil {
		t.Error("the pull from the silent registry has succeeded")
	}
	if got := listProfiles(t)[digest]; len(got) != 1 || got[0] != name {
		t.Errorf("its names: %q", got)
	}
}

func TestSecurityProfilesThatAreNone(t *testing.T) {
	needs138(t)
	m := newMemoryRegistry()
	address := m.serve(t)
	good := profile(m, address, denies("mkdir"))
	begins := func(name, word string) {
		t.Helper()
		_, err := pullProfile(t, name)
		if err == nil || !strings.HasPrefix(status.Convert(err).Message(), word) {
			t.Errorf("pull %s: %v; want %s", name, err, word)
		}
	}
	begins(strings.Split(good, "@")[0]+":latest", "SecurityProfileInvalid")
	begins(profile(m, address, "this is not JSON"), "SecurityProfileInvalid")
	begins(profile(m, address, `{"defaultAction": 5}`), "SecurityProfileInvalid")
	begins(address+"/an/image@"+m.image("v1", map[string]any{},
		layer(map[string]string{"a": "1"}), layer(map[string]string{"b": "2"})).Digest, "SecurityProfileInvalid")
	begins("127.0.0.1:1/p@"+good[strings.Index(good, "@")+1:], "RegistryUnavailable")
	_, err := call(t, "PullSecurityProfile", fields{}.message(1, fields{}.text(1, good)))
	wantCode(t, err, codes.InvalidArgument) // no kind
	if list := listProfiles(t); len(list) != 0 {
		t.Errorf("there are profiles: %v", list)
	}

	pod := client.RunPod(t, logs)
	for what, edit := range map[string]func(*cri.ContainerConfig){
		"no reference": byProfile("", nil),
		"another type": func(config *cri.ContainerConfig) {
			add(config.Linux.SecurityContext.Seccomp, fields{}.text(ociRef, good))
		},
		"AppArmor": func(config *cri.ContainerConfig) {
			config.Linux.SecurityContext.Apparmor = &cri.SecurityProfile{ProfileType: ociType}
			add(config.Linux.SecurityContext.Apparmor, fields{}.text(ociRef, good))
		},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := pod.TryCreate(t, "c", busybox, []string{"true"}, edit)
			wantCode(t, err, codes.InvalidArgument)
		})
	}
}

// cgroupNamespace is NamespaceOption.cgroupns_options with a mode.
func cgroupNamespace(mode cri.NamespaceMode) fields {
	return fields{}.message(6, fields{}.number(1, uint64(mode)))
}

func TestCgroupNamespaces(t *testing.T) {
	needs138(t)
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.Privileged = true
	})
	own, err := os.Readlink("/proc/self/ns/cgroup")
	if err != nil {
		t.Skip("the kernel has no cgroup namespaces")
	}
	for _, privileged := range []bool{false, true} {
		for mode, good := range map[cri.NamespaceMode]bool{
			cri.NamespaceMode_POD: false, cri.NamespaceMode_TARGET: false,
			cri.NamespaceMode_CONTAINER: true, cri.NamespaceMode_NODE: true,
		} {
			t.Run(fmt.Sprintf("%v privileged %v", mode, privileged), func(t *testing.T) {
				container, err := pod.TryCreate(t, fmt.Sprintf("c-%d-%v", mode, privileged), busybox,
					[]string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
						context := config.Linux.SecurityContext
						context.Privileged = privileged
						context.NamespaceOptions = proto.Clone(context.NamespaceOptions).(*cri.NamespaceOption)
						add(context.NamespaceOptions, cgroupNamespace(mode))
					})
				if !good {
					wantCode(t, err, codes.InvalidArgument)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				container.Start(t)
				namespace := container.Output(t, "readlink", "/proc/self/ns/cgroup")
				if (namespace == own) != (mode == cri.NamespaceMode_NODE) {
					t.Errorf("its namespace is %s, the host's %s", namespace, own)
				}
			})
		}
	}
	config := criclient.PodConfig(t, logs)
	add(config.Linux.SecurityContext.NamespaceOptions, cgroupNamespace(cri.NamespaceMode_CONTAINER))
	_, err = client.Runtime.RunPodSandbox(t.Context(), config, *handler)
	wantCode(t, err, codes.InvalidArgument)
}

func TestCgroupMountModes(t *testing.T) {
	needs138(t)
	const readOnly, readWrite = 1, 2
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		config.Linux.SecurityContext.Privileged = true
	})
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	delegates := false
	for _, line := range strings.Split(string(mounts), "\n") {
		delegates = delegates || strings.Contains(line, " /sys/fs/cgroup ") &&
			strings.Contains(line, " - cgroup2 ") && strings.Contains(line, "nsdelegate")
	}
	for _, one := range []struct {
		name       string
		mode       uint64
		privileged bool
		host       bool // in its cgroup namespace
		want       codes.Code
	}{
		{name: "read only", mode: readOnly},
		{name: "read only, privileged", mode: readOnly, privileged: true, want: codes.InvalidArgument},
		{name: "read and write", mode: readWrite},
		{name: "read and write, of the host", mode: readWrite, host: true, want: codes.InvalidArgument},
		{name: "unknown", mode: 7, want: codes.InvalidArgument},
	} {
		t.Run(one.name, func(t *testing.T) {
			want := one.want
			if one.mode == readWrite && want == codes.OK && !delegates {
				want = codes.Unimplemented
			}
			container, err := pod.TryCreate(t, strings.ReplaceAll(one.name, " ", "-"), busybox,
				[]string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
					context := config.Linux.SecurityContext
					context.Privileged = one.privileged
					add(context, fields{}.number(18, one.mode))
					if one.host {
						context.NamespaceOptions = proto.Clone(context.NamespaceOptions).(*cri.NamespaceOption)
						add(context.NamespaceOptions, cgroupNamespace(cri.NamespaceMode_NODE))
					}
				})
			if want != codes.OK {
				wantCode(t, err, want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			container.Start(t)
			line := container.Output(t, "sh", "-c", "grep ' /sys/fs/cgroup ' /proc/self/mounts")
			if strings.Contains(line, " rw,") != (one.mode == readWrite) {
				t.Errorf("its mount: %s", line)
			}
		})
	}
}

func TestFeaturesOf138(t *testing.T) {
	needs138(t)
	answer, err := client.RawRuntime.Status(t.Context(), &cri.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	features := unknownOf(answer.Features)
	if !features.is(4, 1) || !features.is(5, 1) {
		t.Errorf("features: %v", answer.Features)
	}
	for _, one := range answer.RuntimeHandlers {
		if !unknownOf(one.Features).is(3, 1) {
			t.Errorf("handler %q: %v", one.Name, one.Features)
		}
	}
}
