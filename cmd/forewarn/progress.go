package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/format"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/notify"
)

// bar is a progress line on stderr. It appears when the work lasts longer than a second.
type bar struct {
	out      io.Writer
	progress func() (read, total int64)
	began    time.Time
	drawn    time.Time
	visible  bool
}

// newBar returns a bar that never shows when there is no one to look at it.
func newBar(g *globals, when string, progress func() (read, total int64)) *bar {
	b := &bar{out: g.err, progress: progress, began: time.Now()}
	if when == "never" || when == "auto" && !isTerminal(g.err) {
		b.out = nil
	}
	return b
}

// show draws the bar anew, at most ten times a second.
func (b *bar) show() {
	if b.out == nil {
		return
	}
	now := time.Now()
	if now.Sub(b.began) < time.Second || now.Sub(b.drawn) < 100*time.Millisecond {
		return
	}
	b.drawn, b.visible = now, true
	read, total := b.progress()
	speed := float64(read) / now.Sub(b.began).Seconds()
	if total <= 0 || read > total {
		_, _ = fmt.Fprintf(b.out, "\r\x1b[K%s read, %s/s", bytesText(read), bytesText(int64(speed)))
		return
	}
	const width = 30
	done := int(width * read / total)
	left := time.Duration(float64(total-read) / max(speed, 1) * float64(time.Second)).Round(time.Second)
	_, _ = fmt.Fprintf(b.out, "\r\x1b[K[%s%s] %3d %%  %s of %s  %s/s  %s left", strings.Repeat("#", done), strings.Repeat("-", width-done),
		100*read/total, bytesText(read), bytesText(total), bytesText(int64(speed)), left)
}

// clear takes the bar off the line, so that something else can be written.
func (b *bar) clear() {
	if b.visible {
		_, _ = io.WriteString(b.out, "\r\x1b[K")
		b.visible = false
	}
}

func bytesText(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for ; v >= unit && i < 3; i++ {
		v /= unit
	}
	return fmt.Sprintf("%.1f %cB", v, "kMGT"[i])
}

func plural(n uint64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// countsText writes "2 forming, 1 incident", by name.
func countsText[N int | uint64](counts map[string]N) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if counts[k] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[k], k))
		}
	}
	return strings.Join(parts, ", ")
}

func formatsText(formats map[string]int) string {
	if len(formats) == 0 {
		return "no known format"
	}
	return strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
}

// notifier writes warnings as the output flag asks.
func (g *globals) notifier() notify.Notifier {
	switch g.output {
	case "json":
		return &notify.JSONLines{Out: g.out}
	case "yaml":
		return yamlDocuments{g}
	default:
		return &notify.Terminal{Out: g.out, Style: g.style()}
	}
}

// lossText names what was lost while reading and tracking, a line each; "" when nothing was.
func lossText(read *format.Counts, seen *matcher.Stats) string {
	var b strings.Builder
	read.Each(func(c format.Count, n uint64) {
		if text := readLoss(c, n); text != "" {
			b.WriteString("  " + text + "\n")
		}
	})
	if rest := countsText(seen.Losses()); rest != "" {
		b.WriteString("  in matching: " + strings.ReplaceAll(rest, "_", " ") + "\n")
	}
	return b.String()
}

// readLoss says what a count of a loss means to the owner of the input; "" for counts of anything else.
func readLoss(c format.Count, n uint64) string {
	switch c {
	case format.LongLine:
		return plural(n, "line") + " too long, and cut"
	case format.SkippedBytes:
		return bytesText(int64(min(n, math.MaxInt64))) + " behind such cuts, not looked at"
	case format.LostPart:
		return plural(n, "partial container line") + " whose end never came, taken as far as they go"
	case format.BadItem:
		return plural(n, "item") + " not readable (objects, rows, samples), left out"
	case format.LargeItem:
		return plural(n, "object") + " too large, left out"
	case format.RefusedRecord:
		return plural(n, "record") + " too large, left out"
	case format.BadInput:
		return plural(n, "compressed input") + " damaged or incomplete, used as far as readable"
	case format.UnreadBytes:
		return bytesText(int64(min(n, math.MaxInt64))) + " of followed files that went away or were cut before they were read"
	case format.VanishedFile:
		return plural(n, "followed file") + " that went away while nothing read them: what was written last is not known"
	case format.FutureStamp:
		return plural(n, "time stamp") + " not believed: more than a day ahead of now, or before 1990"
	default:
		if c.Loss() {
			return fmt.Sprintf("%d %s", n, strings.ReplaceAll(c.String(), "_", " "))
		}
		return ""
	}
}
