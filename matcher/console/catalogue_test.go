package console

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/matcher/pipeline"
	"github.com/forewarn/forewarn/matcher/sightings"
	"github.com/forewarn/forewarn/signatures"
	"github.com/forewarn/forewarn/signatures/catalog"
)

// fixedArms is an [Arms] of fixed signatures.
type fixedArms struct{ armed Armed }

var _ Arms = fixedArms{}

func (f fixedArms) Armed() Armed { return f.armed }

// factsOf are facts that do not change.
type factsOf struct{ health Health }

var _ Facts = factsOf{}

func (f factsOf) Health(context.Context) (Health, error) { return f.health, nil }

// inProcess runs trials without a process of their own.
type inProcess struct{}

var _ Runner = inProcess{}

func (inProcess) Run(ctx context.Context, t *Trial) (*Outcome, error) { return Try(ctx, t, Bounds{}) }

// desk is a console with the shipped catalogue, and a browser.
type desk struct {
	t       *testing.T
	at      string
	browser *http.Client
	set     *signatures.Set
}

func newDesk(t *testing.T, change func(*Config)) *desk {
	t.Helper()
	set, problems := signatures.LoadFS(catalog.FS, signatures.Options{})
	require.Empty(t, signatures.Errors(problems))
	precision, lead := 0.875, 540.0
	view := &View{}
	for i, state := range []matcher.State{matcher.Forming, matcher.Imminent, matcher.Resolved} {
		w := matcher.Warning{
			ID: string(rune('a' + i)), Revision: 1, Signature: "etcd-slow-disk", Title: "x", Severity: "critical", State: state, KeyText: "cp1", Opened: time.Now(), Time: time.Now(),
		}
		if state.Final() {
			w.Closed = &w.Time
		}
		view.Tell(pipeline.Told{Warning: w})
	}
	view.CaughtUp()
	seen := pipeline.Seen{Since: time.Now().Add(-48 * time.Hour), Kinds: map[string]map[string]int64{"log": {"etcd": time.Now().Unix()}, "event": {"BackOff": time.Now().Unix()}}}
	c := Config{
		View: view, Arms: fixedArms{Armed{Set: set, From: map[string]string{"etcd-slow-disk": "the shipped catalogue"}, Disarmed: []string{"not-for-here"}, Refused: []string{"bad.yaml:1:1: wrong <b>"}}},
		Facts: factsOf{Health{Processes: []pipeline.Status{{Time: time.Now(), Signatures: set.Len(), Seen: &seen, Inputs: []pipeline.Input{{Source: "x", Kinds: []string{"log", "event"}}}}}}},
		Scores: func() []sightings.Scorecard {
			return []sightings.Scorecard{{Signature: "etcd-slow-disk", Finished: 9, Incidents: 4, Averted: 3, Precision: &precision, Lead: &lead, Noise: 0.4, Advice: "keep", Reason: "it is right"}}
		},
		Runner: inProcess{},
	}
	if change != nil {
		change(&c)
	}
	k, err := New(c)
	require.NoError(t, err)
	server := httptest.NewServer(k.Handler())
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &desk{t, server.URL, &http.Client{Jar: jar, Timeout: 20 * time.Second}, set}
}

func (d *desk) send(method, path, body string, headers ...string) (int, string) {
	d.t.Helper()
	q, err := http.NewRequestWithContext(d.t.Context(), method, d.at+path, strings.NewReader(body))
	require.NoError(d.t, err)
	q.Header.Set("Accept", "text/html")
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	a, err := d.browser.Do(q)
	require.NoError(d.t, err)
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	require.NoError(d.t, err)
	return a.StatusCode, string(b)
}

func (d *desk) get(path string) string {
	d.t.Helper()
	status, body := d.send("GET", path, "")
	require.Equal(d.t, http.StatusOK, status, body)
	return body
}

// said is a page as it is read: without markup, its spaces made one.
func said(page string) string {
	page = regexp.MustCompile(`(?s)<(head|option).*?</(head|option)>`).ReplaceAllString(page, "")
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")), " ")
}

// listed are the ids of the signatures that a page lists, in order.
func listed(page string) (ids []string) {
	for _, m := range regexp.MustCompile(`<a class="open" href="/signatures/([^"]+)"`).FindAllStringSubmatch(page, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestTheCatalogueListsSearchesAndSorts(t *testing.T) {
	d := newDesk(t, nil)
	page := d.get("/signatures")
	require.Len(t, listed(page), d.set.Len())
	text := said(page)
	for _, want := range []string{
		"56 armed signatures", "etcd loses its leader because its disk is slow etcd-slow-disk critical can fire 2 9 88 % 9 min 0.4 keep", "1 signature that does not apply to this cluster not-for-here",
		"bad.yaml:1:1: wrong &lt;b&gt;", "cannot fire",
	} {
		require.Contains(t, text, want)
	}
	for query, want := range map[string]string{
		"?q=fdatasync":                   "etcd-slow-disk", // a text that it looks for
		"?q=move-leader+etcd":            "",               // commands are not searched
		"?q=iostat":                      "",
		"?q=ETCD+heartbeats+too+late":    "etcd-slow-disk",
		"?severity=critical&q=fdatasync": "etcd-slow-disk",
		"?severity=low&q=fdatasync":      "",
		"?here=blind&q=fdatasync":        "",
		"?here=ready&q=fdatasync":        "etcd-slow-disk",
		"?advice=keep":                   "etcd-slow-disk",
		"?component=nothing":             "",
		"?q=%22%3E%3Cscript%3E":          "",
	} {
		require.Equal(t, want, strings.Join(listed(d.get("/signatures"+query)), " "), query)
	}
	require.Equal(t, "etcd-slow-disk", listed(d.get("/signatures?sort=finished"))[0])
	require.Contains(t, d.get("/signatures?sort=finished"), `aria-sort="descending"`)
	last := listed(d.get("/signatures?sort=-finished"))
	require.Equal(t, "etcd-slow-disk", last[len(last)-1])
	require.Equal(t, listed(page), listed(d.get("/signatures?sort=nonsense&page=-4")))
	require.Empty(t, listed(d.get("/signatures?page=500")), "a page that is not there is empty and no fault")

	var entries []Entry
	require.NoError(t, json.Unmarshal([]byte(d.get("/api/signatures?q=fdatasync")), &entries))
	require.Equal(t, 2, entries[0].Open)
	require.Equal(t, uint64(9), entries[0].Score.Finished)
	require.Equal(t, CanFire, entries[0].Here)
}

func TestASignatureIsSaidAloud(t *testing.T) {
	d := newDesk(t, nil)
	text := said(d.get("/signatures/etcd-slow-disk"))
	for _, want := range []string{
		"critical etcd can fire here etcd loses its leader because its disk is slow", "It is followed for each node; the stages come in order.",
		"20 times within 2m : a log line of etcd that contains “slow fdatasync” or “apply request took too long”", "people are told from here on", "within 15m of the stage before",
		"The leader is lost", "It is over when no stage was seen for 30m.", "a backup makes the disk slow for a while 25 records, expects forming, averted Try it",
		"Where it comes from the shipped catalogue", "FORMING", "9 finished warnings", "88 % right", "keep it is right", "iostat -x 1 5", "https://github.com/etcd-io/etcd/issues/15247",
	} {
		require.Contains(t, strings.ToLower(text), strings.ToLower(want))
	}
	require.Contains(t, said(d.get("/signatures/pvc-filling-up")), "Cannot be seen: the metric kubelet_volume_stats_available_bytes: no source gives metrics")
	for _, s := range d.set.All() {
		page := said(d.get("/signatures/" + s.ID))
		require.NotContains(t, page, "%!", s.ID)
		for i := range s.Stages {
			require.Contains(t, page, whenWords(&s.Stages[i].When)[:5], s.ID)
		}
	}
	status, body := d.send("GET", "/signatures/nosuch", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "No signature of this name is armed.")
	status, body = d.send("GET", "/signatures/not-for-here", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "does not apply to this cluster")
	status, body = d.send("GET", "/api/signatures/nosuch", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, `"mend"`)
}

// What is shown is what is armed: it reads back as the same signature.
func TestTheYAMLOfEverySignatureReadsBackAsTheSame(t *testing.T) {
	set, _ := signatures.LoadFS(catalog.FS, signatures.Options{})
	for _, s := range set.All() {
		text, err := yamlOf(s)
		require.NoError(t, err)
		back, problems := signatures.Parse("x.yaml", []byte(text))
		require.Empty(t, signatures.Errors(problems), "%s\n%s", s.ID, text)
		require.Equal(t, matcher.NewCompiled(s).DigestText, matcher.NewCompiled(back[0]).DigestText, text)
	}
	s, _ := set.Get("etcd-slow-disk")
	text, err := yamlOf(s)
	require.NoError(t, err)
	for _, want := range []string{"\nby: node\n", "component: etcd\n", "contains: [slow fdatasync, apply request took too long]\n", "components: [etcd]\n"} {
		require.Contains(t, text, want)
	}
}

func TestEveryConditionOfTheLanguageIsSaidAloud(t *testing.T) {
	for yaml, want := range map[string]string{
		"event: {reason: BackOff, type: Warning, object: {kind: Pod}, message: back-off}":           "a Warning event BackOff about a Pod, whose message contains “back-off”",
		"event: {reason: {prefix: Failed}, source: kubelet}":                                        "an event whose reason begins with “Failed”, whose source is “kubelet”",
		"log: {component: [a, b], container: c, severity: error, contains: {all: [x, y], none: z}}": "a log line of a or b of a container that is “c”, whose level is “error”, that contains “x” and “y” and does not contain “z”",
		"log: {component: a, fields: [{name: took, above: 1}, {name: msg, is: x}]}":                 "a log line of a whose field “took” is above 1, whose field “msg” is “x”",
		"log: {component: a, regex: 'x+'}":                                                          "a log line of a that matches “x+”",
		"change: {kind: Node, path: spec.x, from: a, to: b, for: 5m}":                               "spec.x of a Node goes from “a” to “b” and stays so for 5m",
		"change: {kind: Node, path: spec.x, to: {not: b}}":                                          "spec.x of a Node becomes something that is not “b”",
		"sample: {metric: m, labels: {a: b}, rate: 5m, above: 0.5, for: 10m}":                       "the rate of m over 5m where a is “b” is above 0.5 for at least 10m",
		"sample: {metric: m, of: {metric: n}, above: 0.1, below: 0.9}":                              "the metric m as a share of n is between 0.1 and 0.9",
		"sample: {metric: m, forecast: {reaches: 5, within: 1h, over: 6h}}":                         "the metric m is on its way to 5 within 1h, by the trend of 6h",
		"alert: {name: Down, labels: {severity: page}}":                                             "the alert Down where severity is “page” is firing",
		"any: [{event: {reason: A}}, {event: {reason: B}}]":                                         "an event A, or an event B",
		"all: [{event: {reason: A}}, {not: {event: {reason: B}}}]":                                  "an event A, and anything but an event B",
		"{event: {reason: A}, attrs: {k8s.node.name: n1}, cel: 'count > 1'}":                        "an event A for which k8s.node.name is “n1” and the expression “count > 1” is true",
	} {
		if !strings.HasPrefix(yaml, "{") {
			yaml = "{" + yaml + "}"
		}
		sigs, problems := signatures.Parse("s.yaml", []byte("id: a\ntitle: A\nseverity: high\nby: node\nclear: {quiet: 1h}\nstages: [{name: one, when: "+yaml+"}]\n"))
		require.Empty(t, signatures.Errors(problems), yaml)
		require.Equal(t, want, whenWords(&sigs[0].Stages[0].When))
	}
}

func TestAConditionIsAClauseOfItsKind(t *testing.T) {
	event, change := signatures.Condition{Event: &signatures.EventCondition{}}, signatures.Condition{Change: &signatures.ChangeCondition{}}
	require.Equal(t, "there is "+whenWords(&event), thereIs(&event))
	require.Equal(t, whenWords(&change), thereIs(&change))
	for _, c := range []signatures.Condition{{Any: []signatures.Condition{change, event}}, {All: []signatures.Condition{{Any: []signatures.Condition{change}}, event}}} {
		require.Equal(t, whenWords(&c), thereIs(&c))
	}
}

func TestBlindSpotsArePageAndJSON(t *testing.T) {
	d := newDesk(t, nil)
	text := said(d.get("/blind-spots"))
	for _, want := range []string{"cannot fire here", "metrics", "no source gives metrics; none came for 2 days", "collect metrics", "They cannot fire here", "They can fire", "logs of coredns"} {
		require.Contains(t, text, want)
	}
	var b BlindSpots
	require.NoError(t, json.Unmarshal([]byte(d.get("/api/blind-spots")), &b))
	require.Len(t, b.Spots, d.set.Len())

	d = newDesk(t, func(c *Config) { c.Facts = nil })
	require.Contains(t, said(d.get("/blind-spots")), "No matching process says what it sees")
	require.Contains(t, said(d.get("/signatures")), "56 armed signatures")
	status, _ := d.send("GET", "/api/blind-spots", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	d = newDesk(t, func(c *Config) { c.Arms, c.Runner = nil, nil })
	require.Contains(t, said(d.get("/signatures")), "No signature is armed.")
	require.Contains(t, said(d.get("/playground")), "This console runs no trials.")
}

// tryOut asks as the page does.
func (d *desk) tryOut(q question, csrf string) (int, string) {
	d.t.Helper()
	b, err := json.Marshal(q)
	require.NoError(d.t, err)
	return d.send("POST", "/playground", string(b), "Content-Type", "application/json", "Accept", "application/json", "X-Csrf-Token", csrf)
}

func (d *desk) csrf() string {
	d.t.Helper()
	m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(d.get("/playground"))
	require.NotNil(d.t, m)
	return m[1]
}

func TestThePlaygroundAnswersWithMarkupAndMarks(t *testing.T) {
	d := newDesk(t, nil)
	page := d.get("/playground?signature=etcd-slow-disk&test=2")
	require.Contains(t, page, "id: etcd-slow-disk")
	require.Contains(t, page, `value="etcd-slow-disk/2" selected`)
	csrf := d.csrf()
	status, body := d.tryOut(question{YAML: diskYAML, Input: diskLog + "<script>alert(1)</script>\n", Attrs: "node=cp1"}, csrf)
	require.Equal(t, http.StatusOK, status, body)
	var a trialAnswer
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	text := said(a.HTML)
	for _, want := range []string{"What people would be told", "forming", "cp1", "2 records met it", "no record met it", "log.regex line 12", "a text that matches", "the first is 3"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, a.HTML, "<script>")
	require.Equal(t, "4 records, 2 met something, 1 warning: forming", a.Say)
	require.Contains(t, a.Lines, lineMark{1, "hit", "slow"})
	levels := map[string]int{}
	for _, m := range a.Marks {
		levels[m.Level]++
	}
	require.Equal(t, 1, levels["met"])
	require.Equal(t, 2, levels["lack"])

	status, body = d.tryOut(question{YAML: "id: [", Input: diskLog}, csrf)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	require.Contains(t, said(a.HTML), "The signature cannot be used yet")
	require.Contains(t, a.HTML, "^", "a caret shows the place")
	require.Equal(t, "error", a.Marks[0].Level)
}

func TestThePlaygroundRefusesWhatIsNotItsOwnOrTooMuch(t *testing.T) {
	d := newDesk(t, nil)
	status, _ := d.tryOut(question{YAML: diskYAML}, "")
	require.Equal(t, http.StatusForbidden, status, "without the page's token nothing runs")
	csrf := d.csrf()
	for _, c := range []struct {
		q      question
		status int
		says   string
	}{
		{question{YAML: diskYAML, After: "soon"}, 400, "soon"},
		{question{YAML: diskYAML, Attrs: "node"}, 400, "node=worker-1"},
		{question{YAML: diskYAML, Armed: "nosuch"}, 400, "nosuch"},
		{question{YAML: strings.Repeat("x", 300<<10)}, 413, "playground"},
		{question{Input: strings.Repeat("x", 5<<20)}, 413, "playground"},
	} {
		status, body := d.tryOut(c.q, csrf)
		require.Equal(t, c.status, status, body)
		require.Contains(t, body, c.says)
	}
	status, body := d.send("POST", "/playground", "{", "X-Csrf-Token", csrf, "Accept", "application/json")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "This is no trial")
	status, _ = d.send("GET", "/playground?signature=nosuch", "")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = d.send("GET", "/playground?signature=etcd-slow-disk&test=99", "")
	require.Equal(t, http.StatusNotFound, status)
	status, body = d.send("POST", "/api/playground", `{"yaml":"","input":"x","armed":"all"}`, "X-Csrf-Token", csrf)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, `"records":1`)
	status, _ = d.send("POST", "/api/playground", `{}`)
	require.Equal(t, http.StatusForbidden, status)
}
