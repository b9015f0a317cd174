package cri_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// CVE-2024-5154, CVE-2025-24965: the image says where the places lead in which
// a container gets files: /etc/hosts, /etc/mtab, mounts of its own, a log.
func TestPlacedFilesLeadNowhereOutside(t *testing.T) {
	if peer() {
		t.Skip("runc 1.1 has CVE-2026-41579: it makes links and devices in the host's folder")
	}
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "file"), []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 16) + host[1:]
	targets := map[string]string{"absolute": host, "relative": up, "magic": "/proc/1/root" + host}
	for name, target := range targets {
		for _, kind := range []string{"folders", "files"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				defer stillServing(t)
				reference := hostileImage(t, "place-"+kind+"-"+name, map[string]any{}, func(m *imageMaker) {
					if kind == "folders" {
						// Over those of busybox's.
						for _, place := range []string{"etc", "dev", "given", "run"} {
							m.link(place, target)
						}
						return
					}
					m.folder("etc")
					m.folder("dev")
					for _, place := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab",
						"dev/termination-log", "dev/null", "dev/ptmx", "dev/shm", "dev/console", "given"} {
						m.link(place, target+"/file")
					}
				})
				pod := client.RunPod(t, logs)
				container, err := pod.TryCreate(t, "c", reference, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
					config.Mounts = []*cri.Mount{
						{HostPath: t.TempDir(), ContainerPath: "/given/deep"},
						{HostPath: logFile(t), ContainerPath: "/dev/termination-log"},
						{HostPath: logFile(t), ContainerPath: "/etc/hosts"}}
					if kind == "files" {
						config.Mounts[0].ContainerPath = "/given"
					}
				})
				if err == nil {
					err = client.Runtime.StartContainer(t.Context(), container.ID)
				}
				t.Logf("start: %v", err)
				if err == nil {
					container.Exec(t, "sh", "-c", "for f in /etc/* /dev/* /given; do echo theirs > $f; done; touch /etc/new")
				}
				pod.Remove(t)
				if data, err := os.ReadFile(filepath.Join(host, "file")); err != nil || string(data) != "mine\n" {
					t.Errorf("the host's file: %q, %v", data, err)
				}
				if entries, _ := os.ReadDir(host); len(entries) != 1 {
					t.Errorf("the host's folder: %v", entries)
				}
			})
		}
	}
}

func logFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// CVE-2024-3154: annotations come from whoever may make a pod. None reaches the
// runtime under a name that other runtimes obey.
func TestAnnotationsHaveNoPower(t *testing.T) {
	folder := t.TempDir()
	touch := fmt.Sprintf("/bin/touch %s/made", folder)
	annotations := map[string]string{}
	for _, key := range []string{
		"org.systemd.property.ExecStartPre", "org.systemd.property.ExecStopPost", "org.systemd.property.TimeoutStopUSec",
		"run.oci.handler", "run.oci.hooks.stderr", "run.oci.keep_original_groups", "run.oci.systemd.subgroup",
		"run.oci.delegate-cgroup", "io.kubernetes.cri-o.Devices", "io.kubernetes.cri-o.UnifiedCgroup.c",
		"io.kubernetes.cri-o.userns-mode", "io.kubernetes.cri-o.umask", "io.kubernetes.cri-o.ShmSize",
		"module.wasm.image/variant", "io.katacontainers.config.hypervisor.path", "dev.gvisor.spec.mount.a.source",
		"seccomp.security.alpha.kubernetes.io/pod", "container.apparmor.security.beta.kubernetes.io/c",
	} {
		annotations[key] = touch
	}
	pod := client.RunPod(t, logs, func(config *cri.PodSandboxConfig) {
		for key, value := range annotations {
			config.Annotations[key] = value
		}
	})
	var container *criclient.Container
	for _, name := range []string{"c", "other"} {
		container = pod.Run(t, name, busybox, []string{"sleep", "1000"}, func(config *cri.ContainerConfig) {
			config.Annotations = annotations
		})
	}
	// They are kept for those who ask.
	if got := container.Status(t).Annotations; got["run.oci.handler"] != touch {
		t.Errorf("told: %v", got)
	}
	if made, _ := os.ReadDir(folder); len(made) != 0 {
		t.Errorf("made: %v", made)
	}
	if peer() {
		return
	}
	for key, value := range annotationsOf(t, container) {
		if value == touch || annotations[key] != "" {
			t.Errorf("config.json has the annotation %s", key)
		}
	}
}

// CVE-2022-0811: what stands behind a sysctl's value is no other sysctl.
func TestASysctlIsOneValue(t *testing.T) {
	const pattern = "/proc/sys/kernel/core_pattern"
	before, err := os.ReadFile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel.shm_rmid_forced", "net.ipv4.ip_forward"} {
		for _, separator := range []string{"+", "\n", " ", ",", "\x00"} {
			config := criclient.PodConfig(t, logs)
			config.Linux.Sysctls = map[string]string{name: "1" + separator + "kernel.core_pattern=|/bin/x"}
			id, err := client.Runtime.RunPodSandbox(t.Context(), config, "")
			if err == nil {
				(&criclient.Pod{Client: client, ID: id, Config: config}).Remove(t)
				if !peer() { // runc takes what the kernel has read of it
					t.Errorf("%s with %q was taken", name, separator)
				}
			} else if !peer() {
				wantCode(t, err, codes.InvalidArgument)
			}
			criclient.RemoveCgroup(config.Linux.CgroupParent)
			if after, err := os.ReadFile(pattern); err != nil || string(after) != string(before) {
				t.Fatalf("%s is %q, %v", pattern, after, err)
			}
		}
	}
}

// CVE-2023-25153: an archive whose documents never end.
func TestAnArchiveOfEndlessDocuments(t *testing.T) {
	if peer() {
		t.Skip("containerd imports by another call")
	}
	size := int64(rounds(128, 1024)) << 20
	documents := map[string]func(*imageMaker){
		"index.json": func(m *imageMaker) {
			m.file("oci-layout", 0o644, []byte(`{"imageLayoutVersion": "1.0.0"}`))
		},
		"manifest.json": func(*imageMaker) {},
		"config.json": func(m *imageMaker) {
			m.file("manifest.json", 0o644, []byte(`[{"Config": "config.json", "RepoTags": ["x/y:1"], "Layers": []}]`))
		},
	}
	for name, before := range documents {
		for _, begin := range []string{"", "[", "{\"a\":"} {
			t.Run(name+begin, func(t *testing.T) {
				defer stillServing(t)
				path := filepath.Join(t.TempDir(), "image.tar.gz")
				writeLayer(t, path, func(m *imageMaker) {
					before(m)
					m.endlessLines(name, begin+" ", size)
				})
				peak := forgetPeak(t)
				wantCode(t, importImages(t, path), codes.ResourceExhausted, codes.FailedPrecondition)
				if more := peakMemory(t) - peak; more > 48<<20 {
					t.Errorf("the daemon took %d MiB", more>>20)
				}
			})
		}
	}
}
