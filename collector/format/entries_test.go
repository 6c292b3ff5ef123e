package format

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

// seenEntry is what a test looks at of a record: its time of day, level and text.
func seenEntry(r record.Record) string {
	s := time.Unix(0, r.Time).UTC().Format("15:04:05.999") + " "
	for _, key := range []string{record.Stream, record.Host, record.Node, record.Component, record.SeverityText} {
		if v := r.Attrs.Value(key); v != "" {
			s += v + " "
		}
	}
	return s + "| " + string(r.Text)
}

// TestEntriesOfLogs reads logs as programs write them. An empty line in want ends an entry's text.
func TestEntriesOfLogs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, family string
		text         string
		want         []string
	}{
		{
			"java trace", "lines",
			"2026-11-20 10:00:00,123 ERROR [main] failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 3 more\n2026-11-20 10:00:01,000 INFO [main] next\n",
			[]string{"10:00:00.123 error | 2026-11-20 10:00:00,123 ERROR [main] failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\t... 3 more", "10:00:01 info | 2026-11-20 10:00:01,000 INFO [main] next"},
		},
		{
			"python trace without stamps", "lines",
			"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: bad\nnext line\n",
			[]string{"20:00:00 | Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: bad", "20:00:00 | next line"},
		},
		{
			"go panic behind JSON", "lines",
			`{"level":"info","ts":"2026-11-20T10:00:00Z","msg":"up"}` + "\npanic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:12 +0x1d\nexit status 2\n" + `{"level":"warn","ts":"2026-11-20T10:00:05Z","msg":"again"}` + "\n",
			[]string{`10:00:00 info | {"level":"info","ts":"2026-11-20T10:00:00Z","msg":"up"}`, "10:00:00 fatal | panic: assignment to entry in nil map\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:12 +0x1d\nexit status 2", `10:00:05 warn | {"level":"warn","ts":"2026-11-20T10:00:05Z","msg":"again"}`},
		},
		{
			"a banner before the first stamp has its time", "lines",
			"Welcome to the server\n2026-11-20T10:00:00Z up\n",
			[]string{"10:00:00 | Welcome to the server", "10:00:00 | 2026-11-20T10:00:00Z up"},
		},
		{
			"no stamps at all", "lines", "one\ntwo\r\nthree",
			[]string{"20:00:00 | one", "20:00:00 | two", "20:00:00 | three"},
		},
		{
			"a stamp of the future is not believed", "lines",
			"2026-11-20T10:00:00Z one\n2036-11-20T10:00:00Z two\n",
			[]string{"10:00:00 | 2026-11-20T10:00:00Z one", "10:00:00 | 2036-11-20T10:00:00Z two"},
		},
		{
			"a time only, over midnight", "lines",
			"23:59:58 a\n00:00:01 b\n",
			[]string{"23:59:58 | 23:59:58 a", "00:00:01 | 00:00:01 b"},
		},
		{
			"klog", "lines", "E1120 10:00:00.000001       1 a.go:1] bad thing\nI1120 10:00:01.000000       1 a.go:2] fine\n",
			[]string{"10:00:00 error | E1120 10:00:00.000001       1 a.go:1] bad thing", "10:00:01 info | I1120 10:00:01.000000       1 a.go:2] fine"},
		},
		{
			"cri parts and both streams", "cri",
			"2026-11-20T10:00:00Z stdout P first \n2026-11-20T10:00:00.5Z stderr F ERROR in between\n2026-11-20T10:00:01Z stdout P second \n2026-11-20T10:00:02Z stdout F third\n",
			[]string{"10:00:00.5 stderr error | ERROR in between", "10:00:00 stdout | first second third"},
		},
		{
			"cri trace", "cri",
			"2026-11-20T10:00:00+01:00 stderr F panic: boom\n2026-11-20T10:00:00+01:00 stderr F \n2026-11-20T10:00:00+01:00 stderr F goroutine 1 [running]:\n2026-11-20T10:00:00+01:00 stderr F main.main()\n2026-11-20T10:00:00+01:00 stderr F \t/app/main.go:1 +0x1\n2026-11-20T10:00:01+01:00 stderr F level=warn msg=next\n",
			[]string{"09:00:00 stderr fatal | panic: boom\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:1 +0x1", "09:00:01 stderr warn | level=warn msg=next"},
		},
		{
			"cri with a line that has no frame", "cri",
			"2026-11-20T10:00:00Z stdout F one\nrpc error: code = Unknown\n2026-11-20T10:00:02Z stdout F two\n",
			[]string{"10:00:00 stdout | one", "10:00:00 | rpc error: code = Unknown", "10:00:02 stdout | two"},
		},
		{
			"docker", "docker",
			`{"log":"half ","stream":"stdout","time":"2026-11-20T10:00:00.1Z"}` + "\n" + `{"log":"a \"line\"\u00e9\n","stream":"stdout","time":"2026-11-20T10:00:00.2Z"}` + "\n" + `{"log":"ERROR x\r\n","stream":"stderr","time":"2026-11-20T10:00:01Z"}` + "\n",
			[]string{"10:00:00.1 stdout | half a \"line\"é", "10:00:01 stderr error | ERROR x"},
		},
		{
			"syslog", "syslog",
			"Nov 20 10:00:00 node-1 kubelet[12]: E1120 10:00:00.000001 12 a.go:1] bad\nNov 20 10:00:01 node-1 kernel: Out of memory: Killed process 1 (java)\nNov 20 10:00:02 node-1 systemd[1]: Started x.\n",
			[]string{"10:00:00 node-1 node-1 kubelet error | Nov 20 10:00:00 node-1 kubelet[12]: E1120 10:00:00.000001 12 a.go:1] bad", "10:00:01 node-1 node-1 kernel | Nov 20 10:00:01 node-1 kernel: Out of memory: Killed process 1 (java)", "10:00:02 node-1 node-1 systemd | Nov 20 10:00:02 node-1 systemd[1]: Started x."},
		},
		{
			"syslog of RFC 5424", "syslog",
			"<11>1 2026-11-20T10:00:00.003Z web-1 app 12 ID47 - it broke\n<14>1 2026-11-20T10:00:01Z - - - - - fine\n",
			[]string{"10:00:00.003 web-1 app error | <11>1 2026-11-20T10:00:00.003Z web-1 app 12 ID47 - it broke", "10:00:01 info | <14>1 2026-11-20T10:00:01Z - - - - - fine"},
		},
		{
			"journald", "journald",
			`{"__REALTIME_TIMESTAMP":"1795168800000000","_HOSTNAME":"node-1","SYSLOG_IDENTIFIER":"kubelet","PRIORITY":"6","MESSAGE":"E1120 10:00:00.000001 12 a.go:1] bad"}` + "\n" +
				`{"__REALTIME_TIMESTAMP":"1795168801000000","_HOSTNAME":"db","_COMM":"postgres","PRIORITY":"3","MESSAGE":[104,105,255]}` + "\n" +
				`{"__REALTIME_TIMESTAMP":"1795168802000000","_TRANSPORT":"kernel","MESSAGE":["first","second"]}` + "\n",
			[]string{"10:00:00 node-1 node-1 kubelet error | E1120 10:00:00.000001 12 a.go:1] bad", "10:00:01 db postgres error | hi\xff", "10:00:02 kernel | first"},
		},
		{
			"journald export", "journald export",
			"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795168800000000\n_HOSTNAME=node-1\nSYSLOG_IDENTIFIER=kubelet\nPRIORITY=6\nMESSAGE=E1120 10:00:00.000001 12 a.go:1] bad\n\n" +
				"__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795168801000000\n_HOSTNAME=db\n_COMM=postgres\nPRIORITY=3\nMESSAGE\n\x09\x00\x00\x00\x00\x00\x00\x00first\n\nhi\nOTHER=x\n\n" +
				"__CURSOR=s=3\n__REALTIME_TIMESTAMP=1795168802000000\nNO_MESSAGE=x\n\n" +
				"__CURSOR=s=4\n__REALTIME_TIMESTAMP=1795168803000000\n_TRANSPORT=kernel\nMESSAGE=first\nMESSAGE=second\n",
			[]string{"10:00:00 node-1 node-1 kubelet error | E1120 10:00:00.000001 12 a.go:1] bad", "10:00:01 db postgres error | first\n\nhi", "10:00:03 kernel | first"},
		},
		{
			"JSON over several lines", "kubernetes json",
			"{\n  \"level\": \"error\",\n  \"time\": \"2026-11-20T10:00:00Z\"\n}\n{\n  \"msg\": \"x\"\n}\n",
			[]string{"10:00:00 error | {\n  \"level\": \"error\",\n  \"time\": \"2026-11-20T10:00:00Z\"\n}", "20:00:00 | {\n  \"msg\": \"x\"\n}"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 13, 1 << 20} {
				family, records, _ := parse(t, []byte(c.text), n, Input{})
				require.Equal(t, c.family, family.Name)
				got := make([]string, len(records))
				for i, r := range records {
					got[i] = seenEntry(r)
				}
				require.Equal(t, c.want, got, "in pieces of %d", n)
			}
		})
	}
}

func TestLevelsAreFoundWhereProgramsWriteThem(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Level{
		"ERROR something":                          Error,
		"[error] 12#12: upstream timed out":        Error,
		"[main] WARN  o.a.k.Client - x":            Warn,
		"level=error msg=x":                        Error,
		`ts=1 caller=x level="warn" msg=y`:         Warn,
		"error: x":                                 Error,
		"12:M # WARNING overcommit":                Warn,
		"UTC [17] FATAL:  the database is down":    Fatal,
		"no level here, only an error in a text":   NoLevel,
		"ERROR_COUNT=12":                           NoLevel,
		"INFORMATION_SCHEMA.tables were read":      NoLevel,
		"GET /ERROR HTTP/1.1":                      NoLevel,
		"<Warning> x":                              Warn,
		"":                                         NoLevel,
		strings.Repeat("x ", 200) + "ERROR behind": NoLevel,
	} {
		require.Equal(t, want.String(), findLevel([]byte(line), 0).String(), line)
	}
}

func TestLongLinesAreCutAndCounted(t *testing.T) {
	t.Parallel()
	text := "2026-11-20T10:00:00Z " + strings.Repeat("x", 5000) + "\n2026-11-20T10:00:01Z next\n"
	for _, n := range []int{1, 100, 1 << 20} {
		_, records, counts := parse(t, []byte(text), n, Input{Limits: Limits{LineBytes: 1000}})
		require.Len(t, records, 2)
		require.Len(t, records[0].Text, 1000)
		require.Equal(t, "2026-11-20T10:00:01Z next", string(records[1].Text))
		require.Equal(t, uint64(1), counts.Get(LongLine))
		require.Equal(t, uint64(21+5000-1000), counts.Get(SkippedBytes))
	}
}

func TestLongEntriesAreEndedAndCounted(t *testing.T) {
	t.Parallel()
	text := "2026-11-20T10:00:00Z trace\n" + strings.Repeat("\tat x\n", 50)
	_, records, counts := parse(t, []byte(text), 1<<20, Input{Limits: Limits{EntryLines: 20}})
	require.Greater(t, len(records), 2)
	require.Positive(t, counts.Get(LongEntry))
	lines := 0
	for _, r := range records {
		lines += strings.Count(string(r.Text), "\n") + 1
	}
	require.Equal(t, 51, lines, "no line is lost")
}

func TestTheCursorOfTheJournalIsThatOfTheLastEntry(t *testing.T) {
	t.Parallel()
	for text, family := range map[string]string{
		"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795168800000000\nMESSAGE=x\n\n__CURSOR=s=2\n__REALTIME_TIMESTAMP=1795168800000000\nMESSAGE=y\n\n__CURSOR=s=3\n":              "journald export",
		`{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}` + "\n" + `{"__CURSOR":"s=2","__REALTIME_TIMESTAMP":"1","MESSAGE":"y"}` + "\n" + `{"__CURSOR":"s=3"`: "journald",
	} {
		f := Detect([]byte(text))
		require.Equal(t, family, f.Name)
		p := f.Open(Input{Sink: &collectSink{}, Now: written()}, []byte(text))
		require.Empty(t, p.(Cursored).Cursor())
		for i := range len(text) {
			p.Write([]byte(text[i : i+1]))
		}
		require.Equal(t, "s=2", string(p.(Cursored).Cursor()), family)
	}
}

func TestFlushGivesOutWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"2026-11-20T10:00:00Z one\n", "2026-11-20T10:00:00Z stdout F one\n", "Nov 20 10:00:00 h kubelet[1]: one\n", "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n5m   Warning   Failed   pod/x   one\n"} {
		sink := &collectSink{}
		p := Detect([]byte(line)).Open(Input{Sink: sink, Now: written()}, []byte(line))
		p.Write([]byte(line))
		p.Flush()
		require.Len(t, sink.records, 1, line)
	}
}

func TestLinesOfAContainerThatAreFarApartInTimeAreNotJoined(t *testing.T) {
	t.Parallel()
	text := "2026-11-20T10:00:00Z stderr F panic: x\n2026-11-20T10:00:00.2Z stderr F \tat y\n2026-11-20T10:00:00.5Z stderr F \tat z\n"
	_, records, _ := parse(t, []byte(text), 1<<20, Input{Gap: 250 * time.Millisecond})
	require.Len(t, records, 2)
	require.Equal(t, "panic: x\n\tat y", string(records[0].Text))
	_, records, _ = parse(t, []byte(text), 1<<20, Input{})
	require.Len(t, records, 1)
}

func TestIdentitiesWithinAnInputDiffer(t *testing.T) {
	t.Parallel()
	_, records, _ := parse(t, []byte(strings.Repeat("2026-11-20T10:00:00Z the same\n", 1000)), 1<<20, Input{Identity: 7})
	seen := map[uint64]bool{}
	for _, r := range records {
		require.False(t, seen[r.ID])
		seen[r.ID] = true
	}
}

func TestFamiliesAreToldByTheirBeginning(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":           "lines",
		"\x00\x01":   "lines",
		"plain text": "lines",
		`{"level":"info","ts":1,"kind":"x","msg":"JSON lines"}` + "\n":                                   "lines",
		`{"apiVersion":"v1","items":[{"kind":"Pod"`:                                                      "kubernetes json",
		"{\n    \"apiVersion\": \"v1\",\n":                                                               "kubernetes json",
		`{"kind":"PodList","apiVersion":"v1","metadata":{`:                                               "kubernetes json",
		`{"type":"ADDED","object":{"kind":"Pod"`:                                                         "kubernetes json",
		"\xef\xbb\xbf{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{}}":                           "kubernetes json",
		`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stageTimestamp":"x"}` + "\n": "audit",
		"apiVersion: v1\nitems:\n- kind: Pod\n":                                                          "kubernetes yaml",
		"---\napiVersion: v1\nkind: Pod\n":                                                               "kubernetes yaml",
		"LAST SEEN   TYPE     REASON   OBJECT   MESSAGE\n":                                               "kubectl events",
		"2026-11-20T10:00:00.1Z stdout F x\n":                                                            "cri",
		`{"log":"x\n","stream":"stdout","time":"2026-11-20T10:00:00Z"}` + "\n":                           "docker",
		`{"log":"a JSON line with a field of that name","time":"2026-11-20T10:00:00Z"}` + "\n":           "lines",
		`{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}` + "\n":                                              "journald",
		"Nov 20 10:00:00 host app[1]: x\n":                                                               "syslog",
		"<34>1 2026-11-20T10:00:00Z host app - - - x\n":                                                  "syslog",
		"2026-11-20T10:00:00Z INFO starting\n":                                                           "lines",
		"Nov 20 10:00:00.123 INFO a line without host\n":                                                 "lines",
		"# HELP a b\n# TYPE a counter\na 1\n":                                                            "exposition",
		"up{job=\"x\"} 1\n":                                                                              "exposition",
		"# a comment\nkey=value\n":                                                                       "lines",
	} {
		require.Equal(t, want, Detect([]byte(text)).Name, "%q", text)
	}
}
