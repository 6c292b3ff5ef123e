package bench

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/signatures"
)

// The pods of a load: each planted record comes from a pod of its own, so that it must raise a warning of its own; the records that only
// hit come from a few pods that do so again and again.
const (
	plantedPod = "planted"
	stormPod   = "storm"
	marker     = "##########"
	stormPods  = 1000
)

// load makes the batches of some sources. All of them are built before anything runs; what is sent are copies with the times of
// the moment.
type load struct {
	o       PipelineOptions
	sources []*source
	bytes   int // of text a record, on average
}

// source is one collector's worth of batches, in a circle.
type source struct {
	name      string
	templates []*record.Template
	storms    []int         // how many pods of the storm the first batches of the circle have
	records   int           // of a batch
	every     time.Duration // between two records, at a fixed rate
	buffer    []byte

	// What was sent. One goroutine sends, and the others look when it has ended.
	batches, sent, bytes, planted uint64
}

// newLoad builds the batches of w at the options' rate and batch size.
func newLoad(o PipelineOptions) (*load, error) {
	w := Plain{Seed: o.Seed, Signatures: o.Signatures, Bytes: 8 << 20}
	var text bytes.Buffer
	if _, err := w.WriteLog(&text); err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSuffix(text.Bytes(), []byte("\n")), []byte("\n"))
	l := &load{o: o, bytes: text.Len() / len(lines)}
	records := max(1, o.BatchBytes/(l.bytes+13)) // a record's columns
	every := time.Duration(0)
	if o.Rate > 0 {
		every = time.Duration(float64(o.Sources) / o.Rate * 1e9)
		records = max(1, min(records, int(o.Linger/max(every, 1))))
	}
	cycle := max(4, (max(o.PlantEvery, o.HitEvery)+records-1)/records)
	for i := range o.Sources {
		s := &source{name: sourceName(i, o), records: records, every: every}
		pods := map[int]bool{}
		for c := range cycle {
			t, err := l.template(s, i, c, lines, pods)
			if err != nil {
				return nil, fmt.Errorf("build batch %d of %s: %w", c, s.name, err)
			}
			s.templates, s.storms = append(s.templates, t), append(s.storms, len(pods))
		}
		l.sources = append(l.sources, s)
	}
	return l, nil
}

// sourceName finds a name whose batches go to the partition after the one before, so that all partitions have the same load.
func sourceName(i int, o PipelineOptions) string {
	for n := 0; ; n++ {
		name := fmt.Sprintf("bench/node-%d-%d", i, n)
		if pipeline.RecordPartition(name, o.RecordPartitions) == i%o.RecordPartitions {
			return name
		}
	}
}

// template builds batch c of the circle of source i, and adds the pods of the storm that it speaks of.
func (l *load) template(s *source, i, c int, lines [][]byte, storm map[int]bool) (*record.Template, error) {
	var b record.Builder
	if err := b.Reset(record.Header{Source: s.name, Kinds: 1 << record.Log}); err != nil {
		return nil, err
	}
	for k := range s.records {
		n := c*s.records + k // in the circle
		r := record.Record{
			Kind: record.Log, Seq: uint64(n), Count: 1, Time: int64(k) * int64(s.every), Text: lines[(n+i*len(lines)/l.o.Sources)%len(lines)],
			ID: record.Identity(s.name, strconv.Itoa(n)), Attrs: attrs("kubelet", "app-"+strconv.Itoa(n%20)),
		}
		r.Observed = r.Time
		if _, rest, ok := bytes.Cut(r.Text, []byte(" ")); ok { // the frame of the line says what it is from
			component, _, _ := bytes.Cut(rest, []byte("["))
			r.Attrs = attrs(string(component), "app-"+strconv.Itoa(n%20))
		}
		switch {
		case l.o.PlantEvery > 0 && n%l.o.PlantEvery == l.o.PlantEvery/2:
			r.Text = matching(l.o, n/l.o.PlantEvery*7+i)
			r.Attrs = attrs("kubelet", fmt.Sprintf("%s-%d-%s", plantedPod, i, marker))
		case l.o.HitEvery > 0 && n%l.o.HitEvery == 0:
			pod := (n/l.o.HitEvery + i*stormPods/l.o.Sources) % stormPods
			storm[pod] = true
			r.Text = matching(l.o, pod)
			r.Attrs = attrs("kubelet", fmt.Sprintf("%s-%d-%d", stormPod, i, pod))
		}
		if err := b.Add(&r); err != nil {
			return nil, err
		}
	}
	return record.NewTemplate(b.AppendTo(nil), marker)
}

func attrs(component, pod string) record.Attrs {
	return record.Attrs{{Key: record.Namespace, Value: "bench"}, {Key: record.Pod, Value: pod}, {Key: record.Component, Value: component}}
}

// matching is a line that exactly one signature of the workload is about: the i-th of those with a literal.
func matching(o PipelineOptions, i int) []byte {
	i %= o.Signatures * 9 / 10
	i += i/19 + 1
	return fmt.Appendf(nil, "request %08x %s attempt=%d after %d.%ds", uint32(i)*2654435761, plainPhrase(i), i%9, i%90, i%9)
}

// signatures parses the signatures that the load is about.
func (l *load) signatures() ([]*signatures.Signature, error) {
	var src bytes.Buffer
	if err := (Plain{Signatures: l.o.Signatures}).WriteSignatures(&src); err != nil {
		return nil, err
	}
	sigs, problems := signatures.Parse("bench.yaml", src.Bytes())
	if bad := signatures.Errors(problems); len(bad) > 0 {
		return nil, bad[0]
	}
	if l.o.Anchored { // what has no literal of its own is left out
		kept := sigs[:0]
		for i, s := range sigs {
			if i%20 != 0 {
				kept = append(kept, s)
			}
		}
		sigs = kept
	}
	return sigs, nil
}

// stormed is how many pods of the storm were sent.
func (s *source) stormed() int {
	if s.batches == 0 {
		return 0
	}
	return s.storms[min(s.batches, uint64(len(s.storms)))-1]
}

// publish is where a source's batches go.
type publish func(ctx context.Context, frame []byte) error

// send sends the source's batches from began on until the given time, at the fixed rate or as fast as they are taken. A batch of a fixed rate
// is sent when its last record is due, late or not: nothing waits for what came before it.
func (s *source) send(ctx context.Context, began, until time.Time, compress bool, to publish) error {
	for ctx.Err() == nil {
		t := s.templates[s.batches%uint64(len(s.templates))]
		at := time.Now()
		if s.every > 0 {
			at = began.Add(time.Duration(s.batches) * time.Duration(s.records) * s.every)
		}
		if !at.Before(until) {
			return nil
		}
		due := at.Add(time.Duration(s.records-1) * s.every)
		s.buffer = t.Append(s.buffer[:0], record.Stamp{
			Time: at.UnixNano(), Mark: due.UnixNano(), Seq: s.sent, ID: (s.batches + 1) * 0x9E3779B97F4A7C15, Number: s.planted, Compress: compress,
		})
		if s.every > 0 && !sleepUntil(ctx, due) {
			return nil
		}
		if err := to(ctx, s.buffer); err != nil {
			return err
		}
		s.batches++
		s.sent += uint64(t.Len())
		s.bytes += uint64(len(s.buffer))
		s.planted += uint64(t.Slots())
	}
	return nil
}

func sleepUntil(ctx context.Context, due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
