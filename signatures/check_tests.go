package signatures

import (
	"fmt"
	"slices"
	"time"
)

// states are the states that a warning can reach.
func states() []string {
	return []string{"forming", "imminent", "incident", "averted", "resolved", "expired"}
}

func (c *checker) tests() {
	fires, misses := false, false
	names := make(map[string]bool)
	for i := range c.s.Tests {
		t, path := &c.s.Tests[i], element("tests", i)
		if names[t.Name] && t.Name != "" {
			c.error(child(path, "name"), fmt.Sprintf("%q names two tests", clip(t.Name)), "")
		}
		names[t.Name] = true
		c.test(path, t)
		fires = fires || len(t.Expect) > 0
		misses = misses || len(t.Expect) == 0 || slices.ContainsFunc(t.Expect, func(e Expect) bool { return e.State == "averted" })
	}
	if !fires {
		c.demand("tests", "no test shows that the signature fires", "add one with the records of the failure and the states that must be reached")
	}
	if !misses {
		c.demand("tests", "no test is a near miss", "add one that comes close, with `expect: []` or a warning that is averted")
	}
}

func (c *checker) test(path string, t *Test) {
	last := Duration(0)
	for i := range t.Records {
		r, p := &t.Records[i], element(child(path, "records"), i)
		c.testRecord(p, r)
		last = max(last, r.At+Duration(max(r.Repeat-1, 0))*r.Every)
	}
	if t.Until != 0 && t.Until < last {
		c.error(child(path, "until"), fmt.Sprintf("the last record comes at %s", last), "write "+last.String()+" or more")
	}
	for i := range t.Expect {
		e, p := &t.Expect[i], element(child(path, "expect"), i)
		c.enum(child(p, "state"), e.State, states())
		if e.At != nil && *e.At < 0 {
			c.error(child(p, "at"), "a time before the start", "")
		}
		if c.s.Incident == nil && e.State == "incident" {
			c.error(child(p, "state"), "the signature has no incident, so this state can't be reached", "")
		}
	}
}

func (c *checker) testRecord(path string, r *TestRecord) {
	set := 0
	for _, is := range []bool{r.Event != nil, r.Log != "", r.Change != nil, r.Sample != nil, r.Alert != nil} {
		if is {
			set++
		}
	}
	switch {
	case set == 0:
		c.error(path, "the record is nothing", "add event, log, change, sample or alert")
	case set > 1:
		c.error(path, fmt.Sprintf("a record is one of event, log, change, sample and alert; this one is %d of them", set), "write several records")
	}
	if r.At < 0 {
		c.error(child(path, "at"), "a time before the start", "times count from the start of the test")
	}
	if r.Repeat < 0 || r.Repeat > maxRepeat {
		c.error(child(path, "repeat"), fmt.Sprintf("from 1 to %d", maxRepeat), "")
	}
	if r.Every < 0 {
		c.error(child(path, "every"), "the time between repeats can't be negative", "")
	}
	if r.Every > 0 && r.Repeat < 2 {
		c.warn(child(path, "every"), "`every` has no effect without `repeat`", "")
	}
	if r.Repeat > 1 && time.Duration(r.Every) > maxDuration/time.Duration(r.Repeat) {
		c.error(child(path, "every"), "the test takes longer than ten years", "")
	}
	words := sortedKeys(attributeWords())
	for _, w := range sortedKeys(r.Attrs) {
		if _, ok := attributeName(w); !ok {
			c.error(child(child(path, "attrs"), w), fmt.Sprintf("unknown attribute %q", clip(w)), suggestWord(w, words))
		}
	}
	if e := r.Event; e != nil {
		p := child(path, "event")
		c.enum(child(p, "type"), e.Type, []string{"Normal", "Warning"})
		c.testObject(child(p, "object"), e.Object)
		if e.Count < 0 {
			c.error(child(p, "count"), "a count can't be negative", "")
		}
	}
	if ch := r.Change; ch != nil {
		p := child(path, "change")
		c.testObject(child(p, "object"), ch.Object)
		c.enum(child(p, "verb"), ch.Verb, []string{"added", "modified", "deleted"})
		if message, offset := badChangePath(ch.Path); message != "" {
			c.add(LevelError, child(p, "path"), offset, message, "")
		}
	}
	if s := r.Sample; s != nil {
		c.metric(child(child(path, "sample"), "metric"), s.Metric)
		c.finite(child(child(path, "sample"), "value"), &s.Value)
		c.finite(child(child(path, "sample"), "step"), &s.Step)
	}
	if a := r.Alert; a != nil {
		c.enum(child(child(path, "alert"), "state"), a.State, []string{"firing", "resolved"})
	}
}

func (c *checker) testObject(path, text string) {
	if text == "" {
		return
	}
	if err := object(map[string]string{}, text); err != nil {
		c.error(path, err.Error(), "such as Node/n1 or Pod/shop/web-1")
	}
}
