package bench

import "fmt"

// BelowFloors says where the rows of a run are slower, beside their peers, than the workload's floors allow. A floor whose peer was not
// measured is told as well: a check that did not happen has not passed.
func (w *Workload) BelowFloors(rows []Row) (slow []string) {
	speed := func(name string, signatures int) float64 {
		for i := range rows {
			if r := &rows[i]; r.Candidate == name && r.Signatures == signatures {
				if m := r.Metric(Throughput); m != nil {
					return m.Median()
				}
			}
		}
		return 0
	}
	for _, f := range w.Floors {
		name, at := f.Peer, f.Signatures
		switch f.Peer {
		case selfName:
			name, at = engineName, w.Signatures.Counts[0]
		case newlinesName:
			at = w.Signatures.Counts[0]
		}
		ours, theirs := speed(engineName, f.Signatures), speed(name, at)
		switch {
		case ours == 0 || theirs == 0:
			slow = append(slow, fmt.Sprintf("%s with %d signatures was not measured beside %s: add it to the peers", w.Name, f.Signatures, f.Peer))
		case ours/theirs < f.Times:
			slow = append(slow, fmt.Sprintf("%s with %d signatures: %s times as fast as %s, at least %s is asked for", w.Name, f.Signatures, number(ours/theirs), f.Peer, number(f.Times)))
		}
	}
	return slow
}
