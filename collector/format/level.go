package format

// Level is how bad a line says that it is.
type Level uint8

// The levels, in the order of their badness.
const (
	NoLevel Level = iota
	Trace
	Debug
	Info
	Warn
	Error
	Fatal
	numLevels
)

var levelNames = [numLevels]string{"", "trace", "debug", "info", "warn", "error", "fatal"}

// String returns the level as severity_text has it, "" for [NoLevel].
func (l Level) String() string { return levelNames[l%numLevels] }

// levelOf reads a level's name in any case and of any family.
func levelOf(word []byte) Level {
	if len(word) < 3 || len(word) > 13 {
		if len(word) == 1 {
			return letterLevel(word)
		}
		return NoLevel
	}
	var low [13]byte
	for i, c := range word {
		if isLetter(c) {
			c |= 0x20
		}
		low[i] = c
	}
	switch string(low[:len(word)]) {
	case "trace", "trce", "finest", "finer":
		return Trace
	case "debug", "dbug", "dbg", "fine", "verbose":
		return Debug
	case "info", "information", "notice", "inf", "informational", "normal", "note", "log":
		return Info
	case "warn", "warning", "wrn":
		return Warn
	case "error", "err", "eror", "fail", "severe":
		return Error
	case "fatal", "critical", "crit", "panic", "alert", "emerg", "emergency", "dpanic", "ftl":
		return Fatal
	}
	return NoLevel
}

// letterLevel reads the letters of klog, MongoDB (with D1 to D5) and logcat.
func letterLevel(word []byte) Level {
	if len(word) == 0 || len(word) > 2 {
		return NoLevel
	}
	switch word[0] {
	case 'V', 'T':
		return Trace
	case 'D':
		return Debug
	case 'I':
		return Info
	case 'W':
		return Warn
	case 'E':
		return Error
	case 'F':
		return Fatal
	}
	return NoLevel
}

// priorityLevel turns a syslog priority into a level.
func priorityLevel(priority int) Level {
	switch priority & 7 {
	case 0, 1, 2:
		return Fatal
	case 3:
		return Error
	case 4:
		return Warn
	case 5, 6:
		return Info
	}
	return Debug
}

// levelWindow is how far behind the stamp a level is looked for.
const levelWindow = 64

// findLevel looks for a level in line from an index on: level=error, [error], ERROR, or "error:" as the first word.
func findLevel(line []byte, from int) Level {
	end := min(len(line), from+levelWindow)
	first := true
	for i := from; i < end; i++ {
		if !isLetter(line[i]) {
			continue
		}
		w := word{start: i, first: first, upper: true}
		for i < len(line) && isLetter(line[i]) {
			w.upper = w.upper && line[i] < 'a'
			i++
		}
		w.end, first = i, false
		if i < len(line) && inName(line[i]) { // part of a longer name
			for i < end && (inName(line[i]) || isLetter(line[i])) {
				i++
			}
			continue
		}
		if i < len(line) && line[i] == '=' && isLevelKey(line[w.start:i]) {
			return levelOf(value(line, i+1))
		}
		if w.end-w.start >= 3 && w.mayBeLevel(line) {
			if l := levelOf(line[w.start:w.end]); l != NoLevel {
				return l
			}
		}
	}
	return NoLevel
}

// word is a run of letters in a line.
type word struct {
	start, end   int
	first, upper bool
}

// mayBeLevel reports whether a word stands as levels do: in capitals, in brackets, or as the first word before a colon.
func (w word) mayBeLevel(line []byte) bool {
	before, after := byte(' '), byte(' ')
	if w.start > 0 {
		before = line[w.start-1]
	}
	if w.end < len(line) {
		after = line[w.end]
	}
	if after == '=' || after == '-' || after == '/' {
		return false
	}
	boxed := before == '[' && after == ']' || before == '<' && after == '>' || before == '|'
	return w.upper && before != '-' && before != '/' || boxed || w.first && after == ':'
}

func inName(c byte) bool { return c == '_' || c == '.' || isDigit(c) }

// value returns the word at an index, which may stand in quotes.
func value(line []byte, i int) []byte {
	if i < len(line) && (line[i] == '"' || line[i] == '\'') {
		i++
	}
	end := i
	for end < len(line) && isLetter(line[end]) {
		end++
	}
	return line[i:end]
}
