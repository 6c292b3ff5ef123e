package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the result as a table for a terminal: medians with the least and the greatest of the rounds.
func (r *Result) WriteText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush tells
	line("%s\n", r.Machine)
	for _, table := range r.tables() {
		line("\n%s\n", strings.ToUpper(strings.Join(table.head, "\t")))
		for _, cells := range table.rows {
			line("%s\n", strings.Join(cells, "\t"))
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// String is the machine in a line.
func (m Machine) String() string {
	scan := ""
	if m.Scan != "" {
		scan = ", " + m.Scan
	}
	return fmt.Sprintf("%s, %d cores, %.0f GB, %s/%s, %s%s, load %.1f at the start", m.CPU, m.Cores, float64(m.MemoryMB)/1024, m.OS, m.Arch, m.Go, scan, m.Load)
}

// table is a part of a result for people: rows with the same columns.
type table struct {
	workload string
	head     []string
	rows     [][]string
}

// tables makes one table of each workload.
func (r *Result) tables() []table {
	var out []table
	for _, name := range r.workloads() {
		rows := r.of(name)
		t := table{workload: name}
		var metrics, settings []string
		signatures := false
		for _, row := range rows {
			signatures = signatures || row.Signatures > 0
			for k := range maps.Keys(row.Settings) {
				if !slices.Contains(settings, k) {
					settings = append(settings, k)
				}
			}
			for _, m := range row.Metrics {
				if !slices.Contains(metrics, m.Name) {
					metrics = append(metrics, m.Name)
				}
			}
		}
		slices.Sort(settings)
		t.head = append(t.head, name)
		if signatures {
			t.head = append(t.head, "signatures")
		}
		t.head = append(t.head, settings...)
		peers := slices.ContainsFunc(rows, func(row *Row) bool { return row.Candidate != engineName })
		counted := slices.ContainsFunc(rows, func(row *Row) bool { return row.Hits != nil })
		for i, m := range metrics {
			t.head = append(t.head, m, "least..most")
			if i == 0 && peers {
				t.head = append(t.head, engineName+" is")
			}
		}
		if counted {
			t.head = append(t.head, "found")
		}
		t.head = append(t.head, "note")
		for _, row := range rows {
			t.rows = append(t.rows, r.cells(row, columns{signatures, peers, counted, settings, metrics}))
		}
		out = append(out, t)
	}
	return out
}

// columns are those that a table has besides its first and last.
type columns struct {
	signatures, peers, counted bool
	settings, metrics          []string
}

func (r *Result) cells(row *Row, c columns) []string {
	cells := []string{row.Candidate}
	if c.signatures {
		cells = append(cells, fmt.Sprint(row.Signatures))
	}
	for _, k := range c.settings {
		cells = append(cells, row.Settings[k])
	}
	for i, name := range c.metrics {
		m := row.Metric(name)
		if m == nil || len(m.Rounds) == 0 {
			cells = append(cells, "", "")
		} else {
			least, most := m.Span()
			span := number(least) + ".." + number(most)
			if len(m.Rounds) < 2 {
				span = ""
			}
			cells = append(cells, number(m.Median())+" "+m.Unit, span)
		}
		if i == 0 && c.peers {
			cells = append(cells, r.times(row))
		}
	}
	if c.counted {
		found := "-"
		if row.Hits != nil {
			found = fmt.Sprint(*row.Hits)
		}
		cells = append(cells, found)
	}
	return append(cells, row.Note)
}

// times says how many times as fast as a peer the engine is, on the peer's row: "351 times".
func (r *Result) times(row *Row) string {
	if row.Candidate == engineName {
		return ""
	}
	for i := range r.Rows {
		e := &r.Rows[i]
		if e.Candidate != engineName || e.Workload != row.Workload || e.Signatures != row.Signatures || len(e.Settings) > 0 {
			continue
		}
		x, y := e.Metric(Throughput), row.Metric(Throughput)
		if x == nil || y == nil || y.Median() == 0 {
			return ""
		}
		return number(x.Median()/y.Median()) + " times"
	}
	return ""
}

// workloads lists the names of the workloads, in the order of their first rows.
func (r *Result) workloads() []string {
	var names []string
	for i := range r.Rows {
		if !slices.Contains(names, r.Rows[i].Workload) {
			names = append(names, r.Rows[i].Workload)
		}
	}
	return names
}

// of returns the rows of a workload.
func (r *Result) of(workload string) []*Row {
	var out []*Row
	for i := range r.Rows {
		if r.Rows[i].Workload == workload {
			out = append(out, &r.Rows[i])
		}
	}
	return out
}
