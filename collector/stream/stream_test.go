package stream

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for a real server before it fails.
const patience = 20 * time.Second

func open(t *testing.T, o Options) *Stream {
	t.Helper()
	if o.URL == "" && o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	s, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.EnsureStreams(t.Context()))
	return s
}

func publisher(t *testing.T, s *Stream, c PublisherConfig) *Publisher {
	t.Helper()
	p, err := s.Publisher(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, p.Close(ctx))
	})
	return p
}

func publish(t *testing.T, p *Publisher, partition, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		require.NoError(t, p.PublishRecords(t.Context(), partition, fmt.Sprintf("%d-%d", partition, i), fmt.Append(nil, i)))
	}
	require.NoError(t, p.Flush(t.Context()))
}

// contents reads a whole subject.
func contents(t *testing.T, s *Stream, subject string) []string {
	t.Helper()
	var got []string
	require.NoError(t, s.Read(t.Context(), Records, subject, 0, 0, func(m Message) error {
		got = append(got, string(m.Data))
		return nil
	}))
	return got
}

func numbers(from, to int) []string {
	var s []string
	for i := from; i < to; i++ {
		s = append(s, fmt.Sprint(i))
	}
	return s
}

// natsServer runs a server of its own on a port that stays the same over restarts.
type natsServer struct {
	t   *testing.T
	o   server.Options
	srv *server.Server
}

func newNATS(t *testing.T, change func(o *server.Options)) *natsServer {
	t.Helper()
	n := &natsServer{t: t, o: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}}
	if change != nil {
		change(&n.o)
	}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *natsServer) start() {
	n.t.Helper()
	o := n.o
	srv, err := server.NewServer(&o)
	require.NoError(n.t, err)
	srv.Start()
	require.True(n.t, srv.ReadyForConnections(patience))
	n.srv = srv
	n.o.Port = srv.Addr().(*net.TCPAddr).Port
}

func (n *natsServer) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

func (n *natsServer) url(user string) string {
	return fmt.Sprintf("nats://%s127.0.0.1:%d", user, n.o.Port)
}

func TestOptionsAreAllChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"no URL and no data directory":   {},
		"there is no URL":                {DataDir: "d", CredsFile: "c"},
		"and there is no URL":            {DataDir: "d", Token: "t"},
		"without a token anybody could":  {DataDir: "d", Listen: "0.0.0.0:4222"},
		"no embedded server that could":  {URL: "nats://x", Token: "t", Listen: "0.0.0.0:4222"},
		"missing port in address":        {DataDir: "d", Token: "t", Listen: "0.0.0.0"},
		`"https" is no port`:             {DataDir: "d", Token: "t", Listen: "0.0.0.0:https"},
		"its file and its key's file":    {URL: "u", CertFile: "c"},
		"300 hit partitions":             {DataDir: "d", HitPartitions: 300},
		"-1 record partitions":           {DataDir: "d", RecordPartitions: -1},
		"HITS may keep 5 bytes":          {DataDir: "d", Hits: Retention{MaxBytes: 5}},
		"a shorter de-duplication":       {DataDir: "d", Intake: Retention{MaxAge: time.Minute}},
		"7 replicas":                     {DataDir: "d", Replicas: 7},
		"status time to live 1ms":        {DataDir: "d", StatusTTL: time.Millisecond},
		"sync interval -1s: it must be ": {DataDir: "d", SyncInterval: -time.Second},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := Open(t.Context(), o)
			require.ErrorContains(t, err, want)
		})
	}
}

func TestEmbeddedServerTellsOnlyTheOwnerWhereItIs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{DataDir: dir})
	require.True(t, s.Embedded())
	info, err := os.Stat(filepath.Join(dir, URLFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	url, err := FindURL(dir)
	require.NoError(t, err)
	other := open(t, Options{URL: url})
	require.NoError(t, other.PutStatus(t.Context(), "console/1", []byte("up")))
	statuses, err := s.Statuses(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"console/1": []byte("up")}, statuses)
	require.False(t, other.Embedded())

	_, err = Open(t.Context(), Options{URL: url[strings.Index(url, "@")+1:]})
	require.ErrorContains(t, err, "the server refused who we are", "the port is open to this machine, the server is not")

	require.NoError(t, other.Close())
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice is fine")
	_, err = FindURL(dir)
	require.ErrorContains(t, err, "nothing runs on the data directory")
}

func TestSecondServerOnADataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{DataDir: dir})
	_, err := Open(t.Context(), Options{DataDir: dir})
	require.ErrorContains(t, err, "another process uses this data directory")
	_, err = FindURL(dir)
	require.NoError(t, err, "the refused one leaves the first one's file alone")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	closed := newNATS(t, nil)
	closed.stop()
	secured := newNATS(t, func(o *server.Options) { o.Username, o.Password = "u", "right" })
	bare := newNATS(t, func(o *server.Options) { o.JetStream = false })
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, tc := range map[string]struct {
		o    Options
		want []string
	}{
		"nobody there":   {Options{URL: closed.url("u:secret@")}, []string{closed.url(""), "no server answers there", "check the address"}},
		"wrong password": {Options{URL: secured.url("u:wrong@")}, []string{"refused who we are", "check the user and password"}},
		"no JetStream":   {Options{URL: bare.url("")}, []string{"without JetStream", "start it with -js"}},
		"no creds file":  {Options{URL: bare.url(""), CredsFile: "/no/such.creds"}, []string{"read NATS credentials", "/no/such.creds"}},
		"empty CA":       {Options{URL: bare.url(""), CAFile: empty}, []string{"holds no certificate"}},
		"no TLS":         {Options{URL: strings.Replace(bare.url(""), "nats:", "tls:", 1)}, []string{"does not do TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), tc.o)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "wrong@")
		})
	}
	open(t, Options{URL: secured.url("u:right@")})
}

func TestEmbeddedServerServesOtherMachinesWithTheTokenOnly(t *testing.T) {
	s := open(t, Options{DataDir: t.TempDir(), Listen: ":0", Token: "a token: with @ and /"})
	require.NoError(t, s.EnsureStreams(t.Context()))
	tcp, ok := s.server.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.True(t, tcp.IP.IsUnspecified())
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))

	_, err := Open(t.Context(), Options{URL: "nats://" + address, Token: "another"})
	require.ErrorContains(t, err, "the server refused who we are")
	_, err = Open(t.Context(), Options{URL: "nats://" + address})
	require.ErrorContains(t, err, "the server refused who we are")

	other := open(t, Options{URL: "nats://" + address, Token: "a token: with @ and /"})
	require.NoError(t, other.EnsureStreams(t.Context()))
	local, err := FindURL(s.opts.DataDir)
	require.NoError(t, err)
	beside := open(t, Options{URL: local})
	_, err = beside.LastSeq(t.Context(), Warnings, WarningsSubject)
	require.NoError(t, err)
}

func TestEnsureStreamsCanBeRepeatedAndUpgrades(t *testing.T) {
	n := newNATS(t, nil)
	s := open(t, Options{URL: n.url("")})
	require.NoError(t, s.EnsureStreams(t.Context()))
	publish(t, publisher(t, s, PublisherConfig{}), 0, 0, 3)

	larger := open(t, Options{URL: n.url(""), Records: Retention{MaxBytes: 5000 * mebibyte}})
	st, err := larger.js.Stream(t.Context(), Records)
	require.NoError(t, err)
	require.Equal(t, int64(5000*mebibyte), st.CachedInfo().Config.MaxBytes)
	require.Equal(t, numbers(0, 3), contents(t, larger, AllRecords), "an upgrade keeps what is there")

	other, err := Open(t.Context(), Options{URL: n.url(""), RecordPartitions: 6})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	require.ErrorContains(t, other.EnsureStreams(t.Context()), "stream RECORDS: it was made with 4 partitions, but 6 are configured: configure 4")
}

func TestEnsureStreamsAtOnce(t *testing.T) {
	n := newNATS(t, nil)
	errs := make(chan error, 4)
	for range cap(errs) {
		s, err := Open(t.Context(), Options{URL: n.url("")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		go func() { errs <- s.EnsureStreams(t.Context()) }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{DataDir: dir})
	p := publisher(t, s, PublisherConfig{})
	publish(t, p, 1, 0, 50)
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, s.Close())

	s = open(t, Options{DataDir: dir})
	require.Equal(t, numbers(0, 50), contents(t, s, RecordsSubject(1)))
	infos, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(50), infos[0].Messages)
	require.Empty(t, infos[0].Consumers, "reading left nothing behind")
}

func TestReadGivesExactlyTheRange(t *testing.T) {
	s := open(t, Options{})
	p := publisher(t, s, PublisherConfig{})
	for i := range 100 {
		require.NoError(t, p.PublishRecords(t.Context(), i%2, "", fmt.Append(nil, i)))
	}
	require.NoError(t, p.Flush(t.Context()))
	last, err := s.LastSeq(t.Context(), Records, RecordsSubject(0))
	require.NoError(t, err)
	require.Equal(t, uint64(99), last)
	for subject, want := range map[string]uint64{"": 100, AllRecords: 100, RecordsSubject(3): 0} {
		last, err := s.LastSeq(t.Context(), Records, subject)
		require.NoError(t, err)
		require.Equal(t, want, last, subject)
	}
	for name, tc := range map[string]struct {
		subject         string
		from, to        uint64
		count           int
		first, lastSeen uint64
	}{
		"all":            {"", 0, 0, 100, 1, 100},
		"one partition":  {RecordsSubject(1), 0, 0, 50, 2, 100},
		"middle":         {RecordsSubject(1), 10, 21, 6, 10, 20},
		"beyond the end": {RecordsSubject(0), 90, 1000, 5, 91, 99},
		"after the end":  {RecordsSubject(0), 100, 1000, 0, 0, 0},
		"empty":          {RecordsSubject(2), 1, 0, 0, 0, 0},
		"backwards":      {"", 20, 10, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var seqs []uint64
			require.NoError(t, s.Read(t.Context(), Records, tc.subject, tc.from, tc.to, func(m Message) error {
				require.Equal(t, fmt.Sprint(m.Seq-1), string(m.Data))
				seqs = append(seqs, m.Seq)
				return nil
			}))
			require.Len(t, seqs, tc.count)
			if tc.count > 0 {
				require.Equal(t, []uint64{tc.first, tc.lastSeen}, []uint64{seqs[0], seqs[len(seqs)-1]})
			}
		})
	}
	stop := fmt.Errorf("that will do")
	require.Equal(t, stop, s.Read(t.Context(), Records, "", 0, 0, func(Message) error { return stop }))
	require.ErrorContains(t, s.Read(t.Context(), "NONE", "", 0, 0, nil), "stream NONE")
}

func TestStatusKeyMustBeWritable(t *testing.T) {
	s := open(t, Options{})
	require.ErrorContains(t, s.PutStatus(t.Context(), "a b", nil), `put status "a b"`)
	statuses, err := s.Statuses(t.Context())
	require.NoError(t, err)
	require.Empty(t, statuses)
}

func TestNothingRunsAfterClose(t *testing.T) {
	s, err := Open(t.Context(), Options{DataDir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, s.EnsureStreams(t.Context()))
	p, err := s.Publisher(PublisherConfig{})
	require.NoError(t, err)
	publish(t, p, 0, 0, 10)
	c, err := s.Consume(t.Context(), ConsumerConfig{Stream: Records, Subject: RecordsSubject(0), Durable: "d", Pinned: true, Ordered: true})
	require.NoError(t, err)
	_, err = c.Next(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, s.Close())
	require.Eventually(t, func() bool { return !strings.Contains(stacks(), "nats-io") }, patience, 20*time.Millisecond)
}

func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}
