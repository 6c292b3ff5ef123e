package collector

import (
	"context"
	"encoding/json"
)

// checkpoint begins to save how far everything is. What it covers was emitted, and is stored before it is saved.
func (fw *follower) checkpoint(ctx context.Context) error {
	if fw.o.Checkpoints == nil || fw.saving != nil || !fw.changed || !fw.began {
		return nil
	}
	if err := fw.giveOut(ctx); err != nil {
		return err
	}
	fw.changed = false
	fw.saving = make(chan error, 1)
	go fw.save(ctx, fw.positions(), fw.saving)
	return nil
}

// giveOut emits all records that the positions will be behind.
func (fw *follower) giveOut(ctx context.Context) error {
	if fw.one != nil {
		fw.one.batches.cut(false)
		return fw.flush(ctx, fw.one)
	}
	for _, tr := range fw.trails {
		if tr.src.batches.builder.Len() == 0 {
			continue
		}
		tr.src.batches.cut(false)
		if err := fw.flush(ctx, tr.src); err != nil {
			return err
		}
	}
	return nil
}

func (fw *follower) positions() savedPositions {
	s := savedPositions{Version: 1, Files: make([]*position, 0, len(fw.byID))}
	for _, t := range fw.byID {
		p := t.position()
		s.Files = append(s.Files, &p)
	}
	for _, p := range fw.saved.byInode { // not found yet
		s.Files = append(s.Files, p)
	}
	return s
}

func (fw *follower) save(ctx context.Context, s savedPositions, done chan<- error) {
	if fw.o.Stored != nil {
		if err := fw.o.Stored(ctx); err != nil {
			done <- err
			return
		}
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = fw.o.Checkpoints.Save(fw.o.Checkpoint, b)
	}
	done <- err
}

// savedNow takes the end of a checkpoint. One that could not be saved is tried again: what is lost by it is only that more is read again.
func (fw *follower) savedNow(err error) {
	fw.saving = nil
	if err != nil {
		fw.changed = true
		if !fw.failing {
			fw.o.Logger.Warn("positions in files cannot be saved, after a restart more is read again", "checkpoint", fw.o.Checkpoint, "error", err)
		}
	}
	fw.failing = err != nil
}

// lastWords saves how far everything is when the collector is asked to end.
func (fw *follower) lastWords(ctx context.Context) {
	if fw.o.Checkpoints == nil || !fw.began {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if fw.giveOut(ctx) != nil {
		return
	}
	done := make(chan error, 1)
	fw.save(ctx, fw.positions(), done)
	fw.savedNow(<-done)
}
