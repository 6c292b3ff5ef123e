package collector

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/forewarn/forewarn/collector/record"
)

func TestAContainersLogSpeaksForItsContainerOnly(t *testing.T) {
	path := "/var/log/pods/shop_cart-7d4b9c6f5-x2x4z_0e9c/app/0.log"
	require.Equal(t, record.NewAttrs(map[string]string{
		record.FilePath: path, record.Cluster: "prod", record.Namespace: "shop", record.Pod: "cart-7d4b9c6f5-x2x4z", record.Container: "app",
		record.WorkloadKind: "Deployment", record.WorkloadName: "cart",
	}), scopeOf(path, pathAttrs(path, record.Attrs{{Key: record.Cluster, Value: "prod"}})))
	require.Equal(t, record.Attrs{{Key: record.FilePath, Value: "/var/log/app.log"}}, scopeOf("/var/log/app.log", pathAttrs("/var/log/app.log", nil)))
}
