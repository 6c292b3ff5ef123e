package otlp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/forewarn/forewarn/collector/receive"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

// routes are the paths of OTLP over HTTP.
func (x *Collector) routes(in *receive.Intake) []receive.Route {
	var all []receive.Route
	for _, e := range x.exports() {
		all = append(all, receive.Route{
			Path: e.path, Types: []string{protobufType, jsonType}, Encodings: []string{receive.Gzip}, Fail: failure,
			Handle: func(ctx context.Context, q receive.Request) (receive.Reply, error) { return e.answer(ctx, in, q) },
		})
	}
	return all
}

func (e *export) answer(ctx context.Context, in *receive.Intake, q receive.Request) (receive.Reply, error) {
	var m proto.Message
	var err error
	if q.Media == jsonType {
		m, err = e.decodeJSON(q.Body)
	} else {
		m, err = e.decode(q.Body)
	}
	switch {
	case errors.Is(err, errTooMany):
		return receive.Reply{}, receive.Refuse(http.StatusRequestEntityTooLarge, "%v", err)
	case err != nil:
		return receive.Reply{}, receive.Refuse(http.StatusBadRequest, "%v", err)
	}
	rejected, why, err := e.handle(ctx, in, m)
	if err != nil {
		return receive.Reply{}, err
	}
	if q.Media == jsonType {
		return receive.Reply{Media: jsonType, Body: e.responseJSON(rejected, why)}, nil
	}
	return receive.Reply{Media: protobufType, Body: response(rejected, why)}, nil
}

func (e *export) responseJSON(rejected int, why string) []byte {
	if rejected == 0 && why == "" {
		return []byte("{}")
	}
	partial := map[string]string{"errorMessage": why}
	if rejected > 0 {
		partial[e.rejected] = fmt.Sprint(rejected) // an int64 is a string in protobuf's JSON
	}
	b, _ := json.Marshal(map[string]any{"partialSuccess": partial}) // strings cannot fail
	return b
}

// failure answers a refused request with a google.rpc.Status in the request's own encoding, in JSON where that is not known.
func failure(media string, e *receive.Error) receive.Reply {
	code := codes.InvalidArgument
	switch e.Status {
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		code = codes.Unimplemented
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	if media == protobufType {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
		return receive.Reply{Media: media, Body: protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), e.Message)}
	}
	b, _ := json.Marshal(map[string]any{"code": int(code), "message": e.Message}) // numbers and strings cannot fail
	return receive.Reply{Media: jsonType, Body: b}
}
