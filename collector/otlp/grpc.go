package otlp

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // senders may pack
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/forewarn/forewarn/collector/receive"
)

const (
	messageTime = 30 * time.Second // a message must come within this, once there is room for it
	stopTime    = 5 * time.Second  // how long calls under way may take when the server stops
	idleTime    = 5 * time.Minute  // a connection without a call is closed after this
	streams     = 100              // calls at a time on one connection
)

// serveGRPC serves the protocol's calls until ctx is done.
func (x *Collector) serveGRPC(ctx context.Context, l net.Listener, in *receive.Intake) error {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(x.grpc.Options.MaxBodyMB << 20), grpc.MaxConcurrentStreams(streams), grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime}), grpc.MaxHeaderListSize(64 << 10), grpc.ForceServerCodec(codec{}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if t := x.grpc.TLS("h2"); t != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(t)))
	}
	s := grpc.NewServer(options...)
	for _, e := range x.exports() {
		// A call with one request and one response is served as a stream, so that who calls is known, and there is room, before the request is read.
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: e.service, HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{StreamName: "Export", Handler: func(_ any, ss grpc.ServerStream) error { return x.call(&e, in, ss) }}},
		}, x)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", x.grpc.Options.Listen, err)
	case <-ctx.Done():
	}
	late := time.AfterFunc(stopTime, s.Stop)
	defer late.Stop()
	s.GracefulStop()
	if err := <-served; err != nil {
		return fmt.Errorf("serve %s: %w", x.grpc.Options.Listen, err)
	}
	return context.Cause(ctx)
}

// call answers one call.
func (x *Collector) call(e *export, in *receive.Intake, ss grpc.ServerStream) error {
	ctx, cancel := context.WithTimeout(ss.Context(), time.Duration(x.grpc.Options.Wait))
	defer cancel()
	header := ""
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("authorization")) > 0 {
		header = md.Get("authorization")[0]
	}
	if !x.grpc.Allows(header) {
		return x.refuse(codes.Unauthenticated, "the authorization header is missing or wrong")
	}
	if err := x.grpc.Gate.Enter(ctx); err != nil {
		return busy(err)
	}
	defer x.grpc.Gate.Leave()
	q := request{export: e}
	came := make(chan error, 1)
	go func() { came <- ss.RecvMsg(&q) }() // it ends with the call, whoever is first
	late := time.NewTimer(messageTime)
	defer late.Stop()
	select {
	case err := <-came:
		if err != nil { // grpc has answered
			x.lostToLimits(err)
			return err
		}
	case <-late.C:
		return busy(fmt.Errorf("the message did not come within %s", messageTime))
	}
	if q.problem != nil {
		return x.refuse(codes.InvalidArgument, q.problem.Error())
	}
	rejected, why, err := e.handle(ctx, in, q.message)
	if err != nil {
		return busy(err)
	}
	return ss.SendMsg(answer(response(rejected, why)))
}

// refuse is an answer after which the sender does not come again.
func (x *Collector) refuse(code codes.Code, why string) error {
	x.c.Meter.Lost("refused_requests", 1)
	return status.Error(code, why)
}

// lostToLimits counts a message that can never be taken: grpc answers one beyond max_body_mb with RESOURCE_EXHAUSTED, which without RetryInfo means that.
func (x *Collector) lostToLimits(err error) {
	if status.Code(err) == codes.ResourceExhausted {
		x.c.Meter.Lost("refused_requests", 1)
	}
}

// busy asks the sender to come again.
func busy(err error) error {
	s, e := status.New(codes.Unavailable, err.Error()).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(receive.RetryAfter)})
	if e != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return s.Err()
}

// request is what a call's message is read into, and answer what it is answered with.
type (
	request struct {
		export  *export
		message proto.Message
		problem error // why there is no message
	}
	answer []byte
)

// codec reads requests with their bounds.
type codec struct{}

// Name implements grpc's codec.
func (codec) Name() string { return "proto" }

// Marshal implements grpc's codec.
func (codec) Marshal(v any) ([]byte, error) {
	if a, ok := v.(answer); ok {
		return a, nil
	}
	return nil, fmt.Errorf("a %T is no answer", v)
}

// Unmarshal implements grpc's codec.
func (codec) Unmarshal(data []byte, v any) error {
	q, ok := v.(*request)
	if !ok {
		return fmt.Errorf("a %T is no request", v)
	}
	q.message, q.problem = q.export.decode(data) // an error from here would be answered as one of the server
	return nil
}
