package receive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
)

// encodings are the values of Content-Encoding that a [Route] may allow.
const (
	Gzip   = "gzip"
	Snappy = "snappy" // the block format, as Prometheus writes it
)

// readBody reads and unpacks a request's body, which has most bytes at most, packed and unpacked.
func readBody(r *http.Request, rt *Route, most int) ([]byte, *Error) {
	encoding := cmp.Or(strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))), rt.Unnamed)
	if encoding != "" && encoding != "identity" && !slices.Contains(rt.Encodings, encoding) {
		return nil, Refuse(http.StatusUnsupportedMediaType, "the Content-Encoding %.40q is not known here: use %s or none", encoding, strings.Join(rt.Encodings, ", "))
	}
	if r.ContentLength > int64(most) {
		return nil, tooLarge(most)
	}
	switch encoding {
	case Gzip: // packed bytes may unpack to none for ever, so they are bounded too
		unpack, err := gzip.NewReader(http.MaxBytesReader(nil, r.Body, int64(most)))
		if err != nil {
			return nil, broken(err, "gzip")
		}
		return readAll(unpack, -1, most, "gzip")
	case Snappy:
		packed, e := readAll(r.Body, r.ContentLength, most, "")
		if e != nil {
			return nil, e
		}
		n, err := s2.DecodedLen(packed)
		if err != nil {
			return nil, broken(err, "snappy block")
		}
		switch {
		case n > most:
			return nil, tooLarge(most)
		case n > 64+64*len(packed): // no block is packed that tightly, so no room is made for it
			return nil, Refuse(http.StatusBadRequest, "the body claims to have %d bytes unpacked, which its %d cannot hold", n, len(packed))
		}
		body, err := s2.Decode(nil, packed)
		if err != nil {
			return nil, broken(err, "snappy block")
		}
		return body, nil
	}
	return readAll(r.Body, r.ContentLength, most, "")
}

// readAll reads most bytes at most. length is how long the body says that it is, -1 when it does not.
func readAll(from io.Reader, length int64, most int, format string) ([]byte, *Error) {
	var buf bytes.Buffer
	if length > 0 { // a claim of a length costs nothing before its bytes come
		buf.Grow(int(min(length+1, 1<<20)))
	}
	n, err := buf.ReadFrom(io.LimitReader(from, int64(most)+1))
	switch {
	case n > int64(most):
		return nil, tooLarge(most)
	case err != nil:
		return nil, broken(err, format)
	}
	return buf.Bytes(), nil
}

func tooLarge(most int) *Error {
	return Refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes after decompression: send smaller batches, or raise max_body_mb", most)
}

// broken tells a body that ended early or is no format from one that came too slowly.
func broken(err error, format string) *Error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(int(large.Limit))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // not 408, after which most senders drop what they have
		return Refuse(http.StatusServiceUnavailable, "the body did not come within %s", bodyTime)
	}
	if format != "" {
		return Refuse(http.StatusBadRequest, "the body is no %s: %v", format, err)
	}
	return Refuse(http.StatusBadRequest, "read the body: %v", err)
}

// Error is why a request was not accepted. Only 429 and 5xx are worth repeating.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// Refuse returns an [Error].
func Refuse(status int, format string, args ...any) *Error {
	return &Error{status, fmt.Sprintf(format, args...)}
}

// Retryable reports whether the same request may be accepted later.
func (e *Error) Retryable() bool { return e.Status == http.StatusTooManyRequests || e.Status >= 500 }
