package matcher

// The ways in which a tracker can be made to work. None of them may change what it gives.
const (
	AllAwake  = mannerAwake
	AllLoud   = mannerLoud
	AllAsleep = mannerAsleep
	AllCold   = mannerCold
	AllTidy   = mannerTidy
)

// Behave makes a new tracker work so.
func (t *Tracker) Behave(m manner) { t.manner = m }

// Sizes says where the memory is.
func (t *Tracker) Sizes() map[string]int {
	pages := 0
	for _, p := range t.blocks.pages {
		pages += len(p)
	}
	return map[string]int{
		"held": t.blocks.held, "idle": t.blocks.idle, "pages": pages, "slots": len(t.table.pages) * slotPage * 32, "index": len(t.table.index) * 4,
		"seen": len(t.seen.index)*4 + cap(t.seen.ring)*8, "evidence": t.evidence.bytes + len(t.evidence.spare)*evidenceChunk, "live": len(t.live), "pool": len(t.pool),
	}
}

// Ways are the ways in which a program can be made to scan: with all of its parts, without each of them, and without any. None of them may
// change what it finds.
func Ways() map[string]CompileOptions {
	ways := map[string]CompileOptions{"all parts": {}, "no part": {off: allOff}}
	for name, off := range map[string]switches{
		"long literals": offLong, "marks": offMarks, "vectors": offVector, "lazy expressions": offLazy, "proof": offProof, "sets of expressions": offSets,
	} {
		ways["without "+name] = CompileOptions{off: off}
	}
	return ways
}

// Behave makes the engine's tracker work so.
func (e *Engine) Behave(m manner) { e.tracker.Behave(m) }
