package sightings

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/matcher"
)

// ladders are finished warnings: ten got to their incident after 3 stages, ten were averted after two, ten expired after one.
func ladders() (all []matcher.Warning) {
	for i := range 10 {
		x := float64(i)
		all = append(all, warning(100+i, []float64{0, 10 + x, 20 + 2*x}, 30+3*x, 60+3*x), warning(200+i, []float64{0, 10 + x}, 0, 40))
		w := warning(300+i, []float64{0}, 0, 90)
		w.State = matcher.Expired
		all = append(all, w)
	}
	return all
}

func TestOutlookTellsHowOftenItGotThatFarAndWhatCame(t *testing.T) {
	b := bookOf(t, start, ladders()...)
	open := warning(1, []float64{0}, 0, 0)
	o := b.Outlook(&open)
	require.Equal(t, matcher.Past{Reached: 30, Incident: 10, Averted: 10, Expired: 10}, o.Here)
	require.Equal(t, matcher.Past{}, o.Elsewhere)

	open = warning(1, []float64{0, 5}, 0, 0)
	o = b.OutlookAt(&open, start.Add(5*time.Minute))
	require.Equal(t, matcher.Past{Reached: 20, Incident: 10, Averted: 10}, o.Here)
	require.NotNil(t, o.Next)
	require.Equal(t, uint64(10), o.Next.Of)
	// from the second stage to the third it took 10 to 19 minutes
	require.WithinDuration(t, start.Add(15*time.Minute), o.Next.Earliest, 3*time.Minute)
	require.True(t, o.Next.Earliest.Before(o.Next.Expected))
	require.True(t, o.Incident.Earliest.After(o.Next.Earliest))
}

func TestOutlookIsOfTheTimeThatIsWaitedAlready(t *testing.T) {
	var all []matcher.Warning
	for i := range 40 { // 1 to 40 minutes
		all = append(all, warning(i, []float64{0, float64(i + 1)}, 0, 90))
	}
	b := bookOf(t, start, all...)
	open := warning(99, []float64{0}, 0, 0)
	fresh, late := b.OutlookAt(&open, start), b.OutlookAt(&open, start.Add(20*time.Minute))
	require.Less(t, fresh.Next.Earliest, start.Add(8*time.Minute))
	require.Equal(t, uint64(40), fresh.Next.Of)
	require.GreaterOrEqual(t, late.Next.Earliest.Sub(start), 20*time.Minute, "what is past cannot be expected")
	require.InDelta(t, 20, late.Next.Of, 2)
	require.Nil(t, b.OutlookAt(&open, start.Add(37*time.Minute)).Next, "too few took longer")
}

func TestTooFewSightingsAreNoForecast(t *testing.T) {
	var all []matcher.Warning
	for i := range fewest - 1 {
		all = append(all, warning(i, []float64{0, float64(i + 1)}, 0, 90))
	}
	open := warning(99, []float64{0}, 0, 0)
	o := bookOf(t, start, all...).Outlook(&open)
	require.Nil(t, o.Next)
	require.Equal(t, uint64(8), o.Here.Reached, "how many there were is told all the same")
	require.NotNil(t, bookOf(t, start, append(all, warning(50, []float64{0, 9}, 0, 90))...).Outlook(&open).Next)
	require.Nil(t, bookOf(t, start).Outlook(&open), "nothing is known")
	require.Nil(t, (*Book)(nil).Outlook(&open))
}

func TestARetractedWarningIsNoSightingAndAnIncompleteOneIsInNoForecast(t *testing.T) {
	w := warning(1, []float64{0, 5}, 9, 20)
	w.Retracted = true
	_, ok := Of(&w, "", start)
	require.False(t, ok)
	w = warning(1, []float64{0, 5}, 9, 0)
	_, ok = Of(&w, "", start)
	require.False(t, ok, "it is not over")

	all := ladders()
	for i := range all {
		all[i].Incomplete = []string{"a record came late"}
	}
	open := warning(1, []float64{0}, 0, 0)
	b := bookOf(t, start, all...)
	o := b.Outlook(&open)
	require.Equal(t, uint64(30), o.Here.Reached)
	require.Nil(t, o.Next)
	require.Equal(t, uint64(30), b.Own()[0].Incomplete)
}

func TestTheSlopeOfThisSeriesWinsWhereItKnowsMore(t *testing.T) {
	b := bookOf(t, start, ladders()...)
	open := warning(1, []float64{0, 10}, 0, 0)
	now := start.Add(10 * time.Minute)
	before := b.OutlookAt(&open, now).Incident
	require.Equal(t, uint64(10), before.Of)
	open.Forecast = &matcher.Forecast{Expected: now.Add(10 * time.Minute), Earliest: now.Add(8 * time.Minute), Latest: now.Add(12 * time.Minute)}
	require.Equal(t, &matcher.Interval{Earliest: open.Forecast.Earliest, Expected: open.Forecast.Expected, Latest: open.Forecast.Latest}, b.OutlookAt(&open, now).Incident)
	open.Forecast.Latest = now.Add(24 * time.Hour)
	require.Equal(t, before, b.OutlookAt(&open, now).Incident)
	open.Forecast.Earliest, open.Forecast.Latest = now.Add(-2*time.Minute), now.Add(-time.Minute)
	require.Equal(t, before, b.OutlookAt(&open, now).Incident, "a slope whose time is over is none")
}

func TestFeedbackCountsAsRemediesAndJudgement(t *testing.T) {
	b := bookOf(t, start, ladders()...)
	say := func(key string, f Feedback, seq uint64) {
		f.Time = start
		require.NoError(t, f.Check())
		b.hear(key, f, seq)
	}
	restart := FindRemedy(warning(1, nil, 0, 0).Remedies, "2")
	require.Equal(t, "restart: Restart the consumer.", restart)
	say("a", Feedback{Warning: "00000000000000c8", Verdict: AvertedBy, Remedy: restart}, 1)
	say("a", Feedback{Warning: "00000000000000c9", Verdict: AvertedBy, Remedy: restart}, 2)
	say("b", Feedback{Warning: "00000000000000c9", Verdict: Acknowledged, Remedy: "look: Look at the queue."}, 3)
	say("a", Feedback{Warning: "00000000000000ca", Verdict: AvertedBy, Remedy: "asked Bob to stop"}, 4)
	say("a", Feedback{Warning: "00000000000000cb", Verdict: FalseAlarm}, 5)
	open := warning(1, []float64{0}, 0, 0)
	require.Equal(t, []matcher.Outcome{{Remedy: restart, Done: 2, Helped: 2}, {Remedy: "asked Bob to stop", Done: 1, Helped: 1}, {Remedy: "look: Look at the queue.", Done: 1}},
		b.Outlook(&open).Remedies)
	own := b.Own()[0]
	require.Equal(t, []Done{{0, 1, 0}, {1, 2, 2}}, own.Remedies)
	require.Equal(t, uint64(13), own.Right, "ten incidents, three averted")
	require.Equal(t, uint64(1), own.Wrong)
	require.Len(t, b.Feedback("00000000000000c9"), 2)

	say("a", Feedback{Warning: "00000000000000cb", Verdict: AvertedBy, Remedy: restart}, 6)
	require.Equal(t, uint64(0), b.Own()[0].Wrong, "the last one of a person counts")
	require.Greater(t, b.Own()[0].Version, own.Version)
	require.ErrorIs(t, b.Give(t.Context(), Feedback{Warning: "00000000000000cb", Verdict: FalseAlarm}), ErrKeptNowhere)
}

func TestRemediesOfOthersAreKnownByTheirNumber(t *testing.T) {
	b := bookOf(t, start)
	b.share(&Tally{Origin: "fedcba9876543210", Digest: digest, Month: "2026-11", Version: 1, Finished: 4, Rungs: []Rung{{}, {Averted: 4}}, Remedies: []Done{{1, 3, 2}, {9, 1, 1}}})
	open := warning(1, []float64{0}, 0, 0)
	o := b.Outlook(&open)
	require.Equal(t, []matcher.Outcome{{Remedy: "restart: Restart the consumer.", Done: 3, Helped: 2}}, o.Remedies)
	require.Equal(t, matcher.Past{Reached: 4, Averted: 4}, o.Elsewhere)
}

func TestBadFeedbackIsRefusedWithItsMend(t *testing.T) {
	good := Feedback{Warning: "00000000000000c9", Verdict: AvertedBy, Remedy: "x", Time: start}
	require.NoError(t, good.Check())
	for _, c := range []struct {
		spoil func(*Feedback)
		want  string
	}{
		{func(f *Feedback) { f.Warning = "../../etc" }, "16 digits"},
		{func(f *Feedback) { f.Verdict = "great" }, "use acknowledged, false-alarm or averted"},
		{func(f *Feedback) { f.Remedy = " " }, "averted by what?"},
		{func(f *Feedback) { f.Verdict = FalseAlarm }, "needs no remedy"},
		{func(f *Feedback) { f.Note = string(make([]byte, 5000)) }, "note: use at most"},
		{func(f *Feedback) { f.By = "\xff" }, "by: use at most"},
		{func(f *Feedback) { f.Time = time.Time{} }, "no time"},
	} {
		f := good
		c.spoil(&f)
		err := f.Check()
		require.ErrorIs(t, err, ErrBadFeedback)
		require.ErrorContains(t, err, c.want)
	}
}

func TestScorecardsAdvise(t *testing.T) {
	now := start.Add(10 * 24 * time.Hour)
	for _, c := range []struct {
		name   string
		t      Tally
		advice Advice
		reason string
	}{
		{"new", Tally{Finished: 2, Rungs: []Rung{{}, {Averted: 2}}}, Keep, "too little is known"},
		{"right", Tally{Finished: 20, Right: 18, Wrong: 1, Rungs: []Rung{{}, {Incident: 18, Averted: 2}}, Lead: Histogram{{80, 18}}}, Keep, "18 of 19"},
		{"wrong", Tally{Finished: 20, Right: 1, Wrong: 19, Rungs: []Rung{{}, {Averted: 20}}}, Retire, "19 of 20 wrong"},
		{"half wrong", Tally{Finished: 40, Right: 15, Wrong: 25, Rungs: []Rung{{}, {Averted: 40}}}, Tune, "25 of 40 wrong"},
		{"never anything", Tally{Finished: 30, Rungs: []Rung{{}, {Averted: 30}}}, Tune, "none of 30 became an incident"},
		{"loud", Tally{Finished: 300, Right: 3, Rungs: []Rung{{}, {Averted: 297, Incident: 3}}}, Tune, "a week went by"},
		{"too late", Tally{Finished: 10, Right: 10, Rungs: []Rung{{}, {Incident: 10}}, Lead: Histogram{{5, 10}}}, Tune, "an earlier stage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := score("x", &c.t, 4)
			require.Equal(t, c.advice, s.Advice, s.Reason)
			require.Contains(t, s.Reason, c.reason)
			require.LessOrEqual(t, s.Low, s.High)
		})
	}
	cards := bookOf(t, now, ladders()...).Scorecards()
	require.Len(t, cards, 1)
	require.Equal(t, "queue-grows", cards[0].Signature)
	require.Equal(t, uint64(10), cards[0].Incidents)
	require.InDelta(t, 43.5*60, *cards[0].Lead, 300)
}
