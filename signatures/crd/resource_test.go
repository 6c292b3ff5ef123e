package crd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// object makes a resource's object of the YAML of its spec.
func object(t *testing.T, ref Ref, spec string) *unstructured.Unstructured {
	t.Helper()
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(spec), &tree))
	b, err := json.Marshal(map[string]any{
		"apiVersion": Group + "/" + Version, "kind": string(ref.Kind), "metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace}, "spec": tree,
	})
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON(b))
	return u
}

func errorsOf(r *Resource) (out []string) {
	for _, p := range signatures.Errors(r.Problems) {
		out = append(out, p.Error())
	}
	return out
}

func TestAResourceIsReadAsStrictlyAsAFile(t *testing.T) {
	const rest = "title: T\nseverity: low\nby: pod\nclear: {quiet: 1h}\n"
	const stage = "stages: [{name: a, when: {log: {contains: x}}}]\n"
	for name, c := range map[string]struct {
		ref  Ref
		spec string
		want string // part of the problem; empty when it is sound
	}{
		"sound":                  {cart, rest + stage, ""},
		"cluster-wide":           {nodes, rest + stage, ""},
		"an unknown key":         {cart, rest + "stages: [{name: a, wen: 1, when: {log: {contains: x}}}]\n", "Signature shop/cart: spec.stages[0].wen: "},
		"an id":                  {cart, rest + stage + "id: other\n", "spec.id: it does not stand in a resource"},
		"several":                {cart, "signatures: []\n", "spec.signatures: it does not stand in a resource"},
		"nothing":                {cart, "", "spec: it is not a mapping"},
		"a name that is no id":   {Ref{Namespaced, "shop", "a.b"}, rest + stage, "metadata.name: "},
		"another namespace":      {cart, rest + "stages: [{name: a, when: {log: {contains: x}, attrs: {k8s.namespace.name: bank}}}]\n", `spec.stages[0].when.attrs["k8s.namespace.name"]: a Signature sees the namespace shop only`},
		"its own namespace":      {cart, rest + "stages: [{name: a, when: {log: {contains: x}, attrs: {k8s.namespace.name: shop}}}]\n", ""},
		"any namespace from one": {nodes, rest + "stages: [{name: a, when: {log: {contains: x}, attrs: {k8s.namespace.name: bank}}}]\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(c.ref.Kind, object(t, c.ref, c.spec), nil)
			if c.want == "" {
				require.Empty(t, errorsOf(r))
				require.Equal(t, c.ref.ID(), r.Signature.ID)
				p := r.Signature.Problem("stages[0].when", "no", "")
				require.Equal(t, c.ref.String()+": stages[0].when: no", p.Error(), "later problems name the resource, and no line of a text that nobody wrote")
				return
			}
			require.Nil(t, r.Signature)
			require.Contains(t, strings.Join(errorsOf(r), "\n"), c.want)
		})
	}
}

func TestAnIDOfANamespaceIsNobodyElses(t *testing.T) {
	for _, pair := range [][2]Ref{
		{{Namespaced, "a-b", "c"}, {Namespaced, "a", "b-c"}},
		{{Namespaced, "a", "b"}, {Kind: ClusterWide, Name: "a-b"}},
		{{Namespaced, "a", "b"}, {Kind: ClusterWide, Name: "b"}},
	} {
		require.NotEqual(t, pair[0].ID(), pair[1].ID())
	}
	for _, ref := range []Ref{cart, nodes} {
		got, ok := RefOf(ref.Path())
		require.True(t, ok)
		require.Equal(t, ref, got)
	}
	_, ok := RefOf("/etc/crd:Signature a/b")
	require.False(t, ok)
}

// ways are conditions of every shape that records of a namespace can meet, each with a record that does.
func ways() map[string][2]string {
	return map[string][2]string{
		"log":    {`{log: {contains: boom}}`, `log: boom`},
		"event":  {`{event: {reason: Boom}}`, `event: {reason: Boom, message: boom, object: Pod/p}`},
		"change": {`{change: {kind: Pod, path: status.phase, to: Failed}}`, `change: {object: Pod/p, path: status.phase, to: Failed}`},
		"sample": {`{sample: {metric: m, above: 1}}`, `sample: {metric: m, value: 2}`},
		"alert":  {`{alert: {name: Boom}}`, `alert: {name: Boom}`},
		"any":    {`{any: [{log: {contains: nothing}}, {log: {contains: boom}}]}`, `log: boom`},
		"all":    {`{all: [{log: {contains: boom}}, {any: [{log: {contains: bo}}, {log: {contains: x}}]}]}`, `log: boom`},
		"not":    {`{all: [{log: {contains: boom}}, {not: {log: {contains: calm}}}]}`, `log: boom`},
		"attrs":  {`{log: {contains: boom}, attrs: {host.name: h}}`, `log: boom`},
	}
}

// confined is a signature of one stage and an incident, with a test of two records, the second in another place than the first.
func confined(stage, incident, first, second, expect string) string {
	return "title: T\nseverity: low\nby: [cluster]\nclear: {quiet: 1h}\nstages: [{name: a, when: " + stage + "}]\nincident: {when: " + incident + "}\n" +
		"tests: [{name: t, records: [{at: 0s, " + first + "}, {at: 1s, " + second + "}], expect: [" + expect + "]}]\n"
}

func TestASignatureSeesTheRecordsOfItsNamespaceOnly(t *testing.T) {
	const begin = "log: begin, attrs: {namespace: shop, pod: p, cluster: c}"
	for name, way := range ways() {
		for _, c := range []struct {
			ref       Ref
			namespace string
			sees      bool
		}{{cart, "namespace: shop, ", true}, {cart, "namespace: bank, ", false}, {cart, "", false}, {nodes, "namespace: bank, ", true}} {
			record := way[1] + ", attrs: {" + c.namespace + "pod: p, host.name: h, cluster: c}"
			for place, spec := range map[string]string{
				"stage":    confined(way[0], "{log: {contains: never}}", "log: other, attrs: {namespace: shop}", record, map[bool]string{true: "{state: imminent}"}[c.sees]),
				"incident": confined("{log: {contains: begin}}", way[0], begin, record, "{state: imminent}"+map[bool]string{true: ", {state: incident}"}[c.sees]),
			} {
				r := read(c.ref.Kind, object(t, c.ref, spec), nil)
				require.Empty(t, errorsOf(r))
				require.Empty(t, matcher.RunTest(r.Signature, &r.Signature.Tests[0]), "%s as %s: %s with a record of %q", name, place, c.ref, c.namespace)
			}
		}
	}
}

func TestWhatIsAbsentOrClearsOrLimitsIsOfTheNamespaceToo(t *testing.T) {
	const head = "title: T\nseverity: low\nby: [cluster]\n"
	const log = "{name: a, when: {log: {contains: boom}}}"
	at := func(time, what, namespace string) string {
		return "{at: " + time + ", " + what + ", attrs: {namespace: " + namespace + ", cluster: c}}"
	}
	value := func(time, metric, number, namespace string) string {
		return at(time, "sample: {metric: "+metric+", value: "+number+", labels: {namespace: "+namespace+"}}", namespace)
	}
	for name, c := range map[string]struct {
		spec string // what stands beside the head
		own  string // tests, for the namespace in question and another one
		want [2]string
	}{
		"unless": {
			"clear: {quiet: 1h}\nstages: [" + log + "]\nunless: [{when: {log: {contains: calm}}, window: 10s}]\n",
			at("0s", "log: boom", "shop") + "," + at("5s", "log: calm", "%s") + "], until: 1m",
			[2]string{"", "{state: imminent}"},
		},
		"clear": {
			"clear: {when: {log: {contains: calm}}}\nstages: [" + log + "]\n",
			at("0s", "log: boom", "shop") + "," + at("5s", "log: calm", "%s") + "]",
			[2]string{"{state: imminent}, {state: averted}", "{state: imminent}"},
		},
		"limit": {
			"clear: {quiet: 1h}\nstages: [{name: a, when: {sample: {metric: used, of: {metric: limit}, above: 0.5}}}]\n",
			value("0s", "limit", "1", "%s") + "," + value("1s", "used", "1", "shop") + "]",
			[2]string{"{state: imminent}", ""},
		},
	} {
		for i, namespace := range []string{"shop", "bank"} {
			spec := head + c.spec + "tests: [{name: t, records: [" + strings.ReplaceAll(c.own, "%s", namespace) + ", expect: [" + c.want[i] + "]}]\n"
			r := read(Namespaced, object(t, cart, spec), nil)
			require.Empty(t, errorsOf(r), name)
			require.Empty(t, matcher.RunTest(r.Signature, &r.Signature.Tests[0]), "%s with a record of %s", name, namespace)
		}
	}
}
