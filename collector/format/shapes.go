package format

import (
	"bytes"
	"math"
	"strconv"
)

// shape is one way to write a time stamp.
type shape struct {
	name string
	// first says which first bytes a line of this shape can have; nil means any.
	first func(byte) bool
	// weak shapes could as well be any number: once a date was seen in the input they are not tried any more.
	weak bool
	// inside shapes are found anywhere in a line.
	inside bool
	// read returns the time and the index after the stamp, or an index of 0 when b is not of the shape.
	read func(s *Stamps, b []byte) (ns int64, end int)
}

// shapes lists all shapes in the order in which they are tried: the surest first. Adding one is a function and a line here.
var shapes = [...]shape{
	{name: "2006-01-02T15:04:05", first: isDigit, read: func(s *Stamps, b []byte) (int64, int) { return s.iso(b, 0) }},
	{name: "klog", first: isKlogLetter, read: func(s *Stamps, b []byte) (int64, int) { return s.klog(b, 0) }},
	{name: "json", first: func(c byte) bool { return c == '{' }, read: (*Stamps).json},
	{name: "Jan _2 15:04:05", first: isLetter, read: func(s *Stamps, b []byte) (int64, int) { return s.monthFirst(b, 0) }},
	{name: "Mon Jan _2 15:04:05 2006", first: isLetter, read: func(s *Stamps, b []byte) (int64, int) { return s.weekdayFirst(b, 0) }},
	{name: "02 Jan 2006 15:04:05", first: isDigit, read: func(s *Stamps, b []byte) (int64, int) { return s.dayFirst(b, 0) }},
	{name: "2006 Jan 02 15:04:05", first: isDigit, read: func(s *Stamps, b []byte) (int64, int) { return s.yearMonthName(b, 0) }},
	{name: "01/02/2006 15:04:05", first: isDigit, read: func(s *Stamps, b []byte) (int64, int) { return s.numbers(b, 0) }},
	{name: "20060102 150405", first: isDigit, read: func(s *Stamps, b []byte) (int64, int) { return s.compact(b, 0) }},
	{name: "redis", first: isDigit, read: (*Stamps).redis},
	{name: "<34>", first: func(c byte) bool { return c == '<' }, read: (*Stamps).priority},
	{name: "[...]", first: func(c byte) bool { return c == '[' }, read: (*Stamps).bracketed},
	{name: "time=", inside: true, read: (*Stamps).logfmt},
	{name: "/Date(ms)/", inside: true, read: (*Stamps).windowsDate},
	{name: "inside", inside: true, read: (*Stamps).inside},
	{name: "epoch", first: isDigit, weak: true, read: (*Stamps).epochFirst},
	{name: "word epoch", weak: true, read: (*Stamps).epochSecond},
	{name: "[15:04:05]", first: func(c byte) bool { return c == '[' }, weak: true, read: func(s *Stamps, b []byte) (int64, int) { return s.timeOnly(b, 1) }},
	{name: "15:04:05", first: isDigit, weak: true, read: func(s *Stamps, b []byte) (int64, int) { return s.timeOnly(b, 0) }},
}

func isKlogLetter(c byte) bool { return c == 'I' || c == 'W' || c == 'E' || c == 'F' || c == 'D' }

// leading reads a stamp of any shape that begins at b[i], numbers included: the value of a time= or "time": field.
func (s *Stamps) leading(b []byte, i int) (ns int64, end int) {
	if i >= len(b) {
		return 0, 0
	}
	if isLetter(b[i]) {
		if ns, end = s.monthFirst(b, i); end > 0 {
			return ns, end
		}
		return s.weekdayFirst(b, i)
	}
	for _, read := range [...]func(*Stamps, []byte, int) (int64, int){
		(*Stamps).iso, (*Stamps).dayFirst, (*Stamps).yearMonthName, (*Stamps).numbers, (*Stamps).compact,
	} {
		if ns, end = read(s, b, i); end > 0 {
			return ns, end
		}
	}
	return epoch(b, i)
}

// iso reads 2006-01-02T15:04:05 with any of - / . in the date, any of T t space _ : - between, an optional fraction and an
// optional zone. It is the commonest by far: the part up to the minute is compared with the last one's bytes first.
func (s *Stamps) iso(b []byte, i int) (ns int64, end int) {
	if i+19 > len(b) || b[i+16] != ':' {
		return 0, 0
	}
	key0, key1 := load8(b, i), load8(b, i+8)
	if key0 != s.key0 || key1 != s.key1 {
		if !s.isoMinute(b, i) {
			return 0, 0
		}
		s.key0, s.key1 = key0, key1
	}
	sec := two(b, i+17)
	if sec < 0 || sec > 60 {
		return 0, 0
	}
	end = i + 19
	frac := int64(0)
	if end < len(b) {
		frac, end = fraction(b, end)
	}
	if end < len(b) {
		if isDigit(b[end]) {
			return 0, 0
		}
		if east, e := zone(b, end); e > end {
			return s.minute + int64(sec-east)*second + frac, e
		}
	}
	return s.minuteAt + int64(sec)*second + frac, end
}

// isoMinute reads the 16 bytes up to the minute into the cache.
func (s *Stamps) isoMinute(b []byte, i int) bool {
	year, month, dom, h, m := four(b, i), two(b, i+5), two(b, i+8), two(b, i+11), two(b, i+14)
	switch sep := b[i+4]; {
	case sep != '-' && sep != '/' && sep != '.', b[i+7] != sep, b[i+13] != ':', h < 0, h > 23, m < 0, m > 59,
		!validDate(year, month, dom):
		return false
	}
	switch b[i+10] {
	case 'T', 't', ' ', '_', ':', '-':
	default:
		return false
	}
	ofDay := int64(h)*hour + int64(m)*minute
	s.minute = s.civil(year, month, dom, ofDay, 0, true)
	s.minuteAt = s.minute
	if !s.utc {
		s.minuteAt = s.civil(year, month, dom, ofDay, 0, false)
	}
	return true
}

// klog reads I0102 15:04:05.000000.
func (s *Stamps) klog(b []byte, i int) (ns int64, end int) {
	if i+14 > len(b) || !isKlogLetter(b[i]) || b[i+5] != ' ' {
		return 0, 0
	}
	month, dom := two(b, i+1), two(b, i+3)
	ofDay, end := timeOfDay(b, i+6)
	if end == 0 || !validDate(2000, month, dom) {
		return 0, 0
	}
	ns, ok := s.yearlessCached(b[i+1:i+5], month, dom, ofDay)
	if !ok {
		return 0, 0
	}
	return ns, end
}

// yearlessCached is yearless for four digits of month and day, remembering the day.
func (s *Stamps) yearlessCached(digits []byte, month, dom int, ofDay int64) (int64, bool) {
	key := uint64(digits[0]) | uint64(digits[1])<<8 | uint64(digits[2])<<16 | uint64(digits[3])<<24
	if s.utc && key == s.key0 && s.key1 == 0 && s.minute+ofDay <= s.written+day && s.written != 0 {
		return s.minute + ofDay, true
	}
	ns, ok := s.yearless(month, dom, ofDay)
	if ok && s.utc {
		// A second word of 0 cannot be of an ISO stamp, which shares the cache.
		s.key0, s.key1, s.minute = key, 0, ns-ofDay
	}
	return ns, ok
}

// monthFirst reads Jan _2 15:04:05, with the year before or after the time or without.
func (s *Stamps) monthFirst(b []byte, i int) (ns int64, end int) {
	mon := month(b, i)
	if mon == 0 || i+4 >= len(b) || b[i+3] != ' ' {
		return 0, 0
	}
	dom, end := oneOrTwo(b, i+4)
	if end < 0 || end >= len(b) || b[end] != ' ' && b[end] != ',' {
		return 0, 0
	}
	if b[end] == ',' {
		end++
	}
	year := 0
	if y := four(b, end+1); y > 1900 && end+5 < len(b) && (b[end+5] == ' ' || b[end+5] == ',') {
		year, end = y, end+5
		if b[end] == ',' {
			end++
		}
	}
	ofDay, end := timeOfDay(b, end+1)
	if end == 0 {
		return 0, 0
	}
	east, zoned := 0, false
	if year == 0 {
		if y := four(b, end+1); y > 1900 && y < 2200 && end < len(b) && b[end] == ' ' && (end+5 == len(b) || !isDigit(b[end+5]) && b[end+5] != '-') {
			year, end = y, end+5
		}
	} else if e, next := zone(b, end); next > end {
		east, end, zoned = e, next, true
	}
	if year != 0 {
		if !validDate(year, mon, dom) {
			return 0, 0
		}
		return s.civil(year, mon, dom, ofDay, east, zoned), end
	}
	if !validDate(2000, mon, dom) {
		return 0, 0
	}
	ns, ok := s.yearless(mon, dom, ofDay)
	if !ok {
		return 0, 0
	}
	return ns, end
}

// weekdayFirst reads Mon Jan _2 15:04:05 2006, Mon Jan _2 15:04:05 MST 2006 and Mon, 02 Jan 2006 15:04:05 MST.
func (s *Stamps) weekdayFirst(b []byte, i int) (ns int64, end int) {
	if !weekday(b, i) || i+5 > len(b) {
		return 0, 0
	}
	if b[i+3] == ',' && b[i+4] == ' ' {
		return s.dayFirst(b, i+5)
	}
	if b[i+3] != ' ' {
		return 0, 0
	}
	mon := month(b, i+4)
	dom, end := oneOrTwo(b, min(i+8, len(b)))
	if mon == 0 || end < 0 {
		return 0, 0
	}
	ofDay, end := timeOfDay(b, end+1)
	if end == 0 {
		return 0, 0
	}
	year := four(b, end+1)
	east, next := zone(b, end)
	zoned := next > end
	if zoned {
		year, end = four(b, next+1), next
	} else if year < 0 && end+5 < len(b) && b[end+4] == ' ' { // a zone's name that we do not know
		year, end = four(b, end+5), end+4
	}
	if year < 0 || !validDate(year, mon, dom) {
		return 0, 0
	}
	return s.civil(year, mon, dom, ofDay, east, zoned), min(end+5, len(b))
}

// exponent reads a number such as 1.795201723e+09 as seconds, milliseconds or more since 1970.
func exponent(b []byte, i int) (ns int64, end int) {
	end = i
	for end < len(b) && end < i+32 && (isDigit(b[end]) || b[end] == '.' || b[end] == '+' || b[end]|0x20 == 'e') {
		end++
	}
	v, err := strconv.ParseFloat(string(b[i:end]), 64)
	if err != nil {
		return 0, 0
	}
	if math.IsInf(v, 0) || v > 1e20 {
		return 0, 0
	}
	for v > 1e11 {
		v /= 1000
	}
	// A float64 is good for microseconds of these days.
	if ns = int64(math.Round(v*1e6)) * 1000; ns < earliest {
		return 0, 0
	}
	return ns, end
}

// redis reads 123:M 02 Jan 2006 15:04:05.000 and the older [123] 02 Jan 15:04:05.000 (see bracketed).
func (s *Stamps) redis(b []byte) (ns int64, end int) {
	_, n := number(b, 0)
	if n == 0 || n > 9 || n+3 >= len(b) || b[n] != ':' || !isLetter(b[n+1]) && b[n+1] != '-' || b[n+2] != ' ' {
		return 0, 0
	}
	return s.dayFirst(b, n+3)
}

// priority reads what follows a syslog priority: <34>Jan _2 15:04:05 or <34>1 2006-01-02T15:04:05Z.
func (s *Stamps) priority(b []byte) (ns int64, end int) {
	_, n := number(b, 1)
	i := n + 2
	if n == 0 || n > 3 || i >= len(b) || b[i-1] != '>' {
		return 0, 0
	}
	if b[i] == '1' && i+2 < len(b) && b[i+1] == ' ' {
		return s.iso(b, i+2)
	}
	if ns, end = s.monthFirst(b, i); end > 0 {
		return ns, end
	}
	return s.iso(b, i)
}

// bracketed reads stamps inside or after brackets: [2006-01-02 15:04:05], [Mon Jan _2 15:04:05 2006], [12] 2006/01/02 15:04:05,
// [INFO] [2006-01-02...].
func (s *Stamps) bracketed(b []byte) (ns int64, end int) {
	i := 0
	for range 4 { // at most four brackets stand before a stamp
		if i < len(b) && b[i] == '[' {
			if ns, end = s.leading(b, i+1); end > 0 {
				return ns, end
			}
			shut := bytes.IndexByte(b[i:min(len(b), i+64)], ']')
			if shut < 0 {
				return 0, 0
			}
			i += shut + 1
		} else if ns, end = s.leading(b, i); end > 0 && end-i > 10 { // a bare number after a bracket is none
			return ns, end
		} else {
			return 0, 0
		}
		for i < len(b) && isBlank(b[i]) {
			i++
		}
	}
	return 0, 0
}
