package bench

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Plain describes a log and the signatures that are looked for in it.
type Plain struct {
	Seed       uint64
	Signatures int // mixed: 70 % literals, 25 % regexes with a literal, 5 % regexes that only their component anchors
	Bytes      int // of log text, at least
	Planted    int // log lines that must be recognised, spread evenly, each by another signature; at most 9 in 10 of the signatures
}

var (
	plainVerbs   = strings.Fields("attach detach mount resolve acquire renew allocate schedule evict pull start stop probe sync reconcile compact snapshot replicate elect join drain fence resize bind claim")
	plainObjects = strings.Fields("volume lease endpoint container sandbox image certificate secret token route address segment shard replica member leader snapshot queue partition socket session cursor bucket quota cgroup")
	plainReasons = strings.Fields("timeout refused exhausted expired corrupted missing denied unreachable stale conflicting overloaded throttled truncated mismatched unhealthy full closed aborted rejected detached")
	plainParts   = strings.Fields("kubelet etcd coredns apiserver containerd scheduler ingress postgres redis kafka")
	plainCalm    = strings.Fields("request completed reconciled synced watch bookmark list healthy probe succeeded leader renewed cache refreshed connection accepted compaction finished snapshot saved heartbeat sent")
)

// plainPhrase is the i-th of the literals; all are different and from 12 to 60 bytes long.
func plainPhrase(i int) string {
	v, o, r := plainVerbs[i%len(plainVerbs)], plainObjects[i/len(plainVerbs)%len(plainObjects)], plainReasons[i/(len(plainVerbs)*len(plainObjects))%len(plainReasons)]
	s := fmt.Sprintf("could not %s %s: %s", v, o, r)
	if n := i / (len(plainVerbs) * len(plainObjects) * len(plainReasons)); n > 0 {
		s += fmt.Sprintf(" (%s)", plainReasons[n%len(plainReasons)])
	}
	return s
}

// WriteSignatures writes the workload's signatures as one YAML file.
func (w Plain) WriteSignatures(to io.Writer) error {
	b := bufio.NewWriter(to)
	for i := range w.Signatures {
		_, _ = fmt.Fprintf(b, "---\nid: bench-%06d\ntitle: %s\nseverity: medium\nby: stream\nstages:\n  - name: seen\n    when: {log: {%s}}\nclear: {quiet: 1h}\n",
			i, strings.ReplaceAll(plainPhrase(i), ":", ","), w.condition(i))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write signatures: %w", err)
	}
	return nil
}

func (w Plain) condition(i int) string {
	switch i % 20 {
	case 0: // nothing but its component anchors it: it costs that component's lines only
		n := i / 20
		return fmt.Sprintf(`component: %s, regex: '\b[g-z]{%d}[0-9]{%d}[a-f]{%d}\b'`, plainParts[n%len(plainParts)], 4+n%7, 2+n/7%7, 2+n/49%7)
	case 4, 8, 12, 16, 19:
		return fmt.Sprintf(`regex: '%s( \w+=\d+)* after [0-9.]+s'`, strings.NewReplacer("(", `\(`, ")", `\)`).Replace(plainPhrase(i)))
	default:
		return fmt.Sprintf("contains: %q", plainPhrase(i))
	}
}

// WriteLog writes the log and returns how many warnings it must raise: one for each planted line.
func (w Plain) WriteLog(to io.Writer) (planted int, err error) {
	random := rand.New(rand.NewPCG(w.Seed, 1))
	b := bufio.NewWriterSize(to, 1<<20)
	clock := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	const mean = 180 // bytes a line, about; decides only how the planted lines are spread
	every := w.Bytes
	if w.Planted > 0 {
		every = max(1, w.Bytes/mean/(w.Planted+1))
	}
	var line []byte
	for n, size := 1, 0; size < w.Bytes; n++ {
		clock = clock.Add(time.Duration(random.IntN(4_000_000)))
		line = clock.AppendFormat(line[:0], "2006-01-02T15:04:05.000000000Z07:00")
		line = fmt.Appendf(line, " %s[%d]: ", plainParts[random.IntN(len(plainParts))], 100+random.IntN(900))
		switch {
		case n%every == 0 && planted < w.Planted:
			i := planted + planted/19 + 1 // every index but those of the regexes without a literal
			line = fmt.Appendf(line, "request %08x %s attempt=%d after %d.%ds", random.Uint32(), plainPhrase(i), random.IntN(9), random.IntN(90), random.IntN(9))
			planted++
		case random.IntN(5) == 0: // near misses: the same words in another order
			line = fmt.Appendf(line, "request %08x did %s %s: not %s, took %dms", random.Uint32(), plainVerbs[random.IntN(len(plainVerbs))],
				plainObjects[random.IntN(len(plainObjects))], plainReasons[random.IntN(len(plainReasons))], random.IntN(900))
		default:
			for range 6 + random.IntN(8) {
				line = append(append(line, plainCalm[random.IntN(len(plainCalm))]...), ' ')
			}
			line = fmt.Appendf(line, "id=%016x addr=10.%d.%d.%d:%d", random.Uint64(), random.IntN(256), random.IntN(256), random.IntN(256), random.IntN(65536))
		}
		line = append(line, '\n')
		size += len(line)
		if _, err := b.Write(line); err != nil {
			return planted, fmt.Errorf("write log: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return planted, fmt.Errorf("write log: %w", err)
	}
	return planted, nil
}
