package signatures

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// places are the types of the language with the words that messages use for them.
var places = []struct {
	typ  reflect.Type
	name string
}{
	{reflect.TypeFor[Signature](), "the signature"},
	{reflect.TypeFor[Stage](), "a stage"},
	{reflect.TypeFor[Clear](), "clear"},
	{reflect.TypeFor[Unless](), "an element of unless"},
	{reflect.TypeFor[Frame](), "frame"},
	{reflect.TypeFor[Negate](), "an element of negates"},
	{reflect.TypeFor[Incident](), "incident"},
	{reflect.TypeFor[Condition](), "when"},
	{reflect.TypeFor[EventCondition](), "event"},
	{reflect.TypeFor[LogCondition](), "log"},
	{reflect.TypeFor[ChangeCondition](), "change"},
	{reflect.TypeFor[SampleCondition](), "sample"},
	{reflect.TypeFor[AlertCondition](), "alert"},
	{reflect.TypeFor[Forecast](), "forecast"},
	{reflect.TypeFor[Distinct](), "distinct"},
	{reflect.TypeFor[Remedy](), "a remedy"},
	{reflect.TypeFor[ObjectMatch](), "object"},
}

// synonyms are words that people try, because other tools use them, with what they are called here.
var synonyms = map[string]string{
	"window": "within", "timeframe": "within", "threshold": "count", "description": "impact", "name": "id", "key": "by", "group_by": "by",
	"correlate": "by", "steps": "stages", "sequence": "order", "conditions": "stages", "mitigation": "remedies", "remediation": "remedies",
	"remediations": "remedies", "fix": "remedies", "text": "contains", "match": "contains", "pattern": "regex", "value": "contains",
	"matches": "regex", "source": "component", "service": "component", "app": "component", "level": "severity", "action": "do",
	"links": "references", "refs": "references", "ttl": "expire", "timeout": "expire", "greater_than": "above", "gt": "above", "less_than": "below",
	"lt": "below", "limit": "reaches", "followed_within": "follows_within", "negate": "unless", "condition": "when", "metric_name": "metric",
	"field": "path", "msg": "message", "contains": "message", "resolve": "clear", "min": "need",
}

// misplaced says what to do about an unknown key of a struct: the word that was meant, or where the key belongs.
func misplaced(key string, t reflect.Type, meant string, free []string) string {
	if w, ok := synonyms[strings.ToLower(key)]; ok && slices.Contains(free, w) {
		return fmt.Sprintf("did you mean %q?", w)
	}
	if meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	for _, p := range places {
		if p.typ == t {
			continue
		}
		for _, m := range members(p.typ) {
			if m.name == key {
				return fmt.Sprintf("%q belongs to %s; known here: %s", key, p.name, strings.Join(free, ", "))
			}
		}
	}
	return suggestWord(key, free)
}

// missingMend says what to write where a required field is missing.
func missingMend(t reflect.Type, name string) string {
	switch t.Name() + "." + name {
	case "Signature.id":
		return "such as `id: etcd-slow-disk`"
	case "Signature.severity":
		return "one of " + strings.Join(texts(Severities()), ", ")
	case "Signature.by":
		return "what makes records belong together: container, pod, workload, node, volume, namespace or cluster"
	case "Signature.clear":
		return "say when it is over, such as `clear: {quiet: 30m}`: a warning that never clears is never trusted again"
	case "Signature.stages":
		return "at least one stage with a name and a `when`"
	case "Remedy.risk":
		return "one of " + strings.Join(texts(Risks()), ", ")
	case "Unless.window":
		return "how long it must not be met, such as `window: 2m`"
	case "Test.expect":
		return "the states that must be reached, or `expect: []` for a near miss"
	}
	return ""
}
