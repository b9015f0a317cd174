package recovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"berth/test/support/criclient"
)

// Addresses that outlive a boot are given back by what the database says.
func TestAddressesComeBackAfterAReboot(t *testing.T) {
	n := newNode(t, "")
	pods := n.pods(3)
	if left := n.leases(); len(left) != 3 {
		t.Fatalf("addresses: %v", left)
	}
	n.kill()
	n.reboot()
	n.start("")
	err := criclient.Eventually(time.Minute, func() error {
		if left := n.leases(); len(left) != 0 {
			return fmt.Errorf("addresses are not given back: %v", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, pod := range pods {
		pod.Client = n.client
		pod.Remove(t)
	}
	criclient.RemoveCgroup("/test-pods")
	n.forgetReboot()
	n.clean()
}

// A plugin whose program is gone is no pod that is gone.
func TestAPluginThatIsGone(t *testing.T) {
	n := newNode(t, "")
	pod := n.pods(1)[0]
	program := filepath.Join(n.dir, "cni-bin/cni_fault.sh")
	if err := os.Rename(program, program+".away"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := n.client.RawRuntime.StopPodSandbox(t.Context(), &cri.StopPodSandboxRequest{PodSandboxId: pod.ID})
		if code := status.Code(err); code != codes.Unavailable && code != codes.FailedPrecondition {
			t.Errorf("stop: %v", err)
		}
	}
	if state := pod.Status(t).State; state != cri.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("the pod is %v", state)
	}
	if err := os.Rename(program+".away", program); err != nil {
		t.Fatal(err)
	}
	pod.Remove(t)
	if left := n.leases(); len(left) != 0 {
		t.Errorf("addresses are left: %v", left)
	}
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// What never had a network is not held for it.
func TestAPodThatNeverHadANetwork(t *testing.T) {
	n := newNode(t, "")
	n.order("fail-add fail-del")
	config := criclient.PodConfig(t, n.dir+".logs")
	if _, err := n.client.Runtime.RunPodSandbox(t.Context(), config, *handler); err == nil {
		t.Error("it was started")
	}
	list, err := n.client.Runtime.ListPodSandbox(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		(&criclient.Pod{Client: n.client, ID: one.Id, Config: config}).Remove(t)
	}
	criclient.RemoveCgroup(config.Linux.CgroupParent)
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}

// Programs that berthd runs have no descriptor of it.
func TestPluginsGetNoDescriptors(t *testing.T) {
	n := newNode(t, "")
	found := filepath.Join(n.dir, "descriptors")
	plugin := `#!/usr/bin/env python3
import json, os, sys
wanted = json.load(sys.stdin)
if os.environ["CNI_COMMAND"] == "ADD":
    with open("` + found + `", "w") as out:
        for fd in os.listdir("/proc/self/fd"):
            if int(fd) > 2 and os.path.exists("/proc/self/fd/" + fd):
                to = os.readlink("/proc/self/fd/" + fd)
                if to != "` + found + `":
                    out.write(fd + " " + to + "\n")
    json.dump({"cniVersion": wanted["cniVersion"], "ips": [{"address": "10.92.0.9/16"}]}, sys.stdout)
`
	if err := os.WriteFile(filepath.Join(n.dir, "cni-bin/descriptors.py"), []byte(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	list := `{"cniVersion": "1.0.0", "name": "descriptors", "plugins": [{"type": "descriptors.py"}]}`
	if err := os.WriteFile(filepath.Join(n.dir, "cni/05-descriptors.conflist"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	pod := n.pods(1)[0]
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != 0 {
		t.Errorf("a plugin has descriptors of ours:\n%s", text)
	}
	for _, shim := range n.shims() {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", shim))
		for _, link := range links {
			to, _ := os.Readlink(link)
			if strings.HasPrefix(to, filepath.Join(n.dir, "data")) || strings.HasPrefix(to, filepath.Join(n.dir, "log")) && filepath.Base(link) > "2" {
				t.Errorf("a shim has %s", to)
			}
		}
	}
	pod.Remove(t)
	criclient.RemoveCgroup("/test-pods")
	n.clean()
}
