package criclient

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Record is one line of a log file in the CRI's format.
type Record struct {
	Time   time.Time
	Stream string
	Full   bool
	Text   string
}

// ParseLog reads a whole log file; a line that breaks the format is an error.
func ParseLog(data string) ([]Record, error) {
	var records []Record
	if data != "" && !strings.HasSuffix(data, "\n") {
		return nil, fmt.Errorf("the last line has no end")
	}
	for _, line := range strings.Split(strings.TrimSuffix(data, "\n"), "\n") {
		if line == "" {
			continue
		}
		parts := strings.SplitN(line, " ", 4)
		if len(parts) != 4 {
			return nil, fmt.Errorf("not four parts: %q", line)
		}
		at, err := time.Parse(time.RFC3339Nano, parts[0])
		if err != nil {
			return nil, fmt.Errorf("bad time in %q: %w", line, err)
		}
		if parts[1] != "stdout" && parts[1] != "stderr" {
			return nil, fmt.Errorf("bad stream in %q", line)
		}
		if parts[2] != "F" && parts[2] != "P" {
			return nil, fmt.Errorf("bad tag in %q", line)
		}
		records = append(records, Record{Time: at, Stream: parts[1], Full: parts[2] == "F", Text: parts[3]})
	}
	return records, nil
}

// LogFile is where the container's log has to be.
func (c *Container) LogFile() string {
	return filepath.Join(c.Pod.Config.LogDirectory, c.Config.LogPath)
}

// Log reads the container's log file. A reader may see a part of a record that
// is being written, so the file is right if it is so at one moment of some.
func (c *Container) Log(t *testing.T) []Record {
	t.Helper()
	var records []Record
	err := Eventually(10*time.Second, func() error {
		data, err := os.ReadFile(c.LogFile())
		if err != nil {
			t.Fatal(err)
		}
		records, err = ParseLog(string(data))
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", c.LogFile(), err)
	}
	return records
}

// LogText is what the container wrote to one stream, or to both for "".
func (c *Container) LogText(t *testing.T, stream string) string {
	t.Helper()
	var text strings.Builder
	for _, record := range c.Log(t) {
		if stream == "" || record.Stream == stream {
			text.WriteString(record.Text)
			if record.Full {
				text.WriteByte('\n')
			}
		}
	}
	return text.String()
}

// WaitLog waits until the log holds a text.
func (c *Container) WaitLog(t *testing.T, want string) {
	t.Helper()
	err := Eventually(20*time.Second, func() error {
		if got := c.LogText(t, ""); !strings.Contains(got, want) {
			return fmt.Errorf("the log has no %q:\n%s", want, got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
