package format

import (
	"slices"
	"strings"
)

// troubleOf returns which of an object's fields, by number, say that something is wrong with it: conditions that are not as they should be with
// their reasons, containers that wait or ended badly, phases that are no good, what is cordoned, full, empty, expiring or being deleted.
func troubleOf(kind string, all []namedLeaf) func(i int) bool {
	value := func(path string) string {
		i, found := slices.BinarySearchFunc(all, path, func(l namedLeaf, path string) int { return strings.Compare(l.path, path) })
		if !found {
			return ""
		}
		return all[i].value
	}
	if phase := value("status.phase"); kind == "Pod" && phase == "Succeeded" {
		return func(i int) bool { return all[i].path == "metadata.deletionTimestamp" }
	}
	return func(i int) bool {
		path, v := all[i].path, all[i].value
		switch path {
		case "metadata.deletionTimestamp":
			return true
		case "spec.unschedulable":
			return v == "true"
		case "status.phase", "status.reason", "status.message":
			return badPhase(kind, value("status.phase"))
		case "status.numberUnavailable", "status.numberMisscheduled", "status.unavailableReplicas":
			return v != "0"
		case "endpoints.ready":
			return v == "0" && value("endpoints.total") != "0"
		}
		switch {
		case strings.HasSuffix(path, ".expires"):
			return true
		case strings.HasSuffix(path, ".notAfter"):
			return value(strings.TrimSuffix(path, "notAfter")+"expires") != ""
		case strings.HasPrefix(path, "spec.taints["):
			return true
		case strings.HasPrefix(path, "status.used[") || strings.HasPrefix(path, "status.used."):
			return v != "0" && v == value("status.hard"+strings.TrimPrefix(path, "status.used"))
		case strings.HasPrefix(path, "status.conditions["):
			name, field, ok := strings.Cut(strings.TrimPrefix(path, "status.conditions["), "].")
			return ok && (field == "status" || field == "reason" || field == "message") &&
				badCondition(kind, name, value("status.conditions["+name+"].status"), value("status.conditions["+name+"].reason"))
		}
		if element, field, ok := strings.Cut(path, "]."); ok && strings.Contains(element, "ontainerStatuses[") {
			return badContainer(field, v, func(f string) string { return value(element + "]." + f) })
		}
		return false
	}
}

func badPhase(kind, phase string) bool {
	switch phase {
	case "", "Running", "Active", "Bound", "Available", "Succeeded", "Ready", "Healthy", "Complete", "Completed":
		return false
	case "Pending": // pods wait for a moment, and their conditions say why when it is longer
		return kind != "Pod"
	}
	return true
}

// badCondition judges a condition. Those of nodes but Ready, and those whose names are of something bad, should be False; all others True.
// What is unknown is bad in either case.
func badCondition(kind, name, status, reason string) bool {
	should := "True"
	switch {
	case kind == "Node":
		if name != "Ready" {
			should = "False"
		}
	case reason == "PodCompleted":
		return false
	case namesEvil(name):
		should = "False"
	case name == "Complete" || name == "SuccessCriteriaMet" || name == "Suspended" || name == "Resizing" || name == "FileSystemResizePending":
		return false // neither is bad
	}
	return status != should
}

func namesEvil(name string) bool {
	for _, end := range [...]string{
		"Failure", "Failed", "Pressure", "Error", "Degraded", "Stalled", "Invalid", "Deadlock", "Unavailable", "Limited", "Target", "Remaining",
		"Terminating", "Violation", "Blocked", "NonStructuralSchema",
	} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// badContainer judges a field of a container's status: why it waits, how it ended, and how it ended before.
func badContainer(field, v string, value func(field string) string) bool {
	ended := func(state string) bool {
		code := value(state + ".terminated.exitCode")
		return code != "" && code != "0"
	}
	switch {
	case strings.HasPrefix(field, "state.waiting."):
		reason := value("state.waiting.reason")
		return reason != "ContainerCreating" && reason != "PodInitializing"
	case strings.HasPrefix(field, "state.terminated."):
		return ended("state")
	case strings.HasPrefix(field, "lastState.terminated."):
		return ended("lastState")
	case field == "restartCount":
		return v != "0" && ended("lastState")
	}
	return false
}
