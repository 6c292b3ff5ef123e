package matcher_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forewarn/forewarn/collector/record"
	"github.com/forewarn/forewarn/matcher"
	"github.com/forewarn/forewarn/signatures"
)

// The oracle is README.md once more, in plain Go: it is given every record of one signature and key and the whole history of
// the sources, sorts, and folds from the beginning. Nothing is incremental, nothing is forgotten, nothing is bounded.

// life is what is known of a source: it gave everything up to mark.
type life struct {
	source string
	kinds  uint8
	scope  record.Attrs
	mark   int64
	ended  bool

	away, back int64 // when it marks nothing; 0 for never
}

// moment is what was known of the sources, and how far the horizon was, after a mark.
type moment struct {
	horizon int64
	lives   []life
}

const forever = math.MaxInt64

// observation is a record with the roles that it switches.
type observation struct {
	source  string
	on, off uint64
	record  *record.Record
	late    int // 0, or its place among those that came behind the horizon; record.Time is then the horizon of that moment
	moment  int // when that was
}

// rungTime is a rung and when it was reached; outcome is one episode.
type rungTime struct {
	name string
	time int64
}

type outcome struct {
	opened, closed int64 // closed is 0 while it is open
	state          matcher.State
	rungs          []rungTime
	told           bool
	toldAt         int64
	incident       int64
	last           int64           // when what its last revision tells happened
	silent         map[string]bool // sources whose silence made an absence unknown
}

// String tells an episode with times in seconds since the start.
func (o *outcome) String() string {
	at := func(t int64) string { return strconv.FormatFloat(time.Duration(t-start).Seconds(), 'g', -1, 64) }
	var b strings.Builder
	for _, r := range o.rungs {
		b.WriteString(r.name + "@" + at(r.time) + " ")
	}
	b.WriteString(string(o.state))
	if o.closed != 0 {
		b.WriteString("@" + at(o.closed))
	}
	if o.opened != o.rungs[0].time {
		b.WriteString(" opened@" + at(o.opened))
	}
	if o.incident != 0 && o.toldAt < o.incident {
		b.WriteString(" lead " + strconv.FormatFloat(time.Duration(o.incident-o.toldAt).Seconds(), 'g', -1, 64))
	}
	if !o.told {
		b.WriteString(" untold")
	}
	if len(o.silent) > 0 {
		b.WriteString(" silent " + strings.Join(slices.Sorted(maps.Keys(o.silent)), ","))
	}
	return b.String()
}

type contribution struct {
	time     int64
	weight   uint64
	distinct string
}

// ladder is a rung's condition in the oracle's own reading.
type ladder struct {
	name     string
	when     *signatures.Condition
	count    uint64
	distinct *signatures.Distinct
	within   int64
	follows  int64
	window   []contribution
	reached  bool
	last     int64 // order sequence: the last record; order any: the last completion
	limit    int   // the role of its limit series, or -1
}

type hold struct {
	role         int
	object, path string
	record       *record.Record
	due          int64
	lit          bool
}

type candidate struct {
	stage    int
	complete int64
}

type postponed struct {
	time  int64
	roles uint64
	r     *record.Record
}

// oracle folds one signature and key.
type oracle struct {
	sig     *signatures.Signature
	key     []record.Attr
	history []moment // never empty
	moment  int      // when what is being folded was settled
	expire  int64

	stages   []ladder
	incident *ladder
	stamps   [][]int64
	holds    []*hold
	series   map[string]*run
	limits   map[int][]divisor // the newest of each series, the newest of all last

	open      bool
	now       *outcome
	outcomes  []*outcome
	candidate *candidate
	later     []postponed
	clearAt   int64 // when the pending clear began; 0 without one
	lastSeen  int64
	quietFrom int64
	lateness  int64
}

// fold returns every episode, told or not, of the observations up to the last horizon and promptly after it.
func fold(sig *signatures.Signature, key []record.Attr, seen []observation, history []moment, lateness int64) []*outcome {
	horizon := history[len(history)-1].horizon
	o := &oracle{sig: sig, key: key, history: history, lateness: lateness, series: map[string]*run{}, limits: map[int][]divisor{}}
	o.expire = int64(sig.Expire)
	if o.expire == 0 {
		o.expire = int64(signatures.DefaultExpire)
	}
	o.stamps = make([][]int64, len(sig.Unless))
	limit := matcher.RoleLimit
	climb := func(name string, when *signatures.Condition, count int, d *signatures.Distinct, within, follows signatures.Duration) ladder {
		l := ladder{name: name, when: when, count: uint64(max(count, 1)), distinct: d, within: int64(within), follows: int64(follows), limit: -1}
		if when.Sample != nil && when.Sample.Of != nil {
			l.limit = limit
			limit++
		}
		return l
	}
	for i := range sig.Stages {
		s := &sig.Stages[i]
		o.stages = append(o.stages, climb(s.Name, &s.When, s.Count, s.Distinct, s.Within, s.FollowsWithin))
	}
	if in := sig.Incident; in != nil {
		l := climb("incident", &in.When, in.Count, in.Distinct, in.Within, 0)
		o.incident = &l
	}
	taken := map[uint64]bool{}
	slices.SortStableFunc(seen, func(a, b observation) int {
		if c := cmp.Or(cmp.Compare(a.record.Time, b.record.Time), cmp.Compare(a.late, b.late)); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.record.Seq, b.record.Seq), cmp.Compare(a.record.ID, b.record.ID))
	})
	for _, h := range seen {
		for {
			fire, due := o.nextTimer()
			if fire == nil || due > h.record.Time || due == h.record.Time && h.late == 0 {
				break
			}
			if due > horizon { // due but not settled: the prompt fold stops here
				return o.outcomes
			}
			fire()
		}
		if !taken[h.record.ID] {
			taken[h.record.ID] = true
			o.moment = max(o.moment, h.moment)
			o.hit(h)
		}
	}
	for {
		fire, due := o.nextTimer()
		if fire == nil || due > horizon {
			return o.outcomes
		}
		fire()
	}
}

// rung returns the stage or the incident that a role stands for.
func (o *oracle) rung(role int) *ladder {
	if role == matcher.RoleIncident {
		return o.incident
	}
	return &o.stages[role]
}

// rungRoles lists the roles of stages and incident in order.
func (o *oracle) rungRoles() []int {
	var roles []int
	for i := range o.stages {
		roles = append(roles, i)
	}
	if o.incident != nil {
		roles = append(roles, matcher.RoleIncident)
	}
	return roles
}

func has(roles uint64, role int) bool { return roles&(1<<role) != 0 }

// hit folds one record, in the order in which README.md numbers the steps.
func (o *oracle) hit(h observation) {
	t := h.record.Time
	if h.late > 0 && h.record.Kind == record.Sample {
		return
	}
	for i := range o.stamps {
		if has(h.on, matcher.RoleUnless+i) {
			o.stamps[i] = append(o.stamps[i], t)
		}
	}
	var on, contributes uint64 // the rungs whose condition is on, and those to which the record contributes now
	for role := matcher.RoleLimit; role < matcher.RoleLimit+matcher.MaxLimits; role++ {
		if has(h.on, role) {
			id := labels(h.record)
			others := slices.DeleteFunc(o.limits[role], func(d divisor) bool { return d.series == id })
			o.limits[role] = append(others, divisor{id, h.record.Attrs, point{t, h.record.Value}})
		}
	}
	for _, role := range o.rungRoles() {
		when := o.rung(role).when
		switch {
		case when.Change != nil && when.Change.For > 0:
			if has(h.on, role) {
				on |= 1 << role
				o.beginHold(role, h.record)
			}
			if has(h.off, role) {
				o.endHold(role, h.record)
			}
		case when.Sample != nil:
			if has(h.on|h.off, role) {
				is, enough := o.sample(role, h)
				if is {
					on |= 1 << role
				}
				if enough {
					contributes |= 1 << role
				}
			}
		case has(h.on, role):
			on |= 1 << role
			contributes |= 1 << role
		}
	}
	o.climb(t, contributes, h.record)
	if on != 0 {
		o.see(t)
		return
	}
	if has(h.on, matcher.RoleClear) && o.open {
		switch {
		case o.sig.Clear.For == 0:
			o.finish(t, false)
		case o.clearAt == 0:
			o.clearAt = t
		}
	}
}

// see moves last-seen and drops a pending clear.
func (o *oracle) see(t int64) {
	if o.open {
		o.lastSeen = max(o.lastSeen, t)
		o.quietFrom = max(o.quietFrom, t)
		o.clearAt = 0
	}
}

// climb gives a record's contributions to the rungs.
func (o *oracle) climb(t int64, roles uint64, r *record.Record) {
	if roles == 0 {
		return
	}
	if o.candidate != nil {
		var after uint64
		for _, role := range o.rungRoles() {
			if has(roles, role) && role > o.candidate.stage {
				after |= 1 << role
			}
		}
		if after != 0 {
			o.later = append(o.later, postponed{t, after, r})
			roles &^= after
		}
	}
	var climbed bool
	if o.sig.Order == signatures.Any {
		climbed = o.climbAny(t, roles, r)
	} else {
		climbed = o.climbSequence(t, roles, r)
	}
	if in := o.incident; in != nil && has(roles, matcher.RoleIncident) && o.open && o.candidate == nil {
		complete := in.add(t, r)
		if complete && !climbed && !in.reached {
			in.reached = true
			o.now.incident = t
			o.now.rungs = append(o.now.rungs, rungTime{in.name, t})
			o.tell(t, matcher.InIncident)
		}
	}
}

func (o *oracle) climbSequence(t int64, roles uint64, r *record.Record) (climbed bool) {
	current := slices.IndexFunc(o.stages, func(l ladder) bool { return !l.reached })
	if current < 0 {
		current = len(o.stages)
	}
	follows := true
	if current > 0 && current < len(o.stages) {
		f := o.stages[current].follows
		follows = f == 0 || t <= o.stages[current-1].last+f
	}
	for s := range current {
		if has(roles, s) {
			o.stages[s].last = max(o.stages[s].last, t)
		}
	}
	if current == len(o.stages) || !has(roles, current) || !follows {
		return false
	}
	l := &o.stages[current]
	complete := l.add(t, r)
	l.last = max(l.last, t)
	if !complete || o.candidate != nil {
		return false
	}
	o.complete(current, t)
	return true
}

func (o *oracle) climbAny(t int64, roles uint64, r *record.Record) (climbed bool) {
	for s := range o.stages {
		if !has(roles, s) {
			continue
		}
		l := &o.stages[s]
		if !l.add(t, r) {
			continue
		}
		switch {
		case l.reached || o.candidate != nil && o.candidate.stage == s:
			l.last = max(l.last, t)
			o.judge(t)
		case !climbed && (o.candidate == nil || !o.guarded(s)):
			climbed = true
			l.last = t
			o.complete(s, t)
		}
	}
	return climbed
}

// add puts a record into a rung's window and says whether the window that ends with it is complete.
func (l *ladder) add(t int64, r *record.Record) bool {
	c := contribution{time: t, weight: max(uint64(r.Count), 1)}
	if l.distinct != nil {
		if parts, whole := naiveParts(l.distinct.Of, r); whole {
			c.distinct = fmt.Sprint(parts)
		}
	}
	l.window = append(l.window, c)
	var weight uint64
	values := map[string]bool{}
	for _, c := range l.window {
		if c.time <= t && (l.within == 0 || c.time >= t-l.within) {
			weight += c.weight
			if c.distinct != "" {
				values[c.distinct] = true
			}
		}
	}
	return weight >= l.count && (l.distinct == nil || len(values) >= l.distinct.Count)
}

func (o *oracle) guarded(stage int) bool { return len(o.guards(stage)) > 0 }

// guards lists the unless entries of a stage.
func (o *oracle) guards(stage int) []int {
	var list []int
	for i := range o.sig.Unless {
		anchor := len(o.stages) - 1
		for s := range o.stages {
			if o.stages[s].name == o.sig.Unless[i].Anchor {
				anchor = s
			}
		}
		if anchor == stage {
			list = append(list, i)
		}
	}
	return list
}

// complete is a stage whose records are there: a candidate if something guards it.
func (o *oracle) complete(stage int, t int64) {
	if o.guarded(stage) {
		o.candidate = &candidate{stage, t}
		return
	}
	o.reach(stage, t)
}

func (o *oracle) reach(stage int, t int64) {
	o.stages[stage].reached = true
	if !o.open {
		o.open = true
		o.now = &outcome{opened: t, state: matcher.Forming, silent: map[string]bool{}}
		o.outcomes = append(o.outcomes, o.now)
		o.lastSeen, o.quietFrom = t, t
	}
	o.now.rungs = append(o.now.rungs, rungTime{o.stages[stage].name, t})
	o.tell(t, o.now.state)
	if s := o.stages[stage].when.Sample; s != nil && s.Forecast != nil {
		o.tell(t, matcher.Imminent)
	}
	o.judge(t)
}

// judge says imminent when enough stages were reached.
func (o *oracle) judge(t int64) {
	if !o.open {
		return
	}
	var times []int64
	for i := range o.stages {
		if o.stages[i].reached {
			times = append(times, o.stages[i].last)
		}
	}
	need := len(o.stages)
	if o.sig.Order != signatures.Any {
		if len(times) == need {
			o.tell(t, matcher.Imminent)
		}
		return
	}
	if o.sig.Need > 0 {
		need = o.sig.Need
	}
	slices.Sort(times)
	for i := 0; i+need <= len(times); i++ {
		if o.sig.Within == 0 || times[i+need-1]-times[i] <= int64(o.sig.Within) {
			o.tell(t, matcher.Imminent)
			return
		}
	}
}

// absent reports whether a rung needs that something did not happen.
func (o *oracle) absent(name string) bool {
	for _, u := range o.sig.Unless {
		if u.Anchor == name || u.Anchor == "" && o.stages[len(o.stages)-1].name == name {
			return true
		}
	}
	when := &o.sig.Stages[0].When
	for i := range o.sig.Stages {
		if o.sig.Stages[i].Name == name {
			when = &o.sig.Stages[i].When
		}
	}
	if name == "incident" {
		when = &o.sig.Incident.When
	}
	return when.Change != nil && when.Change.For != 0
}

// tell raises the state if it is higher and notes when people are told of the episode.
func (o *oracle) tell(t int64, state matcher.State) {
	rank := []matcher.State{matcher.Forming, matcher.Imminent, matcher.InIncident}
	rise := slices.Index(rank, state) > slices.Index(rank, o.now.state)
	if rise {
		o.now.state = state
	}
	tells := o.now.state != matcher.Forming
	from := max(slices.IndexFunc(o.stages, func(l ladder) bool { return l.name == o.sig.Tell }), 0)
	for i := from; i < len(o.stages); i++ {
		if o.stages[i].reached && (i == from || o.sig.Order != signatures.Any || o.sig.Tell == "") {
			tells = true
		}
	}
	if tells && !o.now.told {
		o.now.told, o.now.toldAt = true, t
		for _, r := range o.now.rungs {
			if o.absent(r.name) {
				o.now.toldAt = max(o.now.toldAt, r.time+o.lateness)
			}
		}
	}
	if rise || len(o.now.rungs) > 0 && o.now.rungs[len(o.now.rungs)-1].time == t {
		o.now.last = t
	}
}

// finish closes the episode.
func (o *oracle) finish(t int64, gaveUp bool) {
	switch {
	case gaveUp:
		o.now.state = matcher.Expired
	case o.now.incident != 0:
		o.now.state = matcher.Resolved
	default:
		o.now.state = matcher.Averted
	}
	o.now.closed, o.now.last = t, t
	o.open, o.now, o.candidate, o.later, o.clearAt = false, nil, nil, nil, 0
	for _, role := range o.rungRoles() {
		l := o.rung(role)
		l.window, l.reached, l.last = nil, false, 0
	}
}

// object names what a change is about, and its path.
func object(r *record.Record) (name, path string) {
	return strings.Join([]string{r.Attrs.Value(record.ObjectKind), r.Attrs.Value(record.Namespace), r.Attrs.Value(record.ObjectName)}, "/"), r.Attrs.Value(record.ChangePath)
}

func (o *oracle) beginHold(role int, r *record.Record) {
	name, path := object(r)
	for _, h := range o.holds {
		if h.role == role && h.object == name && h.path == path {
			return
		}
	}
	o.holds = append(o.holds, &hold{role: role, object: name, path: path, record: r, due: r.Time + int64(o.rung(role).when.Change.For)})
}

func (o *oracle) endHold(role int, r *record.Record) {
	name, path := object(r)
	gone := r.Attrs.Value(record.ChangeVerb) == "deleted"
	before := o.lit()
	o.holds = slices.DeleteFunc(o.holds, func(h *hold) bool {
		return h.role == role && h.object == name && (gone || h.path == path)
	})
	if before && !o.lit() && o.open {
		o.lastSeen = max(o.lastSeen, r.Time)
		o.quietFrom = max(o.quietFrom, r.Time)
	}
}

func (o *oracle) lit() bool { return slices.ContainsFunc(o.holds, func(h *hold) bool { return h.lit }) }

// nextTimer returns the timer that fires first, and when.
func (o *oracle) nextTimer() (fire func(), due int64) {
	due = forever
	offer := func(t int64, f func()) { // offered in the order in which timers of one time fire
		if t < due {
			due, fire = t, f
		}
	}
	for _, role := range o.rungRoles() {
		for _, h := range o.holds {
			if h.role == role && !h.lit {
				offer(h.due, func() { o.holdTimer(h) })
			}
		}
	}
	if c := o.candidate; c != nil {
		end := c.complete
		for _, i := range o.guards(c.stage) {
			end = max(end, c.complete+int64(o.sig.Unless[i].Slide)+int64(o.sig.Unless[i].Window))
		}
		offer(end, func() { o.decide(end) })
	}
	if o.clearAt != 0 {
		t := o.clearAt + int64(o.sig.Clear.For)
		offer(t, func() { o.clearTimer(t) })
	}
	if o.open && o.sig.Clear.Quiet > 0 && !o.lit() {
		t := o.quietFrom + int64(o.sig.Clear.Quiet)
		offer(t, func() { o.quietTimer(t) })
	}
	if o.open {
		t := o.lastSeen + o.expire
		offer(t, func() { o.finish(t, true) })
	}
	return fire, due
}

func (o *oracle) holdTimer(h *hold) {
	t := h.due
	if !o.sure(1<<record.Change, t) {
		h.due += int64(o.rung(h.role).when.Change.For)
		return
	}
	h.lit = true
	o.climb(t, 1<<h.role, h.record)
	o.see(t)
}

func (o *oracle) decide(t int64) {
	c := o.candidate
	verdict := true
	var unknown bool
	for _, i := range o.guards(c.stage) {
		u := &o.sig.Unless[i]
		from := c.complete + int64(u.Slide)
		to := from + int64(u.Window)
		if slices.ContainsFunc(o.stamps[i], func(s int64) bool { return from <= s && s <= to }) {
			verdict = false
		}
	}
	if verdict {
		for _, i := range o.guards(c.stage) {
			unknown = !o.sure(naiveKinds(&o.sig.Unless[i].When), t) || unknown
		}
	}
	o.candidate = nil
	if verdict && !unknown {
		o.reach(c.stage, t)
	} else {
		l := &o.stages[c.stage]
		l.window, l.last = nil, 0
	}
	later := o.later
	o.later = nil
	for _, p := range later {
		o.climb(p.time, p.roles, p.r)
	}
}

func (o *oracle) clearTimer(t int64) {
	o.clearAt = 0
	if o.sure(o.rungKinds(), t) {
		o.finish(t, false)
	}
}

func (o *oracle) quietTimer(t int64) {
	if o.sure(o.rungKinds(), t) {
		o.finish(t, false)
		return
	}
	o.quietFrom = t
}

func (o *oracle) rungKinds() (kinds uint8) {
	for _, role := range o.rungRoles() {
		kinds |= naiveKinds(o.rung(role).when)
	}
	return kinds
}

// naiveKinds lists the kinds of record that could meet a condition: those of its positive leaves.
func naiveKinds(c *signatures.Condition) (kinds uint8) {
	for i := range c.All {
		kinds |= naiveKinds(&c.All[i])
	}
	for i := range c.Any {
		kinds |= naiveKinds(&c.Any[i])
	}
	for kind, is := range map[record.Kind]bool{
		record.Event: c.Event != nil, record.Log: c.Log != nil, record.Change: c.Change != nil, record.Sample: c.Sample != nil, record.Alert: c.Alert != nil,
	} {
		if is {
			kinds |= 1 << kind
		}
	}
	return kinds
}

// sure is true when every source that could have said otherwise has passed the time, and there is one.
func (o *oracle) sure(kinds uint8, t int64) bool {
	some, every := false, true
	for o.history[o.moment].horizon < t { // the sources as they were when it was decided
		o.moment++
	}
	for _, l := range o.history[o.moment].lives {
		if l.kinds&kinds == 0 || contradicts(l.scope, o.key) {
			continue
		}
		some = true
		if l.mark < t {
			every = false
			if o.open {
				o.now.silent[l.source] = true
			}
		}
	}
	return some && every
}

// contradicts is true when a scope and a key give one attribute different values.
func contradicts(scope record.Attrs, key []record.Attr) bool {
	names := map[string][]string{
		record.Node: {"node"}, record.Namespace: {"namespace"}, record.Pod: {"pod"}, record.Container: {"container"},
		record.Cluster: {"cluster"}, record.WorkloadKind: {"kind"}, record.WorkloadName: {"workload"},
	}
	for _, s := range scope {
		for _, k := range key {
			if (k.Key == s.Key || slices.Contains(names[s.Key], k.Key)) && k.Value != s.Value {
				return true
			}
		}
	}
	return false
}
