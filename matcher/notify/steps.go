package notify

import (
	"errors"

	"github.com/forewarn/forewarn/matcher"
)

// steps goes through the warnings of a notice one by one, for destinations that take one at a time. A try that failed in the midst of a
// thousand is gone on with at the next one, and a warning that is refused for good holds back none of the others.
type steps struct {
	notice  string
	done    int
	refused []error
}

// each calls one for each warning that has not been taken yet. Its error is permanent when everything else was taken.
func (s *steps) each(n Notice, one func(w *matcher.Warning) error) error {
	if s.notice != n.ID {
		*s = steps{notice: n.ID}
	}
	for ; s.done < len(n.Warnings); s.done++ {
		switch err := one(&n.Warnings[s.done]); {
		case err == nil:
		case !IsPermanent(err):
			return err
		case len(s.refused) < 3: // the log needs no more to say what is wrong
			s.refused = append(s.refused, err)
		}
	}
	err := errors.Join(s.refused...)
	*s = steps{}
	return err
}
