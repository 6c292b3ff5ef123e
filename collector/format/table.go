package format

import (
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
)

// table reads the plain output of `kubectl get events` and `kubectl events`, with and without -A and -o wide. Its ages are
// counted back from when the output was written.
type table struct {
	*kubernetes
	lines   splitter
	columns []column
	row     []byte // the row under way: a message may have several lines
}

// column is one column of the header.
type column struct {
	name  string
	start int
}

func newTable(in Input, sample []byte) Parser {
	t := &table{kubernetes: newKubernetes(in, sample).(*kubernetes)}
	t.lines = splitter{counts: in.Counts, max: in.Limits.LineBytes, offset: in.Offset, line: t.line}
	return t
}

func (t *table) Kinds() uint8 { return eventKinds }

func (t *table) Write(p []byte) { t.lines.write(p) }

func (t *table) Flush() {
	t.end()
	t.release()
	t.kubernetes.Flush()
}

func (t *table) Close() {
	t.lines.close()
	t.end()
	t.release()
}

// header splits a header into its columns, nil when the line is none.
func header(line []byte) []column {
	s := string(line)
	if !strings.HasPrefix(s, "LAST SEEN ") && !strings.HasPrefix(s, "NAMESPACE ") || !strings.Contains(s, "LAST SEEN ") ||
		!strings.Contains(s, " REASON ") || !strings.Contains(s, " MESSAGE") {
		return nil
	}
	var columns []column
	for i := 0; i < len(s); {
		end := strings.Index(s[i:], "  ")
		if end < 0 {
			end = len(s) - i
		}
		columns = append(columns, column{s[i : i+end], i})
		i += end
		for i < len(s) && s[i] == ' ' {
			i++
		}
	}
	return columns
}

func detectTable(sample []byte) bool {
	found := false
	each(sample, func(line []byte) bool {
		found = header(line) != nil
		return false
	})
	return found
}

func (t *table) line(line []byte, _ uint64) {
	if columns := header(line); columns != nil { // kubectl -w with several resources prints it again
		t.end()
		t.columns = columns
		return
	}
	if len(line) == 0 {
		return
	}
	if len(t.row) > 0 && !t.isRow(line) && len(t.row)+len(line) < t.in.Limits.EntryBytes {
		t.row = append(append(t.row, '\n'), line...)
		t.in.Counts.Add(Joined, 1)
		return
	}
	t.end()
	t.row = append(t.row[:0], line...)
}

// isRow reports whether the line begins a row: its age is one.
func (t *table) isRow(line []byte) bool {
	cells := t.cells(line)
	_, _, _, ok := seen(cells["LAST SEEN"])
	return ok
}

// cells splits a row. Where the columns of the header fit they decide, for a cell may be empty; else gaps do.
func (t *table) cells(line []byte) map[string]string {
	s := string(line)
	cells := make(map[string]string, len(t.columns))
	fits := true
	for _, c := range t.columns[min(1, len(t.columns)):] {
		if c.start >= len(s) {
			break
		}
		fits = fits && s[c.start-1] == ' '
	}
	for i, c := range t.columns {
		if c.start >= len(s) && fits {
			break
		}
		switch {
		case fits && i+1 < len(t.columns):
			cells[c.name] = strings.TrimSpace(s[c.start:min(len(s), t.columns[i+1].start)])
		case fits || i+1 == len(t.columns):
			if fits {
				s = s[c.start:]
			}
			cells[c.name] = strings.TrimSpace(s)
		default:
			cell, rest, _ := strings.Cut(s, "  ")
			cells[c.name], s = strings.TrimSpace(cell), strings.TrimLeft(rest, " ")
		}
	}
	return cells
}

func (t *table) end() {
	if len(t.row) == 0 {
		return
	}
	cells := t.cells(t.row)
	t.row = t.row[:0]
	last, first, count, ok := seen(cells["LAST SEEN"])
	if !ok {
		t.in.Counts.Add(BadItem, 1)
		return
	}
	if f, _, _, ok := seen(cells["FIRST SEEN"]); ok { // -o wide
		first = max(f, last)
		if n, err := strconv.ParseUint(cells["COUNT"], 10, 31); err == nil && n > 0 {
			count = uint32(n)
		}
	}
	kind, name, _ := strings.Cut(cells["OBJECT"], "/")
	kind = kindOf(kind)
	a := attrSet{}
	a.set(record.EventReason, cells["REASON"])
	a.set(record.EventType, cells["TYPE"])
	a.set(record.EventName, cells["NAME"])
	namespace := cells["NAMESPACE"]
	if kind == "Node" || kind == "PersistentVolume" {
		namespace = "" // events of what has no namespace are kept in default
	}
	a.object(kind, namespace, name)
	if source, host, ok := strings.Cut(cells["SOURCE"], ", "); ok || source != "" {
		a.set(record.EventSource, source)
		a.set(record.Component, source)
		a.set(record.Node, host)
	}
	if _, container, ok := strings.Cut(cells["SUBOBJECT"], "{"); ok {
		a.set(record.Container, strings.TrimSuffix(container, "}"))
	}
	now := t.in.written()
	t.occur(Occurrence{
		UID: strings.Join([]string{cells["NAMESPACE"], cells["OBJECT"], cells["REASON"], cells["NAME"], cells["MESSAGE"]}, "\x00"),
		// What was seen 5m ago was seen between 5 and 6 minutes ago; the later one is nearer to the others in the table.
		First: now - int64(first), Last: now - int64(last), Count: count, Message: cells["MESSAGE"], Attrs: a.over(t.in.Attrs),
	})
}

// seen reads the LAST SEEN column: 5m, 3h12m, 5m (x7 over 4h), <unknown>.
func seen(cell string) (last, first time.Duration, count uint32, ok bool) {
	if cell == "<unknown>" || cell == "<invalid>" {
		return 0, 0, 1, true
	}
	ago, times, repeated := strings.Cut(cell, " (x")
	if last, ok = age(ago); !ok {
		return 0, 0, 0, false
	}
	if !repeated {
		return last, last, 1, true
	}
	n, over, _ := strings.Cut(times, " over ")
	v, err := strconv.ParseUint(n, 10, 31)
	first, ok = age(strings.TrimSuffix(over, ")"))
	if err != nil || !ok || v == 0 {
		return 0, 0, 0, false
	}
	return last, max(first, last), uint32(v), true
}

// age reads an age as kubectl prints it: 45s, 3m5s, 2d3h, 1y20d.
func age(s string) (d time.Duration, ok bool) {
	b := []byte(s)
	for i := 0; i < len(b); {
		v, n := number(b, i)
		if n == 0 || n > 6 || i+n >= len(b) {
			return 0, false
		}
		unit := time.Duration(0)
		switch b[i+n] {
		case 's':
			unit = time.Second
		case 'm':
			unit = time.Minute
		case 'h':
			unit = time.Hour
		case 'd':
			unit = 24 * time.Hour
		case 'y':
			unit = 365 * 24 * time.Hour
		default:
			return 0, false
		}
		d += time.Duration(min(v, 90_000)) * unit
		i += n + 1
	}
	return min(d, 100*365*24*time.Hour), len(b) > 0
}

// kindOf turns the lower case kind of kubectl's columns into the kind's name.
func kindOf(lower string) string {
	for _, kind := range [...]string{
		"Pod", "Node", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service", "Endpoints", "Ingress", "Namespace",
		"PersistentVolumeClaim", "PersistentVolume", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ConfigMap", "Secret", "Lease",
		"ReplicationController", "VolumeAttachment", "StorageClass", "ServiceAccount", "CustomResourceDefinition", "APIService", "EndpointSlice",
		"NetworkPolicy", "ResourceQuota", "Certificate", "CertificateRequest", "Kustomization", "HelmRelease", "VolumeSnapshot", "Gateway",
	} {
		if strings.EqualFold(kind, lower) {
			return kind
		}
	}
	return lower // a kind that we do not know
}
