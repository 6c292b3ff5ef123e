package pipeline

import "sync"

// The bounds of what one process puts into labels, and what stands for all beyond them. A signature has a name from its first warning on, so
// that of a hundred thousand signatures those that fire are told apart.
const (
	maxSignatureNames = 500
	maxStageNames     = 2000 // pairs of signature and stage
	otherName         = "other"
)

// names bounds the values of labels: the first ones keep their names for the life of the process. Its zero value is ready; any goroutine
// may use it.
type names struct {
	mu         sync.Mutex
	signatures map[string]struct{}
	stages     map[[2]string]struct{}
}

// signature is the label of a signature.
func (n *names) signature(id string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !admit(&n.signatures, id, maxSignatureNames) {
		return otherName
	}
	return id
}

// stage gives the labels of a stage. signature is one that signature returned.
func (n *names) stage(signature, stage string) (string, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if signature == otherName || !admit(&n.stages, [2]string{signature, stage}, maxStageNames) {
		return signature, otherName
	}
	return signature, stage
}

// admit reports whether x is among the first most.
func admit[T comparable](known *map[T]struct{}, x T, most int) bool {
	if *known == nil {
		*known = map[T]struct{}{}
	}
	if _, ok := (*known)[x]; ok {
		return true
	}
	if len(*known) >= most {
		return false
	}
	(*known)[x] = struct{}{}
	return true
}
