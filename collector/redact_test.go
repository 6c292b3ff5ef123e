package collector

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/collector/record"
)

func TestSecretsAreRemoved(t *testing.T) {
	t.Parallel()
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIiwic3ViIjoieCJ9.c2lnbmF0dXJl"
	for text, want := range map[string]string{
		"login password=hunter2 user=bob":                                          "login password=[removed] user=bob",
		`DB_PASSWORD="two words" x`:                                                `DB_PASSWORD="[removed]" x`,
		`{"user":"bob","apiKey": "abcdef","n":1}`:                                  `{"user":"bob","apiKey": "[removed]","n":1}`,
		`{"token":"a\"b","next":"x"}`:                                              `{"token":"[removed]","next":"x"}`,
		"GET /?a=1&access_token=abcdef&b=2":                                        "GET /?a=1&access_token=[removed]&b=2",
		"dial postgres://app:s3cret@db:5432/x: refused":                            "dial postgres://app:[removed]@db:5432/x: refused",
		"Authorization: Bearer abcdefghijklmnopqrstuvwxyz rest":                    "Authorization: Bearer [removed] rest",
		"jwt " + jwt + " seen":                                                     "jwt [removed] seen",
		"key AKIAIOSFODNN7EXAMPLE used":                                            "key [removed] used",
		"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----": "-----BEGIN PRIVATE KEY-----[removed]-----END PRIVATE KEY-----",
		"password=one secret=two1 token=three":                                     "password=[removed] secret=[removed] token=[removed]",
	} {
		r := newRedactor(nil)
		got, n := r.redact([]byte(text))
		require.Equal(t, want, string(got))
		require.Positive(t, n)
		again, n := r.redact([]byte(want))
		require.Equal(t, want, string(again), "what was removed stays removed")
		require.Zero(t, n)
	}
}

func TestProseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "=", `"`, `":"`, "password", "password=", "token=-", `secret "db-credentials" not found`, "invalid bearer token, Token has been invalidated",
		"FATAL: password authentication failed for user", "couldn't find key password in Secret shop/db", "http://host:8080/path@x", "git clone ssh://git@host/x",
		"level=error tokens=12 msg=ok", `{"level":"info","ts":1}`, "-----END PRIVATE KEY-----",
	} {
		r := newRedactor(nil)
		got, n := r.redact([]byte(text))
		require.Equal(t, text, string(got))
		require.Zero(t, n, text)
	}
}

func TestFilesGiveNoSecretsUnlessTold(t *testing.T) {
	t.Parallel()
	path := write(t, "a.log", stamp+"password=hunter2 "+strings.Repeat("x", 10)+"\n")
	for keep, want := range map[bool]string{false: "[removed]", true: "hunter2"} {
		f, err := Open(Options{Paths: []string{path}, Now: present, KeepSecrets: keep})
		require.NoError(t, err)
		records, _ := drain(t, f)
		require.Contains(t, string(records[0].Text), "password="+want)
		st := f.Stats()
		require.Equal(t, !keep, st.Counts.Get(format.RemovedSecret) == 1)
	}
}

func TestSecretsAreRemovedFromAttributesAndChanges(t *testing.T) {
	t.Parallel()
	attrs := func(pairs ...string) record.Attrs {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return record.NewAttrs(m)
	}
	change := func(path, from, to string) record.Record {
		return record.Record{
			Kind: record.Change, Text: []byte(path + ": " + from + " -> " + to),
			Attrs: attrs(record.ChangePath, path, record.ChangeFrom, from, record.ChangeTo, to, record.ObjectKind, "Deployment"),
		}
	}
	const env = "spec.template.spec.containers[app].env[DB_PASSWORD].value"
	for _, c := range []struct {
		name       string
		give, want record.Record
		removed    int
	}{
		{
			"a label",
			record.Record{Kind: record.Sample, Attrs: attrs("label.url", "postgres://a:hunter2@db/x", "label.token", "abcdef", "label.secret", "web-tls")},
			record.Record{Kind: record.Sample, Attrs: attrs("label.url", "postgres://a:[removed]@db/x", "label.token", removed, "label.secret", "web-tls")},
			2,
		},
		{
			"a header of a request",
			record.Record{Kind: record.Log, Attrs: attrs("http.request.header.authorization", "Bearer abcdefghijklmnop123", "db.password", "x1y2z3")},
			record.Record{Kind: record.Log, Attrs: attrs("http.request.header.authorization", "Bearer [removed]", "db.password", removed)},
			2,
		},
		{"an environment variable", change(env, "old1", "new1"), change(env, removed, removed), 2},
		{"one that is new", change(env, "", "new1"), change(env, "", removed), 1},
		{"a ConfigMap's field", change("data[api_key]", "old1", "new1"), change("data[api_key]", removed, removed), 2},
		{"an argument", change("spec.containers[app].args[1]", "--x", "--password=hunter2"), change("spec.containers[app].args[1]", "--x", "--password="+removed), 2},
		{"the name of a Secret", change("spec.tls[0].secret", "web-1", "web-2"), change("spec.tls[0].secret", "web-1", "web-2"), 0},
		{"another field", change("status.conditions[Ready].status", "True", "False"), change("status.conditions[Ready].status", "True", "False"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := c.give.Clone()
			got := c.give
			r := newRedactor(nil)
			n := r.record(&got)
			texts, more := batched(t, r, []string{string(got.Text)}, 1<<20)
			got.Text = []byte(texts[0])
			require.Equal(t, c.removed, n+more)
			require.Equal(t, string(c.want.Text), string(got.Text))
			require.Equal(t, c.want.Attrs, got.Attrs)
			require.Equal(t, before.Attrs, c.give.Attrs, "what the collector gave is not written to")
			alone := c.give
			require.Equal(t, c.removed, standardSecrets().Cleaner()(&alone))
			require.Equal(t, string(c.want.Text), string(alone.Text))
			require.Equal(t, c.want.Attrs, alone.Attrs)
		})
	}
}

func TestAPrivateKeyThatComesLineByLineIsRemoved(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(5, 6))}
	r := newRedactor(nil)
	full, last := d.alnum(62)+"1a", d.alnum(22)+"=="
	for _, c := range []struct{ text, want string }{
		{"-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"},
		{full, removed},
		{"another source speaks", "another source speaks"},
		{full, removed},
		{"done", "done"},
		{last, removed},
		{"-----END RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"},
		{last, last},
		{strings.Repeat("0a", 32), strings.Repeat("0a", 32)},
	} {
		got, _ := r.redact([]byte(c.text))
		require.Equal(t, c.want, string(got))
	}
}

func TestWhatIsSecretCanBeChosen(t *testing.T) {
	t.Parallel()
	text := "password=hunter2 http://a:b1c2@h Authorization: Basic dTpwYXNzd29yZDE= mail bob.b+x@example.net. id CARD-1234-5678 and CARDS"
	for _, c := range []struct {
		name string
		o    SecretOptions
		want string
	}{
		{"all", SecretOptions{}, "password=[removed] http://a:[removed]@h Authorization: Basic [removed] mail bob.b+x@example.net. id CARD-1234-5678 and CARDS"},
		{"nothing", SecretOptions{KeepAll: true, Email: true, Patterns: []SecretPattern{{"card", `CARD-[0-9-]+`}, {"n", `[0-9]{4}`}}}, text},
		{"not fields", SecretOptions{Keep: []string{"field"}}, "password=hunter2 http://a:[removed]@h Authorization: Basic [removed] mail bob.b+x@example.net. id CARD-1234-5678 and CARDS"},
		{"mail and nothing else", SecretOptions{Keep: secretKinds(), Email: true}, "password=hunter2 http://a:b1c2@h Authorization: Basic dTpwYXNzd29yZDE= mail [removed]. id CARD-1234-5678 and CARDS"},
		{
			"one's own",
			SecretOptions{Keep: secretKinds(), Patterns: []SecretPattern{{"card", `CARD-[0-9-]+`}, {"digits", `\b[0-9]{8}=`}, {"mail", `(?i)BOB\S+`}}},
			"password=hunter2 http://a:b1c2@h Authorization: Basic dTpwYXNzd29yZDE= mail [removed] id [removed] and CARDS",
		},
		{
			"one's own without a word",
			SecretOptions{Keep: secretKinds(), Patterns: []SecretPattern{{"numbers", `[0-9]{4}-[0-9]{4}`}}},
			"password=hunter2 http://a:b1c2@h Authorization: Basic dTpwYXNzd29yZDE= mail bob.b+x@example.net. id CARD-[removed] and CARDS",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewSecrets(c.o)
			require.NoError(t, err)
			for _, pad := range []string{"", "x "} {
				got, _ := newRedactor(s).redact([]byte(pad + text))
				require.Equal(t, pad+c.want, string(got))
			}
		})
	}
	_, err := NewSecrets(SecretOptions{Keep: []string{"fields"}, Patterns: []SecretPattern{{"", "a"}, {"x", "("}, {"y", "a*"}}})
	for _, word := range []string{`"fields"`, "the name is missing", "read the regex", "matches nothing at all"} {
		require.ErrorContains(t, err, word)
	}
}

func TestALongSecretIsRemovedWhole(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(9, 10))}
	long := d.alnum(judged-1) + `\"` + d.alnum(5000)
	for _, text := range []string{`{"password":"§","x":1}`, `token="§" x`, "Cookie: a=§", "Authorization: Bearer §"} {
		secret := long
		if !strings.Contains(text, `"`) {
			secret = d.alnum(9000)
		}
		got, n := newRedactor(nil).redact([]byte(strings.ReplaceAll(text, "§", secret)))
		require.Equal(t, 1, n)
		require.Less(t, len(got), 60, "%s", got)
	}
}
