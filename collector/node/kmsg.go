package node

import (
	"bytes"
	"strconv"

	"github.com/forewarn/forewarn/collector/record"
)

// message is one message of the kernel.
type message struct {
	priority int
	seq      uint64
	micros   int64  // since the boot
	text     []byte // without escapes; valid until the next parse
}

// parseMessage reads one record of /dev/kmsg:
//
//	6,339,5140900,-,more=fields;NET: Registered protocol family 10
//	 SUBSYSTEM=pci
//
// Fields after the third, which later kernels may add to, and the lines of the dictionary are passed over. Bytes that are written as
// \xNN are put into buf as what they are.
func parseMessage(b, buf []byte) (m message, ok bool) {
	head, text, found := bytes.Cut(b, []byte(";"))
	if !found {
		return m, false
	}
	fields := bytes.SplitN(head, []byte(","), 4)
	if len(fields) < 3 {
		return m, false
	}
	priority, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil {
		return m, false
	}
	seq, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return m, false
	}
	micros, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil || micros < 0 || micros > 1<<53 {
		return m, false
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	m = message{priority: int(priority), seq: seq, micros: micros, text: unescape(text, buf)}
	return m, true
}

// unescape writes the text without its escapes into buf, if it has any.
func unescape(text, buf []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	buf = buf[:0]
	for i := 0; i < len(text); i++ {
		if i+3 < len(text) && text[i] == '\\' && text[i+1] == 'x' {
			if c, err := strconv.ParseUint(string(text[i+2:i+4]), 16, 8); err == nil {
				buf = append(buf, byte(c))
				i += 3
				continue
			}
		}
		buf = append(buf, text[i])
	}
	return buf
}

// severity is the word for a priority's level.
func severity(priority int) string {
	switch priority & 7 {
	case 0, 1, 2:
		return "fatal"
	case 3:
		return "error"
	case 4:
		return "warn"
	case 5, 6:
		return "info"
	}
	return "debug"
}

// facility tells messages that a program wrote to the kernel's log from the kernel's own, which are of facility 0.
func facility(priority int) int { return priority >> 3 }

// kernelSets are the attributes at each of the eight levels.
func kernelSets(base record.Attrs) (sets [8]record.Attrs) {
	for level := range sets {
		sets[level] = base.With(record.Component, "kernel").With(record.SeverityText, severity(level))
	}
	return sets
}
