package collector

import (
	"bytes"
	"context"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

const (
	lowers = "abcdefghijklmnopqrstuvwxyz"
	uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	hexes  = "0123456789abcdef"
)

// dice makes up secrets. They have the shapes of real ones and open nothing; none is written down here.
type dice struct{ *rand.Rand }

func (d dice) of(n int, letters string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[d.IntN(len(letters))]
	}
	return string(b)
}

func (d dice) word() string { return d.of(3, lowers) + d.of(3, uppers) + d.of(4, digits) }

func (d dice) alnum(n int) string { return d.of(n, lowers+uppers+digits) }

func (d dice) base64(n int) string { return base64.StdEncoding.EncodeToString([]byte(d.alnum(n))) }

func (d dice) jwt() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	head := []string{`{"alg":"RS256","kid":"` + d.alnum(8) + `"}`, `{"typ":"JWT","alg":"HS256"}`, `{"kid":"` + d.alnum(20) + `","alg":"ES256"}`}[d.IntN(3)]
	return part(head) + "." + part(`{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:shop:`+d.of(6, lowers)+`"}`) + "." + d.alnum(43)
}

func (d dice) pem(newLine string) string {
	lines := make([]string, 0, 8)
	for range 6 {
		lines = append(lines, d.alnum(64))
	}
	return strings.Join(append(lines, d.alnum(22)+"=="), newLine)
}

// planted are the shapes of texts with a secret: §  stands where it is.
func planted() []struct {
	text   string
	secret func(d dice) string
} {
	type shape = struct {
		text   string
		secret func(d dice) string
	}
	var all []shape
	add := func(secret func(d dice) string, texts ...string) {
		for _, t := range texts {
			all = append(all, shape{t, secret})
		}
	}
	mark := func(prefix string, n int, letters string) func(d dice) string {
		return func(d dice) string { return prefix + d.of(n, letters) }
	}
	alnum := lowers + uppers + digits
	add(dice.word,
		"login password=§ user=bob", "DB_PASSWORD=§", `DB_PASSWORD="§" next`, "export PGPASSWORD='§'", "SMTP_PASS=§", "  db_pass: §", "spring.datasource.password=§", "user=sa;Password=§;Encrypt=true",
		"Server=db;Uid=sa;Pwd=§;", "Driver={x};UID=sa;PWD=§", `{"user":"bob","password":"§","n":1}`, `{"user":"bob", "Password" : "§"}`,
		`msg="{\"user\":\"bob\",\"password\":\"§\"}"`, "password: §", "    password: §", "- db_password: §\n  host: x", "  adminPassword: '§'", `password: "§"`,
		"using password §x: no"[:0]+"Using passwd=§ for root", "{User:bob Password:§ Host:db}", "config: {passphrase: §}", "--password=§ --host x",
		"exec mysql --password § -h db", "exec mysqladmin --user root --password '§'", "curl --token § https://x", "client_secret=§&grant_type=x", `"clientSecret": "§"`,
		"GET /?a=1&access_token=§&b=2 200", "POST /login?password=§ 401", "refresh_token=§", "api_key=§", "apiKey: §", "X-Api-Key: §", "x-api-key=§", `"api-key":"§"`,
		"AWS_SECRET_ACCESS_KEY=§", `"SecretAccessKey" : "§"`, "aws_session_token = '§'", "secretKey: §", "signing_key=§", "ENCRYPTION_KEY=§", "auth_key: §", "PASSWORD => '§'",
		"password := \"§\"", "ALTER USER app WITH PASSWORD '§'", "CREATE USER 'a'@'b' IDENTIFIED BY '§'", `{"token":"§"}`, "login failed for bob: token=§", "TOKEN=§",
		"dial postgres://app:§@db:5432/x: refused", "redis://:§@cache:6379/0", "amqp://guest:§@mq/", "mongodb+srv://u:§@c.example.net/?w=1", `url="https://u:§@git.example.net/r.git"`,
		"clone https://oauth2:§@git.example.net/r", "app:§@tcp(db:3306)/shop?parseTime=true", "user:§@unix(/run/mysqld.sock)/shop", "proxy http://u:§@10.0.0.1:3128/ used",
		"token: §", `secret: "§"`, "webhook secret: §",
	)
	add(func(d dice) string { return d.word() + "@" + d.of(5, lowers) }, "dial mysql://app:§@db/x", "broker amqps://u:§@mq:5671")
	add(func(d dice) string { return "p" + d.of(4, lowers) + "/" + d.of(4, digits) }, "dial postgres://app:§@db:5432/x")
	add(func(d dice) string { return "two words " + d.word() }, `password="§" x`, `{"password":"§"}`, "password='§'")
	add(func(d dice) string { return d.word() + `\"` + d.word() }, `{"password":"§","next":1}`)
	add(func(d dice) string { return d.alnum(32) },
		"Authorization: Bearer §", "authorization: bearer § rest", `{"Authorization":["Bearer §"]}`, `-H "Authorization: Bearer §"`, "Authorization: token §", "Authorization: §", `"authorization":"ApiKey §"`,
		"https://§@git.example.net/r.git")
	add(func(d dice) string { return base64.StdEncoding.EncodeToString([]byte("user:" + d.word())) },
		"Authorization: Basic §", "authorization=Basic §", `{"Authorization":["Basic §"]}`, "sent header Basic § to proxy", "Proxy-Authorization: Basic §")
	add(func(d dice) string { return "session=" + d.alnum(24) + "; theme=dark" }, "Cookie: §", `"Cookie":"§"`, "Set-Cookie: §\nnext line")
	add(dice.jwt, "jwt § seen", "§", `{"id":"§"}`, "Cookie2 sid=§", "token review of §: denied", "path=/?t=§")
	add(func(d dice) string { return base64.StdEncoding.EncodeToString([]byte(d.jwt())) }, "  data: §", "value § end")
	for _, kind := range []string{"", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "} {
		add(func(d dice) string { return d.pem("\n") }, "-----BEGIN "+kind+"PRIVATE KEY-----\n§\n-----END "+kind+"PRIVATE KEY-----", "cut off: -----BEGIN "+kind+"PRIVATE KEY-----\n§")
		add(func(d dice) string { return d.pem(`\n`) }, `{"k":"-----BEGIN `+kind+`PRIVATE KEY-----\n§\n-----END `+kind+`PRIVATE KEY-----\n","x":1}`)
		add(func(d dice) string {
			return base64.StdEncoding.EncodeToString([]byte("-----BEGIN " + kind + "PRIVATE KEY-----\n" + d.pem("\n")))
		}, "    client-key-data: §", "tls.key: §")
	}
	add(func(d dice) string { return d.pem("\n") }, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n§\n-----END PGP PRIVATE KEY BLOCK-----")
	around := []string{"key § used", "§", "id=§,", `{"id":"§"}`, "(§)", "https://x.example.net/?k=§"}
	add(mark("AKIA", 16, uppers+digits), around...)
	add(mark("ASIA", 16, uppers+digits), around...)
	add(mark("AIza", 35, alnum+"-_"), around...)
	add(mark("ya29.", 60, alnum+"-_"), around...)
	add(mark("GOCSPX-", 28, alnum), around...)
	for _, p := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"} {
		add(mark(p, 36, alnum), around...)
	}
	add(mark("github_pat_", 82, alnum+"_"), around...)
	add(mark("glpat-", 20, alnum), around...)
	for _, p := range []string{"xoxb-", "xoxp-", "xapp-"} {
		add(mark(p+"123456789012-", 24, alnum), around...)
	}
	add(mark("https://hooks.slack.com/services/T00000000/B00000000/", 24, alnum), "post to §: 404")
	for _, p := range []string{"sk_live_", "rk_live_", "sk_test_", "whsec_"} {
		add(mark(p, 24, alnum), around...)
	}
	add(mark("npm_", 36, alnum), around...)
	add(mark("dckr_pat_", 27, alnum), around...)
	add(mark("glsa_", 32, alnum), around...)
	add(mark("dop_v1_", 64, hexes), around...)
	add(mark("shpat_", 32, hexes), around...)
	add(mark("pypi-AgEIcHlwaS5vcmc", 60, alnum), around...)
	add(mark("hvs.", 90, alnum), around...)
	add(mark("sk-ant-api03-", 80, alnum), around...)
	add(mark("sk-proj-", 48, alnum), around...)
	add(mark("AGE-SECRET-KEY-1", 58, uppers+digits), around...)
	add(func(d dice) string { return d.alnum(14) + ".atlasv1." + d.alnum(60) }, around...)
	add(func(d dice) string { return "SG." + d.alnum(22) + "." + d.alnum(43) }, around...)
	add(func(d dice) string { return d.alnum(3) + "8Q~" + d.alnum(33) }, "client § refused", "x=§")
	add(func(d dice) string { return d.base64(48) }, "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=§;EndpointSuffix=x", "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=§")
	add(func(d dice) string { return d.alnum(40) + "%3D" }, "GET https://a.blob.example.net/c/b?sv=2026&sig=§&se=1", "?sig=§")
	add(mark("", 64, hexes), "GET /b/o?X-Amz-Algorithm=AWS4&X-Amz-Signature=§ 403", "token: §", "api_key: § rejected")
	add(func(d dice) string { return d.of(6, lowers+digits) + "." + d.of(8, digits) + d.of(8, lowers) }, "kubeadm join 10.0.0.1:6443 --token §", "bootstrap token: §")
	add(func(d dice) string {
		return d.of(8, hexes) + "-" + d.of(4, hexes) + "-" + d.of(4, hexes) + "-" + d.of(4, hexes) + "-" + d.of(12, hexes)
	}, "session token: §", "access_token=§", `"apiKey":"§"`)
	return all
}

// nearMisses look like secrets and are none. They tell an SRE what is wrong.
func nearMisses() []string {
	return []string{
		"", "=", `"`, `":"`, "password", "password=", "token=-", `secret "db-credentials" not found`, "invalid bearer token, Token has been invalidated",
		"FATAL: password authentication failed for user", "couldn't find key password in Secret shop/db", "http://host:8080/path@x", "git clone ssh://git@host/x",
		"level=error tokens=12 msg=ok", `{"level":"info","ts":1}`, "-----END PRIVATE KEY-----", "token: expired", "token: invalid", "invalid token: expired", "token=expired",
		"password: incorrect", "password: required", "api_key: missing", "secret: db-credentials", "secret: not found", "secret: db-credentials-2 does not exist",
		`MountVolume.SetUp failed for volume "tls" : secret "web-tls-7f9c" not found`, `"Failed to get secret" secret="kube-system/registry-7d8f"`,
		"secret=shop/db-credentials", "imagePullSecret=regcred", "tlsSecret: web-tls-2", `{"token":12345,"secret":null}`, "unexpected token: '}'", "SyntaxError: Unexpected token } in JSON",
		"syntax error near token: IDENTIFIER", "max_tokens=4096", "tokens: 128", "tests_pass: all", "health_pass=true", "pass=12 fail=0", "by-pass=enabled", "token_count=5", "token bucket: refill 20/s", "next token: EOF", "csrf token missing",
		"Authorization: denied", "authorization failed: user cannot list pods", `authorization.k8s.io/decision="forbid"`, "Basic authentication is not enabled", "use basic realm=cluster",
		"bearer authentication-is-not-configured here", "Bearer token required", "Cookie: none", "no cookie: sent", "cookies=3", "password=${DB_PASSWORD}", "password={{ .Values.password }}",
		"token=$(cat /run/token)", "--password is required", "flag --token is deprecated", "the --token-file flag", "token_file=/var/run/secrets/token", "tokenFile: /var/run/secrets/token", "password=***", `password="xxxxx"`,
		"password=[REDACTED]", "token: <nil>", "token=null", "password: <redacted>", "PWD=/home/app", "OLDPWD=/", "pwd: /srv/app", "passwords=3", "secretName: web-tls", "secret_name=web",
		"pod web-5c6f7d8b9c-x2k4z on node ip-10-0-0-1.eu-west-1.compute.internal", "uid=550e8400-e29b-41d4-a716-446655440000", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
		"image registry.example.net/shop/web@sha256:" + strings.Repeat("0123456789abcdef", 4), "docker.io/library/nginx@sha256:" + strings.Repeat("a1", 32) + " pulled",
		"sha256:" + strings.Repeat("9f", 32), "commit " + strings.Repeat("ab12", 10), "etag=\"" + strings.Repeat("0a", 16) + "\"", "checksum/config: " + strings.Repeat("5e", 32),
		"https://kubernetes.default.svc:443/api/v1/namespaces/kube-system/configmaps?resourceVersion=12", "http://[::1]:8080/healthz", "mail from root@localhost", "user@10.0.0.1: permission denied",
		"from bob@example.net to ann@example.net", "AKIATESTKEY", "AKIA", "an AKIAish thing", "ghp_short", "the xoxb- prefix", "eyJ", "keyJ1", "monkey=banana", "key=value", `key="shop/web"`, "keys=5",
		"primary_key=42", "sort_key=name", "foreign key: id", "partition_key=eu", "public_key=" + strings.Repeat("aA1", 20), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "no PRIVATE KEY found in file", "std::token::next", "if token == nil", "token != nil", "design=flat", "sig=11", "signal=SIGSEGV sig=0x0b",
		"signature verification failed: x509", "signature: bad", "configuration=default", "E1120 10:00:00.000000       1 reflector.go:147] unable to sync", "I1120 10:00:00.000 authentication.go:70] Unable to authenticate the request: invalid bearer token",
		"x509: certificate has expired or is not yet valid: current time 2026-11-20T10:00:00Z is after 2026-11-19T10:00:00Z", "OOMKilled: memory cgroup out of memory: Killed process 4242 (java)",
		`{"password_policy":"strict","passwordLength":12}`, "password policy: strict", "passwd: files systemd", "passphrase required", "access key: not found", "accesskeyid missing", "SG.short", "hvs.short",
		"pypi-upload failed", "sk-proj-x", "job web-backup-28000000 failed", "lease kube-node-lease/node-1", "data 0xc000123abc456def", "nonce a8Q~x",
	}
}

// corpus makes 10,000 lines, every other with a secret.
func corpus() (lines, secrets []string) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	shapes, misses := planted(), nearMisses()
	pads := []string{"", "2026-11-20T10:00:00.000Z INFO [worker-3] ", "E1120 10:00:00.000000       1 web.go:12] ", `{"level":"info"} `, "x", " "}
	for i := 0; len(lines) < 10_000; i++ {
		s := shapes[i%len(shapes)]
		secret := s.secret(d)
		text := strings.ReplaceAll(s.text, "§", secret)
		if pad := pads[i/len(shapes)%len(pads)]; pad != "x" && !strings.Contains(s.text, ": §") { // that may be a line of its own only
			text = pad + text
		}
		lines, secrets = append(lines, text), append(secrets, secret)
		lines, secrets = append(lines, misses[i%len(misses)]), append(secrets, "")
	}
	return lines[:10_000], secrets[:10_000]
}

func TestOfTenThousandLinesNoSecretLeavesAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	lines, secrets := corpus()
	require.Len(t, lines, 10_000)
	var frames [][]byte
	x, err := NewOutlet(OutletOptions{Source: "corpus", Kinds: []record.Kind{record.Log}}, nil)
	require.NoError(t, err)
	x.emit = keep(&frames)
	r := newRedactor(nil)
	leaked, touched, n := map[string]string{}, map[string]string{}, 0
	for i, line := range lines {
		for _, padding := range []string{"", " "} { // at even and at odd places
			text, _ := r.redact([]byte(padding + line))
			if secrets[i] == "" && string(text) != padding+line {
				touched[line] = string(text)
			}
			if secrets[i] != "" && leaks(string(text), secrets[i]) {
				leaked[line] = string(text)
			}
		}
		if secrets[i] != "" {
			n++
		}
		rec := record.Record{Kind: record.Log, Time: int64(i), Text: []byte(line), Attrs: record.Attrs{{Key: "label.seen", Value: line[:min(len(line), record.MaxValue)]}}}
		require.NoError(t, x.Add(t.Context(), &rec))
	}
	for line, text := range leaked {
		t.Errorf("leaks:   %q\nbecomes: %q", line, text)
	}
	for line, text := range touched {
		t.Errorf("is no secret: %q\nbecomes:      %q", line, text)
	}
	require.Equal(t, 5000, n)
	require.NoError(t, x.Flush(t.Context()))
	i := 0
	for _, frame := range frames {
		var b record.Batch
		require.NoError(t, b.Decode(frame))
		for k := range b.Len() {
			r := b.At(k)
			for _, text := range []string{string(r.Text), r.Attrs.Value("label.seen")} {
				if secrets[i] != "" && leaks(text, secrets[i]) || secrets[i] == "" && text != lines[i] {
					t.Errorf("%q left the collector as %q", lines[i], text)
				}
			}
			i++
		}
	}
	require.Equal(t, len(lines), i)
}

// leaks reports whether a text has a secret, or a part of it that is long enough to be found by chance once in 2^60 times.
func leaks(text, secret string) bool {
	if len(secret) < 24 {
		return strings.Contains(text, secret)
	}
	for i := 0; i+14 <= len(secret); i += 7 {
		part := secret[i : i+14]
		if strings.Contains(text, part) && !strings.HasPrefix(part, "https://hook") && !strings.Contains("hooks.slack.com/services/T00000000/B00000000/"+" two words session=; theme=dark", part) {
			return true
		}
	}
	return false
}

func keep(frames *[][]byte) Emit {
	return func(_ context.Context, frame []byte) error {
		*frames = append(*frames, bytes.Clone(frame))
		return nil
	}
}

func TestEachShapeIsRemovedOnceAndStaysRemoved(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(3, 4))}
	for _, s := range planted() {
		r := newRedactor(nil)
		once, n := r.redact([]byte(strings.ReplaceAll(s.text, "§", s.secret(d))))
		first := string(once)
		require.Positive(t, n, s.text)
		require.Contains(t, first, removed)
		again, n := newRedactor(nil).redact([]byte(first))
		require.Equal(t, first, string(again))
		require.Zero(t, n, first)
	}
}
