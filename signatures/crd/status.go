package crd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/forewarn/forewarn/signatures"
)

// State is what became of a resource.
type State string

// The states.
const (
	Armed    State = "Armed"    // records are matched against it
	Refused  State = "Refused"  // something is wrong with it
	Disarmed State = "Disarmed" // it does not apply to this cluster
)

// conditionArmed is the type of the condition by which `kubectl wait --for=condition=Armed` waits.
const conditionArmed = "Armed"

// Status is the status of a resource. Its json and doc tags are the schema of the custom resources.
type Status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty" doc:"The generation of the spec that this tells of."`
	State              State              `json:"state,omitempty" doc:"Armed, Refused or Disarmed."`
	Reason             string             `json:"reason,omitempty" doc:"Why it is not armed: the first problem."`
	SignatureID        string             `json:"signatureID,omitempty" doc:"The id that its warnings carry."`
	Problems           []Problem          `json:"problems,omitempty" doc:"All that is wrong with it, errors first."`
	LastWarning        *LastWarning       `json:"lastWarning,omitempty" doc:"The newest of its warnings."`
	Conditions         []metav1.Condition `json:"conditions,omitempty" doc:"Armed, for kubectl wait."`
}

// Problem is one thing that is wrong with a resource.
type Problem struct {
	Path       string           `json:"path,omitempty" doc:"The field: spec.stages[0].when.log.regex."`
	Severity   signatures.Level `json:"severity" doc:"error: it is refused for it; warning: it is armed all the same."`
	Message    string           `json:"message" doc:"What is wrong."`
	Suggestion string           `json:"suggestion,omitempty" doc:"What mends it."`
}

// LastWarning is the newest warning of a signature.
type LastWarning struct {
	ID    string    `json:"id" doc:"The warning's id."`
	State string    `json:"state" doc:"forming, imminent, incident, averted, resolved or expired."`
	Key   string    `json:"key,omitempty" doc:"What it is about: the values of its key, joined by a slash."`
	Time  time.Time `json:"time" doc:"When it came to that, in the time of the records."`
}

const (
	// maxProblems of a status; a resource of the API server must not grow without bound.
	maxProblems = 32
	maxMessage  = 1024 // bytes of a text of a status
)

// Verdict is what became of a resource when the signatures were armed.
type Verdict struct {
	// Hash is that of the resource that was judged. What changed since then has no verdict yet.
	Hash  [32]byte
	State State
	// Problems are those that were found beyond the resource's own, such as an id that is taken.
	Problems []signatures.Problem
	// Before is set when what the resource said before it was refused is still armed.
	Before bool
}

// judged is the status that the verdict gives the resource.
func (r *Resource) judged(v Verdict, last *LastWarning, now time.Time) Status {
	s := Status{ObservedGeneration: r.Generation, State: v.State, SignatureID: r.Ref.ID(), LastWarning: last}
	problems := slices.Concat(r.Problems, v.Problems)
	slices.SortStableFunc(problems, func(a, b signatures.Problem) int { return cmp.Compare(rank(a), rank(b)) })
	for _, p := range problems[:min(len(problems), maxProblems)] {
		p = r.place(p)
		s.Problems = append(s.Problems, Problem{Path: p.Path, Severity: p.Severity, Message: cut(p.Message), Suggestion: cut(p.Suggestion)})
	}
	condition := metav1.Condition{Type: conditionArmed, Status: metav1.ConditionFalse, Reason: string(v.State), ObservedGeneration: r.Generation}
	switch v.State {
	case Armed:
		condition.Status, condition.Message = metav1.ConditionTrue, "records are matched against it"
	case Disarmed:
		s.Reason = "it does not apply to this cluster: see spec.applies"
		condition.Message = s.Reason
	case Refused:
		s.Reason = "see problems"
		if len(s.Problems) > 0 && s.Problems[0].Severity == signatures.LevelError {
			s.Reason = cut(s.Problems[0].text())
		}
		if v.Before {
			s.Reason += "; what it said before is still armed"
		}
		condition.Message = s.Reason
	}
	s.Conditions = slices.Clone(r.status.Conditions)
	condition.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
	apimeta.SetStatusCondition(&s.Conditions, condition)
	return s
}

func rank(p signatures.Problem) int {
	if p.IsError() {
		return 0
	}
	return 1
}

func (p Problem) text() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:maxMessage], len(text))
}

// equal compares as the API server stores: absent and empty are one.
func (s Status) equal(other Status) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && string(a) == string(b)
}

// statusOf reads a status as the API server has it. One that can't be read is as good as none: it is written anew.
func statusOf(object any) Status {
	var s Status
	b, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return Status{}
	}
	return s
}

// patch is the merge patch that makes the resource's status s, whatever it was.
func (s Status) patch(uid string) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode a status: %w", err)
	}
	all := map[string]any{"observedGeneration": nil, "state": nil, "reason": nil, "signatureID": nil, "problems": nil, "lastWarning": nil, "conditions": nil}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("encode a status: %w", err)
	}
	// With the uid the server refuses the patch when the resource was made anew meanwhile.
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": all})
}
