package signatures

import (
	"fmt"
	"math"
)

func (c *checker) sample(path string, s *SampleCondition, at place) {
	c.metric(child(path, "metric"), s.Metric)
	c.attrs(child(path, "labels"), s.Labels)
	c.positive(child(path, "rate"), s.Rate)
	c.positive(child(path, "for"), s.For)
	c.between(path, s.Above, s.Below)
	c.finite(child(path, "above"), s.Above)
	c.finite(child(path, "below"), s.Below)
	if s.Of != nil {
		c.metric(child(child(path, "of"), "metric"), s.Of.Metric)
		c.attrs(child(child(path, "of"), "labels"), s.Of.Labels)
	}
	for _, x := range []struct {
		name string
		set  bool
	}{{"rate", s.Rate != 0}, {"of", s.Of != nil}, {"for", s.For != 0}, {"forecast", s.Forecast != nil}} {
		if x.set && (!at.whole || !at.rung) {
			c.whole(child(path, x.name), x.name, at)
		}
	}
	threshold := s.Above != nil || s.Below != nil
	switch {
	case s.Rate != 0 && s.Of != nil:
		c.error(child(path, "of"), "`rate` and `of` can't be combined", "a share is of a value, not of its increase")
	case s.Forecast != nil && s.Rate != 0:
		c.error(child(path, "forecast"), "`rate` and `forecast` can't be combined", "the trend is taken from the value itself")
	case s.Forecast != nil && threshold:
		c.error(child(path, "forecast"), "above or below can't stand beside `forecast`", "make it a stage of its own")
	case s.Rate != 0 && !threshold:
		c.error(child(path, "rate"), "nothing is said of the rate", "add above or below")
	case s.Of != nil && !threshold && s.Forecast == nil:
		c.error(child(path, "of"), "nothing is said of the share", "add above, below or forecast")
	case s.For != 0 && !threshold && s.Forecast == nil:
		c.error(child(path, "for"), "nothing is said of the value that lasts", "add above or below")
	}
	if s.Of != nil && s.Above != nil && *s.Above > 1 && *s.Above <= 100 {
		c.warn(child(path, "above"), fmt.Sprintf("a share is from 0 to 1, and this one is above %v", *s.Above),
			fmt.Sprintf("for percent write %v", *s.Above/100))
	}
	if f := s.Forecast; f != nil {
		p := child(path, "forecast")
		c.finite(child(p, "reaches"), &f.Reaches)
		if f.Within <= 0 {
			c.error(child(p, "within"), "the alarm time must be positive", "")
		}
		if f.Over <= 0 {
			c.error(child(p, "over"), "the time that the trend is taken from must be positive", "")
		}
		if f.Within > 0 && f.Over > 0 && f.Within > 100*f.Over {
			c.warn(child(p, "within"), fmt.Sprintf("%s of the past say little of the next %s", f.Over, f.Within), "take the trend from a longer time")
		}
	}
}

// metric checks the name of a metric.
func (c *checker) metric(path, name string) {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == ':'
		if !letter && (i == 0 || r != '.' && (r < '0' || r > '9')) {
			mend := ""
			switch r {
			case '{':
				mend = "write labels under `labels:`"
			case '(':
				mend = "write functions as rate, of or forecast"
			}
			c.add(LevelError, path, i, fmt.Sprintf("%q is not the name of a metric", clip(name)), mend)
			return
		}
	}
}

func (c *checker) finite(path string, f *float64) {
	if f != nil && (math.IsNaN(*f) || math.IsInf(*f, 0)) {
		c.error(path, "a threshold must be a finite number", "")
	}
}
