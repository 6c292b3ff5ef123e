package stream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A full disk makes the server turn JetStream off, for itself and for good.
func TestEmbeddedServerTurnsItsStorageOnAgainAndNothingIsLost(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{AckTimeout: 2 * time.Second})
	c := consume(t, s, owner)
	publish(t, p, 0, 0, 100)
	last := requireNext(t, c, 0, 60)
	require.NoError(t, c.AckThrough(last))
	require.NoError(t, s.server.ShutdownJetStream())

	publish(t, p, 0, 100, 200) // waits for the storage
	got := contents(t, s, RecordsSubject(0))
	require.Equal(t, numbers(0, 200), got)

	require.NoError(t, c.Close(t.Context()))
	c = consume(t, s, ownerAfter(last)) // as the pipeline does when a consumer fails
	requireNext(t, c, 60, 200)
	publish(t, p, 0, 200, 201)
	requireNext(t, c, 200, 201)
}
