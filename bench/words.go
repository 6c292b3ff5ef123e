package bench

// The words that lines and signatures are made of. None is longer than its place allows: verbs 10, qualities 10, objects 12, reasons
// 23 bytes, so that a phrase of all four stays within 60.
var (
	verbs = []string{
		"attach", "detach", "mount", "unmount", "resolve", "acquire", "renew", "allocate", "schedule", "evict", "pull", "start",
		"probe", "sync", "reconcile", "compact", "snapshot", "replicate", "elect", "join", "drain", "fence", "resize", "bind",
		"claim", "rotate", "flush", "commit", "admit", "restore", "resume", "register", "publish", "validate", "decode", "migrate",
		"balance", "truncate", "provision", "checkpoint",
	}
	qualities = []string{
		"ephemeral", "shared", "primary", "standby", "cached", "remote", "local", "pending", "orphaned", "encrypted", "signed",
		"mirrored", "sharded", "idle", "default", "foreign", "static", "dynamic", "nested", "upstream", "zonal", "regional",
		"tainted", "inner", "outer",
	}
	things = []string{
		"volume", "lease", "endpoint", "container", "sandbox", "image", "certificate", "secret", "token", "route", "address",
		"segment", "shard", "replica", "member", "leader", "keyring", "queue", "partition", "socket", "session", "cursor", "bucket",
		"quota", "cgroup", "journal", "gateway", "resolver", "listener", "webhook", "manifest", "registry", "namespace", "device",
		"firmware", "tablespace", "index", "follower", "broker", "topic", "subnet", "nodepool", "finalizer", "backend", "cipher",
		"heap", "arena", "mailbox", "tenant", "ledger",
	}
	reasons = []string{
		"deadline exceeded", "no space left", "checksum mismatch", "too many open files", "quota exhausted", "stale epoch",
		"lost quorum", "broken pipe", "connection refused", "permission denied", "resource is busy", "not a member",
		"certificate expired", "unknown authority", "bad file descriptor", "host is unreachable", "operation timed out",
		"object was modified", "limit of threads reached", "table is full", "clock went backwards", "bad magic number",
		"already exists", "device not found", "invalid argument", "reset by peer", "address already in use", "input output error",
		"version is not served", "read only file system", "out of sequence", "protocol violation", "window is exceeded",
		"token is not yet valid", "retry budget is spent", "peer went away", "write stalled", "log is corrupted",
		"snapshot is too old", "leader unknown", "term has moved on", "segment is sealed", "fencing was refused",
		"zone has no capacity", "handshake was cut off", "message is too large", "key is not in the ring", "lock is held elsewhere",
	}
	openings = []string{"failed to ", "unable to ", "could not ", "cannot ", "refusing to ", "gave up to "}

	// words are what healthy systems talk about all day.
	words = []string{
		"request", "completed", "order", "cart", "price", "stock", "invoice", "session", "profile", "catalog", "search", "ranking",
		"payment", "shipment", "report", "audit", "backup", "metric", "trace", "bookmark", "watch", "cache", "batch", "stream",
	}
)
