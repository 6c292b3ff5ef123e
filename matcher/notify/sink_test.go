package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

var update = flag.Bool("update", false, "rewrite what is stored of the messages")

// sink is a destination by HTTP. It answers by its script, then as ok says, and refuses what the contract's schema does not allow.
type sink struct {
	*httptest.Server

	schema *jsonschema.Schema
	ok     answer

	mu      sync.Mutex
	script  []answer
	taken   []call // what was answered with a 2xx
	refused []string
}

// answer is how a sink answers one request.
type answer struct {
	status int
	body   string
	header map[string]string
	reset  bool // the connection is cut before an answer
	hang   bool // nothing is answered until the client gives up
}

type call struct {
	path   string
	header http.Header
	body   []byte
}

func newSink(t *testing.T, schema string, ok answer, script ...answer) *sink {
	t.Helper()
	s := &sink{ok: ok, script: script}
	if schema != "" {
		c := jsonschema.NewCompiler()
		compiled, err := c.Compile(filepath.Join("testdata", "contracts", schema))
		require.NoError(t, err)
		s.schema = compiled
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	a := s.ok
	if len(s.script) > 0 {
		a, s.script = s.script[0], s.script[1:]
	}
	if s.schema != nil {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err == nil {
			err = s.schema.Validate(v)
		}
		if err != nil {
			s.refused = append(s.refused, err.Error())
			a = answer{status: http.StatusBadRequest, body: "the schema of the contract refuses it"}
		}
	}
	if a.status/100 == 2 {
		s.taken = append(s.taken, call{r.URL.Path, r.Header, body})
	}
	s.mu.Unlock()
	switch {
	case a.hang:
		<-r.Context().Done()
	case a.reset:
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	default:
		for k, v := range a.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}
}

// calls returns what was taken, and fails when the schema refused anything.
func (s *sink) calls(t *testing.T) []call {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.refused, "what was sent is not what the contract says")
	return append([]call(nil), s.taken...)
}

// contract is a row of the table that all destinations by HTTP share: what is answered, and what has to be made of it.
type contract struct {
	name      string
	answer    answer
	permanent bool
	wait      time.Duration
}

func everyStatus() []contract {
	var all []contract
	for _, status := range []int{400, 401, 403, 404, 410, 413, 422, 308} {
		all = append(all, contract{strconv.Itoa(status), answer{status: status, body: "no"}, true, 0})
	}
	for _, status := range []int{408, 425, 429, 500, 502, 503, 504} {
		all = append(all, contract{strconv.Itoa(status), answer{status: status, body: "later"}, false, 0})
	}
	return append(all,
		contract{"429 with Retry-After", answer{status: 429, header: map[string]string{"Retry-After": "30"}}, false, 30 * time.Second},
		contract{"503 with Retry-After", answer{status: 503, header: map[string]string{"Retry-After": "7"}}, false, 7 * time.Second},
		contract{"a reset", answer{reset: true}, false, 0},
		contract{"no answer", answer{hang: true}, false, 0},
	)
}

// holds checks the whole table for one destination: each answer is sorted as it should be, no error shows a secret, and the next try is taken.
func holds(t *testing.T, schema string, ok answer, secret string, rows []contract, at func(t *testing.T, url string) Notifier) {
	t.Helper()
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			s := newSink(t, schema, ok, c.answer)
			n := at(t, s.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			if c.answer.hang {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			}
			defer cancel()
			err := n.Notify(ctx, Single(warning(1, matcher.Forming)))
			require.Error(t, err)
			require.Equal(t, c.permanent, IsPermanent(err), "%v", err)
			require.Equal(t, c.wait, retryAfter(err))
			require.NotContains(t, err.Error(), secret)
			require.NoError(t, n.Notify(t.Context(), Single(warning(2, matcher.Imminent))))
			require.NotEmpty(t, s.calls(t))
		})
	}
}

// golden compares with what is stored, or stores it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "sent", name)
	var pretty bytes.Buffer
	if json.Indent(&pretty, got, "", "  ") == nil {
		got = append(pretty.Bytes(), '\n')
	}
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test -update")
	require.Equal(t, string(want), string(got))
}

// secretFile keeps a secret in a file, and returns its name.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	return file
}

// made makes a notifier that must be sound.
func made(t *testing.T, d Destination, env Env) Notifier {
	t.Helper()
	if d.Name == "" {
		d.Name = "x"
	}
	n, err := New(d, env)
	require.NoError(t, err)
	return n
}

// several is a notice of n warnings, the most urgent first.
func several(n int) Notice {
	out := Notice{ID: "group-7-1", Thread: "group-7"}
	for i := range n {
		w := Example(start)
		w.ID = "0e8a3f0c" + strconv.Itoa(i)
		w.KeyText = "shop/cart-" + strconv.Itoa(i)
		w.Key[1].Value = "cart-" + strconv.Itoa(i)
		w.State = worstFirst()[min(i*3/n, 2)]
		w.Links = []matcher.Link{{Title: "Console", URL: "https://forewarn.example.org/warnings/" + w.ID}}
		out.Warnings = append(out.Warnings, w)
	}
	return out
}

var (
	_ Notifier = (*SlackHook)(nil)
	_ Notifier = (*SlackBot)(nil)
	_ Notifier = (*PagerDuty)(nil)
	_ Notifier = (*Teams)(nil)
	_ Notifier = (*Email)(nil)
	_ Notifier = (*CloudEvents)(nil)
	_ Notifier = (*Kubernetes)(nil)
	_ Threads  = (*memory)(nil)
	_ Bus      = (*bus)(nil)
	_ Mailer   = (*server)(nil)

	_ EventRecorder = (*recorder)(nil)
)

func TestTheSchemasOfTheContractsCanFail(t *testing.T) {
	files, err := filepath.Glob("testdata/contracts/*.json")
	require.NoError(t, err)
	require.Len(t, files, 6)
	for _, f := range files {
		s, err := jsonschema.NewCompiler().Compile(f)
		require.NoError(t, err, f)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"unknown":1}`))
		require.NoError(t, err)
		require.Error(t, s.Validate(v), f)
	}
}
