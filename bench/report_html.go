package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

// page is the report: one file that needs nothing else.
//
//go:embed report.html
var page string

// WriteHTML writes the result as a page with charts. It asks for nothing from the network.
func (r *Result) WriteHTML(to io.Writer) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return fmt.Errorf("read the report's page: %w", err)
	}
	type chart struct {
		Title, X, Y string
		SVG         template.HTML
		Legend      []string
	}
	type tableView struct {
		Head []string
		Rows [][]string
	}
	view := struct {
		Result *Result
		Charts []chart
		Tables []tableView
	}{Result: r}
	for _, p := range r.plots() {
		c := chart{Title: p.title, X: p.x, Y: p.y, SVG: p.svg()}
		for _, s := range p.series {
			c.Legend = append(c.Legend, s.name)
		}
		view.Charts = append(view.Charts, c)
	}
	for _, x := range r.tables() {
		view.Tables = append(view.Tables, tableView{x.head, x.rows})
	}
	if err := t.Execute(to, view); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
