package matcher_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestScanAllocatesNothing(t *testing.T) {
	p := fuzzPool(t)
	quiet := make([]record.Record, 0, 200)
	for i := range cap(quiet) {
		quiet = append(quiet, line(fmt.Sprintf("Q%d: nothing to see here: %d again", i%10, i), record.Component, []string{"kubelet", "other"}[i%2], record.Namespace, fmt.Sprint("ns", i%7)))
	}
	b := batchOf(t, quiet)
	s := matcher.NewScratch(p)
	require.Empty(t, p.Scan(b, s))
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Scan(b, s) }), "a batch without hits")

	// Package regexp keeps its memory in a pool, from which the race detector takes some away: so there are none here.
	took := logText("took")
	limit := 1.0
	took.Log.Fields = []signatures.LogField{{Name: "took", Above: &limit}}
	p = mustCompile(t, one("a", logText("failed to connect")), one("b", logText("oops", "err")), one("c", took))
	loud := batch(t, line("failed to connect to the peer, oops: code=503"), line("took=12ms", record.Component, "etcd"), line(`{"took":"2s"}`))
	require.Len(t, p.Scan(loud, s), 3)
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Scan(loud, s) }), "a batch with hits, once the scratch has grown")
}

func TestScanOfHostileTexts(t *testing.T) {
	p := fuzzPool(t)
	r := rand.New(rand.NewPCG(5, 6))
	junk := make([]byte, record.MaxText)
	for i := range junk {
		junk[i] = byte(r.IntN(256))
	}
	needle := []byte("failed to connect to the peer")
	end := bytes.Clone(junk)
	copy(end[len(end)-len(needle):], needle)
	for name, text := range map[string][]byte{
		"empty":                        {},
		"one byte":                     {'a'},
		"NULs":                         make([]byte, record.MaxText),
		"junk":                         junk,
		"junk with a literal":          end,
		"one literal again and again":  bytes.Repeat([]byte("ab"), record.MaxText/2),
		"many literals again":          bytes.Repeat([]byte("failed to connect to the peer, oops. abc error "), record.MaxText/48),
		"fields that never close":      bytes.Repeat([]byte(`{"took":`), record.MaxText/8),
		"quotes that never close":      append([]byte(`took="`), bytes.Repeat([]byte(`\"`), 1000)...),
		"many states of the automaton": []byte(strings.Repeat("x12yA9w\u017fk\u212as é12 ABCDEF\t", 2000)),
	} {
		t.Run(name, func(t *testing.T) {
			records := []record.Record{{Kind: record.Log, Text: text}, {Kind: record.Log, Text: []byte("oops")}}
			var want []string
			for i := range records {
				for _, s := range bodies(t, p) {
					if matcher.Evaluate(&s.Stages[0].When, &records[i]) {
						want = append(want, fmt.Sprint(i, s.ID))
					}
				}
				records[i].Seq = uint64(i)
			}
			var got []string
			s := matcher.NewScratch(p)
			for _, h := range p.Scan(batchOf(t, records), s) {
				got = append(got, fmt.Sprint(h.Record.Seq, p.Lookup(h.Signature).Signature.ID))
			}
			require.Equal(t, want, got)
			require.Less(t, s.Stats.Candidates, uint64(200), "each condition is looked at once a record")
		})
	}
}

// TestManyStatesAreForgotten has expressions whose automaton has more states than are kept.
func TestManyStatesAreForgotten(t *testing.T) {
	var sigs []*signatures.Signature
	for i := range 20 {
		sigs = append(sigs, one(fmt.Sprintf("s%d", i), signatures.Condition{Log: &signatures.LogCondition{
			Component: signatures.Match{Equals: []string{"etcd"}}, Regex: fmt.Sprintf(`[ab][a-c]{%d}[bc]x?$`, 8+i),
		}}))
	}
	p := mustCompile(t, sigs...)
	r := rand.New(rand.NewPCG(3, 4))
	s := matcher.NewScratch(p)
	for range 5 {
		var records []record.Record
		for range 300 {
			text := make([]byte, 40)
			for i := range text {
				text[i] = "abcdx"[r.IntN(5)]
			}
			records = append(records, line(string(text)))
		}
		want := 0
		for i := range records {
			for _, sig := range sigs {
				if matcher.Evaluate(&sig.Stages[0].When, &records[i]) {
					want++
				}
			}
		}
		require.Len(t, p.Scan(batchOf(t, records), s), want)
	}
}

func TestOneScratchServesManyPrograms(t *testing.T) {
	var s matcher.Scratch
	b := batch(t, line("alpha beta gamma"), line("alpha"), line("beta", record.Component, "etcd"))
	for i := range 50 {
		w := []string{"alpha", "beta", "gamma", "alpha beta"}[i%4]
		p := mustCompile(t, one("x", logText("unrelated")), one("s", logText(w)))
		require.Len(t, p.Scan(b, &s), []int{2, 2, 1, 1}[i%4])
		require.Len(t, p.Scan(b, &s), []int{2, 2, 1, 1}[i%4], "a second time")
	}
}

func TestAComponentsExpressionRunsOnItsLinesOnly(t *testing.T) {
	p := mustCompile(t, one("s", signatures.Condition{Log: &signatures.LogCondition{
		Component: signatures.Match{Equals: []string{"etcd"}}, Regex: `\d{3}`,
	}}))
	s := matcher.NewScratch(p)
	require.Empty(t, p.Scan(batch(t, line("1234", record.Component, "kubelet")), s))
	require.Zero(t, s.Stats.Candidates)
	require.Len(t, p.Scan(batch(t, line("1234", record.Component, "etcd"), line("12"), line("1234"), line("1234", record.Component, "x")), s), 2)
	require.EqualValues(t, 2, s.Stats.Candidates)
}

func TestAFailingCELExpressionIsNotMetAndCounted(t *testing.T) {
	with := func(cel string) *signatures.Signature {
		c := logText("abc")
		c.CEL = cel
		return one("s", c)
	}
	s := &matcher.Scratch{}
	b := batch(t, line("abc", record.Node, "n1"))
	require.Len(t, mustCompile(t, with(`attrs["k8s.node.name"] == "n1" && text.contains("b") && kind == "log"`)).Scan(b, s), 1)
	require.Zero(t, s.Stats.CELErrors)
	require.Empty(t, mustCompile(t, with(`attrs["missing"] == "x"`)).Scan(b, s))
	require.EqualValues(t, 1, s.Stats.CELErrors)
	long := batch(t, line("abc"+strings.Repeat("x", 400_000)))
	require.Empty(t, mustCompile(t, with(`[1,2,3,4,5,6,7,8].exists(i, text.matches("(.*)(.*)y" + string(i)))`)).Scan(long, s))
	require.EqualValues(t, 2, s.Stats.CELErrors, "it is too dear")
	require.EqualValues(t, 3, s.Stats.CEL)
}

func TestKeys(t *testing.T) {
	pod := []string{record.Namespace, "ns", record.Pod, "p", record.Container, "c"}
	for _, c := range []struct {
		by    signatures.Key
		attrs []string
		want  string
	}{
		{signatures.Key{"container"}, pod, "namespace=ns|pod=p|container=c|"},
		{signatures.Key{"pod"}, append(pod, record.Cluster, "c1"), "cluster=c1|namespace=ns|pod=p|"},
		{signatures.Key{"cluster", "namespace"}, append(pod, record.Cluster, "c1"), "cluster=c1|namespace=ns|"},
		{signatures.Key{"cluster"}, pod, ""},
		{signatures.Key{"node"}, pod, "stream=ns/p/c|"},
		{signatures.Key{"node"}, append(pod, record.FilePath, "/f", record.Cluster, "c1"), "cluster=c1|stream=/f|"},
		{signatures.Key{"node"}, nil, "stream=logs/n1|"},
		{signatures.Key{"stream"}, append(pod, record.Node, "n"), "stream=ns/p/c|"},
		{signatures.Key{"volume"}, []string{record.Volume, "v"}, "volume=v|"},
		{signatures.Key{"volume"}, []string{record.Volume, "v", record.VolumeClaim, "d", record.Namespace, "ns"}, "namespace=ns|volume=d|"},
		{signatures.Key{"alert.name"}, []string{"alert.name", "a\x1fb"}, "alert.name=a b|"},
		{signatures.Key{"pod", "node"}, pod, "stream=ns/p/c|"},
	} {
		s := one("s", logText("text"))
		s.By = c.by
		p := mustCompile(t, s)
		hits := p.Scan(batch(t, line("text", c.attrs...)), &matcher.Scratch{})
		require.Len(t, hits, 1)
		require.Equal(t, c.want, strings.ReplaceAll(string(hits[0].Key), "\x1f", "|"), "%v of %v", c.by, c.attrs)
	}
}

func TestAFailingCELExpressionIsALossThatIsShown(t *testing.T) {
	c := logText("abc")
	c.CEL = `attrs["missing"] == "x"`
	e, err := matcher.NewEngine(mustCompile(t, one("s", c)), matcher.TrackerOptions{})
	require.NoError(t, err)
	require.Empty(t, e.Feed(batch(t, line("abc"))))
	stats := e.Stats()
	require.EqualValues(t, 1, stats.Losses()["cel_errors"])
}
