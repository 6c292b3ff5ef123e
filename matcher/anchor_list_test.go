package matcher_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestAnchorsSayWhatEachConditionIsLookedUpBy(t *testing.T) {
	sigs, problems := signatures.Parse("a.yaml", []byte(`
id: two-kinds
title: t
severity: low
by: pod
stages:
  - {name: a, when: {event: {reason: [BackOff, Failed], type: Warning}}}
  - {name: b, when: {log: {regex: 'disk (full|lost) on \d+'}}}
clear: {quiet: 1h}
`))
	require.Empty(t, signatures.Errors(problems))
	p, problems := matcher.Compile(sigs, matcher.CompileOptions{})
	require.Empty(t, problems)
	digest := p.Signatures()[0].DigestText
	require.ElementsMatch(t, []matcher.Anchor{
		{Digest: digest, Role: 0, Field: "k8s.event.reason", Value: "backoff"},
		{Digest: digest, Role: 0, Field: "k8s.event.reason", Value: "failed"},
		{Digest: digest, Role: 1, Field: "text", Value: "disk full on "},
		{Digest: digest, Role: 1, Field: "text", Value: "disk lost on "},
	}, p.Anchors())
}
