package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/stream"
)

// TestRolesShareANATSAndOneMatcherMayDie runs collect, two matchers and notify as processes on a NATS of its own, and kills a matcher
// half way: every warning arrives, and each revision once.
func TestRolesShareANATSAndOneMatcherMayDie(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	server, err := stream.Open(t.Context(), stream.Options{DataDir: home})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	require.NoError(t, server.EnsureStreams(t.Context()))
	dirs := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	nats, err := stream.FindURL(home)
	require.NoError(t, err)

	r := newReceiver(t)
	notify := start(t, "notify", "-c", r.config(t, dirs[2], cartSignature), "--nats", nats)
	notify.logged("msg=running")
	var matchers []*running
	for _, dir := range dirs[:2] {
		m := start(t, "match", "--data-dir", filepath.Join(dir, "data"), "-s", cartSignature, "--nats", nats)
		m.logged("msg=running")
		matchers = append(matchers, m)
	}
	logs := t.TempDir()
	const carts = 12
	var all []growing
	for i := range carts {
		g := growing{t, filepath.Join(logs, fmt.Sprintf("cart-%d.log", i))}
		g.say("all is well")
		all = append(all, g)
	}
	collect := start(t, "collect", "--data-dir", t.TempDir(), "--nats", nats, logs)
	collect.logged("msg=running")
	for _, g := range all {
		g.say("slow query", "slow query", "slow query")
	}
	eventually(t, "every cart has a warning", func() bool { return len(r.got()) >= carts })

	matchers[0].kill()
	for _, g := range all {
		g.say("connection pool exhausted", "database orders is unreachable")
	}
	eventually(t, "every cart has its incident", func() bool {
		incidents := map[string]bool{}
		for _, w := range r.got() {
			if w.State == "incident" {
				incidents[w.Key] = true
			}
		}
		return len(incidents) == carts
	})

	ids, revisions := map[string]string{}, map[string]bool{}
	for _, w := range r.got() {
		if id, ok := ids[w.Key]; ok {
			require.Equal(t, id, w.ID, "one failure of %s is one warning", w.Key)
		}
		ids[w.Key] = w.ID
		revision := fmt.Sprintf("%s-%d", w.ID, w.Revision)
		require.False(t, revisions[revision], "revision %s was delivered twice", revision)
		revisions[revision] = true
	}
	require.Len(t, ids, carts)
	o, ok := statusOf(t, "--nats", nats)
	require.True(t, ok)
	require.Equal(t, carts, o.Warnings)
	for _, p := range []*running{collect, matchers[1], notify} {
		require.Zero(t, p.stop(), p.errs.String())
	}
}
