package format

import "encoding/binary"

// two reads two decimal digits at b[i], or -1.
func two(b []byte, i int) int {
	if i+2 > len(b) {
		return -1
	}
	hi, lo := b[i]-'0', b[i+1]-'0'
	if hi > 9 || lo > 9 {
		return -1
	}
	return int(hi)*10 + int(lo)
}

// four reads four decimal digits at b[i], or -1.
func four(b []byte, i int) int {
	hi, lo := two(b, i), two(b, i+2)
	if hi < 0 || lo < 0 {
		return -1
	}
	return hi*100 + lo
}

// number reads the decimal digits at b[i] and returns their value and how many there are. It stops after 19.
func number(b []byte, i int) (v int64, n int) {
	for ; i+n < len(b) && n < 19; n++ {
		d := b[i+n] - '0'
		if d > 9 {
			break
		}
		v = v*10 + int64(d)
	}
	if v < 0 { // 19 digits that are too much for 63 bits
		return 0, n
	}
	return v, n
}

// oneOrTwo reads a number of one or two digits at b[i] (" 3", "3", "03") and returns the index after it, or -1.
func oneOrTwo(b []byte, i int) (v, end int) {
	if i < len(b) && b[i] == ' ' {
		i++
	}
	n, digits := number(b[:min(len(b), i+2)], i)
	if digits == 0 {
		return 0, -1
	}
	return int(n), i + digits
}

// fraction reads digits after a point or comma at b[i], as nanoseconds, and returns the index after them. Without any it
// returns 0 and i.
func fraction(b []byte, i int) (ns int64, end int) {
	if i >= len(b) || b[i] != '.' && b[i] != ',' {
		return 0, i
	}
	j, scale := i+1, int64(100_000_000)
	if j+8 < len(b) { // runtimes write nine digits, sometimes fewer
		if v, ok := eightDigits(load8(b, j)); ok {
			ns, j, scale = int64(v)*10, j+8, 1
		}
	}
	for ; j < len(b) && isDigit(b[j]); j++ {
		ns += int64(b[j]-'0') * scale
		scale /= 10
	}
	if j == i+1 {
		return 0, i
	}
	return ns, j
}

// eightDigits reads eight digits, the first in the lowest byte. It takes three multiplications where a loop takes eight, and asks about all at once.
func eightDigits(x uint64) (v uint64, ok bool) {
	const tops, zeros = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030
	if x&tops != zeros || (x+0x0606060606060606)&tops != zeros {
		return 0, false
	}
	x = (x & 0x0f0f0f0f0f0f0f0f) * (10<<8 + 1) >> 8
	x = (x & 0x00ff00ff00ff00ff) * (100<<16 + 1) >> 16
	return (x & 0x0000ffff0000ffff) * (10_000<<32 + 1) >> 32, true
}

// zone reads Z, UTC, GMT, +hh:mm, +hhmm or +hh at b[i], after at most one space; after a space +hh is too weak. It returns the
// seconds east of Greenwich and the index after it; end is i when there is none.
func zone(b []byte, i int) (seconds, end int) {
	j := i
	spaced := j < len(b) && b[j] == ' '
	if spaced {
		j++
	}
	if j >= len(b) {
		return 0, i
	}
	switch b[j] {
	case 'Z':
		if spaced || j+1 < len(b) && isLetter(b[j+1]) {
			return 0, i
		}
		return 0, j + 1
	case 'U', 'G':
		if j+3 <= len(b) && (string(b[j:j+3]) == "UTC" || string(b[j:j+3]) == "GMT") && (j+3 == len(b) || !isLetter(b[j+3])) {
			return 0, j + 3
		}
		return 0, i
	case '+', '-':
	default:
		return 0, i
	}
	h, m := two(b, j+1), 0
	if h < 0 || h > 15 {
		return 0, i
	}
	next := j + 3
	switch {
	case next < len(b) && b[next] == ':' && two(b, next+1) >= 0:
		m, next = two(b, next+1), next+3
	case two(b, next) >= 0:
		m, next = two(b, next), next+2
	case spaced:
		return 0, i
	}
	if m > 59 || next < len(b) && isDigit(b[next]) {
		return 0, i
	}
	seconds = h*3600 + m*60
	if b[j] == '-' {
		seconds = -seconds
	}
	return seconds, next
}

// month reads a month's English name in three letters at b[i], as 1 to 12, or 0.
func month(b []byte, i int) int {
	if i+3 > len(b) {
		return 0
	}
	switch uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | 0x202020 {
	case 'j' | 'a'<<8 | 'n'<<16:
		return 1
	case 'f' | 'e'<<8 | 'b'<<16:
		return 2
	case 'm' | 'a'<<8 | 'r'<<16:
		return 3
	case 'a' | 'p'<<8 | 'r'<<16:
		return 4
	case 'm' | 'a'<<8 | 'y'<<16:
		return 5
	case 'j' | 'u'<<8 | 'n'<<16:
		return 6
	case 'j' | 'u'<<8 | 'l'<<16:
		return 7
	case 'a' | 'u'<<8 | 'g'<<16:
		return 8
	case 's' | 'e'<<8 | 'p'<<16:
		return 9
	case 'o' | 'c'<<8 | 't'<<16:
		return 10
	case 'n' | 'o'<<8 | 'v'<<16:
		return 11
	case 'd' | 'e'<<8 | 'c'<<16:
		return 12
	}
	return 0
}

// weekday reports whether b[i:] begins with a weekday's English name in three letters.
func weekday(b []byte, i int) bool {
	if i+3 > len(b) {
		return false
	}
	switch string(b[i : i+3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20-'a' <= 'z'-'a' }
func isBlank(c byte) bool  { return c == ' ' || c == '\t' }

// load8 reads the 8 bytes at b[i].
func load8(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// daysSince1970 counts the days from 1970-01-01 to a date of the Gregorian calendar.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468)
}

func validDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 || year < 1 {
		return false
	}
	switch month {
	case 2:
		leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
		return day <= 28 || day == 29 && leap
	case 4, 6, 9, 11:
		return day <= 30
	}
	return day <= 31
}
