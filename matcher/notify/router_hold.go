package notify

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/forewarn/forewarn/matcher"
)

const inhibitedBy = "inhibited by "

// holder says what holds back a warning: a silence or a maintenance window, and for people another warning that explains it.
func (r *Router) holder(it *item, l Labels, now time.Time) string {
	if by := HeldBy(l, r.silences, r.o.Maintenance, now); by != "" {
		return by
	}
	if !r.o.Person {
		return ""
	}
	for i := range r.o.Inhibit {
		rule := &r.o.Inhibit[i]
		values, ok := rule.values(l)
		if !ok || !rule.target.Matches(l) {
			continue
		}
		by := r.bonds[bond{i, values, false}]
		if !rule.source.Matches(l) && len(by) == 0 {
			by = r.bonds[bond{i, values, true}]
		} // two that explain each other would both be held back for ever
		least := ""
		for id := range by {
			if id != it.Warning.ID && (least == "" || id < least) {
				least = id
			}
		}
		if least != "" {
			return inhibitedBy + least
		}
	}
	return ""
}

// source notes a warning that explains others, and forgets it when it is over.
func (r *Router) source(w *matcher.Warning, l Labels) {
	if !r.o.Person || len(r.o.Inhibit) == 0 {
		return
	}
	var bonds []bond
	if !w.State.Final() {
		for i := range r.o.Inhibit {
			rule := &r.o.Inhibit[i]
			if values, ok := rule.values(l); ok && rule.source.Matches(l) {
				bonds = append(bonds, bond{i, values, rule.target.Matches(l)})
			}
		}
	}
	old := r.st.Sources[w.ID]
	if slices.Equal(old, bonds) {
		return
	}
	for _, b := range old {
		delete(r.bonds[b], w.ID)
		if len(r.bonds[b]) == 0 {
			delete(r.bonds, b)
		}
	}
	delete(r.st.Sources, w.ID)
	if len(bonds) > 0 && len(r.st.Sources) < r.o.MaxItems {
		r.st.Sources[w.ID] = bonds
		for _, b := range bonds {
			r.bind(w.ID, b)
		}
	}
	r.dirty, r.recheck = true, true
}

func (r *Router) bind(id string, b bond) {
	if r.bonds[b] == nil {
		r.bonds[b] = map[string]bool{}
	}
	r.bonds[b][id] = true
}

// hold notes what holds an item back; "" is nothing.
func (r *Router) hold(it *item, by string) {
	if by == "" {
		r.free(it)
		return
	}
	if it.Held == "" {
		r.held++
		if strings.HasPrefix(by, inhibitedBy) {
			r.st.Counts.Inhibited++
		} else {
			r.st.Counts.Silenced++
		}
	}
	it.Held = by
}

func (r *Router) free(it *item) {
	if it.Held != "" {
		r.held--
		it.Held = ""
	}
}

// recheckEvery is how often what is held back is looked at again; silences and windows end at any second.
const recheckEvery = 5 * time.Second

// unhold frees what is not held back any more.
func (r *Router) unhold(now time.Time) {
	if r.held == 0 || !r.recheck && now.Sub(r.checked) < recheckEvery {
		return
	}
	r.recheck, r.checked = false, now
	for _, id := range slices.Sorted(maps.Keys(r.st.Items)) {
		it := r.st.Items[id]
		if it.Held == "" {
			continue
		}
		if by := r.holder(it, it.labels(), now); by != "" {
			it.Held = by
			continue
		}
		r.free(it)
		r.dirty = true
		if it.News.IsZero() {
			continue
		}
		if r.direct {
			r.put(Single(it.Warning))
			r.drop(it)
			continue
		}
		r.schedule(r.st.Groups[it.Group], it, now)
	}
}
