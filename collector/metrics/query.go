package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/format"
)

// prometheus asks the HTTP API of a Prometheus, or of what speaks like one.
type prometheus struct {
	base    string
	client  *http.Client
	timeout time.Duration
}

// answer is what both kinds of query give: the samples of the result, and what the server wants to be known.
type answer struct {
	series     []resultSeries
	histograms int
	warnings   []string
}

type resultSeries struct {
	labels []format.Label
	points []point // at in ms
}

// maxAnswer is the most bytes of an answer; one of a thousand series over a day has some 40 MB.
const maxAnswer = 64 << 20

// maxSteps is how many points of a series one range query asks for; Prometheus refuses more than 11,000.
const maxSteps = 10_000

// at evaluates an expression at one time.
func (p *prometheus) at(ctx context.Context, expr string, at time.Time) (answer, error) {
	return p.ask(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {stamp(at)}})
}

// over evaluates an expression at each step from one time to another, both included.
func (p *prometheus) over(ctx context.Context, expr string, from, to time.Time, step time.Duration) (answer, error) {
	var all answer
	for !from.After(to) {
		last := to
		if end := from.Add((maxSteps - 1) * step); end.Before(to) {
			last = end
		}
		a, err := p.ask(ctx, "/api/v1/query_range", url.Values{"query": {expr}, "start": {stamp(from)}, "end": {stamp(last)}, "step": {seconds(step)}})
		if err != nil {
			return all, err
		}
		all.series = append(all.series, a.series...)
		all.histograms += a.histograms
		all.warnings = append(all.warnings, a.warnings...)
		from = last.Add(step)
	}
	return all, nil
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func (p *prometheus) ask(ctx context.Context, path string, form url.Values) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	form.Set("timeout", seconds(p.timeout))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.base, "/")+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "forewarn")
	w, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = w.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return answer{}, fmt.Errorf("the answer has more than %d bytes: let the expression give fewer series", maxAnswer)
	}
	return readAnswer(w.StatusCode, body)
}

// response is the JSON of an answer.
type response struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Infos     []string `json:"infos"`
	Data      struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// readAnswer reads the body of an answer. A query that failed is an error that says what the server said.
func readAnswer(status int, body []byte) (answer, error) {
	var x response
	err := json.Unmarshal(body, &x)
	switch {
	case err == nil && x.Status == "error":
		return answer{}, fmt.Errorf("%s (status %d): %s", x.ErrorType, status, x.Error)
	case status != http.StatusOK:
		return answer{}, fmt.Errorf("it answered %d %s", status, http.StatusText(status))
	case err != nil || x.Status != "success":
		return answer{}, errors.New("its answer is none of a Prometheus: check the URL")
	}
	a := answer{warnings: append(x.Warnings, x.Infos...)}
	switch x.Data.Type {
	case "scalar":
		var v value
		if err := json.Unmarshal(x.Data.Result, &v); err != nil {
			return answer{}, fmt.Errorf("read the result: %w", err)
		}
		a.series = []resultSeries{{points: []point{point(v)}}}
		return a, nil
	case "vector", "matrix":
		return a, a.read(x.Data.Result)
	default:
		return answer{}, fmt.Errorf("the expression gives a %s: write one that gives a vector or a number", x.Data.Type)
	}
}

func (a *answer) read(result []byte) error {
	var list []struct {
		Metric     map[string]string `json:"metric"`
		Value      *value            `json:"value"`
		Values     []value           `json:"values"`
		Histogram  json.RawMessage   `json:"histogram"`
		Histograms []json.RawMessage `json:"histograms"`
	}
	if err := json.Unmarshal(result, &list); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	for i := range list {
		x := &list[i]
		if x.Histogram != nil {
			a.histograms++
		}
		a.histograms += len(x.Histograms)
		s := resultSeries{labels: labelsOf(x.Metric)}
		if x.Value != nil {
			s.points = append(s.points, point(*x.Value))
		}
		for _, v := range x.Values {
			s.points = append(s.points, point(v))
		}
		if len(s.points) > 0 {
			a.series = append(a.series, s)
		}
	}
	return nil
}

// value is a sample as the API writes it: [seconds, "number"].
type value point

// UnmarshalJSON implements [json.Unmarshaler].
func (v *value) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	var at float64
	var text string
	if len(pair) != 2 || json.Unmarshal(pair[0], &at) != nil || json.Unmarshal(pair[1], &text) != nil {
		return fmt.Errorf("%.60q is no sample: a time and a text are", b)
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(n, 0) {
		return fmt.Errorf("%.60q is no number", text)
	}
	if math.IsNaN(at) || math.Abs(at) > 9e9 {
		return fmt.Errorf("%v is no time", at)
	}
	v.value, v.at = n, int64(math.Round(at*1000))
	return nil
}
