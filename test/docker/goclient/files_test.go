package goclient

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// archive is a tar of files by their names.
func archive(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var all bytes.Buffer
	writer := tar.NewWriter(&all)
	for name, content := range files {
		no(t, writer.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Uid: 7, Gid: 8, Size: int64(len(content))}), "tar")
		io.WriteString(writer, content)
	}
	no(t, writer.Close(), "tar")
	return &all
}

// unpack gives the files of a tar by their names.
func unpack(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for reader := tar.NewReader(from); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files
		}
		no(t, err, "untar")
		content, err := io.ReadAll(reader)
		no(t, err, "untar")
		files[header.Name] = string(content)
	}
}

func TestCopy(t *testing.T) {
	ctx, docker := engine(t)
	id := sleeper(t, ctx, docker)
	put := func(path, content string, options client.CopyToContainerOptions) error {
		options.DestinationPath = path
		options.Content = archive(t, map[string]string{"put": content})
		_, err := docker.CopyToContainer(ctx, id, options)
		return err
	}
	no(t, put("/tmp", "content", client.CopyToContainerOptions{CopyUIDGID: true}), "copy to")
	stat, err := docker.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: "/tmp/put"})
	no(t, err, "stat")
	check(t, stat.Stat.Name == "put" && stat.Stat.Size == 7 && stat.Stat.Mode == 0o640, "stat: %+v", stat.Stat)
	back, err := docker.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: "/tmp"})
	no(t, err, "copy from")
	check(t, back.Stat.Mode.IsDir(), "stat of the folder: %+v", back.Stat)
	files := unpack(t, back.Content)
	back.Content.Close()
	equal(t, files["tmp/put"], "content", "the file")

	_, err = docker.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: "/none"})
	fails(t, err, cerrdefs.IsNotFound, "", "stat of nothing")
	_, err = docker.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: "/none"})
	fails(t, err, cerrdefs.IsNotFound, "could not find the file /none in container", "copy of nothing")
	fails(t, put("/none", "x", client.CopyToContainerOptions{}), cerrdefs.IsNotFound, "", "copy into nothing")
	err = put("/etc/passwd", "x", client.CopyToContainerOptions{})
	check(t, err != nil && strings.Contains(err.Error(), "not a directory"), "copy into a file: %v", err)
}

func TestDiffExportAndCommit(t *testing.T) {
	ctx, docker := engine(t)
	id := start(t, ctx, docker, container.Config{
		Cmd: []string{"sh", "-c", "echo new >/new; echo more >>/etc/passwd; rm /etc/group"}}, nil)
	exited(t, ctx, docker, id, container.WaitConditionNotRunning)()
	diff, err := docker.ContainerDiff(ctx, id, client.ContainerDiffOptions{})
	no(t, err, "diff")
	var lines []string
	for _, one := range diff.Changes {
		lines = append(lines, one.Kind.String()+one.Path)
	}
	for _, one := range []string{"A/new", "C/etc", "C/etc/passwd", "D/etc/group"} {
		check(t, strings.Contains(strings.Join(lines, " ")+" ", one+" "), "no %s in %v", one, lines)
	}
	equal(t, len(lines), 4, "changes")

	export, err := docker.ContainerExport(ctx, id, client.ContainerExportOptions{})
	no(t, err, "export")
	files := unpack(t, export)
	export.Close()
	equal(t, files["new"], "new\n", "exported")
	_, removed := files["etc/group"]
	check(t, !removed, "/etc/group is in the export")

	made, err := docker.ContainerCommit(ctx, id, client.ContainerCommitOptions{Reference: "goclient/committed:1",
		Comment: "a comment", Author: "me", Changes: []string{"ENV X=y", `CMD ["cat", "/new"]`}})
	no(t, err, "commit")
	t.Cleanup(func() { docker.ImageRemove(ctx, "goclient/committed:1", client.ImageRemoveOptions{Force: true}) })
	image, err := docker.ImageInspect(ctx, "goclient/committed:1")
	no(t, err, "inspect of the commit")
	equal(t, image.ID, made.ID, "id")
	equal(t, image.Comment+"|"+image.Author, "a comment|me", "comment")
	show(t, "committed", image)
	again := start(t, ctx, docker, container.Config{Image: "goclient/committed:1"}, nil)
	logs, err := docker.ContainerLogs(ctx, again, client.ContainerLogsOptions{ShowStdout: true, Follow: true})
	no(t, err, "logs")
	defer logs.Close()
	out, _ := outputs(t, logs)
	equal(t, out, "new\n", "the committed file")
}
