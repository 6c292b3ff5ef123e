package format

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// resumable are inputs whose entries go over several lines.
func resumable() map[string]string {
	return map[string]string{
		"lines":           "2026-11-20 10:00:00,123 ERROR [main] failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 3 more\n2026-11-20 10:00:01,000 INFO next\n2026-11-20 10:00:02,000 INFO last\n  goes on\n",
		"cri":             "2026-11-20T10:00:00Z stdout P first \n2026-11-20T10:00:00.5Z stderr F panic: no\n2026-11-20T10:00:00.5Z stderr F \tat x\n2026-11-20T10:00:01Z stdout P second \n2026-11-20T10:00:02Z stdout F third\n2026-11-20T10:00:03Z stderr F goroutine 1 [running]:\n2026-11-20T10:00:03Z stderr F main.main()\n2026-11-20T10:00:04Z stdout F end\n",
		"docker":          `{"log":"half ","stream":"stdout","time":"2026-11-20T10:00:00.1Z"}` + "\n" + `{"log":"a \"line\"\u00e9\n","stream":"stdout","time":"2026-11-20T10:00:00.2Z"}` + "\n" + `{"log":"ERROR x\r\n","stream":"stderr","time":"2026-11-20T10:00:01Z"}` + "\n" + `{"log":"\tat y\n","stream":"stderr","time":"2026-11-20T10:00:01Z"}` + "\n",
		"journald export": "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795168800000000\nMESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795168801000000\nMESSAGE=two\n\n",
		"syslog":          "Nov 20 10:00:00 node-1 app[12]: panic: bad\nNov 20 10:00:00 node-1 app[12]: goroutine 1 [running]:\nNov 20 10:00:01 node-1 kernel: x\n and more\nNov 20 10:00:02 node-1 systemd[1]: Started x.\n",
	}
}

// byID are records by their identities, each once.
func byID(t *testing.T, records []record.Record) map[uint64]string {
	t.Helper()
	m := map[uint64]string{}
	for i := range records {
		text := seenEntry(records[i])
		if before, ok := m[records[i].ID]; ok {
			require.Equal(t, before, text, "one identity for two observations")
		}
		m[records[i].ID] = text
	}
	return m
}

func TestAParserThatResumesGivesTheRestUnderTheSameIdentities(t *testing.T) {
	t.Parallel()
	for name, text := range resumable() {
		data := []byte(text)
		family, whole, _ := parse(t, data, 1<<20, Input{Identity: 9})
		require.Equal(t, name, family.Name)
		want := byID(t, whole)
		for at := range len(data) + 1 {
			sink := &collectSink{}
			in := Input{Sink: sink, Identity: 9, Now: written()}
			first := family.Open(in, data)
			first.Write(data[:at])
			offset, last := first.(Resumer).Settled()
			require.LessOrEqual(t, offset, uint64(at))
			in.Offset, in.Last = offset, last
			second := family.Open(in, data)
			second.Write(data[offset:])
			second.Close()
			require.Equal(t, want, byID(t, sink.records), "%s cut at %d, resumed at %d", name, at, offset)
		}
	}
}

// TestWhatWasGivenEarlyIsNotLostByResuming gives entries out before they are whole, which a further part makes another observation.
func TestWhatWasGivenEarlyIsNotLostByResuming(t *testing.T) {
	t.Parallel()
	for name, text := range resumable() {
		data := []byte(text)
		family := Named(name)
		for at := range len(data) + 1 {
			sink := &collectSink{}
			in := Input{Sink: sink, Identity: 9, Now: written()}
			first := family.Open(in, data)
			first.Write(data[:at/2])
			offset, _ := first.(Resumer).Settled()
			first.Write(data[at/2 : at])
			first.Flush() // given, and then the process is killed
			in.Offset = offset
			second := family.Open(in, data)
			second.Write(data[offset:])
			second.Close()
			byID(t, sink.records)
			_, whole, _ := parse(t, data, 1<<20, Input{Identity: 9})
			var got, want []string
			for _, r := range sink.records {
				got = append(got, strings.Split(string(r.Text), "\n")...)
			}
			for _, r := range whole {
				want = append(want, strings.Split(string(r.Text), "\n")...)
			}
			require.Subset(t, got, want, "%s given early at %d", name, at)
		}
	}
}

func TestAnHeirGoesOnInTheMiddleOfAnEntry(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for name, text := range resumable() {
		data := []byte(text)
		family, whole, _ := parse(t, data, 1<<20, Input{Identity: 9})
		if _, ok := family.Open(Input{Sink: &collectSink{}}, data).(Heir); !ok {
			require.Contains(t, name, "journald", "only the journal goes on in no other file")
			continue
		}
		ends := []int{0}
		for i, c := range data {
			if c == '\n' {
				ends = append(ends, i+1)
			}
		}
		for _, at := range ends {
			sink := &collectSink{}
			in := Input{Sink: sink, Identity: 9, Now: written()}
			first := family.Open(in, data)
			first.Write(data[:at])
			in.Identity = 10
			second := family.Open(in, data).(Heir)
			second.Inherit(first)
			held := second.Inherited()
			require.Equal(t, held, second.Inherited())
			first.Close()
			for rest := data[at:]; len(rest) > 0; {
				n := 1 + rng.IntN(len(rest))
				second.Write(rest[:n])
				rest = rest[n:]
				if second.Inherited() {
					offset, _ := second.Settled()
					require.Zero(t, offset, "the rest of what the file before began is not settled")
				}
			}
			second.Close()
			require.False(t, second.Inherited())
			require.Len(t, sink.records, len(whole), "%s in two files, cut at %d", name, at)
			for i := range whole {
				require.Equal(t, seenEntry(whole[i]), seenEntry(sink.records[i]), "%s in two files, cut at %d", name, at)
			}
		}
	}
}
