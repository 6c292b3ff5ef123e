//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/forewarn/forewarn/signatures/crd"
)

// eventually waits for what a cluster and other processes do, on a machine that does much else.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 2*time.Minute, 100*time.Millisecond, "%s", what)
}

func resourceOf(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: crd.Group, Version: crd.Version, Resource: plural}
}
