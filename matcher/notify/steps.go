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

// each calls one for each warning that has not been taken yet, and then counted for the digest, if there is one. Its error is permanent when
// everything else was taken.
func (s *steps) each(n Notice, one func(w *matcher.Warning) error, counted func(*Digest) error) error {
	if s.notice != n.ID {
		*s = steps{notice: n.ID}
	}
	all := len(n.Warnings)
	if n.Digest != nil {
		all++
	}
	for ; s.done < all; s.done++ {
		var err error
		if s.done < len(n.Warnings) {
			err = one(&n.Warnings[s.done])
		} else {
			err = counted(n.Digest)
		}
		switch {
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
