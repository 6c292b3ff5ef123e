package matcher

import (
	"fmt"
	"time"
)

// TrackerOptions bound a [Tracker]. The zero value means the defaults.
type TrackerOptions struct {
	// Lateness is how much older than the watermark a record may be without being late. 30s when 0; a negative one means
	// none. More of it makes absence, and so quiet and unless, known later and needs memory for the hits that wait.
	Lateness time.Duration
	// SilentAfter is how far a source may lag behind the newest before it is silent, which makes absence in its field
	// unknown instead of delayed. 2m when 0. It should be several heartbeats.
	SilentAfter time.Duration
	// ForgetAfter is how far a source that is silent or ended may lag before it is forgotten and no longer makes anything
	// unknown. 24h when 0.
	ForgetAfter time.Duration
	// MaxProgress is how many pairs of signature and key are followed at a time. 1,000,000 when 0. Beyond it the one that
	// was hit least recently is evicted, counted, and its warning marked.
	MaxProgress int
	// MaxPending is how many hits of one progress may wait to be settled. 512 when 0. Beyond it the oldest are settled early.
	MaxPending int
	// MaxEvidence is how many bytes of evidence are in memory. 64 MiB when 0. Beyond it the oldest is shed, counted, and the warning
	// that would have shown it marked. With Details it bounds only what came since the last Dirty.
	MaxEvidence int
	// Details are where what [Tracker.Dirty] gave is found again, so that evidence need not be in memory. Without it, it is.
	Details Details
	// MaxSeen is how many hits are remembered so that a repeat is known. 1,000,000 when 0, at most 134,217,728.
	MaxSeen int
	// Firings keeps every complete frame for [Tracker.Firings], which must then be called: they are not bounded.
	Firings bool
}

// filled returns o with its defaults, or says what is wrong with it.
func (o TrackerOptions) filled() (TrackerOptions, error) {
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
		name  string
	}{{&o.Lateness, 30 * time.Second, "lateness"}, {&o.SilentAfter, 2 * time.Minute, "silent after"}, {&o.ForgetAfter, 24 * time.Hour, "forget after"}} {
		if *d.value == 0 {
			*d.value = d.zero
		}
		if *d.value > 366*24*time.Hour {
			return o, fmt.Errorf("tracker options: %s is %s; it must be less than a year", d.name, *d.value)
		}
	}
	o.Lateness = max(o.Lateness, 0)
	if o.SilentAfter < 0 || o.ForgetAfter < o.SilentAfter {
		return o, fmt.Errorf("tracker options: silent after (%s) must be positive and at most forget after (%s)", o.SilentAfter, o.ForgetAfter)
	}
	for _, n := range []struct {
		value *int
		zero  int
		name  string
	}{{&o.MaxProgress, 1_000_000, "progress"}, {&o.MaxPending, 512, "pending"}, {&o.MaxEvidence, 64 << 20, "evidence"}, {&o.MaxSeen, 1_000_000, "seen"}} {
		if *n.value == 0 {
			*n.value = n.zero
		}
		if *n.value < 1 {
			return o, fmt.Errorf("tracker options: max %s is %d; it must be at least 1", n.name, *n.value)
		}
	}
	if o.MaxSeen > maxSeen {
		return o, fmt.Errorf("tracker options: max seen is %d; it must be at most %d", o.MaxSeen, maxSeen)
	}
	return o, nil
}
