package format

import (
	"time"
)

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour

	// earliest is 1990-01-01: a stamp before it comes from a clock that was never set.
	earliest = 631152000 * second
)

// Stamps finds and reads the time stamps of lines. It remembers the shape that the last line had, so that the next one
// costs a comparison and a few digits. It is not safe for concurrent use.
//
// A stamp without a zone is in the input's location. One without a year is of the year in which the input was written, or
// the year before when that would be more than a day after the writing. One without a date is of the day of writing, and
// of the next day whenever the time falls by more than twelve hours.
type Stamps struct {
	location *time.Location
	utc      bool
	written  int64 // Unix nanoseconds, 0 when unknown
	latest   int64 // stamps after it are not believed; 0 believes all
	counts   *Counts

	last   *shape // the shape that fitted last, nil before
	strong bool   // a shape that is a full date was seen: shapes that could be any number do not count any more
	clock  int64  // the last time read by a shape that has no date, 0 before

	fields jsonFields // what the last JSON line said of itself

	key0, key1 uint64 // the bytes of "2006-01-02T15:04" that were read last
	minute     int64  // and their time in nanoseconds, without a zone
	minuteAt   int64  // and in the location
}

// NewStamps returns a reader of stamps as in describes them.
func NewStamps(in Input) *Stamps {
	in.withDefaults()
	s := &Stamps{location: in.Location, utc: in.Location == time.UTC, written: in.written(), counts: in.Counts}
	if now := in.now(); now != 0 {
		s.latest = now + day
	}
	return s
}

// advance moves the time after which stamps are not believed, for inputs that are read for days.
func (s *Stamps) advance(now int64) {
	if now != 0 && s.latest != 0 {
		s.latest = max(s.latest, now+day)
		s.written = max(s.written, now)
	}
}

// Read looks for the stamp of line. It returns its time in Unix nanoseconds, and the index after it. found is false when the
// line has none; a stamp that cannot be believed is found, counted, and has the time 0.
func (s *Stamps) Read(line []byte) (ns int64, end int, found bool) {
	if s.last != nil {
		if ns, end = s.last.read(s, line); end > 0 {
			return s.believe(ns), end, true
		}
	}
	return s.search(line)
}

// search tries all shapes.
func (s *Stamps) search(line []byte) (ns int64, end int, found bool) {
	if len(line) < 8 {
		return 0, 0, false
	}
	for i := range shapes {
		sh := &shapes[i]
		if sh.weak && s.strong || sh == s.last || sh.first != nil && !sh.first(line[0]) {
			continue
		}
		// In a file whose stamps lead the line, a stamp in the middle of one is part of what the line tells.
		if sh.inside && s.strong && s.last != nil && !s.last.inside {
			continue
		}
		if ns, end = sh.read(s, line); end > 0 {
			s.last, s.strong = sh, s.strong || !sh.weak
			return s.believe(ns), end, true
		}
	}
	return 0, 0, false
}

func (s *Stamps) believe(ns int64) int64 {
	if ns < earliest || s.latest != 0 && ns > s.latest {
		s.counts.Add(FutureStamp, 1)
		return 0
	}
	return ns
}

// civil turns a date and time of day, in the stamp's own zone or the location, into Unix nanoseconds.
func (s *Stamps) civil(year, month, dayOfMonth int, ofDay int64, east int, zoned bool) int64 {
	if !zoned && !s.utc {
		h, m := int(ofDay/hour), int(ofDay%hour/minute)
		t := time.Date(year, time.Month(month), dayOfMonth, h, m, 0, 0, s.location)
		return t.Unix()*second + ofDay%minute
	}
	return daysSince1970(year, month, dayOfMonth)*day + ofDay - int64(east)*second
}

// yearless dates a stamp that has no year.
func (s *Stamps) yearless(month, dayOfMonth int, ofDay int64) (int64, bool) {
	year := 1970
	if s.written != 0 {
		year = time.Unix(0, s.written).In(s.location).Year()
	}
	for back := range 5 { // February 29 may need a few years
		if !validDate(year-back, month, dayOfMonth) {
			continue
		}
		ns := s.civil(year-back, month, dayOfMonth, ofDay, 0, false)
		if s.written == 0 || ns <= s.written+day {
			return ns, true
		}
	}
	return 0, false
}

// dateless dates a stamp that is a time of day only.
func (s *Stamps) dateless(ofDay int64) int64 {
	if s.clock == 0 {
		t := time.Unix(0, s.written).In(s.location)
		ns := s.civil(t.Year(), int(t.Month()), t.Day(), ofDay, 0, false)
		if ns > s.written+hour {
			ns -= day
		}
		s.clock = ns
		return ns
	}
	t := time.Unix(0, s.clock).In(s.location)
	ns := s.civil(t.Year(), int(t.Month()), t.Day(), ofDay, 0, false)
	switch {
	case ns < s.clock-12*hour:
		ns += day
	case ns > s.clock+12*hour: // a late line of the day before
		ns -= day
	}
	s.clock = ns
	return ns
}

// timeOfDay reads hh:mm:ss with an optional fraction at b[i], in nanoseconds, and the index after it; 0 when there is none.
func timeOfDay(b []byte, i int) (ns int64, end int) {
	if i+8 > len(b) || b[i+2] != ':' || b[i+5] != ':' {
		return 0, 0
	}
	h, m, sec := two(b, i), two(b, i+3), two(b, i+6)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 {
		return 0, 0
	}
	frac, end := fraction(b, i+8)
	if end == i+8 && end+4 <= len(b) && b[end] == ':' && two(b, end+1) >= 0 && isDigit(b[end+3]) { // hh:mm:ss:mmm
		v, n := number(b[:end+4], end+1)
		if n == 3 {
			frac, end = v*1_000_000, end+4
		}
	}
	if end < len(b) && isDigit(b[end]) {
		return 0, 0
	}
	return int64(h)*hour + int64(m)*minute + int64(sec)*second + frac, end
}

// epoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970 at b[i]: which one shows in its
// size. It returns the index after it, 0 when the number is no time from 1990 on.
func epoch(b []byte, i int) (ns int64, end int) {
	v, n := number(b, i)
	end = i + n
	if end < len(b) && (isDigit(b[end]) || isLetter(b[end])) {
		return 0, 0
	}
	switch n {
	case 9, 10:
		ns = v * second
		if frac, e := fraction(b, end); e > end && b[end] == '.' {
			ns, end = ns+frac, e
		}
	case 12, 13:
		ns = v * 1_000_000
		if end < len(b) && b[end] == '.' {
			frac, e := fraction(b, end)
			ns, end = ns+frac/1000, e
		}
	case 15, 16:
		ns = v * 1000
	case 18, 19:
		ns = v
	}
	if n == 1 && end < len(b) && b[end] == '.' { // 1.7952e+09
		return exponent(b, i)
	}
	if ns < earliest {
		return 0, 0
	}
	return ns, end
}
