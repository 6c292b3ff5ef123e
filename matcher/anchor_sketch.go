package matcher

import "math"

// sketch knows how common three-byte runs are in the text of clusters, so that literals are filed under rare parts. It is a
// guess, and decides nothing but speed.
type sketch struct {
	counts [1 << 12]uint16
	total  float64
}

// newSketch learns from the text, and from the built-in lines below when there is little of it.
func newSketch(text []byte) *sketch {
	const enough = 64 << 10
	s := &sketch{}
	if len(text) < enough {
		s.learn([]byte(commonLines))
	}
	s.learn(text[:min(len(text), 1<<20)])
	return s
}

func (s *sketch) learn(text []byte) {
	for i := 0; i+3 <= len(text); i++ {
		c := &s.counts[gram(text[i:])]
		if *c < math.MaxUint16 {
			*c++
		}
		s.total++
	}
}

func gram(b []byte) uint32 {
	w := uint32(b[0]|0x20) | uint32(b[1]|0x20)<<8 | uint32(b[2]|0x20)<<16
	return w * 0x9E3779B1 >> 20
}

// commonness is larger the more often text like this is seen.
func (s *sketch) commonness(text []byte) float64 {
	sum := 0.0
	for i := 0; i+3 <= len(text); i++ {
		sum += math.Log2(1 + float64(s.counts[gram(text[i:])]))
	}
	return sum
}

// commonLines has the words and shapes that are in nearly every log of a cluster.
const commonLines = `2026-03-14T09:26:53.589793Z stderr F I0314 09:26:53.589793       1 controller.go:231] "Reconciling object" namespace="kube-system" name="coredns-7c65d6cfc9-x8v2p"
2026-03-14 09:26:53,589 INFO  [main] org.apache.service.Server - Started server in 1234 ms
E0314 09:26:53.101214    2214 kubelet.go:1312] "Failed to update status for pod" pod="default/web-5d4f8c7b9d-2xk7q" err="failed to patch status: the server could not find the requested resource"
W0314 09:26:54.221214    2214 reflector.go:539] k8s.io/client-go/informers/factory.go:150: failed to list *v1.Pod: connection refused
{"level":"info","ts":"2026-03-14T09:26:53.589Z","caller":"etcdserver/server.go:2011","msg":"published local member to cluster through raft","local-member-id":"8e9e05c52164694d","timeout":"7s"}
{"time":"2026-03-14T09:26:53Z","level":"error","message":"request failed","error":"context deadline exceeded","status":500,"duration_ms":120}
time="2026-03-14T09:26:53Z" level=info msg="starting container" container=8e9e05c52164694d8e9e05c52164694d namespace=k8s.io
time="2026-03-14T09:26:53Z" level=warning msg="error while stopping" error="operation not permitted" id=12345
10.244.1.17 - - [14/Mar/2026:09:26:53 +0000] "GET /api/v1/items?page=2 HTTP/1.1" 200 1532 "-" "Mozilla/5.0 (X11; Linux x86_64)" 0.012
Mar 14 09:26:53 node-1 systemd[1]: Started Session 42 of User root.
Mar 14 09:26:53 node-1 kernel: [12345.678901] eth0: link becomes ready
Successfully assigned default/web-5d4f8c7b9d-2xk7q to node-1
Pulling image "registry.example.com/team/app:1.2.3"
Successfully pulled image "registry.example.com/team/app:1.2.3" in 1.2s (1.2s including waiting)
Created container: app
Started container app
Back-off restarting failed container app in pod web-5d4f8c7b9d-2xk7q
Readiness probe failed: HTTP probe failed with statuscode: 503
panic: runtime error: invalid memory address or nil pointer dereference goroutine 1 [running]: main.main() /app/main.go:42 +0x1d
java.lang.IllegalStateException: unable to connect at com.example.service.Client.connect(Client.java:123) at java.base/java.lang.Thread.run(Thread.java:829)
ERROR: could not open connection to the database server, retrying after timeout of 5 seconds
[ERROR] plugin/errors: 2 example.default.svc.cluster.local. A: read udp 10.244.0.3:53: i/o timeout
could not create the volume because the request was not found or was not ready; cannot complete the operation for this reason
failed to create failed to get failed to delete failed to read failed to write failed to start failed to connect error unable to warning
`
