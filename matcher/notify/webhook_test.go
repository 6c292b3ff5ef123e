package notify

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestContractOfWebhooks(t *testing.T) {
	public, private, err := ed25519.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	require.NoError(t, err)
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{
			Type: "webhook", URLs: []string{url}, Username: "me", PasswordFile: secretFile(t, "secret-part"),
			SecretFiles: []string{secretFile(t, "whsk_"+base64.StdEncoding.EncodeToString(private)), secretFile(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")},
		}, Env{})
	}
	holds(t, "webhook.json", answer{status: 200}, "secret-part", everyStatus(), at)
	s := newSink(t, "webhook.json", answer{status: 204})
	n := at(t, s.URL)
	require.NoError(t, n.Notify(t.Context(), several(3)))
	calls := s.calls(t)
	require.Len(t, calls, 3)
	for i, c := range calls {
		require.Equal(t, fmt.Sprintf("0e8a3f0c%d-2", i), c.header.Get("webhook-id"), "each warning has its own identity")
		require.Contains(t, string(c.body), `"thread":"group-7"`)
		user, password, _ := (&http.Request{Header: c.header}).BasicAuth()
		require.Equal(t, "me secret-part", user+" "+password)
		v1a, v1, _ := strings.Cut(c.header.Get("webhook-signature"), " ")
		require.True(t, strings.HasPrefix(v1, "v1,"))
		sig, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v1a, "v1a,"))
		require.NoError(t, err)
		require.True(t, ed25519.Verify(public, []byte(c.header.Get("webhook-id")+"."+c.header.Get("webhook-timestamp")+"."+string(c.body)), sig))
	}
	golden(t, "webhook.json", calls[0].body)
}

func TestANoticeOfManyGoesOnWhereATryFailedAndPassesWhatIsRefused(t *testing.T) {
	s := newSink(t, "", answer{status: 200}, answer{status: 200}, answer{status: 400}, answer{status: 503})
	n := made(t, Destination{Type: "webhook", URLs: []string{s.URL}}, Env{})
	err := n.Notify(t.Context(), several(5))
	require.Error(t, err)
	require.False(t, IsPermanent(err))
	err = n.Notify(t.Context(), several(5))
	require.True(t, IsPermanent(err), "%v", err)
	var ids []string
	for _, c := range s.calls(t) {
		ids = append(ids, c.header.Get("webhook-id"))
	}
	require.Equal(t, []string{"0e8a3f0c0-2", "0e8a3f0c2-2", "0e8a3f0c3-2", "0e8a3f0c4-2"}, ids)
}

func TestARedirectIsNotTakenForAnAnswer(t *testing.T) {
	page := newSink(t, "", answer{status: 200, body: "welcome"})
	s := newSink(t, "", answer{status: 302, header: map[string]string{"Location": page.URL + "/login/secret"}})
	n := made(t, Destination{Type: "webhook", URLs: []string{s.URL}}, Env{})
	err := n.Notify(t.Context(), Single(warning(1, matcher.Forming)))
	require.True(t, IsPermanent(err))
	require.ErrorContains(t, err, "it redirects to "+page.URL+"/login/...: configure that URL")
	require.Empty(t, page.calls(t))
}

func TestAServerThatRepeatsATokenDoesNotMakeItKnown(t *testing.T) {
	s := newSink(t, "", answer{status: 403, body: "Bearer secret-part is not valid"})
	n := made(t, Destination{Type: "alertmanager", URLs: []string{s.URL}, TokenFile: secretFile(t, "secret-part")}, Env{})
	err := n.Notify(t.Context(), Single(warning(1, matcher.Forming)))
	require.ErrorContains(t, err, "*** is not valid")
	require.NotContains(t, err.Error(), "secret-part")
}

func TestAWarningThatIsCutKeepsWhatToDoFirst(t *testing.T) {
	w := Example(start)
	w.Evidence = nil
	w.Remedies = []signatures.Remedy{{Risk: signatures.Data, Do: strings.Repeat("x", maxWebhookBody)}, {Risk: signatures.Look, Do: "look at it before"}}
	body, err := webhookBody(&w, "")
	require.NoError(t, err)
	require.Contains(t, string(body), "look at it before")
	require.NotContains(t, string(body), "xxx")
}
