package receive

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/signatures"
)

func guard(t *testing.T, o Options) *Guard {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	g, err := NewGuard(o, nil)
	require.NoError(t, err)
	return g
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func zipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

// echo answers with the body, or refuses when the body says so.
func echo() Route {
	return Route{
		Path: "/in", Types: []string{"text/x"}, Encodings: []string{Gzip, Snappy},
		Handle: func(_ context.Context, q Request) (Reply, error) {
			switch string(q.Body) {
			case "refuse":
				return Reply{}, Refuse(http.StatusBadRequest, "it is bad")
			case "fail":
				return Reply{}, errors.New("the stream is away")
			}
			return Reply{Media: "text/y", Body: q.Body, Header: map[string]string{"X-Seen": q.Params["a"]}}, nil
		},
	}
}

func TestRequestsAreAnsweredWithTheStatusThatIsTrue(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), 1<<20+1)
	for _, c := range []struct {
		name, method, path, media, encoding string
		body                                []byte
		status                              int
		says                                string
	}{
		{"plain", "POST", "/in", "text/x", "", []byte("hello"), 200, "hello"},
		{"exactly as large as allowed", "POST", "/in", "text/x", "", big[1:], 200, "x"},
		{"gzip", "POST", "/in", "text/x", "gzip", zipped([]byte("hello")), 200, "hello"},
		{"upper case", "POST", "/in", "TEXT/X; a=b", "GZIP", zipped([]byte("hello")), 200, "hello"},
		{"snappy", "POST", "/in", "text/x", "snappy", s2.EncodeSnappy(nil, []byte("hello")), 200, "hello"},
		{"identity", "POST", "/in", "text/x", "identity", []byte("hello"), 200, "hello"},
		{"empty", "POST", "/in", "text/x", "", nil, 200, ""},
		{"refused by the handler", "POST", "/in", "text/x", "", []byte("refuse"), 400, "it is bad"},
		{"not accepted now", "POST", "/in", "text/x", "", []byte("fail"), 503, "the stream is away"},
		{"another method", "GET", "/in", "text/x", "", nil, 405, "use POST"},
		{"another path", "POST", "/out", "text/x", "", nil, 404, ""},
		{"another type", "POST", "/in", "text/plain", "", []byte("hello"), 415, "use text/x"},
		{"no type", "POST", "/in", "", "", []byte("hello"), 415, "use text/x"},
		{"a type that is none", "POST", "/in", "text/x; =", "", []byte("hello"), 415, "use text/x"},
		{"another encoding", "POST", "/in", "text/x", "br", []byte("hello"), 415, "gzip, snappy"},
		{"too large", "POST", "/in", "text/x", "", big, 413, "max_body_mb"},
		{"too large when unpacked", "POST", "/in", "text/x", "gzip", zipped(big), 413, "max_body_mb"},
		{"too large as snappy", "POST", "/in", "text/x", "snappy", s2.EncodeSnappy(nil, big), 413, "max_body_mb"},
		{"a claim of a huge snappy block", "POST", "/in", "text/x", "snappy", []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, 413, "max_body_mb"},
		{"no gzip", "POST", "/in", "text/x", "gzip", []byte("hello there, not packed"), 400, "no gzip"},
		{"half a gzip", "POST", "/in", "text/x", "gzip", zipped([]byte("hello"))[:20], 400, "no gzip"},
		{"a gzip and rubbish", "POST", "/in", "text/x", "gzip", append(zipped([]byte("hello")), "rubbish rubbish"...), 400, "no gzip"},
		{"a gzip of gzips of nothing", "POST", "/in", "text/x", "gzip", bytes.Repeat(zipped(nil), 1<<16), 413, "max_body_mb"},
		{"no snappy", "POST", "/in", "text/x", "snappy", []byte("hello"), 400, "no snappy"},
		{"empty snappy", "POST", "/in", "text/x", "snappy", nil, 400, "no snappy"},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				var seen int
				s := NewServer(guard(t, Options{MaxBodyMB: 1}), nil, func(path string, status int) {
					require.Equal(t, "/in", path)
					seen = status
				}, echo())
				r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, bytes.NewReader(c.body))
				if chunked {
					r.ContentLength = -1
				}
				r.Header.Set("Content-Type", c.media)
				r.Header.Set("Content-Encoding", c.encoding)
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, r)
				require.Equal(t, c.status, w.Code, w.Body.String())
				require.Contains(t, w.Body.String(), c.says)
				require.Equal(t, c.status == 503, w.Header().Get("Retry-After") != "", "only what may be accepted later asks for a repeat")
				if c.path == "/in" {
					require.Equal(t, c.status, seen)
				}
			})
		}
	}
}

func TestOnlyWhoIsKnownIsHeard(t *testing.T) {
	t.Parallel()
	tokens, users := file(t, "one\n\n two \n"), file(t, "ann:pass:word\n")
	both := guard(t, Options{TokenFile: tokens, UsersFile: users})
	for header, allowed := range map[string]bool{
		"": false, "Bearer": false, "Bearer ": false, "Bearer one": true, "bearer two": true, "Bearer three": false, "Bearer one\n": true,
		"Basic YW5uOnBhc3M6d29yZA==": true, "Basic YW5uOnBhc3M=": false, "Basic !": false, "Basic one": false, "Digest one": false,
	} {
		require.Equal(t, allowed, both.Allows(header), "%q", header)
		require.True(t, guard(t, Options{}).Allows(header), "without files all are")
	}
	s := NewServer(guard(t, Options{UsersFile: users}), nil, nil, echo())
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", strings.NewReader("x")))
	require.Equal(t, 401, w.Code)
	require.Contains(t, w.Header().Get("WWW-Authenticate"), "Basic")
}

func TestAChangedFileIsReadAgainAndABadOneIsNot(t *testing.T) {
	t.Parallel()
	path := file(t, "one")
	g := guard(t, Options{TokenFile: path})
	require.True(t, g.Allows("Bearer one"))
	require.NoError(t, os.WriteFile(path, []byte("another"), 0o600))
	require.Eventually(t, func() bool { return g.Allows("Bearer another") }, time.Minute, 20*time.Millisecond)
	require.False(t, g.Allows("Bearer one"))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	look := func() { g.tokens.mu.Lock(); g.tokens.looked = time.Time{}; g.tokens.mu.Unlock() }
	look()
	require.True(t, g.Allows("Bearer another"), "an empty file locks nobody out, and lets nobody in")
	require.NoError(t, os.Remove(path))
	look()
	require.True(t, g.Allows("Bearer another"))
}

func TestMistakesInOptionsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := NewGuard(Options{
		Listen: "nowhere", CertFile: "/a", ClientCAFile: "/missing", TokenFile: "/missing-tokens", UsersFile: file(t, "nobody"),
		MaxBodyMB: -1, MaxRequests: 1 << 20, MaxConnections: -1, Wait: -1,
	}, nil)
	require.Error(t, err)
	for _, word := range []string{"listen", "key_file", "missing-tokens", "line 1 is not user:password", "max_body_mb", "max_requests", "max_connections", "wait"} {
		require.ErrorContains(t, err, word)
	}
	_, err = NewGuard(Options{Listen: ":0", CertFile: file(t, "x"), KeyFile: file(t, "y"), ClientCAFile: file(t, "z")}, nil)
	require.ErrorContains(t, err, "PEM")
	require.ErrorContains(t, err, "no certificate is in it")
}

func TestWhoFindsNoRoomIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	rt := Route{Path: "/in", Types: []string{""}, Handle: func(ctx context.Context, _ Request) (Reply, error) {
		held <- struct{}{}
		select {
		case <-release:
			return Reply{}, nil
		case <-ctx.Done():
			return Reply{}, ctx.Err()
		}
	}}
	g := guard(t, Options{MaxRequests: 1, Wait: signatures.Duration(time.Minute)})
	s := NewServer(g, nil, nil, rt)
	answer := func(ctx context.Context) chan int {
		code := make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/in", nil))
			code <- w.Code
		}()
		return code
	}
	first := answer(t.Context())
	<-held
	second := answer(t.Context())
	require.Eventually(t, func() bool { return g.Gate.waiting.Load() == 1 }, time.Minute, time.Millisecond)
	require.Equal(t, 503, <-answer(t.Context()), "the queue is full")
	release <- struct{}{}
	require.Equal(t, 200, <-first)
	<-held
	gone, cancel := context.WithCancel(t.Context())
	third := answer(gone)
	require.Eventually(t, func() bool { return g.Gate.waiting.Load() == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.Equal(t, 503, <-third, "it waited long enough")
	release <- struct{}{}
	require.Equal(t, 200, <-second)
}

func TestAServerStopsWhenRequestsUnderWayAreAnswered(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	rt := Route{Path: "/in", Types: []string{"text/x"}, Handle: func(context.Context, Request) (Reply, error) {
		close(held)
		<-release
		return Reply{Body: []byte("done")}, nil
	}}
	s := NewServer(guard(t, Options{}), nil, nil, rt)
	addr, err := s.Listen(t.Context())
	require.NoError(t, err)
	cause := errors.New("stop")
	ctx, stop := context.WithCancelCause(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	body := make(chan string, 1)
	go func() {
		q, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr.String()+"/in", strings.NewReader("x"))
		q.Header.Set("Content-Type", "text/x")
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			body <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()
	<-held
	stop(cause)
	close(release)
	require.Equal(t, "done", <-body)
	require.ErrorIs(t, <-ran, cause)
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	g := guard(t, Options{MaxConnections: 1})
	l, err := g.Listen(t.Context())
	require.NoError(t, err)
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	dial()
	first, err := l.Accept()
	require.NoError(t, err)
	accepted := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_ = c.Close()
		}
		accepted <- err
	}()
	require.Empty(t, accepted, "there is no room")
	require.NoError(t, first.Close())
	require.NoError(t, <-accepted)
	held, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { _ = held.Close() }()
	_, err = l.Accept()
	require.NoError(t, err)
	go func() { _, err := l.Accept(); accepted <- err }()
	require.NoError(t, l.Close())
	require.Error(t, <-accepted, "closing ends who waits for room")
}

func FuzzReadBody(f *testing.F) {
	f.Add("gzip", zipped([]byte("hello")))
	f.Add("snappy", s2.EncodeSnappy(nil, []byte("hello")))
	f.Add("", []byte("hello"))
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		r.Header["Content-Encoding"] = []string{encoding}
		got, e := readBody(r, &Route{Encodings: []string{Gzip, Snappy}}, 1<<16)
		if e == nil {
			require.LessOrEqual(t, len(got), 1<<16)
		} else {
			require.Contains(t, []int{400, 413, 415}, e.Status)
		}
	})
}
