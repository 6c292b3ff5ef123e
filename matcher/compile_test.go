package matcher_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

func TestCompileRefusesWhatNothingAnchors(t *testing.T) {
	is := func(words ...string) signatures.Match { return signatures.Match{Equals: words} }
	for name, c := range map[string]struct {
		when    signatures.Condition
		path    string
		message string
	}{
		"an expression that matches all":   {signatures.Condition{Log: &signatures.LogCondition{Regex: `\d*`}}, "stages[0].when", "anchor"},
		"an alternative without":           {signatures.Condition{Any: []signatures.Condition{logText("long enough"), {Log: &signatures.LogCondition{Regex: `\b$`}}}}, "stages[0].when", "anchor"},
		"only what is not":                 {signatures.Condition{Not: &signatures.Condition{Event: &signatures.EventCondition{Reason: is("A")}}}, "stages[0].when", "anchor"},
		"an expression that doesn't parse": {signatures.Condition{Log: &signatures.LogCondition{Regex: `(`}}, "stages[0].when.log.regex", "missing"},
		"an expression in a list":          {signatures.Condition{All: []signatures.Condition{logText("abc"), {Log: &signatures.LogCondition{Regex: `*`}}}}, "stages[0].when.all[1].log.regex", "missing"},
		"CEL that doesn't parse":           {signatures.Condition{CEL: `kind ==`, Log: &signatures.LogCondition{Contains: signatures.Text{Any: []string{"abc"}}}}, "stages[0].when.cel", "CEL"},
		"CEL that gives no truth":          {signatures.Condition{CEL: `count + 1`, Log: &signatures.LogCondition{Contains: signatures.Text{Any: []string{"abc"}}}}, "stages[0].when.cel", "true or false"},
		"an unknown name in CEL":           {signatures.Condition{CEL: `message == "x"`, Log: &signatures.LogCondition{Contains: signatures.Text{Any: []string{"abc"}}}}, "stages[0].when.cel", "message"},
		"nothing":                          {signatures.Condition{}, "stages[0].when", "empty"},
		"a series inside any": {signatures.Condition{Any: []signatures.Condition{
			{Sample: &signatures.SampleCondition{Metric: "m", Rate: 5}},
		}}, "stages[0].when.any[0].sample", "history"},
		"a hold inside all": {signatures.Condition{All: []signatures.Condition{
			{Change: &signatures.ChangeCondition{Kind: is("Pod"), Path: "p", For: 5}},
		}}, "stages[0].when.all[0].change.for", "alone"},
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := matcher.Compile([]*signatures.Signature{one("bad", c.when), one("good", logText("fine"))}, matcher.CompileOptions{})
			require.Len(t, problems, 1)
			require.Equal(t, c.path, problems[0].Path)
			require.Contains(t, problems[0].Message, c.message)
			require.Equal(t, 1, p.Len())
			require.Equal(t, "good", p.Signatures()[0].Signature.ID)
		})
	}
}

// Expressions that are a condition's only anchor have to fit, all of a signature's together: what does not fit is refused, not lost.
func TestCompileRefusesExpressionsThatAreTooLargeTogether(t *testing.T) {
	large := func(c byte) signatures.Condition {
		var list []signatures.Condition
		for i := range 150 {
			list = append(list, signatures.Condition{Log: &signatures.LogCondition{Regex: fmt.Sprintf("%c(?:[a-z]{900}|[0-9]{%d})", c, 800+i)}})
		}
		return signatures.Condition{Any: list}
	}
	both := one("both", large('x'))
	both.Stages = append(both.Stages, signatures.Stage{Name: "second", When: large('y')})
	p, problems := matcher.Compile([]*signatures.Signature{both, one("half", large('x')), one("other", large('y'))}, matcher.CompileOptions{})
	require.Len(t, problems, 2)
	require.Equal(t, "stages[1].when", problems[0].Path, "of both")
	require.Equal(t, "stages[0].when", problems[1].Path, "of other")
	for _, x := range problems {
		require.Contains(t, x.Message, "too large together")
	}
	found := p.Scan(batchOf(t, []record.Record{line("x" + strings.Repeat("ab", 450)), line("y" + strings.Repeat("ab", 450))}), matcher.NewScratch(p))
	require.Len(t, found, 1)
	require.Equal(t, "half", p.Lookup(found[0].Signature).Signature.ID)
}

func TestCompileRefusesASecondSignatureOfOneID(t *testing.T) {
	p, problems := matcher.Compile([]*signatures.Signature{one("a", logText("one")), one("a", logText("two"))}, matcher.CompileOptions{})
	require.Len(t, problems, 1)
	require.Equal(t, 1, p.Len())
}

func TestProgramDigestIsThatOfTheSet(t *testing.T) {
	a, b, c := one("a", logText("one")), one("b", logText("two")), one("c", logText("three"))
	require.Equal(t, mustCompile(t, a, b).Digest(), mustCompile(t, b, a).Digest())
	require.NotEqual(t, mustCompile(t, a, b).Digest(), mustCompile(t, a, c).Digest())
	require.NotEqual(t, mustCompile(t, a, b).Digest(), mustCompile(t, a).Digest())
	p := mustCompile(t, a, b)
	require.Equal(t, "b", p.Lookup(b.ShortDigest()).Signature.ID)
	require.Nil(t, p.Lookup(c.ShortDigest()))
}

func TestAppliesDisarmsOnlyByWhatIsKnown(t *testing.T) {
	known := matcher.CompileOptions{
		KubernetesVersion: "v1.31.2-gke.100", Components: map[string]string{"etcd": "3.5.9"}, Facts: map[string]string{"cloud": "aws"},
	}
	for _, c := range []struct {
		applies signatures.Applies
		armed   bool
	}{
		{signatures.Applies{}, true},
		{signatures.Applies{Kubernetes: ">=1.24 <1.33"}, true},
		{signatures.Applies{Kubernetes: ">=1.31.3"}, false},
		{signatures.Applies{Kubernetes: "1.31"}, true},
		{signatures.Applies{Kubernetes: "=1.31.1"}, false},
		{signatures.Applies{Kubernetes: "!=1.31"}, false},
		{signatures.Applies{Kubernetes: "<=1.31"}, true},
		{signatures.Applies{Kubernetes: ">1.31"}, false},
		{signatures.Applies{Components: map[string]string{"etcd": "<3.5.10"}}, true},
		{signatures.Applies{Components: map[string]string{"etcd": ">=3.6"}}, false},
		{signatures.Applies{Components: map[string]string{"coredns": ">=99"}}, true},
		{signatures.Applies{Facts: map[string]string{"cloud": "aws", "other": "x"}}, true},
		{signatures.Applies{Facts: map[string]string{"cloud": "gcp"}}, false},
	} {
		s := one("s", logText("text"))
		s.Applies = &c.applies
		p, problems := matcher.Compile([]*signatures.Signature{s}, known)
		require.Empty(t, problems)
		require.Equal(t, c.armed, p.Len() == 1, "%+v", c.applies)
		require.Equal(t, !c.armed, len(p.Disarmed()) == 1)
		require.Equal(t, 1, mustCompile(t, s).Len(), "nothing is known, so nothing is disarmed")
	}
}

func TestExplainRecordSaysWhatFailedFirst(t *testing.T) {
	above := 90.0
	s := one("s", signatures.Condition{Log: &signatures.LogCondition{
		Component: signatures.Match{Equals: []string{"etcd"}}, Contains: signatures.Text{All: []string{"apply", "too long"}},
		Fields: []signatures.LogField{{Name: "took", Above: &above}},
	}})
	s.Incident = &signatures.Incident{When: signatures.Condition{Sample: &signatures.SampleCondition{Metric: "m", Above: &above}}}
	p := mustCompile(t, s)
	for _, c := range []struct {
		record record.Record
		want   string
	}{
		{line("x", record.Component, "kubelet"), `log.component: wanted "etcd", saw "kubelet"`},
		{line("apply"), `log.contains.all: wanted a text that contains "too long", saw "apply"`},
		{line("apply took=8s too long"), `log.fields[0].above: wanted the field took above 90, saw 8`},
		{line("apply too long"), `log.fields[0]: wanted a number in the field "took", saw nothing`},
		{record.Record{Kind: record.Event}, `log: wanted a record of kind log, saw event`},
	} {
		v, err := p.ExplainRecord(&c.record, "s")
		require.NoError(t, err)
		require.Len(t, v, 2)
		require.False(t, v[0].On)
		require.Equal(t, c.want, v[0].Miss.String())
	}
	met := line("apply took=95s too long")
	v, err := p.ExplainRecord(&met, "s")
	require.NoError(t, err)
	require.True(t, v[0].On)
	sample := record.Record{Kind: record.Sample, Value: 3, Attrs: record.NewAttrs(map[string]string{record.MetricName: "m"})}
	v, err = p.ExplainRecord(&sample, "s")
	require.NoError(t, err)
	require.Equal(t, "incident", v[1].Name)
	require.True(t, v[1].Off)
	require.Equal(t, "sample.above: wanted a value above 90, saw 3", v[1].Miss.String())
	v, err = p.ExplainRecord(&met, "unknown")
	require.NoError(t, err)
	require.Nil(t, v)
}
