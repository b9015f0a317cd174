package goclient

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	registrytypes "github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func remove(t *testing.T, docker *client.Client, name string) {
	t.Cleanup(func() {
		docker.ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true})
	})
}

func TestPull(t *testing.T) {
	ctx, docker := engine(t)
	name := *registry + "/test/config:latest"
	remove(t, docker, name)
	answer, err := docker.ImagePull(ctx, name, client.ImagePullOptions{})
	no(t, err, "pull")
	var last string
	for message, err := range answer.JSONMessages(ctx) {
		no(t, err, "a message of the pull")
		check(t, message.Error == nil, "pull: %v", message.Error)
		if message.Status != "" {
			last = message.Status
		}
	}
	check(t, strings.HasPrefix(last, "Status: ") && strings.HasSuffix(last, name), "the last message: %q", last)
	_, err = docker.ImagePull(ctx, *registry+"/test/none:latest", client.ImagePullOptions{})
	fails(t, err, cerrdefs.IsNotFound, "not found", "pull of nothing")
	platform := ocispec.Platform{OS: "linux", Architecture: "s390x"}
	if *kind == "berthd" { // docs/DOCKER.md: another platform at a pull is refused.
		_, err = docker.ImagePull(ctx, name, client.ImagePullOptions{Platforms: []ocispec.Platform{platform}})
		check(t, err != nil && strings.Contains(err.Error(), "s390x"), "pull for another platform: %v", err)
	}
}

func TestListAndInspectOfImages(t *testing.T) {
	ctx, docker := engine(t)
	pull(t, ctx, docker, "busybox")
	id := sleeper(t, ctx, docker)
	list, err := docker.ImageList(ctx, client.ImageListOptions{SharedSize: true,
		Filters: make(client.Filters).Add("reference", "busybox")})
	no(t, err, "list")
	equal(t, len(list.Items), 1, "images")
	row := list.Items[0]
	equal(t, row.RepoTags[0], "busybox:latest", "name")
	if !older(t, docker, "1.51") {
		equal(t, row.Containers, 1, "containers of the image")
	}
	show(t, "image row", row)
	var raw bytes.Buffer
	image, err := docker.ImageInspect(ctx, "busybox", client.ImageInspectWithRawResponse(&raw))
	no(t, err, "inspect")
	check(t, image.ID == inspect(t, ctx, docker, id).Image && image.Os == "linux" && len(image.RootFS.Layers) == 1,
		"image: %+v", image)
	show(t, "image", json.RawMessage(raw.Bytes()))
	history, err := docker.ImageHistory(ctx, "busybox")
	no(t, err, "history")
	check(t, len(history.Items) > 0 && history.Items[0].ID == image.ID, "history: %+v", history)
	show(t, "history", history.Items)
	_, err = docker.ImageInspect(ctx, "goclient/none")
	fails(t, err, cerrdefs.IsNotFound, "no such image", "inspect of nothing")
	_, err = docker.ImageHistory(ctx, "goclient/none")
	fails(t, err, cerrdefs.IsNotFound, "no such image", "history of nothing")
	if !older(t, docker, "1.48") {
		platform := ocispec.Platform{OS: "linux", Architecture: "s390x"}
		_, err = docker.ImageInspect(ctx, "busybox", client.ImageInspectWithPlatform(&platform))
		fails(t, err, cerrdefs.IsNotFound, "platform", "inspect of another platform")
		_, err = docker.ImageInspect(ctx, "busybox", client.ImageInspectWithManifests(true))
		no(t, err, "inspect with manifests")
	}
}

func TestTagAndRemove(t *testing.T) {
	ctx, docker := engine(t)
	pull(t, ctx, docker, "busybox")
	_, err := docker.ImageTag(ctx, client.ImageTagOptions{Source: "busybox", Target: "goclient/tag:1"})
	no(t, err, "tag")
	removed, err := docker.ImageRemove(ctx, "goclient/tag:1", client.ImageRemoveOptions{PruneChildren: true})
	no(t, err, "remove")
	check(t, len(removed.Items) == 1 && removed.Items[0].Untagged == "goclient/tag:1", "removed: %+v", removed)
	_, err = docker.ImageRemove(ctx, "goclient/tag:1", client.ImageRemoveOptions{})
	fails(t, err, cerrdefs.IsNotFound, "no such image", "a second removal")
	id := sleeper(t, ctx, docker)
	_, err = docker.ImageRemove(ctx, inspect(t, ctx, docker, id).Image, client.ImageRemoveOptions{Force: true})
	fails(t, err, cerrdefs.IsConflict, "cannot be forced", "removal of what is used")
}

func TestSaveLoadAndImport(t *testing.T) {
	ctx, docker := engine(t)
	pull(t, ctx, docker, "busybox")
	_, err := docker.ImageTag(ctx, client.ImageTagOptions{Source: "busybox", Target: "goclient/saved:1"})
	no(t, err, "tag")
	remove(t, docker, "goclient/saved:1")
	saved, err := docker.ImageSave(ctx, []string{"goclient/saved:1"})
	all := text(t, saved, err, "save")
	var manifest []struct{ RepoTags []string }
	no(t, json.Unmarshal([]byte(unpack(t, strings.NewReader(all))["manifest.json"]), &manifest), "manifest.json")
	equal(t, manifest[0].RepoTags[0], "goclient/saved:1", "name in the archive")
	_, err = docker.ImageRemove(ctx, "goclient/saved:1", client.ImageRemoveOptions{})
	no(t, err, "remove")
	loaded, err := docker.ImageLoad(ctx, strings.NewReader(all), client.ImageLoadWithQuiet(true))
	said := text(t, loaded, err, "load")
	check(t, strings.Contains(said, "Loaded image: goclient/saved:1"), "load said %q", said)

	root := archive(t, map[string]string{"hello": "imported\n"})
	imported, err := docker.ImageImport(ctx, client.ImageImportSource{Source: root, SourceName: "-"}, "goclient/imported:1",
		client.ImageImportOptions{Message: "by hand", Changes: []string{"ENV A=b"}})
	said = text(t, imported, err, "import")
	remove(t, docker, "goclient/imported:1")
	check(t, strings.Contains(said, "sha256:"), "import said %q", said)
	image, err := docker.ImageInspect(ctx, "goclient/imported:1")
	no(t, err, "inspect of the import")
	check(t, image.Comment == "by hand" && len(image.Config.Env) == 1, "image: %+v", image)
}

func TestPushAndDistribution(t *testing.T) {
	ctx, docker := engine(t)
	pull(t, ctx, docker, "busybox")
	name := *registry + "/goclient/pushed:1"
	_, err := docker.ImageTag(ctx, client.ImageTagOptions{Source: "busybox", Target: name})
	no(t, err, "tag")
	remove(t, docker, name)
	auth, err := authconfig.Encode(registrytypes.AuthConfig{})
	no(t, err, "authconfig")
	answer, err := docker.ImagePush(ctx, name, client.ImagePushOptions{RegistryAuth: auth})
	no(t, err, "push")
	digest := ""
	for message, err := range answer.JSONMessages(ctx) {
		no(t, err, "a message of the push")
		check(t, message.Error == nil, "push: %v", message.Error)
		if message.Aux != nil {
			var aux struct{ Digest string }
			no(t, json.Unmarshal(*message.Aux, &aux), "aux of the push")
			digest = aux.Digest
		}
	}
	known, err := docker.DistributionInspect(ctx, name, client.DistributionInspectOptions{EncodedRegistryAuth: auth})
	no(t, err, "distribution inspect")
	equal(t, known.Descriptor.Digest.String(), digest, "digest of the push")
	show(t, "distribution", known)
	_, err = docker.DistributionInspect(ctx, *registry+"/goclient/none:1", client.DistributionInspectOptions{})
	check(t, err != nil, "distribution inspect of nothing succeeded")
	show(t, "distribution error", err.Error())
	pushed, err := docker.ImagePush(ctx, *registry+"/goclient/none:1", client.ImagePushOptions{RegistryAuth: auth})
	if err == nil {
		err = pushed.Wait(ctx)
	}
	check(t, err != nil && strings.Contains(err.Error(), "does not exist locally"), "push of nothing: %v", err)
}

func TestPruneOfImages(t *testing.T) {
	ctx, docker := engine(t)
	root := archive(t, map[string]string{"dangling": "x"})
	imported, err := docker.ImageImport(ctx, client.ImageImportSource{Source: root, SourceName: "-"}, "",
		client.ImageImportOptions{})
	text(t, imported, err, "import")
	pruned, err := docker.ImagePrune(ctx, client.ImagePruneOptions{Filters: make(client.Filters).Add("dangling", "true")})
	no(t, err, "prune")
	check(t, len(pruned.Report.ImagesDeleted) > 0, "pruned: %+v", pruned.Report)
}

func TestBuildCache(t *testing.T) {
	ctx, docker := engine(t)
	builder(t, ctx, docker)
	_, err := docker.BuildCachePrune(ctx, client.BuildCachePruneOptions{All: true})
	no(t, err, "prune")
	pruned, err := docker.BuildCachePrune(ctx, client.BuildCachePruneOptions{All: true})
	no(t, err, "prune")
	equal(t, len(pruned.Report.CachesDeleted), 0, "caches that are left")
	_, err = docker.BuildCancel(ctx, "none", client.BuildCancelOptions{})
	no(t, err, "cancel of no build")
}

func TestBuildOfAnEmptyContext(t *testing.T) {
	ctx, docker := engine(t)
	answer, err := docker.ImageBuild(ctx, archive(t, nil), client.ImageBuildOptions{Remove: true})
	if err == nil {
		var said []byte
		said, err = io.ReadAll(answer.Body)
		no(t, err, "build")
		answer.Body.Close()
		check(t, strings.Contains(string(said), "error"), "a build of nothing said %q", said)
		return
	}
	// Without a builder (berthd), or without a Dockerfile (dockerd).
	check(t, strings.Contains(err.Error(), "Dockerfile") || strings.Contains(err.Error(), "build"), "build: %v", err)
}
