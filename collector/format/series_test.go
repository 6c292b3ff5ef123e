package format

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestLabelsOfASeriesTellItsTopology(t *testing.T) {
	base := record.NewAttrs(map[string]string{record.Node: "n1", record.Cluster: "prod"})
	for name, c := range map[string]struct {
		labels []Label
		want   map[string]string
	}{
		"a container": {
			[]Label{{"namespace", "shop"}, {"pod", "cart-7d9c5b8f4c-x2zkp"}, {"container", "app"}, {"image", "x"}},
			map[string]string{record.Namespace: "shop", record.Pod: "cart-7d9c5b8f4c-x2zkp", record.Container: "app", record.WorkloadKind: "Deployment", record.WorkloadName: "cart"},
		},
		"what the target is called stands beside what the series is called": {
			[]Label{{"container", "kube-state-metrics"}, {"exported_namespace", "shop"}, {"exported_pod", "web-0"}, {"namespace", "monitoring"}, {"node", "n2"}, {"pod", "kube-state-metrics-0"}},
			map[string]string{record.Namespace: "shop", record.Pod: "web-0"},
		},
		"exported without a value":     {[]Label{{"exported_pod", ""}, {"pod", "web-0"}}, map[string]string{record.Pod: "web-0"}},
		"exported of something else":   {[]Label{{"exported_job", "x"}, {"namespace", "shop"}}, map[string]string{record.Namespace: "shop"}},
		"another node than the source": {[]Label{{"node", "n2"}}, map[string]string{record.Node: "n2"}},
		"a volume":                     {[]Label{{"namespace", "shop"}, {"persistentvolumeclaim", "data-0"}}, map[string]string{record.Namespace: "shop", record.VolumeClaim: "data-0"}},
		"no labels":                    {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{record.MetricName: "m", record.Node: "n1", record.Cluster: "prod"}
			maps.Copy(want, c.want)
			for _, l := range c.labels {
				want[record.LabelPrefix+l.Name] = l.Value
			}
			require.Equal(t, record.NewAttrs(want), SeriesAttrs("m", c.labels, base))
		})
	}
}
