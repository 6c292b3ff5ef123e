package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector"
	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/signatures"
)

// server is a Prometheus that evaluates every expression to its own time in minutes.
type server struct {
	mu     sync.Mutex
	asked  []string
	answer func(path string, form url.Values) (int, string)
}

var _ http.RoundTripper = (*server)(nil)

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if form.Has("start") {
		s.asked = append(s.asked, "range "+form.Get("start")+" "+form.Get("end")+" "+form.Get("step"))
	} else {
		s.asked = append(s.asked, "at "+form.Get("time"))
	}
	answer := s.answer
	s.mu.Unlock()
	status, text := http.StatusOK, ""
	if answer != nil {
		status, text = answer(r.URL.Path, form)
	}
	if text == "" {
		text = evaluated(form)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}

func evaluated(form url.Values) string {
	at := func(name string) float64 { v, _ := strconv.ParseFloat(form.Get(name), 64); return v }
	sample := func(t float64) string { return fmt.Sprintf(`[%.3f,"%v"]`, t, t/60) }
	if !form.Has("start") {
		return `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"x","pod":"web-0","namespace":"shop"},"value":` + sample(at("time")) + `}]}}`
	}
	var values []string
	for t := at("start"); t <= at("end"); t += at("step") {
		values = append(values, sample(t))
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x","pod":"web-0","namespace":"shop"},"values":[` + strings.Join(values, ",") + `]}]}}`
}

// asking is a rig that asks a server for the metric m.
func asking(t *testing.T, s *server, o PrometheusOptions, change func(*collector.Common)) *rig {
	t.Helper()
	o.Name, o.URL, o.Queries = "main", "http://prometheus:9090/", []Query{{Metric: "m", Expr: "x"}}
	r := newRig(t, Options{Prometheus: []PrometheusOptions{o}}, change)
	r.ask[0].api.client = &http.Client{Transport: s}
	return r
}

func window(metric string, d time.Duration) []signatures.MetricNeed {
	return []signatures.MetricNeed{{Metric: metric, Window: d}}
}

// minutes returns the values of the samples of m, which are their times in minutes, and requires that they are.
func minutes(t *testing.T, r *rig) []int {
	t.Helper()
	var out []int
	ids := map[uint64]bool{}
	for _, x := range r.seen() {
		require.Equal(t, "m", x.Attrs.Value(record.MetricName))
		require.Equal(t, "shop", x.Attrs.Value(record.Namespace))
		require.Equal(t, "web-0", x.Attrs.Value("label.pod"))
		require.InDelta(t, float64(x.Time)/float64(time.Minute), x.Value, 1e-9)
		require.False(t, ids[x.ID])
		ids[x.ID] = true
		out = append(out, int(x.Value))
	}
	return out
}

func TestAnExpressionIsAskedForOverTheWindowAndThenAtEveryMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := asking(t, s, PrometheusOptions{}, nil)
		r.Need(window("m", time.Hour))
		begin := int(time.Now().Unix() / 60)
		r.start(t)
		time.Sleep(10*time.Minute + 30*time.Second)
		require.ErrorIs(t, r.stop(), context.Canceled)
		var want []int
		for i := -60; i <= 10; i++ {
			want = append(want, begin+i)
		}
		require.Equal(t, want, minutes(t, r))
		require.Len(t, s.asked, 11)
		require.Contains(t, s.asked[0], "range")
		marks := r.of("metrics/prometheus/main/m")
		require.InDelta(t, 0, time.Since(marks[len(marks)-1].at).Seconds(), 12, "between evaluations it is alive")
		require.Zero(t, r.late)
	})
}

func TestWhatWasMissedIsAskedForAfterAFailureAndAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		kept := collector.Directory(t.TempDir())
		with := func(c *collector.Common) { c.Checkpoints = kept }
		var all []int
		begin := int(time.Now().Unix() / 60)
		r := asking(t, s, PrometheusOptions{}, with)
		r.Need(window("m", 30*time.Minute))
		r.start(t)
		time.Sleep(5*time.Minute + 10*time.Second)
		s.mu.Lock()
		s.answer = func(string, url.Values) (int, string) {
			return http.StatusServiceUnavailable, `{"status":"error","errorType":"timeout","error":"query timed out"}`
		}
		s.mu.Unlock()
		time.Sleep(5 * time.Minute)
		marks := r.of("metrics/prometheus/main/m")
		require.Greater(t, time.Since(marks[len(marks)-1].at), 4*time.Minute, "it is silent")
		require.Equal(t, 1, strings.Count(r.log.String(), "can't be evaluated"), "told once")
		require.Contains(t, r.log.String(), "query timed out")
		require.Equal(t, 5, r.lost(t, "failed_queries"))
		s.mu.Lock()
		s.answer = nil
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		require.Contains(t, r.log.String(), "is evaluated again")
		require.ErrorIs(t, r.stop(), context.Canceled)
		all = append(all, minutes(t, r)...)

		time.Sleep(10 * time.Minute)
		r = asking(t, s, PrometheusOptions{}, with)
		r.Need(window("m", 30*time.Minute))
		r.start(t)
		time.Sleep(2 * time.Minute)
		require.ErrorIs(t, r.stop(), context.Canceled)
		all = append(all, minutes(t, r)...)
		for i, m := range all {
			require.Equal(t, begin-30+i, m, "every minute once")
		}
		require.Equal(t, int(time.Now().Unix()/60), all[len(all)-1])

		time.Sleep(24 * time.Hour)
		r = asking(t, s, PrometheusOptions{Backfill: signatures.Duration(10 * time.Minute)}, with)
		r.Need(window("m", 30*time.Minute))
		r.start(t)
		time.Sleep(time.Minute)
		require.InDelta(t, 12, len(minutes(t, r)), 1, "no more than was asked for")
		require.NoError(t, r.emit(t.Context(), heartbeat(t)))

		require.NoError(t, kept.Save("metrics/prometheus/main/m", []byte("nonsense")))
		r = asking(t, s, PrometheusOptions{}, with)
		r.Need(window("m", 0))
		r.start(t)
		time.Sleep(time.Minute)
		require.NotEmpty(t, r.seen())
		require.Contains(t, r.log.String(), "begins anew")
	})
}

func heartbeat(t *testing.T) []byte {
	t.Helper()
	var b record.Builder
	require.NoError(t, b.Reset(record.Header{Source: "x"}))
	b.SetMark(1, false)
	return b.AppendTo(nil)
}

func TestAnExpressionThatNobodyNeedsIsNotEvaluated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		r := asking(t, s, PrometheusOptions{}, nil)
		r.start(t)
		time.Sleep(10 * time.Minute)
		s.mu.Lock()
		require.Empty(t, s.asked)
		s.mu.Unlock()
		require.Equal(t, 1, strings.Count(r.log.String(), "no signature looks at the metric"))
		r.Need(window("m", 0))
		time.Sleep(2 * time.Minute)
		require.NotEmpty(t, r.seen())
	})
}

func TestALongWindowIsAskedForInPieces(t *testing.T) {
	t.Parallel()
	s := &server{}
	p := prometheus{"http://prometheus", &http.Client{Transport: s}, time.Minute}
	from := time.Unix(1_700_000_000, 0)
	a, err := p.over(t.Context(), "x", from, from.Add(25_000*time.Second), time.Second)
	require.NoError(t, err)
	require.Len(t, s.asked, 3)
	n := 0
	for _, x := range a.series {
		for _, v := range x.points {
			require.Equal(t, from.Add(time.Duration(n)*time.Second).UnixMilli(), v.at)
			n++
		}
	}
	require.Equal(t, 25_001, n)
}

// TestAnswersOfAPrometheus is the API's contract as a table.
func TestAnswersOfAPrometheus(t *testing.T) {
	t.Parallel()
	ok := func(kind, result string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
	}
	for name, c := range map[string]struct {
		status     int
		body       string
		want       string
		err        string
		warnings   []string
		histograms int
	}{
		"vector":           {body: ok("vector", `[{"metric":{"a":"b","__name__":"n"},"value":[1700000000.123,"1.5"]},{"metric":{},"value":[1700000000,"+Inf"]}]`), want: "[{a b}] 1.5@1700000000123; [] +Inf@1700000000000; "},
		"matrix":           {body: ok("matrix", `[{"metric":{"a":"b"},"values":[[1,"1"],[2,"NaN"]]}]`), want: "[{a b}] 1@1000 NaN@2000; "},
		"scalar":           {body: ok("scalar", `[1700000000,"7"]`), want: "[] 7@1700000000000; "},
		"string":           {body: ok("string", `[1700000000,"x"]`), err: "gives a string"},
		"nothing":          {body: ok("vector", `[]`)},
		"histogram":        {body: ok("vector", `[{"metric":{},"histogram":[1,{"count":"1","sum":"2"}]}]`), histograms: 1},
		"histograms":       {body: ok("matrix", `[{"metric":{},"histograms":[[1,{}],[2,{}]],"values":[[3,"1"]]}]`), want: "[] 1@3000; ", histograms: 2},
		"warnings":         {body: `{"status":"success","warnings":["w"],"infos":["i"],"data":{"resultType":"vector","result":[]}}`, warnings: []string{"w", "i"}},
		"bad expression":   {status: 400, body: `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`, err: "bad_data (status 400): 1:3: parse error"},
		"failed execution": {status: 422, body: `{"status":"error","errorType":"execution","error":"many-to-many"}`, err: "execution (status 422): many-to-many"},
		"timeout":          {status: 503, body: `{"status":"error","errorType":"timeout","error":"query timed out"}`, err: "timeout (status 503)"},
		"a proxy's page":   {status: 502, body: `<html>bad gateway</html>`, err: "502 Bad Gateway"},
		"a page":           {body: `<html>login</html>`, err: "none of a Prometheus"},
		"another JSON":     {body: `{"hello":1}`, err: "none of a Prometheus"},
		"no number":        {body: ok("vector", `[{"metric":{},"value":[1,"x"]}]`), err: "no number"},
		"no sample":        {body: ok("vector", `[{"metric":{},"value":[1]}]`), err: "no sample"},
		"no time":          {body: ok("vector", `[{"metric":{},"value":[1e300,"1"]}]`), err: "no time"},
		"a wrong result":   {body: ok("vector", `{"a":1}`), err: "read the result"},
		"labels no texts":  {body: ok("vector", `[{"metric":{"a":1},"value":[1,"1"]}]`), err: "read the result"},
	} {
		t.Run(name, func(t *testing.T) {
			status := c.status
			if status == 0 {
				status = http.StatusOK
			}
			a, err := readAnswer(status, []byte(c.body))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			got := ""
			for _, s := range a.series {
				got += fmt.Sprint(s.labels)
				for _, p := range s.points {
					got += fmt.Sprintf(" %v@%d", p.value, p.at)
				}
				got += "; "
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.warnings, a.warnings)
			require.Equal(t, c.histograms, a.histograms)
		})
	}
}

func TestWarningsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(string, url.Values) (int, string) {
			return http.StatusOK, `{"status":"success","warnings":["PromQL info: metric might not be a counter"],"data":{"resultType":"vector","result":[{"metric":{},"value":[60,"NaN"]}]}}`
		}}
		r := asking(t, s, PrometheusOptions{}, nil)
		r.Need(window("m", 0))
		r.start(t)
		time.Sleep(5 * time.Minute)
		require.ErrorIs(t, r.stop(), context.Canceled)
		require.Equal(t, 1, strings.Count(r.log.String(), "might not be a counter"))
		require.Positive(t, r.Stats().Stale)
		require.Empty(t, r.seen())
	})
}

// TestQueriesAreWhatTheAPITakes looks at the request itself.
func TestQueriesAreWhatTheAPITakes(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got <- r
		_, _ = io.WriteString(w, evaluated(r.PostForm))
	}))
	defer h.Close()
	p := prometheus{h.URL + "/prefix/", http.DefaultClient, 5 * time.Second}
	_, err := p.at(t.Context(), `rate(x{a="b"}[5m]) > 1`, time.UnixMilli(1_700_000_000_500))
	require.NoError(t, err)
	r := <-got
	require.Equal(t, "/prefix/api/v1/query", r.URL.Path)
	require.Equal(t, url.Values{"query": {`rate(x{a="b"}[5m]) > 1`}, "time": {"1700000000.500"}, "timeout": {"5.000"}}, r.PostForm)
	_, err = p.over(t.Context(), "x", time.Unix(60, 0), time.Unix(120, 0), 30*time.Second)
	require.NoError(t, err)
	r = <-got
	require.Equal(t, "/prefix/api/v1/query_range", r.URL.Path)
	require.Equal(t, url.Values{"query": {"x"}, "start": {"60.000"}, "end": {"120.000"}, "step": {"30.000"}, "timeout": {"5.000"}}, r.PostForm)
}

// FuzzAnswer reads any bytes as the answer of a Prometheus; what was read can be written again and read to the same.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"2"]}]}}`))
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"]],"histograms":[[1,{}]]}]}}`))
	f.Add(422, []byte(`{"status":"error","errorType":"execution","error":"x"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := readAnswer(status, body)
		if err != nil {
			return
		}
		type series struct {
			Metric map[string]string `json:"metric"`
			Values [][2]any          `json:"values"`
		}
		var list []series
		for _, s := range a.series {
			x := series{Metric: map[string]string{}}
			for _, l := range s.labels {
				x.Metric[l.Name] = l.Value
			}
			for _, p := range s.points {
				x.Values = append(x.Values, [2]any{float64(p.at) / 1000, strconv.FormatFloat(p.value, 'g', -1, 64)})
			}
			list = append(list, x)
		}
		text, err := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": list}})
		require.NoError(t, err)
		again, err := readAnswer(200, text)
		require.NoError(t, err)
		require.Len(t, again.series, len(a.series))
		for i, s := range a.series {
			require.Equal(t, s.labels, again.series[i].labels)
			for j, p := range s.points {
				q := again.series[i].points[j]
				require.Equal(t, p.at, q.at)
				require.True(t, p.value == q.value || math.IsNaN(p.value) && math.IsNaN(q.value))
			}
		}
	})
}
