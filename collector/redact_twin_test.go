package collector

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures/literal/teddy"
)

// everyMark compares each mark at each place: the slow twin of the filter.
func everyMark(f *filter, text []byte) (all []placed) {
	for p := range text {
		for i := range f.marks {
			if m := &f.marks[i]; m.stands(text, p-m.at) {
				all = append(all, placed{p - m.at, p, uint16(i)})
			}
		}
	}
	return all
}

// inOrder puts marks at one place in the order in which they were added: the filter gives them by buckets.
func inOrder(all []placed) []placed {
	slices.SortStableFunc(all, func(a, b placed) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return int(a.mark) - int(b.mark)
	})
	return all
}

// filters are the ways in which marks are looked for on this machine, and anywhere.
func filters(tb testing.TB, o SecretOptions) map[string]*Secrets {
	tb.Helper()
	all := map[string]*Secrets{}
	for name, vector := range map[string]bool{"pairs": false, "vectors": true} {
		if vector && !teddy.Available() {
			continue
		}
		s, err := NewSecrets(o)
		require.NoError(tb, err)
		s.build(vector)
		all[name] = s
	}
	return all
}

func twinOptions() SecretOptions {
	return SecretOptions{Email: true, Patterns: []SecretPattern{{"own", "abc|wxyz[0-9]"}, {"fold", "(?i)secretive"}, {"two lines", "abc\ndef"}}}
}

func TestTheFilterFindsEachMarkWhereverItStands(t *testing.T) {
	t.Parallel()
	for name, s := range filters(t, twinOptions()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dice{rand.New(rand.NewPCG(7, 8))}
			var places []uint32
			var got []placed
			for i := range s.marks {
				m := &s.marks[i]
				for before := range 80 {
					after := d.IntN(80)
					word := m.text
					if m.fold && after%2 == 0 {
						word = strings.ToUpper(word)
					}
					if m.body.is != nil {
						word += "000"
					}
					text := []byte(d.of(before, "#?| ") + word + d.of(after, "#?| "))
					got, places = s.appendPlaced(got[:0], places, text)
					require.Contains(t, got, placed{before, before + m.at, uint16(i)}, "%q", text)
				}
			}
		})
	}
}

func TestTheFilterFindsWhatItsTwinFinds(t *testing.T) {
	t.Parallel()
	lines, _ := corpus()
	for name, s := range filters(t, twinOptions()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dice{rand.New(rand.NewPCG(9, 10))}
			check := func(text []byte) {
				got, _ := s.appendPlaced(nil, nil, text)
				require.True(t, slices.Equal(inOrder(everyMark(&s.filter, text)), inOrder(got)), "%q", text[:min(len(text), 200)])
			}
			for range 5_000 {
				check([]byte(d.of(d.IntN(200), "paswordtkenigucy_-=@:Q~eyJSG.\x00")))
			}
			check([]byte(strings.Join(lines[:2_000], "\n"))) // over the borders of what is looked at ahead
		})
	}
}

// slowly is redact by the filter's twin, for a text of its own.
func slowly(s *Secrets, text []byte) (string, int) {
	r := newRedactor(s)
	got, n := r.text(text, inOrder(everyMark(&s.filter, text)), 0)
	return string(got), n
}

// batched gives texts to the redactor as a batch.
func batched(tb testing.TB, r *redactor, texts []string, room int) ([]string, int) {
	tb.Helper()
	var b record.Builder
	require.NoError(tb, b.Reset(record.Header{Source: "x", Kinds: 1 << record.Log}))
	for _, text := range texts {
		require.NoError(tb, b.Add(&record.Record{Kind: record.Log, Text: []byte(text)}))
	}
	n := r.batch(&b, room)
	var batch record.Batch
	require.NoError(tb, batch.Decode(b.AppendTo(nil)))
	require.Equal(tb, len(texts), batch.Len())
	out := make([]string, len(texts))
	for i := range out {
		x := batch.At(i)
		out[i] = string(x.Text)
	}
	return out, n
}

func TestABatchLosesTheSecretsOfEachOfItsTexts(t *testing.T) {
	t.Parallel()
	lines, _ := corpus()
	for name, s := range filters(t, SecretOptions{}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dice{rand.New(rand.NewPCG(11, 12))}
			r := newRedactor(s)
			for range 60 {
				texts := make([]string, 1+d.IntN(400))
				want, n := make([]string, len(texts)), 0
				for i := range texts {
					for texts[i] = lines[d.IntN(len(lines))]; strings.Contains(texts[i], "PRIVATE KEY"); { // what comes behind it may be taken for its lines
						texts[i] = lines[d.IntN(len(lines))]
					}
					text, more := slowly(s, []byte(texts[i]))
					want[i] = text
					n += more
				}
				got, removed := batched(t, r, texts, 1<<20)
				require.Equal(t, want, got)
				require.Equal(t, n, removed)
			}
		})
	}
}

func TestABatchOfSecretsDoesNotGrowBeyondItsRoom(t *testing.T) {
	t.Parallel()
	texts := make([]string, 1000)
	for i := range texts {
		texts[i] = "pwd=abc"
	}
	got, n := batched(t, newRedactor(nil), texts, 100)
	require.Equal(t, len(texts), n)
	size := 0
	for _, text := range got {
		require.True(t, strings.HasPrefix("pwd="+removed, text), text)
		size += len(text) - len("pwd=abc")
	}
	require.LessOrEqual(t, size, 100+len(removed))
}

func TestAPrivateKeyMayGoOnInTheNextBatch(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(5, 6))}
	r := newRedactor(nil)
	full, last := d.alnum(62)+"1a", d.alnum(22)+"=="
	got, _ := batched(t, r, []string{"-----BEGIN RSA PRIVATE KEY-----", full, "another speaks"}, 1<<20)
	require.Equal(t, []string{"-----BEGIN RSA PRIVATE KEY-----", removed, "another speaks"}, got)
	got, _ = batched(t, r, []string{last, "-----END RSA PRIVATE KEY-----", last}, 1<<20)
	require.Equal(t, []string{removed, "-----END RSA PRIVATE KEY-----", last}, got)
}

func TestAMarkOverTheBorderOfTwoTextsIsNone(t *testing.T) {
	t.Parallel()
	s, err := NewSecrets(SecretOptions{Patterns: []SecretPattern{{"two lines", "abc\ndef"}}})
	require.NoError(t, err)
	got, n := batched(t, newRedactor(s), []string{"abc", "def", "abc\ndef", "pass", "word=hunter2"}, 1<<20)
	require.Equal(t, []string{"abc", "def", removed, "pass", "word=hunter2"}, got)
	require.Equal(t, 1, n)
}

// surely are secrets as regular expressions say it, as far as they can: what they find must be gone. The first group is the secret.
func surely() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"json web token": regexp.MustCompile(`(eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})`),
		"AWS key":        regexp.MustCompile(`(?:^|[^A-Za-z0-9])(A[KS]IA[A-Z0-9]{16})(?:$|[^A-Z0-9])`),
		"GitHub":         regexp.MustCompile(`(?:^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36})`),
		"Slack":          regexp.MustCompile(`(?:^|[^A-Za-z0-9])(xox[bpars]-[A-Za-z0-9-]{10,})`),
		"Stripe":         regexp.MustCompile(`(?:^|[^A-Za-z0-9])([sr]k_(?:live|test)_[A-Za-z0-9]{16,})`),
		"assignment":     regexp.MustCompile(`(?i)(?:password|passwd|passphrase|db_pass|api_key|apikey|client_secret)=([a-z]{3}[a-z]{3}[0-9]{4})`),
		"json":           regexp.MustCompile(`(?i)"(?:password|passwd|api[_-]?key|client_?secret|token)" ?: ?"([a-z]{6}[0-9]{4})"`),
		"url":            regexp.MustCompile(`[a-z]://[a-z]+:([A-Za-z]{6}[0-9]{4})@[a-z]`),
		"bearer":         regexp.MustCompile(`(?i)authorization: bearer ([A-Za-z0-9]{32})`),
		"private key":    regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----\n([A-Za-z0-9+/\n=]{64,})`),
	}
}

func TestWhatRegularExpressionsFindIsGone(t *testing.T) {
	t.Parallel()
	lines, _ := corpus()
	seen := map[string]int{}
	for _, s := range filters(t, SecretOptions{}) {
		r := newRedactor(s)
		for _, line := range lines {
			got, _ := r.redact([]byte(line))
			r.keyLeft = 0
			for name, re := range surely() {
				for _, m := range re.FindAllStringSubmatch(line, -1) {
					seen[name]++
					require.NotContains(t, string(got), m[1], name)
				}
			}
		}
	}
	for name := range surely() {
		require.Positive(t, seen[name], name)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte("password=hunter2"))
	f.Add([]byte(`{"token":"a\`))
	f.Add([]byte("://a:b@"))
	f.Add([]byte("x\nAuthorization: Basic dTpwYXNzd29yZDE=\npwd=abc1\n@@Q~"))
	sure, all := surely(), filters(f, SecretOptions{})
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, s := range all {
			want, n := slowly(s, text)
			got, k := newRedactor(s).redact(text)
			require.Equal(t, want, string(got))
			require.Equal(t, n, k)
			if n == 0 {
				require.Equal(t, text, got)
			}
			for name, re := range sure {
				if name == "json" || name == "assignment" { // a whole text of marks may be one value of a field already
					continue
				}
				for _, m := range re.FindAllSubmatch(text, -1) {
					require.False(t, bytes.Contains(got, m[1]) && n == 0, name)
				}
			}
			if len(text) > record.MaxText {
				continue
			}
			lines := strings.Split(string(text), "\n")
			single := newRedactor(s)
			for i, line := range lines {
				x, _ := single.redact([]byte(line))
				lines[i] = string(x)
			}
			out, _ := batched(t, newRedactor(s), strings.Split(string(text), "\n"), 1<<20)
			require.Equal(t, lines, out)
		}
	})
}

// BenchmarkFilter measures the search for marks in texts of some kinds, in the ways that there are.
func BenchmarkFilter(b *testing.B) {
	texts := map[string]string{
		"plain": "2026-11-20T10:00:00.000Z INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200\n",
		"klog":  `I1125 21:00:00.000042       1 proxier.go:342] "SyncProxyRules complete" elapsed="42.017ms" service="shop/cart-17"` + "\n",
		"json":  `{"level":"info","ts":"2026-11-20T10:00:00.000Z","caller":"web/server.go:42","msg":"handled","method":"GET","path":"/api/v1/pods","status":200,"duration":0.0042}` + "\n",
	}
	for kind, line := range texts {
		text := []byte(strings.Repeat(line, (256<<10)/len(line)))
		for way, s := range filters(b, SecretOptions{}) {
			b.Run(kind+"/"+way, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				var dst []placed
				var places []uint32
				n := 0
				for b.Loop() {
					dst, places = s.appendPlaced(dst[:0], places, text)
					n = len(s.appendPlaces(places[:0], text))
				}
				require.Empty(b, dst)
				b.ReportMetric(float64(n)/float64(len(text))*1000, "chance/kB")
			})
		}
	}
}
