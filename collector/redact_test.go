package collector

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/format"
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
		var r redactor
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
		var r redactor
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

func FuzzRedact(f *testing.F) {
	f.Add([]byte("password=hunter2"))
	f.Add([]byte(`{"token":"a\`))
	f.Add([]byte("://a:b@"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r redactor
		got, n := r.redact(text)
		if n == 0 {
			require.Equal(t, text, got)
		}
		if !suspicious(text) { // the short way never misses what the long way finds
			start, _ := nextSecret(text, 0)
			require.Negative(t, start)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	line := []byte("2026-11-20T10:00:00.000Z INFO [worker-3] request handled in 42 ms path=/api/v1/namespaces/default/pods status=200")
	var r redactor
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.redact(line)
	}
}
