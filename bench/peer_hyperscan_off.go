//go:build !hyperscan || !cgo

package bench

import (
	"context"
	"fmt"
)

func prepareHyperscan(context.Context, *job) (candidate, part, error) {
	return candidate{}, part{}, fmt.Errorf("this binary was built without it (go build -tags hyperscan, with libhyperscan-dev or libvectorscan-dev): %w", errAbsent)
}
