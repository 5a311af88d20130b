package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fakeSecretManager is Secret Manager over gRPC on this machine. The project "denied" lets nobody in, the
// project "down" is never there, and secrets called "none" do not exist.
type fakeSecretManager struct {
	secretmanagerpb.UnimplementedSecretManagerServiceServer
	address string

	mu       sync.Mutex
	versions map[string][][]byte // by secret
}

func startSecretManager(t testing.TB) *fakeSecretManager {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	fake := &fakeSecretManager{address: listener.Addr().String(), versions: make(map[string][][]byte)}
	server := grpc.NewServer()
	secretmanagerpb.RegisterSecretManagerServiceServer(server, fake)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return fake
}

func (f *fakeSecretManager) AddSecretVersion(_ context.Context,
	r *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	payload := r.GetPayload()
	switch {
	case strings.HasPrefix(r.GetParent(), "projects/denied/"):
		return nil, status.Error(codes.PermissionDenied, "Permission 'secretmanager.versions.add' denied")
	case strings.HasPrefix(r.GetParent(), "projects/down/"):
		return nil, status.Error(codes.Unavailable, "try later")
	case strings.HasSuffix(r.GetParent(), "/secrets/none"):
		return nil, status.Errorf(codes.NotFound, "Secret [%s] not found", r.GetParent())
	case payload.DataCrc32C == nil || payload.GetDataCrc32C() != int64(crc32.Checksum(payload.GetData(),
		crc32.MakeTable(crc32.Castagnoli))):
		return nil, status.Error(codes.InvalidArgument, "checksum is missing or wrong")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[r.GetParent()] = append(f.versions[r.GetParent()], bytes.Clone(payload.GetData()))
	return &secretmanagerpb.SecretVersion{Name: fmt.Sprintf("%s/versions/%d", r.GetParent(),
		len(f.versions[r.GetParent()]))}, nil
}

func (f *fakeSecretManager) AccessSecretVersion(_ context.Context,
	r *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	parent, _, _ := strings.Cut(r.GetName(), "/versions/")
	value := f.newest(parent)
	if value == nil {
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s] not found", r.GetName())
	}
	sum := int64(crc32.Checksum(value, crc32.MakeTable(crc32.Castagnoli)))
	return &secretmanagerpb.AccessSecretVersionResponse{Name: parent + "/versions/1",
		Payload: &secretmanagerpb.SecretPayload{Data: value, DataCrc32C: &sum}}, nil
}

// newest is the newest version of a secret, nil if there is none.
func (f *fakeSecretManager) newest(secret string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if all := f.versions[secret]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}
