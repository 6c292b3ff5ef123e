package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// ResultFormat is the version of a result's JSON form.
const ResultFormat = 1

// Result is what one run of a benchmark measured, with all that is needed to judge it later: the machine, the work and every round.
type Result struct {
	Format  int       `json:"format"`
	Command string    `json:"command"` // which benchmark: scan, pipeline, index, state, start or tune
	Time    time.Time `json:"time"`
	Version string    `json:"version"` // of forewarn
	Machine Machine   `json:"machine"`
	Rows    []Row     `json:"rows"`
}

// Row is one candidate on one workload.
type Row struct {
	Workload   string            `json:"workload"`
	Digest     string            `json:"digest,omitempty"` // of the work: rows of different digests are not comparable
	Candidate  string            `json:"candidate"`        // forewarn, or the name of a peer
	Set        string            `json:"set,omitempty"`    // the kind of the set of signatures
	Signatures int               `json:"signatures,omitempty"`
	Settings   map[string]string `json:"settings,omitempty"` // what was varied, such as the size of a batch
	Records    int               `json:"records,omitempty"`
	Bytes      int               `json:"bytes,omitempty"`
	Hits       *int              `json:"hits,omitempty"`     // what it found; nil when it cannot tell
	Expected   *int              `json:"expected,omitempty"` // what there is to be found
	Metrics    []Metric          `json:"metrics"`
	Latency    []Quantile        `json:"latency,omitempty"` // from the intended time of sending
	Note       string            `json:"note,omitempty"`    // what a reader must know to read the figures right
}

// Metric is one measured quantity, with the value of each round in the order in which they were run.
type Metric struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Less   bool      `json:"less,omitempty"` // less of it is better
	Rounds []float64 `json:"rounds"`
}

// Quantile says that this part of the values was no greater than Seconds.
type Quantile struct {
	Part    float64 `json:"part"`
	Seconds float64 `json:"seconds"`
}

// Names of metrics that reports and comparisons know.
const (
	Throughput  = "throughput"   // MB of text a second of processor time, unless its unit says otherwise
	RecordsRate = "records"      // records a second
	BuildTime   = "build"        // seconds until a program of the signatures is there
	LoadTime    = "load"         // seconds until a stored one is
	UpdateTime  = "update"       // seconds until one more signature is in
	Memory      = "memory"       // MB resident, or on the heap
	StoredSize  = "stored"       // MB on disk
	HitTime     = "hit"          // nanoseconds a hit, with giving what changed to the store
	TrackTime   = "in memory"    // of these the ones before it is given to the store
	StartTime   = "start"        // seconds until the process is ready
	Allocations = "allocations"  // a record
	Cores       = "cores"        // how many times as fast as on one core
	LatencyP50  = "latency-p50"  // seconds
	LatencyP99  = "latency-p99"  // seconds
	LatencyP999 = "latency-p999" // seconds
)

// NewResult begins a result of this machine, now.
func NewResult(command, version string) *Result {
	return &Result{Format: ResultFormat, Command: command, Time: time.Now().UTC().Truncate(time.Second), Version: version, Machine: ThisMachine()}
}

// Median is the middle of the rounds.
func (m *Metric) Median() float64 { return median(m.Rounds) }

// Span is the least and the greatest of the rounds.
func (m *Metric) Span() (least, most float64) {
	if len(m.Rounds) == 0 {
		return 0, 0
	}
	return slices.Min(m.Rounds), slices.Max(m.Rounds)
}

// Metric returns the metric with the name, or nil.
func (r *Row) Metric(name string) *Metric {
	for i := range r.Metrics {
		if r.Metrics[i].Name == name {
			return &r.Metrics[i]
		}
	}
	return nil
}

// errFormat says that a file is no result that this version can read.
var errFormat = errors.New("it is no result of forewarn bench, or one of another version")

// ReadResult reads a result that WriteJSON wrote.
func ReadResult(file string) (*Result, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	var r Result
	if err := json.Unmarshal(src, &r); err != nil {
		return nil, fmt.Errorf("read result %s: %w", file, err)
	}
	if r.Format != ResultFormat {
		return nil, fmt.Errorf("read result %s: format %d: %w", file, r.Format, errFormat)
	}
	return &r, nil
}

// WriteJSON writes the result for ReadResult.
func (r *Result) WriteJSON(to io.Writer) error {
	e := json.NewEncoder(to)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// Save writes the result into a file for ReadResult.
func (r *Result) Save(file string) error {
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		return err
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
