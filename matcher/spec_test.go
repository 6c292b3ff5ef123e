package matcher_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// specCases are README.md's sentences with outcomes worked out by hand. The oracle and the tracker must both give them.
//
// A record is "time reason" and optionally node=, count= and source=; "time A>B" is a change of Pod x, "time x" ends it by its deletion;
// "time m=3" a sample. Everyone lives to the end, but who is in dead, by source and last mark.
type specCase struct {
	name      string
	signature string // beside id, title, severity and by: node
	records   string
	dead      string
	end       int // 300 without it
	want      []string
}

const (
	stageA  = "{name: a, when: {event: {reason: A}}}"
	stageB  = "{name: b, when: {event: {reason: B}}}"
	stageAB = "{name: ab, when: {event: {reason: [A, B]}}}"
	quiet   = "clear: {quiet: 1m}\n"
)

func specCases() []specCase {
	incident := "incident: {when: {event: {reason: I}}}\n"
	clearC := "clear: {when: {event: {reason: C}}}\n"
	return []specCase{
		{
			name:      "a sequence is climbed in order and cleared by quiet",
			signature: "stages: [" + stageA + ", " + stageB + "]\n" + quiet + incident,
			records:   "5 B; 10 A; 20 B; 40 I",
			want:      []string{"a@10 b@20 incident@40 resolved@100 lead 30"},
		},
		{
			name:      "a near miss is averted",
			signature: "stages: [" + stageA + ", " + stageB + "]\n" + clearC + incident,
			records:   "5 C; 10 A; 20 B; 30 C; 31 I; 50 A",
			want:      []string{"a@10 b@20 averted@30", "a@50 forming"},
		},
		{
			name:      "each key is on its own",
			signature: "stages: [" + stageA + ", " + stageB + "]\n" + clearC,
			records:   "10 A; 20 B node=n2",
			want:      []string{"a@10 forming"},
		},
		{
			name:      "a window is inclusive and ends at the contribution, and an event counts by its increase",
			signature: "stages: [{name: a, when: {event: {reason: A}}, count: 3, within: 10s}]\n" + clearC,
			records:   "0 A; 11 A count=2; 12 C; 20 A; 21 A; 22 A; 23 C; 30 A; 35 A; 40 A",
			want:      []string{"a@20 averted@23", "a@40 imminent"},
		},
		{
			name:      "distinct asks for breadth",
			signature: "stages: [{name: a, when: {event: {reason: A}}, distinct: {of: pod, count: 2}, within: 10s}]\n" + clearC,
			records:   "0 A pod=p; 5 A pod=p; 16 A pod=q; 20 A pod=p",
			want:      []string{"a@20 imminent"},
		},
		{
			name:      "follows_within counts from the last record of the stage before",
			signature: "stages: [" + stageA + ", {name: b, when: {event: {reason: B}}, follows_within: 10s}]\n" + quiet,
			records:   "0 A; 11 B; 15 A; 25 B",
			want:      []string{"a@0 b@25 averted@85"},
		},
		{
			name:      "a record climbs at most one rung",
			signature: "stages: [" + stageAB + ", " + stageB + "]\nincident: {when: {event: {reason: [B, I]}}}\n" + clearC,
			records:   "0 B; 1 B; 2 B",
			want:      []string{"ab@0 b@1 incident@2 incident lead 2"},
		},
		{
			name:      "in any order, what one record completed besides is completed by a later one",
			signature: "order: any\nstages: [" + stageAB + ", " + stageB + "]\n" + clearC,
			records:   "0 B; 5 B",
			want:      []string{"ab@0 b@5 imminent"},
		},
		{
			name:      "m of n within a time of each other",
			signature: "order: any\nneed: 2\nwithin: 10s\nstages: [" + stageA + ", " + stageB + ", {name: d, when: {event: {reason: D}}}]\n" + quiet,
			records:   "0 A; 11 B; 20 A",
			want:      []string{"a@0 b@11 averted@80"},
		},
		{
			name:      "unless refuses when a stamp lies at either end of its window",
			signature: "stages: [" + stageA + "]\nunless: [{when: {event: {reason: U}}, slide: -5s, window: 10s}]\n" + clearC,
			records:   "5 U; 10 A; 20 A; 25 U; 40 A; 46 U; 60 A; 54 U",
			want:      []string{"a@45 imminent"},
		},
		{
			name:      "records for later rungs wait for the candidate and keep their times",
			signature: "stages: [" + stageA + ", " + stageB + "]\nunless: [{when: {event: {reason: U}}, anchor: a, window: 10s}]\n" + clearC + incident,
			records:   "0 A; 3 B; 5 I",
			want:      []string{"a@10 b@3 incident@5 incident"},
		},
		{
			name:      "a hold contributes once, after its time, and not when it ended before",
			signature: "stages: [{name: a, when: {change: {kind: Pod, path: p, to: B, for: 10s}}}]\n" + quiet,
			records:   "0 A>B; 10 B>A; 30 A>B; 41 B>A; 50 A>B; 55 x",
			end:       65,
			want:      []string{"a@40 imminent"},
		},
		{
			name:      "quiet waits while a hold is lit, and counts from its end",
			signature: "stages: [{name: a, when: {change: {kind: Pod, path: p, to: B, for: 10s}}}]\n" + quiet,
			records:   "0 A>B; 100 B>A",
			want:      []string{"a@10 averted@160"},
		},
		{
			name:      "samples contribute after an unbroken run",
			signature: "stages: [{name: a, when: {sample: {metric: m, above: 5, for: 10s}}}]\n" + quiet,
			records:   "0 m=6; 9 m=7; 10 m=1; 20 m=6; 29 m=6; 31 m=6",
			want:      []string{"a@31 averted@91"},
		},
		{
			name:      "a pending clear is dropped by a stage, and counts from its first record",
			signature: "stages: [" + stageA + "]\nclear: {when: {event: {reason: C}}, for: 20s}\n",
			records:   "0 A; 10 C; 20 A; 30 C; 40 C",
			want:      []string{"a@0 averted@50"},
		},
		{
			name:      "expire gives up and needs no source",
			signature: "stages: [" + stageA + "]\nclear: {quiet: 1m}\nexpire: 90s\n",
			records:   "0 A",
			dead:      "main 30",
			want:      []string{"a@0 expired@90 silent main"},
		},
		{
			name:      "a silent source makes unless unknown, which reaches nothing",
			signature: "stages: [" + stageA + "]\nunless: [{when: {event: {reason: U}}, window: 10s}]\n" + clearC,
			records:   "0 A; 25 A",
			dead:      "main 30",
			want:      []string{"a@10 imminent"},
		},
		{
			name:      "people are told from a stage on, and of an incident always",
			signature: "tell: b\nstages: [" + stageA + ", " + stageB + "]\n" + clearC + incident,
			records:   "0 A; 5 C; 10 A; 12 B; 20 C; 30 A; 35 I",
			want:      []string{"a@0 averted@5 untold", "a@10 b@12 averted@20", "a@30 incident@35 incident"},
		},
		{
			name:      "timers of a time come after its records, and the prompt fold waits for what is not settled",
			signature: "stages: [" + stageA + "]\n" + quiet,
			records:   "0 A; 60 A; 121 A",
			end:       100,
			want:      []string{"a@0 imminent"},
		},
	}
}

// parseSignature reads a signature that a test writes in short.
func parseSignature(t *testing.T, body string) *signatures.Signature {
	t.Helper()
	text := "id: spec\ntitle: A case\nseverity: high\nby: node\n" + body
	list, problems := signatures.Parse("spec.yaml", []byte(text))
	require.Empty(t, signatures.Errors(problems), text)
	require.Len(t, list, 1)
	return list[0]
}

// foldCase makes a whole case of a specCase.
func (c *specCase) foldCase(t *testing.T) *foldCase {
	t.Helper()
	end := start + 300*second
	if c.end != 0 {
		end = start + int64(c.end)*second
	}
	f := &foldCase{signatures: []*signatures.Signature{parseSignature(t, c.signature)}, lateness: second, silentAfter: 40 * second, end: end}
	f.sources = []life{{source: "main", kinds: all, mark: end}, {source: "other", kinds: 1 << record.Alert, mark: end}}
	if name, mark, dead := strings.Cut(c.dead, " "); dead {
		n, err := strconv.Atoi(mark)
		require.NoError(t, err)
		require.Equal(t, f.sources[0].source, name)
		f.sources[0].mark = start + int64(n)*second
	}
	for i, line := range strings.Split(c.records, "; ") {
		f.records = append(f.records, sourced{source: "main", record: specRecord(t, i, line)})
	}
	return f
}

func specRecord(t *testing.T, i int, line string) record.Record {
	t.Helper()
	words := strings.Fields(line)
	seconds, err := strconv.Atoi(words[0])
	require.NoError(t, err)
	r := record.Record{Kind: record.Event, Time: start + int64(seconds)*second, Seq: uint64(i), ID: record.Identity("spec", fmt.Sprint(i)), Count: 1}
	attrs := map[string]string{record.Node: "n1", record.Namespace: "ns"}
	what := words[1]
	from, to, change := strings.Cut(what, ">")
	switch {
	case change || what == "x":
		r.Kind = record.Change
		attrs[record.ObjectKind], attrs[record.ObjectName], attrs[record.ChangeVerb] = "Pod", "x", "deleted"
		if change {
			attrs[record.ChangePath], attrs[record.ChangeFrom], attrs[record.ChangeTo], attrs[record.ChangeVerb] = "p", from, to, "modified"
		}
	case strings.HasPrefix(what, "m="):
		r.Kind, attrs[record.MetricName] = record.Sample, "m"
		r.Value, err = strconv.ParseFloat(what[2:], 64)
		require.NoError(t, err)
	default:
		attrs[record.EventReason] = what
	}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "node":
			attrs[record.Node] = value
		case "pod":
			attrs[record.Pod] = value
		case "count":
			n, err := strconv.Atoi(value)
			require.NoError(t, err)
			r.Count = uint32(n)
		}
	}
	r.Attrs = record.NewAttrs(attrs)
	return r
}
