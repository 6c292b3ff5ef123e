package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
)

func TestMatchersAreReadAndMatchAsAlertmanagersDo(t *testing.T) {
	labels := Labels{"namespace": "payments", "severity": "critical", "k8s.object.kind": "Pod"}
	for _, c := range []struct {
		text, want string
		holds      bool
	}{
		{"namespace=payments", `namespace="payments"`, true},
		{`namespace="payments"`, `namespace="payments"`, true},
		{" namespace = payments ", `namespace="payments"`, true},
		{"namespace!=payments", `namespace!="payments"`, false},
		{"namespace=~pay", `namespace=~"pay"`, false}, // the whole value
		{`namespace=~"pay.*|shop"`, `namespace=~"pay.*|shop"`, true},
		{"namespace!~pay.*", `namespace!~"pay.*"`, false},
		{"k8s.object.kind=Pod", `k8s.object.kind="Pod"`, true},
		{"node=", `node=""`, true}, // what is not there is empty
		{"node!=", `node!=""`, false},
		{`namespace="a\"b"`, `namespace="a\"b"`, false},
	} {
		m, err := ParseMatcher(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, m.String())
		require.Equal(t, c.holds, m.Matches(labels), c.text)
	}
	for text, want := range map[string]string{
		"": "no operator", "namespace": "no operator", "=x": "is no label", "a b=c": "is no label", "a!b": "comes =, !=, =~ or !~",
		`a="b`: "quotes", `a="b"c`: "quotes", "a==b": "no operator", "a=~[": "missing closing ]",
	} {
		_, err := ParseMatcher(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "severity=critical", "it says how one is written")
	}
}

func FuzzAMatcherIsWrittenAsItIsRead(f *testing.F) {
	for _, s := range []string{"a=b", `a!="b c"`, `a=~"x|y"`, "a!~[", "=", "a=\xff"} {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		m, err := ParseMatcher(s)
		if err != nil {
			return
		}
		again, err := ParseMatcher(m.String())
		require.NoError(t, err)
		require.Equal(t, m.String(), again.String())
		require.Equal(t, m.Matches(Labels{m.name: value}), again.Matches(Labels{m.name: value}))
	})
}

func TestLabelsComeFromTheKeyAndThenFromTheFirstEvidence(t *testing.T) {
	w := matcher.Warning{
		ID: "x", Signature: "s", Severity: "high", State: matcher.Imminent, Stage: "two",
		Key: []record.Attr{{Key: "namespace", Value: "shop"}, {Key: "pod", Value: "cart-1"}, {Key: record.ObjectKind, Value: "Pod"}},
		Evidence: []matcher.Evidence{
			{Attrs: map[string]string{record.Namespace: "other", record.Node: "n1"}},
			{Attrs: map[string]string{record.Node: "n2", record.Component: "kubelet"}},
		},
	}
	require.Equal(t, Labels{
		"id": "x", "signature": "s", "severity": "high", "state": "imminent", "stage": "two", "namespace": "shop", "pod": "cart-1",
		record.ObjectKind: "Pod", "node": "n1", "component": "kubelet",
	}, LabelsOf(&w))
}

func TestAMaintenanceWindowFollowsTheClockOfItsZone(t *testing.T) {
	windows, problems := CompileMaintenance([]Maintenance{{Name: "night", Days: []string{"sat"}, From: "22:00", To: "03:30", Zone: "Europe/Berlin"}, {Name: "office", Days: []string{"Mon-fri"}, From: "09:00", To: "17:00"}})
	require.Empty(t, problems)
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, c := range []struct {
		at   time.Time
		want [2]bool
	}{
		{time.Date(2026, 11, 21, 21, 59, 59, 0, zone), [2]bool{}},
		{time.Date(2026, 11, 21, 22, 0, 0, 0, zone), [2]bool{true}}, // a Saturday
		{time.Date(2026, 11, 22, 3, 29, 59, 0, zone), [2]bool{true}},
		{time.Date(2026, 11, 22, 3, 30, 0, 0, zone), [2]bool{}},
		{time.Date(2026, 11, 22, 22, 30, 0, 0, zone), [2]bool{}},
		{time.Date(2026, 10, 25, 3, 15, 0, 0, zone), [2]bool{true}}, // the clocks went back in it
		{time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), [2]bool{false, true}},
		{time.Date(2026, 11, 27, 16, 59, 0, 0, time.UTC), [2]bool{false, true}},
		{time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), [2]bool{}},
	} {
		require.Equal(t, c.want, [2]bool{windows[0].Active(c.at), windows[1].Active(c.at)}, c.at)
	}
}
