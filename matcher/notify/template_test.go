package notify

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

func TestTemplatesSayWhatPeopleRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "all.tmpl")
	require.NoError(t, os.WriteFile(file, []byte(`
{{- define "title" }}{{ sign .State }} {{ .Warning.Title | upper | truncate 20 }} in {{ template "place" . }}{{ end }}
{{- define "place" }}{{ index .Warning.Key 0 | printf "%v" | lower }}{{ end }}
{{- define "body" }}{{ range .Warnings }}{{ key . }} {{ seen . }} of {{ .Total }}{{ with .Next }}, next {{ .Title | default "?" }}{{ end }}{{ with index .Remedies 0 }}: {{ .Do }}{{ end }}
{{ end }}{{ end }}
{{- define "html" }}<b title="{{ .Warning.Impact }}">{{ .Warning.Title }}</b>{{ end }}`), 0o600))
	_, err := New(Destination{Name: "m", Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}, Templates: Templates{File: file}}, Env{})
	require.ErrorContains(t, err, "index out of range", "a warning may have no remedies, and the examples show it")

	src, err := os.ReadFile(file)
	require.NoError(t, err)
	src = bytes.Replace(src, []byte("{{ with index .Remedies 0 }}: {{ .Do }}{{ end }}"), []byte("{{ range .Remedies }}: {{ .Do }}{{ end }}"), 1)
	src = bytes.Replace(src, []byte(`{{ index .Warning.Key 0 | printf "%v" | lower }}`), []byte(`{{ .Warning.KeyText | lower }}`), 1)
	require.NoError(t, os.WriteFile(file, src, 0o600))
	m, err := Preview(t.Context(), Destination{Name: "m", Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}, Templates: Templates{File: file}}, Style{}, Single(Example(start)))
	require.NoError(t, err)
	require.Contains(t, m[0].Header, "Subject: 🟠 EXAMPLE: CONTAINER … in shop/cart-7d9f-x2x1k")
	require.Contains(t, m[0].Body, "namespace=shop pod=cart-7d9f-x2x1k 2 of 3, next it stalls under memory pressure: See what uses the memory.: Restart")
	require.Contains(t, m[0].Body, `<b title="This is an example of forewarn: nothing is wrong.`)
}

func TestTemplatesReachEveryDestinationThatPeopleRead(t *testing.T) {
	own := Templates{Title: "OWN-TITLE", Body: "OWN-BODY"}
	for _, c := range []struct {
		d     Destination
		title bool
	}{
		{Destination{Type: "terminal"}, false},
		{Destination{Type: "alertmanager", URLs: []string{"http://h"}}, true},
		{Destination{Type: "slack", URLFile: "f"}, true},
		{Destination{Type: "slack", TokenFile: "f", Channel: "c"}, true},
		{Destination{Type: "pagerduty", KeyFile: "f"}, true},
		{Destination{Type: "teams", URLFile: "f"}, true},
		{Destination{Type: "email", SMTP: "h:25", From: "f@h", To: []string{"a@h"}}, true},
		{Destination{Type: "kubernetes"}, true},
	} {
		c.d.Name, c.d.Templates = "x", own
		m, err := Preview(t.Context(), c.d, Style{}, Single(Example(start)))
		require.NoError(t, err, c.d.Type)
		all := strings.Join(m[0].Header, "\n") + m[0].Body
		require.Contains(t, all, "OWN-BODY", c.d.Type)
		if c.title {
			require.Contains(t, all, "OWN-TITLE", c.d.Type)
		}
	}
	m, err := Preview(t.Context(), Destination{Name: "x", Type: "webhook", URLs: []string{"https://h/x"}, Templates: Templates{Body: `{"content": {{ json .Headline }}}`}}, Style{}, several(3))
	require.NoError(t, err)
	require.Len(t, m, 1, "one post tells all")
	require.True(t, json.Valid([]byte(m[0].Body)))
}

func TestMistakesInTemplatesAreToldWithTheirPlace(t *testing.T) {
	for _, c := range []struct {
		name, key, want string
		templates       Templates
	}{
		{"a field that is not there", "templates.title", "line 1, column 12: there is no field Titel", Templates{Title: "{{ .Warning.Titel }}"}},
		{"in the second line", "templates.body", "line 2, column 9: there is no field Foo", Templates{Body: "one\n{{ with .Foo }}{{ end }}"}},
		{"where the examples do not lead", "templates.body", "there is no field Nonsense", Templates{Body: `{{ if eq .State "never" }}{{ .Warning.Nonsense }}{{ end }}`}},
		{"inside a range", "templates.body", "there is no field Oops: it has ID, Revision", Templates{Body: "{{ range .Warnings }}{{ .Oops }}{{ end }}"}},
		{"of a variable", "templates.body", "there is no field X", Templates{Body: "{{ $w := .Warning }}{{ range $i, $e := $w.Evidence }}{{ $e.X }}{{ end }}"}},
		{"through a pointer", "templates.body", "there is no field Far", Templates{Body: "{{ with .Warning.Forecast }}{{ .Far }}{{ end }}"}},
		{"a function that is not there", "templates.title", `1: function "uper" not defined`, Templates{Title: "{{ .Headline | uper }}"}},
		{"not closed", "templates.title", "1: unclosed action", Templates{Title: "{{ .Headline "}},
		{"no end", "templates.body", "unexpected EOF", Templates{Body: "{{ range .Warnings }}"}},
		{"HTML for another than e-mail", "templates.html", "only e-mails have HTML", Templates{HTML: "<p>"}},
		{"no such file", "templates.file", "no such file", Templates{File: "/nowhere.tmpl"}},
		{"fails on an example", "templates.body", "error calling index", Templates{Body: "{{ index .Warning.Evidence 5 }}"}},
		{"without end", "templates.body", "more than 256 KiB", Templates{Body: `{{ printf "%300000s" "x" }}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Destination{Name: "x", Type: "teams", URLFile: secretFile(t, "https://h/x"), Templates: c.templates}, Env{})
			require.Error(t, err)
			m := Mistakes(err)
			require.NotEmpty(t, m)
			require.Equal(t, c.key, m[0].Key)
			require.Contains(t, m[0].Error(), c.want)
		})
	}
	_, err := New(Destination{Name: "x", Type: "webhook", URLs: []string{"https://h"}, Templates: Templates{Body: `{"x": {{ .Headline }} }`}}, Env{})
	require.ErrorContains(t, err, "it makes no JSON")
	_, err = New(Destination{Name: "x", Type: "json", Templates: Templates{Body: "x"}}, Env{})
	require.ErrorContains(t, err, "a destination of type json does not take it")
}

func TestATemplateThatFailsLaterDoesNotCostTheWarning(t *testing.T) {
	var out bytes.Buffer
	n := made(t, Destination{Type: "terminal", Templates: Templates{Body: `{{ if eq .Warning.KeyText "odd" }}{{ index .Warning.Evidence 99 }}{{ end }}fine`}}, Env{Out: &out})
	w := warning(1, matcher.Forming)
	w.KeyText = "odd"
	require.NoError(t, n.Notify(t.Context(), Single(w)))
	require.Contains(t, out.String(), "Node runs out of memory")
	require.Contains(t, out.String(), "the template of the body failed")
}

func TestMistakesOfDestinationsAreToldWithKeyAndMend(t *testing.T) {
	good := secretFile(t, "https://h/x")
	for _, c := range []struct {
		d               Destination
		key, want, mend string
	}{
		{Destination{Type: "slack"}, "url_file", "neither url_file nor token_file", "incoming webhook"},
		{Destination{Type: "slack", URLFile: good, TokenFile: good}, "url_file", "there is a token_file, too", "leave one"},
		{Destination{Type: "slack", URLFile: good, Channel: "x"}, "channel", "has a channel of its own", "leave it out"},
		{Destination{Type: "slack", TokenFile: secretFile(t, "xoxp-1"), Channel: "x"}, "token_file", "does not hold a bot's token", "xoxb-"},
		{Destination{Type: "slack", TokenFile: secretFile(t, "xoxb-1")}, "channel", "is missing", "channel's id"},
		{Destination{Type: "slack", URLFile: secretFile(t, "ftp://secret/x")}, "url_file", "does not hold an absolute http", "https://host/path"},
		{Destination{Type: "pagerduty"}, "key_file", "is missing", "integration key"},
		{Destination{Type: "pagerduty", KeyFile: secretFile(t, "short")}, "key_file", "holds 5 characters", "Integration Key"},
		{Destination{Type: "pagerduty", KeyFile: good, Region: "asia"}, "region", `unknown region "asia"`, "us or eu"},
		{Destination{Type: "teams", URLFile: good, URLs: []string{"https://h"}}, "urls", "does not take it", "url_file"},
		{Destination{Type: "email", SMTP: "mail", From: "f@h", To: []string{"a@h"}}, "smtp", "not a host and a port", ":587"},
		{Destination{Type: "email", SMTP: "mail:25", From: "nobody", To: []string{"a@h"}}, "from", "is no address", "forewarn@example.org"},
		{Destination{Type: "email", SMTP: "mail:25", From: "f@h", To: []string{"a@h", "A <a@h>"}}, "to", "stands twice", "leave one out"},
		{Destination{Type: "email", SMTP: "mail:25", From: "f@h", To: []string{"a@h"}, TLS: "ssl"}, "tls", `unknown "ssl"`, "starttls, implicit or none"},
		{Destination{Type: "email", SMTP: "mail:25", From: "f@h", To: []string{"a@h"}, TLS: "none", Username: "u", PasswordFile: good}, "tls", "could read the password", "starttls"},
		{Destination{Type: "email", SMTP: "mail:25", From: "f@h", To: []string{"a@h"}, Username: "u"}, "username", "go together", "set both"},
		{Destination{Type: "cloudevents", Subject: "forewarn.warnings"}, "subject", "what forewarn tells itself", "forewarn.events"},
		{Destination{Type: "cloudevents", Subject: "a.>"}, "subject", "no NATS subject", "points between"},
		{Destination{Type: "cloudevents", Mode: "batch"}, "mode", "unknown mode", "structured or binary"},
		{Destination{Type: "webhook", URLs: []string{"https://h"}, URLFile: good}, "url_file", "there is urls, too", "leave one"},
		{Destination{Type: "webhook", URLs: []string{"https://h"}, SecretFiles: []string{secretFile(t, "whsk_abc")}}, "secret_files", "Ed25519 private key", ""},
		{Destination{Type: "webhook", URLs: []string{"https://h"}, CAFile: good}, "ca_file", "holds no certificate", "PEM"},
		{Destination{Type: "alertmanager", URLs: []string{"http://h"}, TokenFile: good, Username: "u", PasswordFile: good}, "token_file", "there is a password_file, too", "leave one"},
		{Destination{Type: "kubernetes", Channel: "x"}, "channel", "does not take it", "templates"},
		{Destination{Type: "alertmanager", URLs: []string{"http://h"}, Interval: -1}, "interval", "is negative", "1m0s"},
	} {
		c.d.Name = "x"
		_, err := New(c.d, Env{})
		require.Error(t, err, c.want)
		found := false
		for _, m := range Mistakes(err) {
			found = found || m.Key == c.key && strings.Contains(m.Message, c.want) && strings.Contains(m.Mend, c.mend)
		}
		require.True(t, found, "%s: %s: %v", c.key, c.want, err)
		require.NotContains(t, err.Error(), "ftp://secret")
	}
}

func TestPreviewShowsEveryTypeAndNoSecret(t *testing.T) {
	types := map[string]bool{}
	for _, d := range []Destination{
		{Type: "terminal"},
		{Type: "json"},
		{Type: "webhook", URLFile: "/no", SecretFiles: []string{"/no"}, Username: "u", PasswordFile: "/no"},
		{Type: "alertmanager", URLs: []string{"http://a", "http://b"}, TokenFile: "/no", CAFile: "/no"},
		{Type: "slack", TokenFile: "/no", Channel: "c"},
		{Type: "pagerduty", KeyFile: "/no"},
		{Type: "teams", URLFile: "/no"},
		{Type: "email", SMTP: "h:465", From: "f@h", To: []string{"a@h"}, Username: "u", PasswordFile: "/no"},
		{Type: "cloudevents"},
		{Type: "kubernetes"},
	} {
		d.Name = "x"
		for _, n := range []Notice{Single(Example(start)), several(3)} {
			m, err := Preview(t.Context(), d, Style{}, n)
			require.NoError(t, err, d.Type)
			require.NotEmpty(t, m, d.Type)
			for _, x := range m {
				all := strings.Join(x.Header, "\n") + x.To + x.Body
				require.NotContains(t, all, "of-your-file")
				require.Contains(t, all, "EXAMPLE", d.Type)
			}
		}
		types[d.Type] = true
	}
	for _, k := range Types() {
		require.True(t, types[k], "%s has no preview here", k)
	}
}

func FuzzTemplatesNeverPanic(f *testing.F) {
	for _, s := range []string{"{{ .Headline }}", "{{ range $i, $w := .Warnings }}{{ $w.Key }}{{ end }}", `{{ define "x" }}{{ . }}{{ end }}{{ template "x" .Warning }}`, "{{ (index .Warnings 0).Title | upper }}", "{{ break }}", "{{ $.Warning.Next.Stage }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		n, err := New(Destination{Name: "x", Type: "terminal", Templates: Templates{Body: src}}, Env{})
		if err == nil {
			require.NoError(t, n.Notify(t.Context(), Single(Example(start))))
		}
	})
}

func FuzzEscapedTextCallsNobody(f *testing.F) {
	f.Add("<!channel> & <@U1>", 20)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(4, min(most, 10_000))
		got := escape(s, most)
		require.LessOrEqual(t, len(got), most+len("…"))
		require.NotContains(t, got, "<")
		require.NotContains(t, got, ">")
		require.NotRegexp(t, `&(?:a|am|amp|l|lt|g|gt)?(?:[^aglmpt;]|$)`, got, "no entity is cut")
	})
}
