package matcher

import "math"

// sketch knows how common short runs of bytes are in the text of clusters, so that literals are filed under rare ones. It is a
// guess, and decides nothing but speed: with a megabyte of the text that is then scanned the scan is about half as fast again as
// without any.
type sketch struct {
	sample []byte
	pairs  []uint32 // how often each two folded bytes stand together
	triple []uint32 // the same of three, hashed
	total  float64
	counts [9]*windowCounts // by length of the window
}

// windowCounts has a counter for each hash of a window.
type windowCounts struct {
	counts []uint16
	total  float64
}

const (
	maxSample    = 1 << 20 // more makes no difference
	enoughSample = 64 << 10
	tripleBits   = 16
	countBits    = 20
)

// newSketch learns from the text, and from the built-in lines below when there is little of it.
func newSketch(text []byte) *sketch {
	s := &sketch{pairs: make([]uint32, 1<<16), triple: make([]uint32, 1<<tripleBits)}
	if len(text) < enoughSample {
		s.learn([]byte(commonLines))
	} else {
		s.sample = text[:min(len(text), maxSample)]
	}
	s.learn(text[:min(len(text), maxSample)])
	return s
}

// light returns what is worth keeping: what is likely from three bytes to the next.
func (s *sketch) light() *sketch { return &sketch{pairs: s.pairs, triple: s.triple, total: s.total} }

func (s *sketch) learn(text []byte) {
	for i := 0; i+3 <= len(text); i++ {
		s.pairs[pair(text[i:])]++
		s.triple[gram(text[i:])]++
		s.total++
	}
}

func pair(b []byte) int { return int(b[0]|0x20) | int(b[1]|0x20)<<8 }

func gram(b []byte) uint32 {
	w := uint32(b[0]|0x20) | uint32(b[1]|0x20)<<8 | uint32(b[2]|0x20)<<16
	return w * 0x9E3779B1 >> (32 - tripleBits)
}

// weight is how large a part of all places in a text lead to a run by its windows, and a little, so that rare runs are told apart by
// how many literals they serve.
func (s *sketch) weight(run []byte, t *tier) float32 {
	const least = 3e-6
	var steps [maxPlaces]float64
	s.steps(&steps, run[:t.run()])
	sum := least
	for d := range t.stride {
		sum += s.frequency(run[d:d+t.window], steps[d:], t)
	}
	return float32(sum)
}

// least is how often the rarest window of a literal is seen, as a part of all places.
func (s *sketch) least(text string) float64 {
	shapes := tierShapes()
	t := &shapes[tierOf(text)]
	b := viewBytes(text[:min(len(text), maxPlaces)])
	if len(b) < t.window {
		return 0
	}
	var steps [maxPlaces]float64
	s.steps(&steps, b)
	best := 1.0
	for i := 0; i+t.window <= len(b); i++ {
		best = min(best, s.frequency(b[i:i+t.window], steps[i:], t))
	}
	return best
}

// steps sets of each three bytes of a text, which is no longer than dst, how likely the third is after the first two.
func (s *sketch) steps(dst *[maxPlaces]float64, text []byte) {
	for i := 0; i+3 <= len(text); i++ {
		dst[i] = (float64(s.triple[gram(text[i:])]) + 0.1) / (float64(s.pairs[pair(text[i:])]) + 10)
	}
}

// frequency guesses how large a part of all places begins with the window, whose steps these are: as often as it was counted, and a little of
// what is likely from three bytes to the next.
func (s *sketch) frequency(window []byte, steps []float64, t *tier) float64 {
	likely := (float64(s.pairs[pair(window)]) + 0.1) / (s.total + 1)
	for _, x := range steps[:len(window)-2] {
		likely *= x
	}
	if s.sample == nil {
		return likely
	}
	c := s.counts[t.window]
	if c == nil {
		c = countWindows(s.sample, t)
		s.counts[t.window] = c
	}
	var b [8]byte
	copy(b[:], window)
	return 0.1*likely + float64(c.counts[hashWindow(t.windowAt(b[:], 0))>>(64-countBits)])/c.total
}

func countWindows(text []byte, t *tier) *windowCounts {
	c := &windowCounts{counts: make([]uint16, 1<<countBits), total: float64(len(text))}
	for i := 0; i+8 <= len(text); i++ {
		n := &c.counts[hashWindow(t.windowAt(text, i))>>(64-countBits)]
		*n = min(*n, math.MaxUint16-1) + 1
	}
	return c
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
