package format

import "bytes"

// trace says in what kind of multi-line text an entry is, for languages whose traces have lines without indentation.
type trace uint8

const (
	noTrace     trace = iota
	goTrace           // behind panic: or goroutine N [
	pythonTrace       // inside a Traceback
	pythonEnd         // behind its last line
	nodeHead          // behind the place in the source at which Node failed
	nodeCode          // behind the line of source there
	nodeTrace         // behind the error itself
	rustPanic         // behind a place: the message follows
	rustTrace         // behind the message
	phpTrace          // behind Stack trace:
)

// beginsTrace returns the kind of trace that a line begins, wherever it stands. line is not empty.
func beginsTrace(line []byte) trace {
	switch line[0] {
	case 'p', 'f', 'g', 'S':
		switch {
		case beginsGoPanic(line) || isGoroutine(line):
			return goTrace
		case line[0] != 'S' && isNodePlace(line): // file:///app/x.mjs:3
			return nodeHead
		}
	case 'T':
		if bytes.HasPrefix(line, []byte("Traceback (most recent call last)")) {
			return pythonTrace
		}
	case 't':
		return rustPanicAt(line)
	case 'F':
		if bytes.HasPrefix(line, []byte("Fatal Python error: ")) {
			return pythonEnd
		}
	case '/', 'n':
		if isNodePlace(line) {
			return nodeHead
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

// rustPanicAt tells the first line of a Rust panic:
//
//	thread 'main' panicked at src/main.rs:2:5:
//	thread 'main' (4711) panicked at src/main.rs:2:5:
//	thread 'main' panicked at 'explicit panic', src/main.rs:2:5
func rustPanicAt(line []byte) trace {
	if !bytes.HasPrefix(line, []byte("thread '")) || !bytes.Contains(line, []byte(" panicked at ")) {
		return noTrace
	}
	if line[len(line)-1] == ':' {
		return rustPanic
	}
	return rustTrace
}

// isNodePlace reports whether a line is nothing but a place in a source of JavaScript, which Node writes before the error:
// /app/index.js:3 or node:internal/modules/cjs/loader:1148.
func isNodePlace(line []byte) bool {
	i := bytes.LastIndexByte(line, ':')
	if i < 3 || i+1 == len(line) || !allDigits(line[i+1:]) || bytes.IndexByte(line, ' ') >= 0 {
		return false
	}
	path := line[:i]
	if bytes.HasPrefix(path, []byte("node:")) {
		return true
	}
	if path[0] != '/' && !bytes.HasPrefix(path, []byte("file:///")) {
		return false
	}
	for _, ext := range [...]string{".js", ".cjs", ".mjs", ".ts", ".tsx", ".jsx"} {
		if bytes.HasSuffix(path, []byte(ext)) {
			return true
		}
	}
	return false
}

// continues reports whether a line without a stamp belongs to the entry before it by its own looks, and in which kind of
// trace the entry is then. line is not empty.
func continues(line []byte, in trace) (bool, trace) {
	if isBlank(line[0]) {
		return true, in
	}
	if in != noTrace {
		if belongs, next := goesOn(line, in); belongs {
			return true, next
		}
	}
	return resumes(line)
}

// goesOn reports whether a line goes on with a trace of a kind.
func goesOn(line []byte, in trace) (bool, trace) {
	switch in {
	case noTrace:
	case goTrace:
		return goesOnGo(line), goTrace
	case pythonTrace:
		return true, pythonEnd // the exception itself, the only line that is not indented
	case pythonEnd:
		switch {
		case bytes.HasPrefix(line, []byte("Traceback ")):
			return true, pythonTrace
		case bytes.HasPrefix(line, []byte("During handling of the above exception")),
			bytes.HasPrefix(line, []byte("The above exception was the direct cause")),
			bytes.HasSuffix(line, []byte("(most recent call first):")), // of each thread, when the interpreter itself has failed
			bytes.HasPrefix(line, []byte("Python runtime state: ")),
			bytes.HasPrefix(line, []byte("Extension modules: ")):
			return true, pythonEnd
		}
	case nodeHead:
		if isNodeError(line) { // the line of source was indented
			return true, nodeTrace
		}
		return true, nodeCode // the line of source
	case nodeCode:
		switch {
		case len(bytes.Trim(line, "^~ ")) == 0, bytes.HasPrefix(line, []byte("(Use `node ")):
			return true, nodeCode
		case isNodeError(line):
			return true, nodeTrace
		}
		return bytes.HasPrefix(line, []byte("Node.js v")), noTrace
	case nodeTrace:
		if len(bytes.Trim(line, "}] ")) == 0 {
			return true, nodeTrace
		}
		return bytes.HasPrefix(line, []byte("Node.js v")), noTrace
	case rustPanic:
		return true, rustTrace // the message
	case rustTrace:
		return bytes.HasPrefix(line, []byte("note: ")), rustTrace
	case phpTrace:
		return line[0] == '#' && len(line) > 1 && isDigit(line[1]) || line[0] == '"' && len(bytes.Trim(line, "\"} ")) == 0, phpTrace
	}
	return false, noTrace
}

func goesOnGo(line []byte) bool {
	switch line[0] {
	case 'c':
		if bytes.HasPrefix(line, []byte("created by ")) {
			return true
		}
	case '[':
		return bytes.HasPrefix(line, []byte("[signal ")) || bytes.HasPrefix(line, []byte("[originating from "))
	case 'e':
		if bytes.HasPrefix(line, []byte("exit status ")) {
			return true
		}
	case 'P':
		if bytes.HasPrefix(line, []byte("PC=0x")) {
			return true
		}
	case '.':
		return bytes.HasPrefix(line, []byte("..."))
	case 'r':
		if bytes.HasPrefix(line, []byte("runtime ")) || bytes.HasPrefix(line, []byte("runtime: ")) {
			return true
		}
	case 's':
		if bytes.HasPrefix(line, []byte("signal arrived during ")) {
			return true
		}
	}
	return isGoroutine(line) || beginsGoPanic(line) || isRegister(line) ||
		line[len(line)-1] == ')' && bytes.IndexByte(line, '(') > 0 && bytes.IndexByte(line, ' ') != 0
}

// isRegister reports whether a line is one of the registers that a Go program writes at its end: "rax    0xca".
func isRegister(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(" "))
	return ok && len(name) <= 6 && bytes.HasPrefix(bytes.TrimLeft(value, " "), []byte("0x")) && bytes.IndexByte(bytes.TrimLeft(value, " "), ' ') < 0
}

// isNodeError reports whether a line begins like TypeError: or Error [ERR_X]:.
func isNodeError(line []byte) bool {
	n := 0
	for n < len(line) && (isLetter(line[n]) || isDigit(line[n]) || line[n] == '_' || line[n] == '.') {
		n++
	}
	if !bytes.HasSuffix(line[:n], []byte("Error")) && !bytes.HasSuffix(line[:n], []byte("Exception")) {
		return bytes.HasPrefix(line, []byte("Uncaught "))
	}
	return n == len(line) || line[n] == ':' || bytes.HasPrefix(line[n:], []byte(" ["))
}

// resumes reports whether a line belongs to what is before it, whatever that is.
func resumes(line []byte) (bool, trace) {
	switch line[0] {
	case 'C':
		if bytes.HasPrefix(line, []byte("Caused by:")) { // Java, and errors of Rust
			return true, noTrace
		}
	case 'T':
		if bytes.HasPrefix(line, []byte("Traceback (most recent call last)")) {
			return true, pythonTrace
		}
	case '.':
		return bytes.HasPrefix(line, []byte("... ")) && (bytes.HasSuffix(line, []byte(" more")) || bytes.HasSuffix(line, []byte(" common frames omitted"))), noTrace
	case 'a':
		if bytes.HasPrefix(line, []byte("at ")) && line[len(line)-1] == ')' {
			return true, noTrace
		}
	case 'S':
		switch {
		case bytes.HasPrefix(line, []byte("Suppressed: ")):
			return true, noTrace
		case string(line) == "Stack trace:": // PHP
			return true, phpTrace
		}
	case '[':
		if string(line) == "[stacktrace]" { // PHP's loggers
			return true, phpTrace
		}
		return false, noTrace
	case 's':
		if string(line) == "stack backtrace:" {
			return true, rustTrace
		}
	case '-':
		return bytes.HasPrefix(line, []byte("--- End of ")) && bytes.HasSuffix(line, []byte("---")), noTrace // .NET
	case '}', ']', ')':
		return len(bytes.Trim(line, "}]);, ")) == 0, noTrace // the end of something that was printed over several lines
	}
	return isThrowable(line) || isRubyFrame(line), noTrace
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

// isRubyFrame reports whether a line is a frame as Rails writes it, app/models/cart.rb:7:in `total', and not the error at such a place,
// which goes on behind it.
func isRubyFrame(line []byte) bool {
	last := line[len(line)-1]
	if last != '\'' {
		return false
	}
	i := bytes.Index(line, []byte(":in "))
	if i <= 0 || i+5 >= len(line) || line[i+4] != '`' && line[i+4] != '\'' || bytes.IndexByte(line[:i], ' ') >= 0 {
		return false
	}
	at := bytes.LastIndexByte(line[:i], ':')
	return at > 0 && allDigits(line[at+1:i]) && bytes.IndexByte(line[i+5:len(line)-1], '\'') < 0
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}
