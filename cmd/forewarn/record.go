package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/collector/recording"
	"github.com/forewarn/forewarn/collector/stream"
)

func newRecord(g *globals) *cobra.Command {
	var (
		f            settingsFlags
		out, note    string
		since, until string
	)
	c := &cobra.Command{
		Use:   "record --out FILE [FILE...]",
		Short: "Keep a window of the stream, or files, as a recording",
		Long: `record writes what a running forewarn received (of the data directory, or of --nats) between --since and --until, or what
files hold, to a recording. ` + "`forewarn replay`" + ` takes it through the engine again.`,
		Example: `  forewarn record --out incident.fwrec --since 2h
  forewarn record --out test.fwrec app.log events.json`,
		RunE: func(c *cobra.Command, files []string) error {
			if out == "" {
				return usage("--out is missing: name the file to write, such as incident%s", recording.Suffix)
			}
			window, err := parseWindow(since, until, time.Now())
			if err != nil {
				return err
			}
			s, err := f.load()
			if err != nil {
				return err
			}
			feed, done, err := g.recordFeed(c.Context(), s, files)
			if err != nil {
				return err
			}
			defer done()
			n, err := writeRecording(c.Context(), out, recording.Info{Created: time.Now().UTC(), Cluster: s.Cluster, Note: note, Tool: version}, feed, window)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(g.err, "%s of %s in %s\n", plural(n.records, "record"), plural(uint64(len(n.sources)), "source"), out)
			return err
		},
	}
	f.connection(c.Flags())
	c.Flags().StringVar(&out, "out", "", "the file to write; it must not exist")
	c.Flags().StringVar(&note, "note", "", "what the recording shows")
	c.Flags().StringVar(&since, "since", "", "from when on: a duration ago (2h) or a time (2026-11-20T12:00:00Z)")
	c.Flags().StringVar(&until, "until", "", "up to when: a duration ago or a time")
	return c
}

// window is a stretch of record time; a zero bound is open.
type window struct{ from, to time.Time }

func parseWindow(since, until string, now time.Time) (window, error) {
	from, err := parseMoment("--since", since, now)
	if err != nil {
		return window{}, err
	}
	to, err := parseMoment("--until", until, now)
	if err != nil {
		return window{}, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return window{}, usage("--since is not before --until: nothing lies between them")
	}
	return window{from, to}, nil
}

func parseMoment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := parseSpan(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usage("%s %q: write a duration such as 2h or 3d, or a time such as 2026-11-20T12:00:00Z", flag, s)
	}
	return t, nil
}

// holds reports whether a batch has to do with the window. Batches are kept whole, so a recording may hold a little more than was asked for.
func (w window) holds(b *record.Batch) bool {
	first, last := b.Header().Mark, b.Header().Mark
	for i := range b.Len() {
		first, last = min(first, b.Time(i)), max(last, b.Time(i))
	}
	return (w.from.IsZero() || last >= w.from.UnixNano()) && (w.to.IsZero() || first < w.to.UnixNano())
}

// recordFeed gives the batches of files, or of the stream as far as it goes now.
func (g *globals) recordFeed(ctx context.Context, s settings, paths []string) (collector.Feed, func(), error) {
	if len(paths) > 0 {
		files, err := collector.Open(collector.Options{Paths: paths, Stdin: g.in})
		if err != nil {
			return nil, nil, err
		}
		return files, func() { _ = files.Close() }, nil
	}
	st, err := g.connect(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	feed := newStreamFeed(ctx, st)
	return feed, func() { feed.stop(); _ = st.Close() }, nil
}

// connect finds the stream of a forewarn that runs.
func (g *globals) connect(ctx context.Context, s settings) (*stream.Stream, error) {
	o, err := s.streams(g)
	if err != nil {
		return nil, err
	}
	found := o.URL == ""
	if found {
		if o.URL, err = stream.FindURL(s.DataDir); err != nil {
			return nil, err
		}
	}
	o.DataDir, o.Listen = "", "" // the server is another process's
	st, err := stream.Open(ctx, o)
	if err != nil && found && ctx.Err() == nil {
		return nil, fmt.Errorf("nothing answers on the data directory %s (was the forewarn there killed?): start `forewarn run` or name another directory: %w", s.DataDir, err)
	}
	return st, err
}

// streamFeed pulls what RECORDS holds at the moment.
type streamFeed struct {
	frames chan []byte // closed by the reader
	cancel context.CancelFunc
	err    error // set before frames is closed
}

func newStreamFeed(ctx context.Context, st *stream.Stream) *streamFeed {
	ctx, cancel := context.WithCancel(ctx)
	f := &streamFeed{frames: make(chan []byte), cancel: cancel}
	go func() {
		defer close(f.frames)
		f.err = st.Read(ctx, stream.Records, stream.AllRecords, 0, 0, func(m stream.Message) error {
			select {
			case f.frames <- m.Data:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return f
}

// Next implements collector.Feed.
func (f *streamFeed) Next(context.Context) ([]byte, error) {
	frame, open := <-f.frames
	if open {
		return frame, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	return nil, io.EOF
}

func (f *streamFeed) stop() {
	f.cancel()
	for range f.frames {
	}
}

type written struct {
	records uint64
	sources map[string]bool
}

func writeRecording(ctx context.Context, path string, info recording.Info, feed collector.Feed, win window) (n written, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return n, fmt.Errorf("write recording: %w: no recording is written over; name another one with --out", err)
	}
	if err != nil {
		return n, fmt.Errorf("write recording: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w, err := recording.NewWriter(file, info)
	if err != nil {
		return n, err
	}
	n.sources = map[string]bool{}
	var b record.Batch
	for {
		frame, err := feed.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n, w.Close()
		}
		if err != nil {
			return n, errors.Join(err, w.Close())
		}
		if err := b.Decode(frame); err != nil {
			return n, errors.Join(fmt.Errorf("read a batch: %w", err), w.Close())
		}
		if !win.holds(&b) {
			continue
		}
		n.records += uint64(b.Len())
		n.sources[b.Header().Source] = true
		if err := w.Write(frame); err != nil {
			return n, err
		}
	}
}
