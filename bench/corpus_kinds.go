package bench

import (
	"github.com/forewarn/forewarn/collector/record"
)

// fields makes a record of any kind but a log line: with all that a signature asks for, with a part of that, or with none.
func (x *writer) fields(r *record.Record) {
	attrs := map[string]string{
		record.Pod: x.pod.name, record.Namespace: x.pod.namespace, record.Node: x.pod.node,
		record.ObjectName: x.pod.name, record.ObjectKind: objectKinds[x.IntN(len(objectKinds))],
	}
	odd := 2*uint64(x.IntN(100)) + 1
	switch r.Kind {
	case record.Event:
		attrs[record.EventReason], attrs[record.EventType], attrs[record.EventSource] = reason(odd), "Normal", x.pod.container
		r.Count = uint32(1 + x.IntN(3))
	case record.Change:
		attrs[record.ChangePath], attrs[record.ChangeVerb] = changePath(odd), "modified"
		attrs[record.ChangeFrom], attrs[record.ChangeTo] = verdicts[x.IntN(3)], verdicts[x.IntN(3)]
	case record.Sample:
		attrs = map[string]string{
			record.Pod: x.pod.name, record.Namespace: x.pod.namespace, record.Node: x.pod.node,
			record.MetricName: metricName(odd), record.LabelPrefix + "state": conditions[x.IntN(len(conditions))],
		}
		r.Value = float64(x.IntN(1000)) / 1000
	case record.Log, record.Alert: // lines are made elsewhere, and there are no alerts
	}
	message := x.nearMiss()
	if chance := x.Float64() * 100; chance < x.w.MatchPercent+x.w.NearMissPercent {
		if p := x.planted(r.Kind); p != nil {
			whole := chance < x.w.MatchPercent
			for i, a := range p.fields.attrs {
				if whole || i == 0 && len(p.fields.attrs)+len(p.Text) > 1 {
					attrs[a.Key] = a.Value
				}
			}
			if whole && p.Text != "" {
				message = p.Text
			}
		}
	}
	switch r.Kind {
	case record.Event:
		x.text = append(append(append(x.text, message...), " on "...), x.pod.name...)
	case record.Change:
		x.text = append(append(x.text, attrs[record.ChangePath]...), ": "...)
		x.text = append(append(append(x.text, attrs[record.ChangeFrom]...), " -> "...), attrs[record.ChangeTo]...)
	case record.Sample, record.Log, record.Alert:
	}
	r.Attrs = record.NewAttrs(attrs)
}
