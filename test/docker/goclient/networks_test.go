package goclient

import (
	"context"
	"net/netip"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

func makeNetwork(t *testing.T, ctx context.Context, docker *client.Client, name string) string {
	t.Helper()
	made, err := docker.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge",
		Labels: map[string]string{"goclient": name},
		IPAM: &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{
			Subnet: netip.MustParsePrefix("10.231.5.0/24"), Gateway: netip.MustParseAddr("10.231.5.1")}}}})
	no(t, err, "network create")
	t.Cleanup(func() {
		docker.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{})
	})
	return made.ID
}

func TestNetworks(t *testing.T) {
	ctx, docker := engine(t)
	net := makeNetwork(t, ctx, docker, "goclient-net")
	if !older(t, docker, "1.44") {
		_, err := docker.NetworkCreate(ctx, "goclient-net", client.NetworkCreateOptions{})
		fails(t, err, cerrdefs.IsConflict, "already exists", "a second of that name")
	}
	list, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", "goclient=goclient-net")})
	no(t, err, "network list")
	check(t, len(list.Items) == 1 && list.Items[0].ID == net, "networks: %+v", list.Items)

	id := sleeper(t, ctx, docker)
	_, err = docker.NetworkConnect(ctx, net, client.NetworkConnectOptions{Container: id,
		EndpointConfig: &network.EndpointSettings{Aliases: []string{"other"},
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.231.5.77")}}})
	no(t, err, "connect")
	equal(t, inspect(t, ctx, docker, id).NetworkSettings.Networks["goclient-net"].IPAddress,
		netip.MustParseAddr("10.231.5.77"), "address")
	_, err = docker.NetworkConnect(ctx, net, client.NetworkConnectOptions{Container: id})
	fails(t, err, cerrdefs.IsPermissionDenied, "already exists in network", "connecting twice")
	shown, err := docker.NetworkInspect(ctx, net, client.NetworkInspectOptions{Verbose: true})
	no(t, err, "network inspect")
	equal(t, shown.Network.Containers[id].IPv4Address, netip.MustParsePrefix("10.231.5.77/24"), "address")
	if !older(t, docker, "1.52") {
		status := shown.Network.Status.IPAM.Subnets[netip.MustParsePrefix("10.231.5.0/24")]
		// The network's, the gateway's, the container's and the broadcast address.
		equal(t, status.IPsInUse, 4, "addresses in use")
		equal(t, status.DynamicIPsAvailable, 252, "free addresses")
	}
	show(t, "network", shown.Network)
	_, err = docker.NetworkRemove(ctx, net, client.NetworkRemoveOptions{})
	fails(t, err, cerrdefs.IsPermissionDenied, "has active endpoints", "removal of what is used")
	_, err = docker.NetworkDisconnect(ctx, net, client.NetworkDisconnectOptions{Container: id})
	no(t, err, "disconnect")
	_, there := inspect(t, ctx, docker, id).NetworkSettings.Networks["goclient-net"]
	check(t, !there, "still on the network")
	_, err = docker.NetworkRemove(ctx, net, client.NetworkRemoveOptions{})
	no(t, err, "network remove")
	_, err = docker.NetworkInspect(ctx, net, client.NetworkInspectOptions{})
	fails(t, err, cerrdefs.IsNotFound, "not found", "inspect of what is gone")
	_, err = docker.NetworkRemove(ctx, "bridge", client.NetworkRemoveOptions{})
	fails(t, err, cerrdefs.IsPermissionDenied, "is a pre-defined network", "removal of the bridge")
}

func TestMacAddressOfAnEndpoint(t *testing.T) {
	ctx, docker := engine(t)
	if older(t, docker, "1.44") {
		t.Skip("from API 1.44 on")
	}
	makeNetwork(t, ctx, docker, "goclient-mac")
	mac := network.HardwareAddr{2, 0, 0, 1, 2, 3}
	id := create(t, ctx, docker, client.ContainerCreateOptions{
		Config: &container.Config{Cmd: []string{"sleep", "300"}, StopSignal: "KILL"},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			"goclient-mac": {MacAddress: mac}}}})
	_, err := docker.ContainerStart(ctx, id, client.ContainerStartOptions{})
	no(t, err, "start")
	equal(t, inspect(t, ctx, docker, id).NetworkSettings.Networks["goclient-mac"].MacAddress.String(), mac.String(), "MAC")
	other := sleeper(t, ctx, docker)
	mac[5] = 4
	_, err = docker.NetworkConnect(ctx, "goclient-mac", client.NetworkConnectOptions{Container: other,
		EndpointConfig: &network.EndpointSettings{MacAddress: mac}})
	no(t, err, "connect")
	if !older(t, docker, "1.54") {
		equal(t, inspect(t, ctx, docker, other).NetworkSettings.Networks["goclient-mac"].MacAddress.String(), mac.String(), "MAC")
	}
}

func TestPruneOfNetworks(t *testing.T) {
	ctx, docker := engine(t)
	makeNetwork(t, ctx, docker, "goclient-prune")
	pruned, err := docker.NetworkPrune(ctx, client.NetworkPruneOptions{
		Filters: make(client.Filters).Add("label", "goclient=goclient-prune")})
	no(t, err, "prune")
	check(t, len(pruned.Report.NetworksDeleted) == 1 && pruned.Report.NetworksDeleted[0] == "goclient-prune", "pruned: %+v", pruned)
}

func TestVolumes(t *testing.T) {
	ctx, docker := engine(t)
	made, err := docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "goclient-volume",
		Labels: map[string]string{"goclient": "volume"}})
	no(t, err, "volume create")
	t.Cleanup(func() {
		docker.VolumeRemove(context.Background(), "goclient-volume", client.VolumeRemoveOptions{Force: true})
	})
	check(t, made.Volume.Driver == "local" && made.Volume.Mountpoint != "" && made.Volume.Scope == "local", "volume: %+v", made)
	shown, err := docker.VolumeInspect(ctx, "goclient-volume", client.VolumeInspectOptions{})
	no(t, err, "volume inspect")
	equal(t, shown.Volume.Mountpoint, made.Volume.Mountpoint, "mountpoint")
	show(t, "volume", shown.Volume)
	list, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("label", "goclient=volume")})
	no(t, err, "volume list")
	check(t, len(list.Items) == 1 && list.Items[0].Name == "goclient-volume", "volumes: %+v", list)

	id := start(t, ctx, docker, container.Config{Cmd: []string{"touch", "/v/x"}},
		&container.HostConfig{Binds: []string{"goclient-volume:/v"}})
	exited(t, ctx, docker, id, container.WaitConditionNotRunning)()
	_, err = docker.VolumeRemove(ctx, "goclient-volume", client.VolumeRemoveOptions{})
	fails(t, err, cerrdefs.IsConflict, "volume is in use", "removal of what is used")
	_, err = docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	no(t, err, "remove")
	// Before 1.42 those with a name were pruned too.
	pruned, err := docker.VolumePrune(ctx, client.VolumePruneOptions{All: !older(t, docker, "1.42"),
		Filters: make(client.Filters).Add("label", "goclient=volume")})
	no(t, err, "prune")
	check(t, len(pruned.Report.VolumesDeleted) == 1, "pruned: %+v", pruned)
	_, err = docker.VolumeInspect(ctx, "goclient-volume", client.VolumeInspectOptions{})
	fails(t, err, cerrdefs.IsNotFound, "no such volume", "inspect of what is gone")
}
