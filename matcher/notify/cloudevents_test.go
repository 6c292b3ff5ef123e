package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// bus keeps what is published.
type bus struct {
	fail     error
	ids      []string
	subjects []string
	headers  []map[string]string
	bodies   [][]byte
}

func (b *bus) PublishEvent(_ context.Context, subject, id string, header map[string]string, body []byte) error {
	if b.fail != nil {
		return b.fail
	}
	b.ids, b.subjects, b.headers, b.bodies = append(b.ids, id), append(b.subjects, subject), append(b.headers, header), append(b.bodies, body)
	return nil
}

func TestContractOfCloudEvents(t *testing.T) {
	at := func(t *testing.T, url string) Notifier {
		t.Helper()
		return made(t, Destination{Type: "cloudevents", URLs: []string{url}, TokenFile: secretFile(t, "secret-part")}, Env{})
	}
	holds(t, "cloudevents.json", answer{status: 202}, "secret-part", everyStatus(), at)
	s := newSink(t, "cloudevents.json", answer{status: 202})
	require.NoError(t, at(t, s.URL).Notify(t.Context(), Single(Example(start))))
	c := s.calls(t)[0]
	require.Equal(t, "application/cloudevents+json; charset=utf-8", c.header.Get("Content-Type"))
	golden(t, "cloudevents.json", c.body)

	b := &bus{}
	n := made(t, Destination{Type: "cloudevents", Mode: "binary", Source: "/clusters/größe 1"}, Env{Bus: b})
	require.NoError(t, n.Notify(t.Context(), several(2)))
	require.Equal(t, []string{"0e8a3f0c0-2", "0e8a3f0c1-2"}, b.ids)
	require.Equal(t, "forewarn.events.incident.example-memory-leak", b.subjects[0])
	require.Equal(t, "application/json", b.headers[0]["Content-Type"])
	for _, k := range []string{"ce-id", "ce-source", "ce-specversion", "ce-type"} {
		require.NotEmpty(t, b.headers[0][k], "required")
	}
	require.Equal(t, "/clusters/gr%C3%B6%C3%9Fe%201", b.headers[0]["ce-source"])
	var w matcher.Warning
	require.NoError(t, json.Unmarshal(b.bodies[0], &w))
	require.Equal(t, "0e8a3f0c0", w.ID)

	b.fail = errors.New("away")
	err := n.Notify(t.Context(), Single(warning(1, matcher.Forming)))
	require.Error(t, err)
	require.False(t, IsPermanent(err))

	b.fail = nil
	large := Example(start)
	for range 1000 {
		large.Evidence = append(large.Evidence, matcher.Evidence{Text: strings.Repeat("x", 400)})
	}
	for _, mode := range []string{"binary", "structured"} {
		require.NoError(t, made(t, Destination{Type: "cloudevents", Mode: mode}, Env{Bus: b}).Notify(t.Context(), Single(large)))
		require.LessOrEqual(t, len(b.bodies[len(b.bodies)-1]), 64<<10)
	}
}
