package format

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// builderSink is the sink that collectors use: records end in finished frames.
type builderSink struct {
	b     record.Builder
	frame []byte
	n     int
}

func newBuilderSink(tb testing.TB) *builderSink {
	tb.Helper()
	s := &builderSink{}
	if err := s.b.Reset(record.Header{Source: "bench", Kinds: logKinds}); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *builderSink) Add(r *record.Record) {
	if err := s.b.Add(r); err != nil {
		panic(err)
	}
	s.n++
	if s.b.Size() >= 256<<10 {
		s.frame = s.b.AppendTo(s.frame[:0])
	}
}

// repeated writes n lines, their times a millisecond apart.
func repeated(n int, line func(t time.Time, i int) string) []byte {
	var b bytes.Buffer
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for i := range n {
		b.WriteString(line(at.Add(time.Duration(i)*time.Millisecond), i))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// BenchmarkParse measures from bytes in memory to finished frames. Each workload states how many records it has, so that a
// parser that is fast because it is wrong is caught.
func BenchmarkParse(b *testing.B) {
	const n = 10_000
	for _, c := range []struct {
		name string
		line func(time.Time, int) string
	}{
		{"iso", func(t time.Time, i int) string {
			return fmt.Sprintf("%s INFO [worker-%d] request handled in %d ms path=/api/v1/namespaces/default/pods status=200", t.Format("2006-01-02T15:04:05.000Z"), i%16, i%97)
		}},
		{"klog", func(t time.Time, i int) string {
			return fmt.Sprintf("I%s       1 reconciler.go:%d] \"Reconciled object\" controller=\"deployment\" namespace=\"default\" name=\"web-%d\"", t.Format("0102 15:04:05.000000"), i%400+100, i%100)
		}},
		{"syslog", func(t time.Time, i int) string {
			return fmt.Sprintf("%s node-1 kubelet[912]: E%s 912 pod_workers.go:%d] Error syncing pod, skipping: context deadline exceeded", t.Format(time.Stamp), t.Format("0102 15:04:05.000000"), i%1000)
		}},
		{"cri", func(t time.Time, i int) string {
			return fmt.Sprintf("%s stderr F ERROR request failed id=%d, retrying against the next upstream in a moment", t.Format("2006-01-02T15:04:05.000000000Z"), i)
		}},
		{"docker", func(t time.Time, i int) string {
			return fmt.Sprintf(`{"log":"ERROR request failed id=%d, retrying against the next upstream in a moment\n","stream":"stderr","time":"%s"}`, i, t.Format(time.RFC3339Nano))
		}},
		{"json", func(t time.Time, i int) string {
			return fmt.Sprintf(`{"level":"info","ts":"%s","caller":"etcdserver/server.go:%d","msg":"applied incremental snapshot","member":"8e9e05c52164694d","took":"%dms"}`, t.Format("2006-01-02T15:04:05.000Z0700"), i%900, i%50)
		}},
		{"logfmt", func(t time.Time, i int) string {
			return fmt.Sprintf(`ts=%s caller=compact.go:%d level=info component=tsdb msg="compact blocks" count=3 duration=%dms`, t.Format("2006-01-02T15:04:05.000Z"), i%900, i%5000)
		}},
		{"access", func(t time.Time, i int) string {
			return fmt.Sprintf(`10.0.%d.%d - - [%s] "GET /api/v1/items/%d HTTP/1.1" 200 512 "-" "curl/8.0"`, i%250, i%250, t.Format("02/Jan/2006:15:04:05 -0700"), i)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			text := repeated(n, c.line)
			sink := newBuilderSink(b)
			now := time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				sink.n = 0
				p := Detect(text[:Sample]).Open(Input{Sink: sink, Now: now, Attrs: record.Attrs{{Key: record.FilePath, Value: "/var/log/x"}}}, text[:Sample])
				for at := 0; at < len(text); at += 256 << 10 {
					p.Write(text[at:min(at+256<<10, len(text))])
				}
				p.Close()
				if sink.n != n {
					b.Fatalf("%d records, want %d", sink.n, n)
				}
			}
		})
	}
}

// BenchmarkGenuine measures what a cluster said, from bytes in memory to finished frames.
func BenchmarkGenuine(b *testing.B) {
	for _, c := range []struct {
		file    string
		records int
	}{{"watch-pods.in.gz", 278}, {"events-core.in.json", 20}, {"exposition.in.prom", 28}} {
		b.Run(c.file, func(b *testing.B) {
			data := readTestdata(b, "testdata/"+c.file)
			sink := newBuilderSink(b)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				sink.n = 0
				p := Detect(data).Open(Input{Sink: sink, Now: written()}, data)
				p.Write(data)
				p.Close()
				if sink.n != c.records {
					b.Fatalf("%d records, want %d", sink.n, c.records)
				}
			}
		})
	}
}
