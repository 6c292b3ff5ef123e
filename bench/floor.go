package bench

import "fmt"

// String names the floor: 1000 signatures beside naive.
func (f Floor) String() string { return fmt.Sprintf("%d signatures beside %s", f.Signatures, f.Peer) }

// BelowFloors says where the rows of a run are slower, beside their peers, than the workload's floors allow. A floor whose peer was not
// measured is told as well: a check that did not happen has not passed.
func (w *Workload) BelowFloors(rows []Row) (slow []string) {
	for _, f := range w.Floors {
		switch ratio := w.ratio(f, rows); {
		case ratio == 0:
			slow = append(slow, fmt.Sprintf("%s with %d signatures was not measured beside %s: add it to the peers", w.Name, f.Signatures, f.Peer))
		case ratio < f.Times:
			slow = append(slow, fmt.Sprintf("%s with %d signatures: %s times as fast as %s, at least %s is asked for", w.Name, f.Signatures, number(ratio), f.Peer, number(f.Times)))
		}
	}
	return slow
}

// ratio is how many times as fast as the floor's peer the engine is; 0 when one of them was not measured.
func (w *Workload) ratio(f Floor, rows []Row) float64 {
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
	name, at := f.Peer, f.Signatures
	switch f.Peer {
	case selfName:
		name, at = engineName, w.Signatures.Counts[0]
	case newlinesName:
		at = w.Signatures.Counts[0]
	}
	theirs := speed(name, at)
	if theirs == 0 {
		return 0
	}
	return speed(engineName, f.Signatures) / theirs
}
