package format

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// traces are what programs of common languages write when they fail, as one entry each.
func traces() map[string]string {
	return map[string]string{
		"java": `Exception in thread "main" java.lang.IllegalStateException: the cart is closed
	at com.shop.Cart.add(Cart.java:42)
	at com.shop.Main.main(Main.java:7)
	Suppressed: java.io.IOException: close failed
		at com.shop.Cart.close(Cart.java:60)
Caused by: java.sql.SQLTransientConnectionException: pool is empty
	at com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)
	... 12 more
Caused by: java.net.ConnectException: Connection refused
	... 14 common frames omitted`,
		"java behind a message": `ERROR [http-8080-1] request failed
java.lang.NullPointerException: Cannot invoke "String.length()" because "<local1>" is null
	at com.shop.Cart.lambda$add$0(Cart.java:13)
	at java.base/java.util.ArrayList.forEach(ArrayList.java:1596)`,
		"python": `Traceback (most recent call last):
  File "/app/cart.py", line 12, in add
    return items[key]
           ~~~~~^^^^^
KeyError: 'total'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    add()
  File "/app/cart.py", line 15, in add
    raise ValueError("no total") from None
ValueError: no total`,
		"python behind a message": `ERROR:root:request failed
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    1/0
    ~^~
ZeroDivisionError: division by zero

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/main.py", line 5, in <module>
    raise RuntimeError("bad")
RuntimeError: bad`,
		"python exception group": `  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 2, in <module>
  |     raise ExceptionGroup("two", [ValueError(1), TypeError(2)])
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: 2
    +------------------------------------`,
		"python itself": `Fatal Python error: Segmentation fault

Current thread 0x00007f1c2c0f7740 (most recent call first):
  File "/app/main.py", line 2 in crash
  File "/app/main.py", line 5 in <module>

Extension modules: numpy.core._multiarray_umath (total: 1)`,
		"go panic": `panic: runtime error: invalid memory address or nil pointer dereference [recovered]
	panic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47e2a1]

goroutine 34 [running]:
main.(*Cart).Add(0x0, {0x4b0f5a, 0x5})
	/app/cart.go:12 +0x21
main.handle.func1()
	/app/main.go:33 +0x3c
created by main.handle in goroutine 1
	/app/main.go:31 +0x8f
exit status 2`,
		"go deadlock": `fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
	/app/main.go:5 +0x2e`,
		"go signal": `SIGSEGV: segmentation violation
PC=0x7f3b1c m=0 sigcode=1 addr=0x0
signal arrived during cgo execution

goroutine 1 gp=0xc0000061c0 m=0 mp=0x55cd60 [syscall]:
runtime.cgocall(0x48f2a0, 0xc000058f30)
	/usr/local/go/src/runtime/cgocall.go:167 +0x4b

rax    0x0
rbx    0xc000058f30
rip    0x7f3b1c`,
		"node": `/app/index.js:3
throw new TypeError("no cart");
^

TypeError: no cart
    at Object.<anonymous> (/app/index.js:3:7)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)
    at node:internal/main/run_main_module:36:49

Node.js v22.14.0`,
		"node rejection": `node:internal/process/promises:394
      triggerUncaughtException(err, true /* fromPromise */);
      ^

Error: connect ECONNREFUSED 10.0.0.7:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1637:16) {
  errno: -111,
  code: 'ECONNREFUSED',
  syscall: 'connect'
}

Node.js v22.14.0`,
		"node logged": `Error: query failed
    at Client.query (/app/db.js:10:9)
    at async handler (file:///app/main.mjs:4:3) {
  [cause]: Error: timeout
      at Timeout._onTimeout (/app/db.js:7:20)
}`,
		"ruby": "/app/cart.rb:3:in `add': undefined method `total' for nil:NilClass (NoMethodError)\n\tfrom /app/cart.rb:7:in `each'\n\tfrom /app/main.rb:1:in `<main>'",
		"rails": `ActionController::RoutingError (No route matches [GET] "/carts/9"):

app/middleware/tenant.rb:12:in 'Tenant#call'
app/middleware/log.rb:7:in 'block in Log#call'
config/environment.rb:5:in '<top (required)>'`,
		"dotnet": `Unhandled exception. System.AggregateException: One or more errors occurred. (no cart)
 ---> System.InvalidOperationException: no cart
   at Shop.Cart.Add(String item) in /src/Cart.cs:line 12
   --- End of inner exception stack trace ---
   at System.Threading.Tasks.Task.Wait()
--- End of stack trace from previous location ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 5`,
		"rust":             "thread 'main' panicked at src/main.rs:4:5:\nthe cart is gone\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/90b35a6/library/std/src/panicking.rs:665:5\n   1: core::panicking::panic_fmt\nnote: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
		"rust assertion":   "thread 'worker' (4711) panicked at src/cart.rs:9:9:\nassertion `left == right` failed\n  left: 1\n right: 2\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
		"rust before 1.73": "thread 'main' panicked at 'the cart is gone', src/main.rs:4:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
		"rust error": `Error: load the cart

Caused by:
    0: open /data/cart.json
    1: No such file or directory (os error 2)`,
		"php": `PHP Fatal error:  Uncaught RuntimeException: no cart in /app/cart.php:3
Stack trace:
#0 /app/index.php(7): add()
#1 {main}
  thrown in /app/cart.php on line 3`,
		"php logger": `production.ERROR: no cart {"exception":"[object] (RuntimeException(code: 0): no cart at /app/cart.php:3)
[stacktrace]
#0 /app/index.php(7): add()
#1 {main}
"}`,
		"an object over several lines": "received {\n  id: 7,\n  items: [\n    1,\n  ]\n}",
	}
}

// logged writes a text as a container's runtime does, and without any frame.
func logged(text string) map[string]string {
	var cri strings.Builder
	for line := range strings.Lines(text) {
		cri.WriteString("2026-11-20T10:00:00Z stderr F " + line)
	}
	return map[string]string{"cri": cri.String(), "lines": text}
}

// without takes out empty lines, which no entry keeps.
func without(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestTracesAreOneEntry(t *testing.T) {
	t.Parallel()
	for name, trace := range traces() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := trace + "\nserving on port 8080\n"
			first, _, _ := strings.Cut(trace, "\n")
			joins, _ := continues([]byte(first), noTrace) // what is logged behind a message is a part of it
			if !joins {
				text = "connected to the database\n" + text
			}
			for family, in := range logged(text) {
				_, records, counts := parse(t, []byte(in), 100, Input{Limits: Limits{}})
				var got []string
				for _, r := range records {
					got = append(got, string(r.Text))
				}
				want := []string{"connected to the database", without(trace), "serving on port 8080"}
				if joins {
					want = want[1:]
				}
				require.Equal(t, want, got, family)
				require.Zero(t, counts.Get(LongEntry))
			}
		})
	}
}

// TestLinesThatLookNearlyLikeATraceStandAlone has pairs of lines of which the second begins an entry of its own.
func TestLinesThatLookNearlyLikeATraceStandAlone(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"request failed", "Caused a retry of the request"},
		{"request failed", "at last the server answered"},
		{"request failed", "... still waiting for 3 more replicas"},
		{"request failed", "Suppressed 3 similar messages"},
		{"request failed", "Stack trace: is off, set DEBUG=1"},
		{"request failed", "stack backtrace is off"},
		{"request failed", "--- End of the nightly job"},
		{"request failed", "}{"},
		{"request failed", "] is not expected here"},
		{"request failed", "#12 is the build that broke it"},
		{"request failed", "[stacktrace] is off"},
		{"request failed", "note: the cache is cold"},
		{"request failed", "Node.js v22.14.0 started"},
		{"request failed", "during handling of request 7 the cart was locked"},
		{"request failed", "config.json: Error"},
		{"request failed", "panic: no cart"},
		{"request failed", "goroutine leak detected: 1200 running"},
		{"request failed", "Error: connect ECONNREFUSED"},
		{"request failed", "/app/cart.rb:3:in `add': no cart (NoMethodError)"},
		{"request failed", "see /app/cart.rb:3:in 'add'"},
		{"request failed", "thread 'main' panicked at src/main.rs:4:5:"},
		{"goroutine 7 is slow", "exit strategy is not clear"},
		{"panic: no cart", "I1120 10:00:00 serving again on port 8080"},
		{"panic: no cart", "rax is a register"},
		{"ValueError: no total", "During the night nothing happened"},
		{"/app/index.js is watched", "throw new Error"},
		{"listening on http://10.0.0.1:8080", "ready"},
		{"http://10.0.0.1/app.js:3", "ready"},
		{"thread 'main' says hello", "note: nothing happened"},
		{"PHP is ready", "#0 is the first request"},
		{"Traceback is on", "ValueError: no total"},
	} {
		for family, in := range logged(pair[0] + "\n" + pair[1] + "\n") {
			_, records, _ := parse(t, []byte(in), 1<<20, Input{})
			require.Len(t, records, 2, "%s: %q", family, pair)
		}
	}
}
