package matcher

// The ways in which a tracker can be made to work. None of them may change what it gives.
const (
	AllAwake  = mannerAwake
	AllLoud   = mannerLoud
	AllAsleep = mannerAsleep
)

// Behave makes a new tracker work so.
func (t *Tracker) Behave(m manner) { t.manner = m }
