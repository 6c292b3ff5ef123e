package format

import "bytes"

// searched is how far into a line a stamp is looked for when it does not lead it.
const searched = 200

// dayFirst reads 02 Jan 2006 15:04:05, 02/Jan/2006:15:04:05 -0700, 02-Jan-2006 15:04:05.000 and 02 Jan 15:04:05.000.
func (s *Stamps) dayFirst(b []byte, i int) (ns int64, end int) {
	dom, j := oneOrTwo(b, i)
	if j < 0 || j+4 >= len(b) {
		return 0, 0
	}
	sep := b[j]
	mon := month(b, j+1)
	if sep != ' ' && sep != '/' && sep != '-' || mon == 0 || b[j+4] != sep {
		return 0, 0
	}
	j += 5
	year := four(b, j)
	if year < 0 { // 02 Jan 15:04:05
		ofDay, end := timeOfDay(b, j)
		if end == 0 || !validDate(2000, mon, dom) {
			return 0, 0
		}
		ns, ok := s.yearless(mon, dom, ofDay)
		if !ok {
			return 0, 0
		}
		return ns, end
	}
	if j+5 >= len(b) || b[j+4] != ' ' && b[j+4] != ':' && b[j+4] != 'T' || !validDate(year, mon, dom) {
		return 0, 0
	}
	ofDay, end := timeOfDay(b, j+5)
	if end == 0 {
		return 0, 0
	}
	east, next := zone(b, end)
	return s.civil(year, mon, dom, ofDay, east, next > end), next
}

// yearMonthName reads 2006 Jan 02 15:04:05.000.
func (s *Stamps) yearMonthName(b []byte, i int) (ns int64, end int) {
	year, mon := four(b, i), month(b, min(i+5, len(b)))
	if year < 0 || mon == 0 || b[i+4] != ' ' && b[i+4] != '-' {
		return 0, 0
	}
	dom, j := oneOrTwo(b, min(i+9, len(b)))
	if j < 0 || !validDate(year, mon, dom) {
		return 0, 0
	}
	ofDay, end := timeOfDay(b, j+1)
	if end == 0 {
		return 0, 0
	}
	east, next := zone(b, end)
	return s.civil(year, mon, dom, ofDay, east, next > end), next
}

// numbers reads 01/02/2006 15:04:05 (or 02/01/2006 when there is no such month), 01/02/2006, 3:04:05 PM, 06/01/02 15:04:05
// and 01-02 15:04:05.000.
func (s *Stamps) numbers(b []byte, i int) (ns int64, end int) {
	x, j := oneOrTwo(b, i)
	if j <= 0 || j >= len(b) || b[i] == ' ' || b[j] != '/' && b[j] != '-' && b[j] != '.' {
		return 0, 0
	}
	sep := b[j]
	y, j := oneOrTwo(b, j+1)
	if j < 0 || j >= len(b) {
		return 0, 0
	}
	if b[j] == ' ' && sep != '/' { // 01-02 15:04:05.000 and 01.02 15:04:05
		ofDay, end := timeOfDay(b, j+1)
		if end == 0 || !validDate(2000, x, y) {
			return 0, 0
		}
		ns, ok := s.yearless(x, y, ofDay)
		if !ok {
			return 0, 0
		}
		return ns, end
	}
	if b[j] != sep {
		return 0, 0
	}
	year, mon, dom := 0, x, y
	if z := four(b, j+1); z > 0 {
		year, j = z, j+5
		if sep == '.' || mon > 12 { // 31.12.2006 is never month first
			mon, dom = dom, mon
		}
	} else if z := two(b, j+1); z >= 0 && sep == '/' && j+3 < len(b) && b[j+3] == ' ' { // Spark: 06/01/02
		year, mon, dom, j = 2000+x, y, z, j+3
	}
	if year == 0 || j+1 >= len(b) || !validDate(year, mon, dom) {
		return 0, 0
	}
	if b[j] == ',' {
		j++
	}
	if j >= len(b) || b[j] != ' ' && b[j] != '-' && b[j] != 'T' {
		return 0, 0
	}
	ofDay, end := timeOfDay(b, j+1)
	if end == 0 {
		ofDay, end = shortHour(b, j+1)
	}
	if end == 0 {
		return 0, 0
	}
	ofDay, end = meridiem(b, ofDay, end)
	east, next := zone(b, end)
	return s.civil(year, mon, dom, ofDay, east, next > end), next
}

// shortHour reads 3:04:05, which people's stamps have.
func shortHour(b []byte, i int) (ns int64, end int) {
	if i+7 > len(b) || !isDigit(b[i]) || b[i+1] != ':' || b[i+4] != ':' {
		return 0, 0
	}
	m, sec := two(b, i+2), two(b, i+5)
	if m < 0 || m > 59 || sec < 0 || sec > 60 {
		return 0, 0
	}
	return int64(b[i]-'0')*hour + int64(m)*minute + int64(sec)*second, i + 7
}

// meridiem applies AM or PM at b[end].
func meridiem(b []byte, ofDay int64, end int) (int64, int) {
	i := end
	if i < len(b) && b[i] == ' ' {
		i++
	}
	if i+2 > len(b) || b[i+1]|0x20 != 'm' || i+2 < len(b) && isLetter(b[i+2]) {
		return ofDay, end
	}
	switch b[i] | 0x20 {
	case 'a':
		if ofDay >= 12*hour {
			ofDay -= 12 * hour
		}
	case 'p':
		if ofDay < 12*hour {
			ofDay += 12 * hour
		}
	default:
		return ofDay, end
	}
	return ofDay, i + 2
}

// compact reads 20060102T150405, 20060102 15:04:05, 20060102-15:04:05:000 and 060102 150405.
func (s *Stamps) compact(b []byte, i int) (ns int64, end int) {
	_, n := number(b, i)
	j := i + n
	if n != 8 && n != 6 || j+7 > len(b) {
		return 0, 0
	}
	year, mon, dom := four(b, i), two(b, i+4), two(b, j-2)
	if n == 6 {
		year, mon = 2000+two(b, i), two(b, i+2)
	}
	if year < 1990 || !validDate(year, mon, dom) {
		return 0, 0
	}
	switch b[j] {
	case 'T', ' ', '-', '_':
	default:
		return 0, 0
	}
	if n == 8 && j+8 < len(b) && b[j+3] == ':' || b[j+2] == ':' {
		ofDay, end := looseTime(b, j+1)
		if end == 0 {
			return 0, 0
		}
		east, next := zone(b, end)
		return s.civil(year, mon, dom, ofDay, east, next > end), next
	}
	h, m, sec := two(b, j+1), two(b, j+3), two(b, j+5)
	end = j + 7
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 || end < len(b) && isDigit(b[end]) {
		return 0, 0
	}
	frac, end := fraction(b, end)
	east, next := zone(b, end)
	return s.civil(year, mon, dom, int64(h)*hour+int64(m)*minute+int64(sec)*second+frac, east, next > end), next
}

// looseTime reads a time of day whose parts may have one digit: 22:15:29:606, 0:5:9.
func looseTime(b []byte, i int) (ns int64, end int) {
	if ns, end = timeOfDay(b, i); end > 0 {
		return ns, end
	}
	units := [...]int64{hour, minute, second, second / 1000}
	bounds := [...]int64{23, 59, 60, 999}
	for u := range units {
		v, n := number(b, i)
		if n == 0 || v > bounds[u] {
			return 0, 0
		}
		ns += v * units[u]
		i += n
		if u == len(units)-1 || i >= len(b) || b[i] != ':' {
			if u < 2 {
				return 0, 0
			}
			break
		}
		i++
	}
	return ns, i
}

// logfmt reads the value of a key such as ts= or time= near the beginning of the line.
func (s *Stamps) logfmt(b []byte) (ns int64, end int) {
	b = b[:min(len(b), searched)]
	for i := 0; i < len(b); i++ {
		eq := bytes.IndexByte(b[i:], '=')
		if eq < 0 {
			return 0, 0
		}
		eq += i
		start := eq
		for start > i && b[start-1] != ' ' && b[start-1] != '\t' && b[start-1] != ',' && b[start-1] != '[' {
			start--
		}
		if isTimeKey(b[start:eq]) {
			v := eq + 1
			if v < len(b) && (b[v] == '"' || b[v] == '\'') {
				v++
			}
			if ns, end = s.leading(b, v); end > 0 {
				return ns, end
			}
		}
		i = eq
	}
	return 0, 0
}

// isTimeKey reports whether a field of that name holds the time at which the line was written.
func isTimeKey(key []byte) bool {
	switch string(key) {
	case "time", "ts", "t", "timestamp", "@timestamp", "datetime", "date", "asctime", "Time", "Timestamp", "TIMESTAMP", "@t",
		"eventTime", "event_time", "stageTimestamp", "time_local", "logTime", "log_time", "start_time", "time_iso8601", "msec", "created_at":
		return true
	}
	return false
}

// windowsDate reads /Date(1700000000000)/.
func (s *Stamps) windowsDate(b []byte) (ns int64, end int) {
	b = b[:min(len(b), 4*searched)]
	i := bytes.Index(b, []byte("/Date("))
	if i < 0 {
		return 0, 0
	}
	return epoch(b, i+len("/Date("))
}

// inside looks for a full date near the beginning of the line: access logs, and lines that begin with a level or a name.
func (s *Stamps) inside(b []byte) (ns int64, end int) {
	b = b[:min(len(b), searched)]
	for i := 1; i+14 < len(b); i++ {
		if isDigit(b[i]) && !isDigit(b[i-1]) {
			switch {
			case b[i+4] == '-' || b[i+4] == '/':
				ns, end = s.iso(b, i)
			case b[i+2] == '/' && month(b, i+3) > 0:
				ns, end = s.dayFirst(b, i)
			case b[i+2] == ' ' && month(b, i+3) > 0 && four(b, i+7) > 0:
				ns, end = s.dayFirst(b, i)
			}
		} else if b[i-1] == '[' && isLetter(b[i]) && weekday(b, i) {
			ns, end = s.weekdayFirst(b, i)
		}
		if end > 0 {
			return ns, end
		}
	}
	return 0, 0
}

// epochFirst reads a line that begins with a number of seconds or less since 1970.
func (s *Stamps) epochFirst(b []byte) (ns int64, end int) {
	return s.plausible(b, 0)
}

// epochSecond reads a line whose second word is such a number.
func (s *Stamps) epochSecond(b []byte) (ns int64, end int) {
	i := bytes.IndexByte(b[:min(len(b), 64)], ' ')
	if i <= 0 || i+1 >= len(b) || !isDigit(b[i+1]) {
		return 0, 0
	}
	return s.plausible(b, i+1)
}

// plausible reads a bare number as a time, if it can be one: neither before 2000 nor after the present.
func (s *Stamps) plausible(b []byte, i int) (ns int64, end int) {
	ns, end = epoch(b, i)
	if end == 0 || ns < 946684800*second || s.latest != 0 && ns > s.latest || end < len(b) && b[end] != ' ' && b[end] != '\t' && b[end] != ':' && b[end] != ',' && b[end] != '|' && b[end] != ']' {
		return 0, 0
	}
	return ns, end
}

// timeOnly reads 15:04:05.
func (s *Stamps) timeOnly(b []byte, i int) (ns int64, end int) {
	ofDay, end := timeOfDay(b, i)
	if end == 0 || s.written == 0 {
		return 0, 0
	}
	return s.dateless(ofDay), end
}
