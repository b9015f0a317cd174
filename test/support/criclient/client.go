// Package criclient drives a CRI runtime the way kubelet does, by Kubernetes'
// own client library, for tests. It knows nothing of any one runtime.
package criclient

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
)

// CallTimeout is kubelet's own default for one call.
const CallTimeout = 2 * time.Minute

// Client is one runtime's socket: through the library that kubelet uses, and
// bare, for what that library hides (status codes, large answers).
type Client struct {
	Runtime    internalapi.RuntimeService
	Images     internalapi.ImageManagerService
	RawRuntime cri.RuntimeServiceClient
	RawImages  cri.ImageServiceClient
	// Handler is the runtime handler of the pods that RunPod starts.
	Handler string
	conn    *grpc.ClientConn
}

// Connect waits until the runtime answers Version and ImageFsInfo, as kubelet
// does at its start.
func Connect(ctx context.Context, endpoint string, wait time.Duration) (*Client, error) {
	if !strings.HasPrefix(endpoint, "unix://") {
		endpoint = "unix://" + endpoint
	}
	conn, err := grpc.NewClient(endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, err
	}
	c := &Client{
		RawRuntime: cri.NewRuntimeServiceClient(conn),
		RawImages:  cri.NewImageServiceClient(conn),
		conn:       conn,
	}
	// The library logs every error that it returns.
	ctx = klog.NewContext(ctx, logr.Discard())
	klog.SetLogger(logr.Discard())
	deadline := time.Now().Add(wait)
	for {
		c.Runtime, err = remote.NewRemoteRuntimeService(ctx, endpoint, CallTimeout, nil, false)
		if err == nil {
			c.Images, err = remote.NewRemoteImageService(ctx, endpoint, CallTimeout, nil, false)
		}
		if err == nil {
			return c, nil
		}
		if c.Runtime != nil {
			c.Runtime.Close(ctx)
			c.Runtime = nil
		}
		if time.Now().After(deadline) {
			conn.Close()
			return nil, fmt.Errorf("%s does not answer: %w", endpoint, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Invoke makes a call that the library does not know, with messages as they are
// on the wire.
func (c *Client) Invoke(ctx context.Context, method string, request []byte) ([]byte, error) {
	asked, answer := &emptypb.Empty{}, &emptypb.Empty{}
	asked.ProtoReflect().SetUnknown(request)
	if err := c.conn.Invoke(ctx, method, asked, answer); err != nil {
		return nil, err
	}
	return answer.ProtoReflect().GetUnknown(), nil
}

// Listen gives the runtime's events. The call does not tell when it has begun:
// pods are made and removed, until one of them is heard of.
func (c *Client) Listen(t *testing.T, logs string) cri.RuntimeService_GetContainerEventsClient {
	t.Helper()
	stream, err := c.RawRuntime.GetContainerEvents(t.Context(), &cri.GetEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		heard <- err
	}()
	for {
		config := PodConfig(t, logs)
		id, err := c.Runtime.RunPodSandbox(t.Context(), config, c.Handler)
		if err != nil {
			t.Fatal(err)
		}
		(&Pod{Client: c, ID: id, Config: config}).Remove(t)
		select {
		case err := <-heard:
			if err != nil {
				t.Fatalf("no event: %v", err)
			}
			return stream
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close ends the connections.
func (c *Client) Close() {
	c.Runtime.Close(context.Background())
	c.Images.Close(context.Background())
	c.conn.Close()
}

// Eventually asks until done or the time is over; the last answer is the error.
func Eventually(limit time.Duration, ask func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
