package format

import "bytes"

// trace says in what kind of multi-line text an entry is, for languages whose traces have lines without indentation.
type trace uint8

const (
	noTrace     trace = iota
	goTrace           // behind panic: or goroutine N [
	pythonTrace       // inside a Traceback
	pythonEnd         // behind its last line
)

// beginsTrace returns the kind of trace that a line begins, wherever it stands.
func beginsTrace(line []byte) trace {
	switch line[0] {
	case 'p', 'f', 'g', 'S':
		if beginsGoPanic(line) || isGoroutine(line) {
			return goTrace
		}
	case 'T':
		if bytes.HasPrefix(line, []byte("Traceback (most recent call last)")) {
			return pythonTrace
		}
	}
	return noTrace
}

// beginsGoPanic reports whether the line is the first of a Go program's end. It never belongs to the line before.
func beginsGoPanic(line []byte) bool {
	return bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) ||
		bytes.HasPrefix(line, []byte("SIGABRT: ")) || bytes.HasPrefix(line, []byte("SIGSEGV: ")) || bytes.HasPrefix(line, []byte("SIGQUIT: "))
}

func isGoroutine(line []byte) bool { return bytes.HasPrefix(line, []byte("goroutine ")) }

// continues reports whether a line without a stamp belongs to the entry before it by its own looks, and in which kind of
// trace the entry is then. line is not empty.
func continues(line []byte, in trace) (bool, trace) {
	if isBlank(line[0]) {
		return true, in
	}
	switch in {
	case noTrace:
	case goTrace:
		if isGoroutine(line) || beginsGoPanic(line) || bytes.HasPrefix(line, []byte("created by ")) ||
			bytes.HasPrefix(line, []byte("[signal ")) || bytes.HasPrefix(line, []byte("exit status ")) ||
			bytes.HasPrefix(line, []byte("runtime ")) || bytes.HasPrefix(line, []byte("...")) ||
			line[len(line)-1] == ')' && bytes.IndexByte(line, '(') > 0 && bytes.IndexByte(line, ' ') != 0 {
			return true, goTrace
		}
		return false, noTrace
	case pythonTrace:
		return true, pythonEnd // the exception itself, the only line that is not indented
	case pythonEnd:
		if bytes.HasPrefix(line, []byte("During handling of the above exception")) ||
			bytes.HasPrefix(line, []byte("The above exception was the direct cause")) {
			return true, pythonEnd
		}
		if bytes.HasPrefix(line, []byte("Traceback ")) {
			return true, pythonTrace
		}
		return false, noTrace
	}
	switch line[0] {
	case 'C':
		return bytes.HasPrefix(line, []byte("Caused by: ")), noTrace
	case 'T':
		if bytes.HasPrefix(line, []byte("Traceback (most recent call last)")) {
			return true, pythonTrace
		}
	case '.':
		return bytes.HasPrefix(line, []byte("... ")) && bytes.HasSuffix(line, []byte(" more")), noTrace
	case 'a':
		return bytes.HasPrefix(line, []byte("at ")) && line[len(line)-1] == ')', noTrace
	case 'S':
		return bytes.HasPrefix(line, []byte("Suppressed: ")), noTrace
	}
	return isThrowable(line), noTrace
}

// isThrowable reports whether a line begins like java.lang.IllegalStateException: or ends with such a name.
func isThrowable(line []byte) bool {
	n, dots := 0, 0
	for n < len(line) && n < 200 && (isLetter(line[n]) || isDigit(line[n]) || line[n] == '.' || line[n] == '$' || line[n] == '_') {
		if line[n] == '.' {
			dots++
		}
		n++
	}
	name := line[:n]
	return dots >= 2 && (n == len(line) || line[n] == ':') &&
		(bytes.HasSuffix(name, []byte("Exception")) || bytes.HasSuffix(name, []byte("Error")))
}
