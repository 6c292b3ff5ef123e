package format

import (
	"bytes"

	"github.com/forewarn/forewarn/collector/record"
)

// Sample is how many bytes [Detect] looks at; more don't help it.
const Sample = 64 << 10

// Family is one family of formats.
type Family struct {
	// Name is what people call it.
	Name string
	// detects says whether the beginning of an input is of the family.
	detects func(sample []byte) bool
	open    func(in Input, sample []byte) Parser
}

// families lists all families in the order in which they are tried. The last takes anything.
var families = [...]Family{
	{"kubernetes json", detectKubernetes, newKubernetes},
	{"kubernetes yaml", detectYAML, newKubernetesYAML},
	{"kubectl events", detectTable, newTable},
	{"cri", detectCRI, newCRI},
	{"docker", detectDocker, newDocker},
	{"journald", detectJournald, newJournald},
	{"journald export", detectJournalExport, newJournalExport},
	{"syslog", detectSyslog, newSyslog},
	{"audit", detectAudit, newAudit},
	{"exposition", detectExposition, newExposition},
	{"lines", func([]byte) bool { return true }, newLines},
}

// SharesAttrs reports whether the attributes of the family's records are made once and never written to again, as
// [record.Builder.AddShared] wants them.
func (f *Family) SharesAttrs() bool {
	switch f.Name {
	case "cri", "docker", "journald", "journald export", "syslog", "audit", "lines":
		return true
	}
	return false
}

// Named returns the family of a name, nil when there is none.
func Named(name string) *Family {
	for i := range families {
		if families[i].Name == name {
			return &families[i]
		}
	}
	return nil
}

// Names returns the names of all families.
func Names() []string {
	names := make([]string, len(families))
	for i := range families {
		names[i] = families[i].Name
	}
	return names
}

// Detect finds the family of an input by its beginning. It needs one whole line, or the whole of a shorter input; from
// [Sample] bytes on it needs nothing more. Nothing is refused: what is of no other family is plain text.
func Detect(sample []byte) *Family {
	sample = bytes.TrimPrefix(sample, []byte("\xef\xbb\xbf"))
	for i := range families {
		if families[i].detects(sample) {
			return &families[i]
		}
	}
	return &families[len(families)-1]
}

// Open returns a parser of the family. sample is the beginning of the input, which is written to the parser nonetheless.
func (f *Family) Open(in Input, sample []byte) Parser {
	in.withDefaults()
	return f.open(in, sample)
}

// detectKubernetes reports whether the input is JSON of the API server's: a list, an object or a watch stream. JSON that goes
// over several lines, and arrays, are taken as well: their values become log records.
func detectKubernetes(sample []byte) bool {
	trimmed := bytes.TrimLeft(sample, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return len(trimmed) > 1 && trimmed[0] == '[' && skipSpace(trimmed, 1) < len(trimmed) && trimmed[skipSpace(trimmed, 1)] == '{'
	}
	m := newMembers(trimmed)
	var api, object, verb bool
	for {
		_, value, ok := m.next()
		switch string(m.last) {
		case "apiVersion":
			if bytes.HasPrefix(unquoted(value), []byte("audit.k8s.io")) {
				return false
			}
			api = true
		case "metadata", "items", "involvedObject", "regarding", "object":
			object = true
		case "type":
			verb = ok && watchVerb(string(unquoted(value)))
		case "kind":
			api = api || bytes.HasSuffix(unquoted(value), []byte("List"))
		}
		if !ok {
			break
		}
	}
	eol := bytes.IndexByte(trimmed, '\n')
	many := eol >= 0 && len(bytes.TrimSpace(trimmed[1:eol])) == 0
	return object && (api || verb) || many
}

// detectAudit reports whether the input is the audit log of an API server.
func detectAudit(sample []byte) bool {
	return mostly(sample, func(line []byte) bool {
		return line[0] == '{' && bytes.Contains(line[:min(len(line), 200)], []byte(`"apiVersion":"audit.k8s.io/`))
	})
}

// newAudit reads an audit log: JSON lines of which it is known who wrote them.
func newAudit(in Input, sample []byte) Parser {
	in.Attrs = in.Attrs.With(record.Component, "kube-apiserver")
	return newLines(in, sample)
}
