package metrics

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/receive"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

const (
	type1 = "application/x-protobuf;proto=prometheus.WriteRequest"
	type2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// receiving is a rig whose receiver listens.
func receiving(t *testing.T, o RemoteWriteOptions, change func(*collector.Common)) (*rig, string) {
	t.Helper()
	o.Server.Listener = listener(t)
	r := newRig(t, Options{RemoteWrite: &o}, change)
	r.Need(need("wanted", "h_count", "h_sum"))
	r.start(t)
	return r, "http://" + o.Server.Listener.Addr().String() + defaultWritePath
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// reply is an answer without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// post sends a body and returns the answer with its text.
func post(t *testing.T, c *http.Client, url string, body []byte, headers ...string) (reply, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "method" {
			r.Method = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := c.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(w.Body)
	require.NoError(t, err)
	require.NoError(t, w.Body.Close())
	return reply{w.StatusCode, w.Header}, string(text)
}

func packed(b []byte) []byte { return snappy.Encode(nil, b) }

func ms(at time.Time) int64 { return at.UnixMilli() }

// TestRemoteWriteAnswersAsTheProtocolSays is the contract of both versions as a table: what is sent, what is answered, what becomes a record.
func TestRemoteWriteAnswersAsTheProtocolSays(t *testing.T) {
	t.Parallel()
	now := ms(time.Now()) - 1000
	one := sent{labels: []string{"__name__", "wanted", "namespace", "shop", "pod", "web-0"}, samples: []point{{value: 1, at: now}}}
	with := func(change func(*sent)) sent {
		x := one
		change(&x)
		return x
	}
	stale := math.Float64frombits(staleBits)
	other := sent{labels: []string{"__name__", "other", "job", "x"}, samples: []point{{value: 1, at: now}, {value: 2, at: now + 1}}}
	for name, c := range map[string]struct {
		list           []sent
		status         int // 204 when 0
		samples, hists string
		values         []float64
		text           string
		lost           map[string]int
	}{
		"one sample":                           {list: []sent{one}, samples: "1", values: []float64{1}},
		"several samples of a series":          {list: []sent{with(func(s *sent) { s.samples = []point{{value: 1, at: now}, {value: 2, at: now + 500}} })}, samples: "2", values: []float64{1, 2}},
		"what nobody needs is taken":           {list: []sent{other, one}, samples: "3", values: []float64{1}},
		"labels in another order":              {list: []sent{with(func(s *sent) { s.labels = []string{"pod", "web-0", "__name__", "wanted", "namespace", "shop"} })}, samples: "1", values: []float64{1}},
		"an empty message":                     {samples: "0"},
		"a mark of staleness":                  {list: []sent{with(func(s *sent) { s.samples = []point{{value: stale, at: now}, {value: 3, at: now + 1}} })}, samples: "2", values: []float64{3}},
		"infinite and NaN":                     {list: []sent{with(func(s *sent) { s.samples = []point{{value: math.Inf(1), at: now}, {value: math.NaN(), at: now + 1}} })}, samples: "2", values: []float64{math.Inf(1)}},
		"exemplars and metadata":               {list: []sent{with(func(s *sent) { s.exemplars, s.metadata = 2, true })}, samples: "1", values: []float64{1}, lost: map[string]int{"exemplars": 2}},
		"metadata alone":                       {list: []sent{{labels: one.labels, metadata: true}}, samples: "0"},
		"a native histogram nobody needs":      {list: []sent{{labels: []string{"__name__", "n"}, histograms: []point{{value: 6, sum: 9, at: now}}}}, samples: "0", hists: "1", lost: map[string]int{"native_histograms": 1}},
		"count and sum of a native histogram":  {list: []sent{{labels: []string{"__name__", "h"}, histograms: []point{{value: 6, sum: 9, at: now}}}}, samples: "0", hists: "1", values: []float64{6, 9}},
		"a native histogram that ended":        {list: []sent{{labels: []string{"__name__", "h"}, histograms: []point{{sum: stale, at: now}}}}, samples: "0", hists: "1"},
		"no name":                              {list: []sent{{labels: []string{"a", "b"}, samples: one.samples}, one}, status: 400, samples: "1", values: []float64{1}, text: "__name__", lost: map[string]int{"refused_samples": 1}},
		"no labels":                            {list: []sent{{samples: one.samples}}, status: 400, samples: "0", text: "__name__"},
		"a label twice":                        {list: []sent{with(func(s *sent) { s.labels = append([]string{"pod", "x"}, one.labels...) }), one}, status: 400, samples: "1", values: []float64{1}, text: `label "pod" stands twice`},
		"a label without a name":               {list: []sent{with(func(s *sent) { s.labels = append([]string{"", "x"}, one.labels...) })}, status: 400, samples: "0", text: "no name"},
		"a label without a value is none":      {list: []sent{with(func(s *sent) { s.labels = append([]string{"x", ""}, one.labels...) })}, samples: "1", values: []float64{1}},
		"two names":                            {list: []sent{with(func(s *sent) { s.labels = append([]string{"__name__", "x"}, one.labels...) })}, status: 400, samples: "0", text: "two names"},
		"a time that is not believed":          {list: []sent{with(func(s *sent) { s.samples = []point{{value: 1, at: now + 3_600_000}, {value: 2, at: now}} })}, status: 400, samples: "1", values: []float64{2}, text: "not believed"},
		"no time":                              {list: []sent{with(func(s *sent) { s.samples = []point{{value: 1}} })}, status: 400, samples: "0", text: "not believed"},
		"very many labels":                     {list: []sent{with(func(s *sent) { s.labels = append(manyLabels(1200), one.labels...) }), one}, status: 400, samples: "1", values: []float64{1}, text: "more than 1000 labels"},
		"more labels than become attributes":   {list: []sent{with(func(s *sent) { s.labels = append(manyLabels(100), one.labels...) })}, samples: "1", values: []float64{1}, lost: map[string]int{"cut_labels": 1}},
		"a sound series after an unsound one":  {list: []sent{{labels: []string{"a", "b"}, samples: other.samples}, other, one}, status: 400, samples: "3", values: []float64{1}, lost: map[string]int{"refused_samples": 2}},
		"labels that are not UTF-8 are damage": {list: []sent{one, with(func(s *sent) { s.labels = append([]string{"x", "\xff"}, one.labels...) })}, status: 400, samples: "0", text: "damaged"},
	} {
		for version, encode := range map[string]func(...sent) []byte{type1: message1, type2: message2} {
			t.Run(name+" "+version[len(version)-10:], func(t *testing.T) {
				t.Parallel()
				r, url := receiving(t, RemoteWriteOptions{}, nil)
				w, text := post(t, http.DefaultClient, url, packed(encode(c.list...)), "Content-Type", version, "Content-Encoding", "snappy")
				want := c.status
				if want == 0 {
					want = http.StatusNoContent
				}
				require.Equal(t, want, w.StatusCode, text)
				require.Contains(t, text, c.text)
				hists := c.hists
				if hists == "" {
					hists = "0"
				}
				require.Equal(t, []string{c.samples, hists, "0"}, []string{
					w.Header.Get("X-Prometheus-Remote-Write-Samples-Written"), w.Header.Get("X-Prometheus-Remote-Write-Histograms-Written"),
					w.Header.Get("X-Prometheus-Remote-Write-Exemplars-Written"),
				})
				var values []float64
				for _, x := range r.seen() { // they are accepted before the answer comes
					values = append(values, x.Value)
					require.Equal(t, record.Sample, x.Kind)
				}
				require.Equal(t, c.values, values)
				for reason, n := range c.lost {
					require.Equal(t, n, r.lost(t, reason), reason)
				}
			})
		}
	}
}

func manyLabels(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("a%04d", i), "x")
	}
	return out
}

// TestRequestsThatAreNone gets the status that the protocol names for each.
func TestRequestsThatAreNone(t *testing.T) {
	t.Parallel()
	r, url := receiving(t, RemoteWriteOptions{Server: receive.Options{MaxBodyMB: 3}}, nil)
	now := ms(time.Now()) - 1000
	sound := sent{labels: []string{"__name__", "other"}, samples: []point{{value: 1, at: now}}}
	v1, v2 := message1(sound), message2(sound)
	bomb := packed(make([]byte, 4<<20))
	require.Less(t, len(bomb), 1<<20)
	claim := append(binary.AppendUvarint(nil, 1<<20), 0, 'x')
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(v1)
	require.NoError(t, z.Close())
	wrongType := part(nil, 1, part(part(nil, 1, part(part(nil, 1, []byte("__name__")), 2, []byte("a"))), 2, varint(varint(nil, 1, 5), 2, uint64(now))))
	group := protowire.AppendTag(protowire.AppendTag(nil, 7, protowire.StartGroupType), 7, protowire.EndGroupType)
	for name, c := range map[string]struct {
		body    []byte
		headers []string
		status  int
		text    string
		lost    string
	}{
		"GET":                                   {headers: []string{"method", "GET"}, status: 405, text: "POST"},
		"another path":                          {headers: []string{"path", "/api/v2/write"}, status: 404},
		"text":                                  {body: packed(v1), headers: []string{"Content-Type", "text/plain"}, status: 415, lost: "requests_unsupported"},
		"JSON":                                  {body: []byte("{}"), headers: []string{"Content-Type", "application/json"}, status: 415},
		"no media type at all":                  {body: packed(v1), headers: []string{"Content-Type", ";;"}, status: 415},
		"an unknown message":                    {body: packed(v1), headers: []string{"Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, status: 415},
		"gzip":                                  {body: zipped.Bytes(), headers: []string{"Content-Encoding", "gzip"}, status: 415},
		"gzip that says it is snappy":           {body: zipped.Bytes(), status: 400, text: "snappy", lost: "requests_bad"},
		"snappy's stream format":                {body: framed(v1), status: 400, text: "snappy block"},
		"not packed":                            {body: v1, status: 400},
		"nothing":                               {status: 400},
		"a cut body":                            {body: packed(v1)[:8], status: 400},
		"no message":                            {body: packed([]byte("no message at all")), status: 400, text: "damaged"},
		"a cut message":                         {body: packed(v1[:len(v1)-3]), status: 400, text: "damaged"},
		"a wrong type":                          {body: packed(wrongType), status: 400, text: "damaged"},
		"a group":                               {body: packed(group), status: 400, text: "damaged"},
		"2.0 that says it is 1.0":               {body: packed(v2), headers: []string{"Content-Type", type1}, status: 400, text: "2.0"},
		"1.0 that says it is 2.0":               {body: packed(v1), headers: []string{"Content-Type", type2}, status: 400, text: "1.0"},
		"1.0 without a type":                    {body: packed(v1), headers: []string{"Content-Type", ""}, status: 204},
		"1.0 without parameters":                {body: packed(v1), status: 204},
		"a quoted parameter":                    {body: packed(v2), headers: []string{"Content-Type", `application/x-protobuf; proto="io.prometheus.write.v2.Request"`}, status: 204},
		"no encoding is snappy":                 {body: packed(v1), headers: []string{"Content-Encoding", ""}, status: 204},
		"a large body":                          {body: bytes.Repeat([]byte{1}, 3<<20+1), status: 413, lost: "requests_too_large"},
		"a small body that is large unpacked":   {body: bomb, status: 413, text: "after decompression"},
		"a size that the body can't have":       {body: claim, status: 400, text: "claims"},
		"a first symbol that is not empty":      {body: packed(part(nil, 4, []byte("x"))), headers: []string{"Content-Type", type2}, status: 400, text: "first symbol"},
		"references outside of the symbols":     {body: packed(part(part(nil, 4, nil), 5, part(nil, 1, []byte{1, 2}))), headers: []string{"Content-Type", type2}, status: 400, text: "symbol 2 of 1"},
		"references that are no pairs":          {body: packed(part(part(nil, 4, nil), 5, part(nil, 1, []byte{0}))), headers: []string{"Content-Type", type2}, status: 400, text: "no pairs"},
		"a reference beyond 32 bits":            {body: packed(part(part(nil, 4, nil), 5, part(nil, 1, protowire.AppendVarint([]byte{0}, 1<<40)))), headers: []string{"Content-Type", type2}, status: 400, text: "symbol"},
		"more symbols than anybody has":         {body: packed(bytes.Repeat([]byte{4<<3 | 2, 0}, maxSymbols+1)), headers: []string{"Content-Type", type2}, status: 400, text: "symbols"},
		"a million empty series":                {body: packed(bytes.Repeat([]byte{1<<3 | 2, 0}, 1<<20-8)), status: 400, text: "__name__"},
		"a million empty labels":                {body: packed(part(nil, 1, bytes.Repeat([]byte{1<<3 | 2, 0}, 1<<20-8))), status: 400, text: "no name"},
		"a million samples without a time":      {body: packed(part(nil, 1, append(part(nil, 1, part(part(nil, 1, []byte("__name__")), 2, []byte("wanted"))), bytes.Repeat([]byte{2<<3 | 2, 0}, 1<<20-40)...))), status: 400, text: "not believed"},
		"a million references to the same text": {body: packed(part(part(nil, 4, nil), 5, part(nil, 1, make([]byte, 1<<20)))), headers: []string{"Content-Type", type2}, status: 400, text: "no name"},
	} {
		t.Run(name, func(t *testing.T) {
			at := url
			if len(c.headers) > 0 && c.headers[0] == "path" {
				at, c.headers = strings.Replace(url, defaultWritePath, c.headers[1], 1), nil
			}
			before := r.lost(t, c.lost)
			w, text := post(t, http.DefaultClient, at, c.body, append([]string{"Content-Type", "application/x-protobuf", "Content-Encoding", "snappy"}, c.headers...)...)
			require.Equal(t, c.status, w.StatusCode, text)
			require.Contains(t, text, c.text)
			if c.lost != "" {
				require.Equal(t, before+1, r.lost(t, c.lost))
			}
		})
	}
	require.Empty(t, r.seen())
}

// framed is snappy's stream format, which some clients send by mistake.
func framed(b []byte) []byte {
	var out bytes.Buffer
	w := snappy.NewBufferedWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func TestASampleThatIsSentAgainHasTheSameIdentity(t *testing.T) {
	t.Parallel()
	r, url := receiving(t, RemoteWriteOptions{}, nil)
	now := ms(time.Now()) - 1000
	one := sent{labels: []string{"__name__", "wanted", "a", "b", "c", "d"}, samples: []point{{value: 1, at: now}, {value: 1, at: now + 1}}}
	turned := sent{labels: []string{"c", "d", "a", "b", "__name__", "wanted"}, samples: one.samples}
	other := sent{labels: []string{"__name__", "wanted", "a", "bc", "c", "d"}, samples: one.samples[:1]}
	for _, body := range [][]byte{message1(one), message1(turned)} {
		w, text := post(t, http.DefaultClient, url, packed(body), "Content-Type", type1)
		require.Equal(t, http.StatusNoContent, w.StatusCode, text)
	}
	w, text := post(t, http.DefaultClient, url, packed(message2(one, other)), "Content-Type", type2)
	require.Equal(t, http.StatusNoContent, w.StatusCode, text)
	ids := map[uint64]int{}
	for _, x := range r.seen() {
		ids[x.ID]++
	}
	require.Len(t, ids, 3)
	require.Equal(t, 3, ids[r.seen()[0].ID])
}

func TestRemoteWritePromisesWhatItsSendersHaveReached(t *testing.T) {
	t.Parallel()
	r, url := receiving(t, RemoteWriteOptions{}, nil)
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	w, text := post(t, http.DefaultClient, url, packed(message1(sent{labels: []string{"__name__", "other"}, samples: []point{{value: 1, at: ms(at)}}})), "Content-Type", type1)
	require.Equal(t, http.StatusNoContent, w.StatusCode, text)
	w, text = post(t, http.DefaultClient, url, packed(message1(sent{labels: []string{"__name__", "wanted"}, samples: []point{{value: 1, at: ms(at)}}})), "Content-Type", type1)
	require.Equal(t, http.StatusNoContent, w.StatusCode, text)
	marks := r.of("metrics/remote-write")
	require.NotEmpty(t, marks)
	require.True(t, at.Equal(marks[0].at), "what nobody needs shows that the sender lives")
}

// TestWhatIsNotAcceptedIsSentAgain holds the stream up: senders are told to come again, in time, and nothing is lost by that.
func TestWhatIsNotAcceptedIsSentAgain(t *testing.T) {
	t.Parallel()
	o := RemoteWriteOptions{Server: receive.Options{Listener: listener(t), MaxRequests: 2, Wait: signatures.Duration(time.Second)}}
	r := newRig(t, Options{RemoteWrite: &o}, nil)
	r.Need(need("wanted"))
	var blocked sync.RWMutex
	blocked.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.Run(ctx, func(ctx context.Context, frame []byte) error {
			open := make(chan struct{})
			go func() {
				blocked.RLock()
				defer blocked.RUnlock()
				close(open)
			}()
			select {
			case <-open:
				return r.emit(ctx, frame)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	url := "http://" + o.Server.Listener.Addr().String() + defaultWritePath
	now := ms(time.Now()) - 1000
	body := func(i int) []byte {
		return packed(message1(sent{labels: []string{"__name__", "wanted", "i", fmt.Sprint(i)}, samples: []point{{value: float64(i), at: now}}}))
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			w, _ := post(t, http.DefaultClient, url, body(i), "Content-Type", type1)
			if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" || w.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != "0" {
				t.Errorf("status %d, headers %v", w.StatusCode, w.Header)
			}
		})
	}
	group.Wait()
	require.Equal(t, 20, r.lost(t, "requests_put_off"))
	w, text := post(t, http.DefaultClient, url, packed(message1(sent{labels: []string{"__name__", "other"}, samples: []point{{value: 1, at: now}}})), "Content-Type", type1)
	require.Equal(t, http.StatusNoContent, w.StatusCode, "what nobody needs waits for nothing: %s", text)

	blocked.Unlock()
	for i := range 20 {
		require.Eventually(t, func() bool {
			w, _ := post(t, http.DefaultClient, url, body(i), "Content-Type", type1)
			return w.StatusCode == http.StatusNoContent
		}, patience, 10*time.Millisecond)
	}
	values := map[float64]map[uint64]bool{}
	for _, x := range r.seen() {
		if values[x.Value] == nil {
			values[x.Value] = map[uint64]bool{}
		}
		values[x.Value][x.ID] = true
	}
	require.Len(t, values, 20)
	for v, ids := range values {
		require.Len(t, ids, 1, "repeats of %v have one identity", v)
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestRemoteWriteEndsWithWhatItAnswered(t *testing.T) {
	t.Parallel()
	r, url := receiving(t, RemoteWriteOptions{}, nil)
	now := ms(time.Now()) - 1000
	answered := map[int]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := 0; ; j++ {
				n := i*1_000_000 + j
				body := packed(message1(sent{labels: []string{"__name__", "wanted", "n", fmt.Sprint(n)}, samples: []point{{value: float64(n), at: now}}}))
				q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					return
				}
				w, err := http.DefaultClient.Do(q)
				if err != nil {
					return // it is gone
				}
				_ = w.Body.Close()
				if w.StatusCode == http.StatusNoContent {
					mu.Lock()
					answered[n] = true
					mu.Unlock()
				}
			}
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(answered) > 20 }, patience, time.Millisecond)
	require.ErrorIs(t, r.stop(), context.Canceled)
	group.Wait()
	for _, x := range r.seen() {
		delete(answered, int(x.Value))
	}
	require.Empty(t, answered, "answered with 204 and lost")
}

func TestSendersShowWhoTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokens, users := filepath.Join(dir, "tokens"), filepath.Join(dir, "users")
	require.NoError(t, os.WriteFile(tokens, []byte("s3cret\n"), 0o600))
	require.NoError(t, os.WriteFile(users, []byte("u:s3cret\n"), 0o600))
	body := packed(message1())
	for name, c := range map[string]struct {
		o      receive.Options
		header string
		status int
		ask    string
	}{
		"a token":               {o: receive.Options{TokenFile: tokens}, header: "Bearer s3cret", status: 204},
		"a wrong token":         {o: receive.Options{TokenFile: tokens}, header: "Bearer s3cre", status: 401, ask: "Bearer"},
		"no token":              {o: receive.Options{TokenFile: tokens}, status: 401, ask: "Bearer"},
		"a password":            {o: receive.Options{UsersFile: users}, header: "Basic dTpzM2NyZXQ=", status: 204},
		"a wrong password":      {o: receive.Options{UsersFile: users}, header: "Basic dTp4", status: 401, ask: "Basic"},
		"a token as a password": {o: receive.Options{UsersFile: users}, header: "Bearer s3cret", status: 401, ask: "Basic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url := receiving(t, RemoteWriteOptions{Server: c.o}, nil)
			w, _ := post(t, http.DefaultClient, url, body, "Content-Type", type1, "Authorization", c.header)
			require.Equal(t, c.status, w.StatusCode)
			require.Contains(t, w.Header.Get("WWW-Authenticate"), c.ask)
		})
	}
}

// authority makes certificates for 127.0.0.1.
func authority(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pemOf(der), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	return certFile, keyFile, pair
}

func TestRemoteWriteOverTLSWithClientCertificates(t *testing.T) {
	t.Parallel()
	cert, key, pair := authority(t)
	_, url := receiving(t, RemoteWriteOptions{Server: receive.Options{CertFile: cert, KeyFile: key, ClientCAFile: cert}}, nil)
	url = strings.Replace(url, "http:", "https:", 1)
	pool, err := certificates(cert)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		with []tls.Certificate
		ok   bool
	}{"with a certificate": {[]tls.Certificate{pair}, true}, "without": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: c.with, MinVersion: tls.VersionTLS12}}
			defer transport.CloseIdleConnections()
			q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(packed(message1())))
			require.NoError(t, err)
			w, err := (&http.Client{Transport: transport}).Do(q)
			if !c.ok {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, w.Body.Close())
			require.Equal(t, http.StatusNoContent, w.StatusCode)
		})
	}
}

func TestAnAddressThatIsTakenEndsTheCollector(t *testing.T) {
	t.Parallel()
	l := listener(t)
	defer func() { _ = l.Close() }()
	r := newRig(t, Options{RemoteWrite: &RemoteWriteOptions{Server: receive.Options{Listen: l.Addr().String()}}}, nil)
	require.ErrorContains(t, r.Run(t.Context(), r.emit), "listen for remote write")
}

// FuzzRemoteWriteBody sends any bytes as the body of a request: it is answered, with one of the statuses that the protocol has.
func FuzzRemoteWriteBody(f *testing.F) {
	f.Add(packed(message1(sent{labels: []string{"__name__", "wanted"}, samples: []point{{value: 1, at: 1000}}})), false)
	f.Add(packed(message2(sent{labels: []string{"__name__", "wanted"}, samples: []point{{value: 1, at: 1000}}})), true)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, false)
	f.Add([]byte{}, true)
	var filter Filter
	filter.Set(need("wanted"))
	var stats counters
	c := collector.Common{Name: "x"}
	out, err := c.Outlet("", nil, func(context.Context, []byte) error { return nil }, record.Sample)
	require.NoError(f, err)
	guard, err := receive.NewGuard(receive.Options{Listen: ":0", MaxBodyMB: 1}, nil)
	require.NoError(f, err)
	v := newReceiver(c, &filter, &stats, out)
	handler := receive.NewServer(guard, nil, v.observe, v.route(defaultWritePath)).Handler()
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		w := newAnswer()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, defaultWritePath, bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", type1)
		if second {
			r.Header.Set("Content-Type", type2)
		}
		handler.ServeHTTP(w, r)
		require.Contains(t, []int{204, 400, 413}, w.status)
	})
}

// answerWriter keeps the status alone.
type answerWriter struct {
	status int
	header http.Header
}

func newAnswer() *answerWriter { return &answerWriter{header: http.Header{}} }

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) WriteHeader(status int)      { w.status = status }
func (w *answerWriter) Write(p []byte) (int, error) { return len(p), nil }

// workload is a request such as a Prometheus sends: 2,000 samples, of which few are needed.
func workload(encode func(...sent) []byte) []byte {
	var list []sent
	for i := range 2000 {
		name := fmt.Sprintf("metric_%d_total", i%200)
		if i%200 == 7 {
			name = "wanted"
		}
		list = append(list, sent{
			labels:  []string{"__name__", name, "container", "app", "instance", "10.0.0.1:8080", "job", "shop/web", "namespace", "shop", "pod", fmt.Sprintf("web-%d", i)},
			samples: []point{{value: float64(i), at: 1_700_000_000_000}},
		})
	}
	return encode(list...)
}

func TestDecodingWhatNobodyNeedsAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		v2   bool
	}{"1.0": {workload(message1), false}, "2.0": {workload(message2), true}} {
		q := request{view: viewOf(need("nothing_of_it")), latest: math.MaxInt64}
		require.NoError(t, q.decode(c.body, c.v2))
		require.Equal(t, 2000, q.samples)
		require.Less(t, testing.AllocsPerRun(5, func() { _ = q.decode(c.body, c.v2) }), 10.0, name)
	}
}

func BenchmarkRemoteWrite(b *testing.B) {
	for name, c := range map[string]struct {
		body []byte
		v2   bool
	}{"1.0": {workload(message1), false}, "2.0": {workload(message2), true}} {
		b.Run(name, func(b *testing.B) {
			wire := packed(c.body)
			q := request{view: viewOf(need("wanted")), latest: math.MaxInt64}
			var raw []byte
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if raw, err = snappy.Decode(raw[:cap(raw)], wire); err == nil {
					err = q.decode(raw, c.v2)
				}
				if err != nil || len(q.needed) != 10 {
					b.Fatal(errors.Join(err, fmt.Errorf("%d series are needed, not 10", len(q.needed))))
				}
			}
			b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
