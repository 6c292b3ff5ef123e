//go:build !re2 || !cgo

package bench

import (
	"context"
	"fmt"
)

func prepareRE2(context.Context, *job) (candidate, part, error) {
	return candidate{}, part{}, fmt.Errorf("this binary was built without it (go build -tags re2, with libre2-dev): %w", errAbsent)
}
