package cri_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A bundle whose config.json is wrong, given to the program with runc's command
// line: an error, and nothing left of it.
func TestBundlesThatAreWrong(t *testing.T) {
	if *ociRuntime == "" {
		t.Fatal("-oci-runtime is not given")
	}
	for name, config := range map[string]string{
		"not JSON":     "ociVersion = 1.0.2",
		"cut short":    `{"ociVersion": "1.0.2", "process": {"args": ["true"`,
		"empty":        "",
		"an array":     "[1, 2, 3]",
		"other types":  `{"ociVersion": 7, "process": "true", "root": []}`,
		"no process":   `{"ociVersion": "1.0.2", "root": {"path": "rootfs"}}`,
		"deep":         string(bytes.Repeat([]byte("["), 1<<20)),
		"root nowhere": `{"ociVersion": "1.0.2", "process": {"args": ["true"], "cwd": "/"}, "root": {"path": "nowhere"}}`,
		"no file":      "-",
	} {
		t.Run(name, func(t *testing.T) {
			bundle, state := t.TempDir(), t.TempDir()
			if config != "-" {
				if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755)
			var out bytes.Buffer
			command := exec.Command(*ociRuntime, "--root", state, "run", "--bundle", bundle, "bad-bundle")
			command.Stdout, command.Stderr = &out, &out
			err := command.Run()
			if err == nil {
				t.Fatalf("it was run: %s", out.String())
			}
			if command.ProcessState.ExitCode() < 1 || out.Len() == 0 {
				t.Errorf("%v, and says %q", err, out.String())
			}
			t.Logf("%v: %.200s", err, out.String())
			if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
				t.Errorf("left in the state folder: %v, %v", left, err)
			}
		})
	}
}
