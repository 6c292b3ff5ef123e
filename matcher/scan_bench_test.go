package matcher_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// workload generates the log lines and the signatures of the benchmarks: ordinary lines of several systems, near misses of the
// signatures' own grammar, and now and then a line that a signature is about.
type workload struct {
	*rand.Rand
	sigs  []*signatures.Signature
	hit   []string // a line for each of some signatures
	words []string
}

func newWorkload(n int) *workload {
	w := &workload{Rand: rand.New(rand.NewPCG(7, uint64(n)))}
	w.words = strings.Fields(`mount volume lease endpoint certificate snapshot replica shard quorum leader follower segment cursor
		session broker partition consumer listener gateway upstream resolver zone kernel driver device firmware cgroup namespace
		secret token webhook admission scheduler eviction taint image layer registry manifest sandbox probe socket buffer queue
		backlog heap collector finalizer journal checkpoint wal compaction index table vacuum lock latch transaction savepoint`)
	for i := range n {
		var c signatures.LogCondition
		text, line := w.phrase(), ""
		switch k := i % 100; {
		case k < 70:
			c.Contains.Any = []string{text}
			c.Contains.IgnoreCase = k%10 == 0
			line = text
		case k < 95:
			c.Regex, line = w.expression(text)
		case k < 98: // short words
			word := fmt.Sprintf("%c%c%d%c", 'A'+w.IntN(26), 'A'+w.IntN(26), w.IntN(10), 'A'+w.IntN(26))
			c.Contains.Any = []string{word[:2+k%3]}
			c.Component.Equals = []string{"component-x"}
			line = word
		default: // no literal at all
			c.Regex = fmt.Sprintf(`\b[A-F]\d{%d,}[x-z]+\b`, 3+w.IntN(5))
			c.Component.Equals = []string{"component-x"}
			line = "A1234567890xyz"
		}
		if len(w.hit) < 200 {
			w.hit = append(w.hit, line)
		}
		s := one(fmt.Sprintf("s%d", i), signatures.Condition{Log: &c})
		w.sigs = append(w.sigs, s)
	}
	return w
}

func (w *workload) word() string { return w.words[w.IntN(len(w.words))] }

// phrase is a message of 12 to 60 bytes.
func (w *workload) phrase() string {
	verbs := strings.Fields("attach detach renew rotate flush commit replicate elect allocate release resolve schedule admit restore compact")
	reasons := []string{"deadline exceeded", "no space left", "checksum mismatch", "too many open files", "quota exhausted", "stale epoch", "lost quorum", "broken pipe"}
	return fmt.Sprintf("failed to %s %s %s: %s", verbs[w.IntN(len(verbs))], w.word(), w.word(), reasons[w.IntN(len(reasons))])[w.IntN(10):]
}

func (w *workload) expression(text string) (expr, line string) {
	q := regexp.QuoteMeta(text)
	switch w.IntN(4) {
	case 0:
		return q + ` after \d+(ms|s)`, text + " after 15ms"
	case 1:
		return `(?i)` + q, text
	case 2:
		return q + `.*\b(code|status)=\d{3}`, text + " with code=503"
	}
	return `(` + q + `|` + regexp.QuoteMeta(w.phrase()) + `) for [a-z-]+\b`, text + " for web"
}

// line returns an ordinary line, about one in five of them a near miss.
func (w *workload) line() string {
	id, n := w.Uint64(), w.IntN(100000)
	switch w.IntN(10) {
	case 0:
		return fmt.Sprintf(`I0314 09:26:53.%06d    2214 kubelet.go:2456] "SyncLoop (PLEG): event for pod" pod="default/web-%x" event={"ID":"%016x","Type":"ContainerStarted"}`, n, n, id)
	case 1:
		return fmt.Sprintf(`{"level":"info","ts":"2026-03-14T09:26:53.%06dZ","caller":"mvcc/kvstore_compaction.go:66","msg":"finished scheduled compaction","compact-revision":%d,"took":"%dms","hash":%d}`, n, n, n%90, uint32(id))
	case 2:
		return fmt.Sprintf(`10.244.%d.%d - - [14/Mar/2026:09:26:53 +0000] "GET /api/v1/items?page=%d HTTP/1.1" 200 %d "-" "Mozilla/5.0 (X11; Linux x86_64)" 0.0%d`, n%256, n/256%256, n, n, n%100)
	case 3:
		return fmt.Sprintf(`2026-03-14 09:26:53,%03d INFO  [http-nio-8080-exec-%d] com.example.orders.OrderService - Order %016x accepted in %d ms`, n%1000, n%200, id, n%500)
	case 4:
		return fmt.Sprintf(`time="2026-03-14T09:26:53.%09dZ" level=info msg="PullImage \"registry.example.com/team/app:%d\" returns image reference \"sha256:%016x\""`, n, n%50, id)
	case 5:
		return fmt.Sprintf(`2026-03-14 09:26:53.%03d UTC [%d] LOG:  checkpoint complete: wrote %d buffers (%d.%d%%); 0 WAL file(s) added, 0 removed, %d recycled; sync files=%d`, n%1000, n, n, n%100, n%10, n%7, n%90)
	case 6:
		return fmt.Sprintf(`[INFO] 10.244.%d.%d:%d - %d "A IN svc-%d.default.svc.cluster.local. udp 56 false 512" NOERROR qr,aa,rd 110 0.000%dS`, n%256, n/256%256, n, n, n%300, n)
	case 7:
		return fmt.Sprintf(`kernel: [%d.%06d] IPv6: ADDRCONF(NETDEV_CHANGE): veth%08x: link becomes ready`, n, n, uint32(id))
	}
	return fmt.Sprintf(`E0314 09:26:53.%06d    2214 reconciler.go:%d] failed to %s %s %s: connection refused (id=%016x)`, n, n%900, []string{"update", "fetch", "watch"}[n%3], w.word(), w.word(), id)
}

// batches returns about size bytes of lines in batches of a quarter of a megabyte, as collectors send them, and the text.
func (w *workload) batches(tb testing.TB, size int) (list []*record.Batch, text int) {
	tb.Helper()
	var builder record.Builder
	require.NoError(tb, builder.Reset(record.Header{Source: "logs/n1", Kinds: 1 << record.Log}))
	attrs := record.NewAttrs(map[string]string{record.FilePath: "/var/log/app.log", record.Node: "n1", record.Component: "app"})
	for text < size {
		for builder.Len() == 0 || builder.Size() < 256<<10 {
			l := w.line()
			if w.IntN(400) == 0 {
				l = "at 09:26: " + w.hit[w.IntN(len(w.hit))] + " and so on"
			}
			text += len(l) + 1
			require.NoError(tb, builder.Add(&record.Record{Kind: record.Log, Time: int64(text), ID: w.Uint64(), Attrs: attrs, Text: []byte(l)}))
		}
		var batch record.Batch
		require.NoError(tb, batch.Decode(builder.AppendTo(nil)))
		list = append(list, &batch)
	}
	return list, text
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("signatures=%d", n), func(b *testing.B) {
			w := newWorkload(n)
			list, size := w.batches(b, 16<<20)
			p := mustCompile(b, w.sigs...)
			s := matcher.NewScratch(p)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s.Stats = matcher.ScanStats{}
				for _, batch := range list {
					p.Scan(batch, s)
				}
			}
			b.ReportMetric(float64(s.Stats.Hits), "hits")
			b.ReportMetric(float64(s.Stats.Candidates)/float64(s.Stats.Records), "candidates/record")
			b.ReportMetric(float64(s.Stats.Regexes), "regexes")
		})
	}
}

// BenchmarkScanPlainFile scans lines that do not say who wrote them, so that conditions of one component look at all of them.
func BenchmarkScanPlainFile(b *testing.B) {
	w := newWorkload(1000)
	list, _ := w.batches(b, 4<<20)
	plain := make([]*record.Batch, 0, len(list))
	size := 0
	for _, batch := range list {
		var records []record.Record
		for i := range batch.Len() {
			r := batch.At(i)
			r.Attrs = r.Attrs.With(record.Component, "")
			size += len(r.Text) + 1
			records = append(records, r)
		}
		plain = append(plain, batchOf(b, records))
	}
	p := mustCompile(b, w.sigs...)
	s := matcher.NewScratch(p)
	b.SetBytes(int64(size))
	for b.Loop() {
		s.Stats = matcher.ScanStats{}
		for _, batch := range plain {
			p.Scan(batch, s)
		}
	}
	b.ReportMetric(float64(s.Stats.Hits), "hits")
	b.ReportMetric(float64(s.Stats.Candidates)/float64(s.Stats.Records), "candidates/record")
	b.ReportMetric(float64(s.Stats.Regexes), "regexes")
}

// BenchmarkNaiveLoop is what Scan is measured against: each line against each signature.
func BenchmarkNaiveLoop(b *testing.B) {
	w := newWorkload(1000)
	list, size := w.batches(b, 256<<10)
	regexes := make([]*regexp.Regexp, len(w.sigs))
	for i, s := range w.sigs {
		if c := s.Stages[0].When.Log; c.Regex != "" {
			regexes[i] = regexp.MustCompile(c.Regex)
		}
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, batch := range list {
			for i := range batch.Len() {
				r := batch.At(i)
				for j, s := range w.sigs {
					if regexes[j] != nil {
						regexes[j].Match(r.Text)
					} else {
						bytes.Contains(r.Text, []byte(s.Stages[0].When.Log.Contains.Any[0]))
					}
				}
			}
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	w := newWorkload(1000)
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, w.sigs...)
	}
}
